"""Runs a notebook headless against a model server of our own, so that its cassette is recorded; and again without one.

`python -m tests.replay.recording` records the tutorials' cassettes anew and saves what the tutorials then show.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.models.servers import Asked, Server, chat, serving

ROOT = Path(__file__).resolve().parents[2]
MODEL = "scripted-model"

Script = Mapping[str, Sequence[Any]]
"""A part of a request → what the model says to it: first the plan, then the answer."""

TUTORIALS: Mapping[str, Script] = {
    "04_replay_and_share.ipynb": {
        "which region earned most in 2025? plot it": (
            {
                "goal": "revenue of 2025 by region, as a table and a chart",
                "steps": [
                    {
                        "id": "s1",
                        "task": "query_data",
                        "title": "Revenue of 2025 by region",
                        "params": {
                            "sql": "SELECT region, round(sum(revenue), 2) AS revenue FROM sales "
                            "WHERE order_date::DATE >= DATE '2025-01-01' AND order_date::DATE < DATE '2026-01-01' "
                            "GROUP BY region ORDER BY revenue DESC",
                            "tables": {"sales": {"$ref": "@sales"}},
                            "title": "Revenue of 2025 by region",
                        },
                    },
                    {
                        "id": "s2",
                        "task": "plot",
                        "title": "The same as a bar chart",
                        "params": {
                            "data": {"$ref": "s1"},
                            "kind": "bar",
                            "x": "region",
                            "y": ["revenue"],
                            "title": "Revenue of 2025 by region",
                        },
                    },
                ],
            },
            "{first} earned most in 2025. The chart shows all regions, highest first.",
        ),
    },
}


def scripted(script: Script) -> Any:
    """What the server answers: the plan when it is asked for data, else the answer. `{first}` in an answer is the
    first cell of the first table that the prompt shows, so that the answer says what the results say."""

    def answer(asked: Asked) -> bytes:
        said = asked.body["messages"][-1]["content"]
        plan, words = next(reply for request, reply in script.items() if request in said)
        if asked.rung != "text":
            return chat(json.dumps(plan))
        rows = [line.strip("| ") for line in said.splitlines() if line.startswith("| [")]
        return chat(words.replace("{first}", json.loads(rows[0])[0] if rows else ""))

    return answer


async def run(path: Path, env: Mapping[str, str]) -> Any:
    """The notebook at `path`, executed in its own folder by a kernel with these variables and no others of ours."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}, record_timing=False
    )
    theirs = ("OPENAI_", "WORKBENCH_", "TAVILY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    await client.async_execute(env={**kept, **env})
    return notebook


async def record(path: Path, script: Script, home: Path) -> tuple[Any, Server]:
    """The notebook as it was executed while its cassette was recorded, and the server that answered it."""
    async with serving(scripted(script)) as server:
        env = {"OPENAI_BASE_URL": server.base_url, "WORKBENCH_MODEL": MODEL, "WORKBENCH_REPLAY": "off"}
        notebook = await run(path, {**env, **places(home)})
    return notebook, server


def places(home: Path) -> dict[str, str]:
    """Where a kernel keeps what it records: nothing of this user's."""
    return {"WORKBENCH_HOME": str(home / "home"), "WORKBENCH_CONFIG": str(home / "config")}


async def _tutorials() -> None:
    for name, script in TUTORIALS.items():
        path = ROOT / "notebooks" / name
        path.with_suffix(".cassette").unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as home:
            await record(path, script, Path(home) / "recording")
            replayed = await run(path, places(Path(home) / "replay"))
        nbformat.write(replayed, path)  # type: ignore[no-untyped-call]  # as above


if __name__ == "__main__":
    asyncio.run(_tutorials())
