"""100 questions on two tables that the grammar was not built on: none wrong, and most of the plain ones right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.planners.offline import database, offered, plan, run, same
from tests.planners.unseen import library
from workbench.core.errors import Refused

SET = json.loads(Path(__file__).with_name("unseen.json").read_text())

FRAMES = library()
OFFER = offered(FRAMES)


def score(question: str, accepted: list[str]) -> str:
    """right, refused or wrong; a question without an accepted query must be refused."""
    try:
        planned = plan(question, OFFER)
    except Refused:
        return "refused"
    if planned.plan.steps[0].task != "query_data":
        return "wrong"
    rows = run(planned, FRAMES)
    truths = [database(FRAMES).execute(sql).fetchall() for sql in accepted]
    return "right" if any(same(rows, truth, ordered=False) for truth in truths) else "wrong"


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, str]]:
    return {kind: {question: score(question, accepted) for question, accepted in SET[kind]} for kind in SET}


def test_no_answer_to_an_unseen_question_is_wrong(scores) -> None:
    assert [q for kind in scores.values() for q, outcome in kind.items() if outcome == "wrong"] == []


def test_most_plain_questions_on_unseen_tables_are_answered(scores) -> None:
    right = Counter(scores["answerable"].values())["right"]
    assert right >= 0.7 * len(scores["answerable"]), [q for q, s in scores["answerable"].items() if s != "right"]


def test_every_accepted_query_runs() -> None:
    connection: duckdb.DuckDBPyConnection = database(FRAMES)
    for kind in SET.values():
        for _, accepted in kind:
            for sql in accepted:
                connection.execute(sql).fetchall()
