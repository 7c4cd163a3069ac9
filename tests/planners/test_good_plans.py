"""Forty requests with the plans a good model should make: whether the prompt gives all that those plans need.

No live model is asked here. What can be held without one: each plan is valid with these tools and tables, its SQL runs,
and everything that it names stands in the prompt, in the same bytes each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from workbench.core import plan as plans
from workbench.core.request import Request, Scope
from workbench.core.tools import ToolSpec
from workbench.offer import profile
from workbench.planners.parts import as_json, messages
from workbench.planners.prompt import MAX_TABLE_BYTES, plan_parts
from workbench.registry.discover import discover

GOOD = json.loads((Path(__file__).parent / "good_plans.json").read_text("utf-8"))
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
TABLES = {name: pd.read_csv(SAMPLES / f"{name}.csv") for name in ("sales", "customers", "penguins")}
SCOPE = Scope(user="u", workspace="w", session="s")
MAX_TOKENS = 4500
"""Of a whole prompt with six tools and three tables, at 3.5 bytes a token, which is few for English."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ToolSpec]:
    empty = tmp_path_factory.mktemp("project")
    return dict(discover(empty, empty / "config").tools)


def asked(text: str) -> Request:
    named = set(re.findall(r"@(\w+)", text))
    variables = tuple(profile(name, frame, named=name in named) for name, frame in TABLES.items())
    return Request(text=text, scope=SCOPE, today="2026-11-23", variables=variables)


def queries(steps: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    for step in steps:
        if step["task"] == "query_data":
            yield step["params"]["sql"], list(step["params"]["tables"])


def test_there_are_forty() -> None:
    assert len({good["request"] for good in GOOD}) == 40


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good["request"][:40])
def test_the_prompt_gives_all_that_the_plan_needs(good: dict[str, Any], tools: dict[str, ToolSpec]) -> None:
    request = asked(good["request"])
    plans.read({"steps": good["steps"]}, tools, list(TABLES))
    shown = "\n".join(message.content for message in messages(plan_parts(request, tools)))
    for step in good["steps"]:
        tool = tools[step["task"]]
        assert f"# tool {tool.name}" in shown
        assert as_json(tool.params) in shown
        assert tool.examples[0] in shown
    for sql, names in queries(good["steps"]):
        for name in names:
            assert f"# table @{name}" in shown
            for column in TABLES[name].columns:
                if re.search(rf"\b{column}\b", sql):
                    assert f'"{column}": ' in shown
        with duckdb.connect() as connection:
            for name in names:
                connection.register(name, TABLES[name])
            assert connection.execute(sql).fetchall() is not None


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good["request"][:40])
def test_the_prompt_is_small_and_the_same_each_time(good: dict[str, Any], tools: dict[str, ToolSpec]) -> None:
    first, second = (messages(plan_parts(asked(good["request"]), tools)) for _ in range(2))
    assert [m.content.encode() for m in first] == [m.content.encode() for m in second]
    assert first[-1].content.endswith(good["request"])
    assert sum(len(m.content.encode()) for m in first) / 3.5 < MAX_TOKENS


def test_a_table_of_a_million_rows_takes_no_more_room() -> None:
    frame = pd.concat([TABLES["sales"]] * 334, ignore_index=True)
    assert len(frame) > 1_000_000
    for named in (False, True):
        request = Request(text="x", scope=SCOPE, today="2026-11-23", variables=(profile("t", frame, named=named),))
        parts = [part for part in plan_parts(request, {}) if part.kind in ("table", "rows")]
        assert 0 < sum(len(part.text.encode()) for part in parts) <= MAX_TABLE_BYTES
