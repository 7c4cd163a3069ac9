"""Workbenches with a scripted model, with and without a cassette."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.configuration import load_settings
from workbench.core.events import AnyEvent
from workbench.models.base import Reply, Usage
from workbench.models.testing import TestModel
from workbench.workbench import Workbench

SALES = pd.DataFrame(
    {
        "region": ["North", "South", "North", "West"],
        "revenue": [10.0, 20.0, 40.0, 80.0],
    }
)
QUESTION = "which region earned most? plot it"
SQL = "SELECT region, sum(revenue) AS revenue FROM sales GROUP BY region ORDER BY revenue DESC"
PLAN = {
    "goal": "revenue by region",
    "steps": [
        {"id": "s1", "task": "query_data", "params": {"sql": SQL, "tables": {"sales": {"$ref": "@sales"}}}},
        {
            "id": "s2",
            "task": "plot",
            "params": {"data": {"$ref": "s1"}, "kind": "bar", "x": "region", "y": ["revenue"], "title": "Revenue"},
        },
    ],
}
ANSWER = "West earned most: 80."


def step(name: str, task: str, **params: Any) -> dict[str, Any]:
    """A step of a plan."""
    return {"id": name, "task": task, "params": params}


class Priced(TestModel):
    """A scripted model whose calls cost something."""

    async def complete(self, messages: Any, **options: Any) -> Reply:
        reply = await super().complete(messages, **options)
        return replace(reply, usage=Usage(tokens_in=1000, tokens_out=50), usd="0.0125")


def bench(folder: Path, *replies: Any, **settings: Any) -> Workbench:
    """A workbench whose home, project and configuration lie in `folder`; without replies no model is connected."""
    (folder / "project").mkdir(parents=True, exist_ok=True)
    made = load_settings(
        {"WORKBENCH_CONFIG": str(folder / "config"), "WORKBENCH_HOME": str(folder / "home")},
        folder / "project",
        **settings,
    )
    return Workbench(made, model=Priced(replies) if replies else None)


def shown(run: Any) -> tuple[str, str, list[bytes]]:
    """All of a run that a cell shows, byte for byte."""
    data, _ = run._repr_mimebundle_()
    return data["text/plain"], data["text/html"], [image.png for image in run.images]


async def bodies(wb: Workbench, run: Any, kind: str) -> list[Any]:
    """What the record holds of one kind of event of a run."""
    events: list[AnyEvent] = list(await wb.memory.events(run.id))
    return [event.body for event in events if event.kind == kind]
