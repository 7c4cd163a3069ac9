"""The shared set of questions, scored as it says, and how fast a plan is made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from tests.planners.offline import chart, database, offered, plan, run, same
from workbench.core.errors import Refused
from workbench.core.request import Variable

FOLDER = Path(__file__).parents[1] / "corpus" / "offline"
QUESTIONS: list[dict[str, Any]] = json.loads((FOLDER / "questions.json").read_text())["questions"]
TABLES = ("sales", "customers", "penguins")
TOOLS_MEANT = {"memory_save": "remember", "memory_recall": "recall", "doc_search": "search_documents"}
SLOTS = {("recall", "query"): "question"}


def frames(*, stamps: bool) -> dict[str, pd.DataFrame]:
    """The tables as pandas reads them: dates as text, or as timestamps."""
    found = {name: pd.read_csv(FOLDER / f"{name}.csv") for name in TABLES}
    if stamps:
        found["sales"]["order_date"] = pd.to_datetime(found["sales"]["order_date"])
    return found


def typed(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with texts that spell days as days; statistics name each column's type, so these must be the same."""
    days = tables["sales"]["order_date"]
    return tables | {"sales": tables["sales"].assign(order_date=days if days.dtype.kind == "M" else as_days(days))}


def as_days(texts: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(texts).dt.date


def truth() -> duckdb.DuckDBPyConnection:
    """The tables as DuckDB reads them, with dates as dates."""
    connection = duckdb.connect(":memory:")
    for name in TABLES:
        connection.execute(f"create table {name} as from read_csv('{FOLDER / name}.csv', nullstr=['', 'NA'])")
    return connection


def score(question: dict[str, Any], tables: dict[str, pd.DataFrame], offer: list[Variable]) -> str:
    """right, refused or wrong."""
    try:
        planned = plan(question["q"], offer)
    except Refused:
        return "right" if question["kind"] == "refuse" else "refused"
    step, expected = planned.plan.steps[0], question["expected"]
    if question["kind"] == "refuse":
        return "wrong"
    if question["kind"] == "tool":
        meant = TOOLS_MEANT.get(expected["tool"], expected["tool"])
        slots = {SLOTS.get((meant, name), name): said for name, said in expected.items() if name != "tool"}
        right = step.task == meant and all(step.params.get(name) == said for name, said in slots.items())
        return "right" if right else "wrong"
    if step.task != "query_data" or (question["chart"] is not None and chart(planned) != question["chart"]):
        return "wrong"
    source = database(typed(tables)) if expected.startswith("summarize") else truth()
    rows = source.execute(expected).fetchall()
    return "right" if same(run(planned, tables), rows, ordered="order by" in expected) else "wrong"


@pytest.mark.parametrize("stamps", [False, True], ids=["dates as text", "dates as timestamps"])
def test_all_40_shared_questions_are_right_and_none_is_wrong(stamps: bool) -> None:
    tables = frames(stamps=stamps)
    offer = offered(tables)
    scores = {question["id"]: score(question, tables, offer) for question in QUESTIONS}
    assert Counter(scores.values()) == {"right": 40}, {k: v for k, v in scores.items() if v != "right"}
