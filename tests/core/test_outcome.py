"""What became of a run, folded from its events."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_objects
from workbench.core.artifacts import ARROW, Artifact, to_json
from workbench.core.events import Event, Kind, UnknownEvent
from workbench.core.outcome import Cost, Outcome, Problem, fold
from workbench.core.progress import State

TABLE = Artifact(path="r/a.arrow", mime=ARROW, bytes=1, sha256="0", rows=2, preview=((1, "x"), (2, None)))
PICTURE = Artifact(path="r/a.png", mime="image/png", bytes=1, sha256="1", alt="bars")
PLAN = {"steps": [{"id": "a", "task": "query_data", "title": "Total"}, {"id": "b", "task": "plot", "needs": ["a"]}]}


def events(*told: tuple[Kind, dict[str, Any]] | tuple[Kind, dict[str, Any], str]) -> list[Event]:
    return [
        Event(run="r", seq=n, at=f"t{n}", kind=kind, body=body, step=step[0] if step else None)
        for n, (kind, body, *step) in enumerate(told)
    ]


WHOLE = events(
    (Kind.RUN_STARTED, {"request": "total", "user": "u", "isolation": "process"}),
    (Kind.MODEL_CALLED, {"usd": "0.002", "tokens_in": 100, "tokens_out": 10}),
    (Kind.PLAN_MADE, {"plan": PLAN, "planner": "model", "model": "m", "notes": ["n"]}),
    (Kind.STEP_INTENT, {}, "a"),
    (Kind.STEP_STARTED, {"try": 1}, "a"),
    (Kind.STEP_RETRIED, {"try": 1, "error": "x", "wait": 0.1}, "a"),
    (Kind.STEP_STARTED, {"try": 2}, "a"),
    (Kind.STEP_DONE, {"value": {"table": to_json(TABLE)}, "sources": [{"title": "t", "url": "u"}], "seconds": 1}, "a"),
    (Kind.STEP_INTENT, {}, "b"),
    (Kind.STEP_FAILED, {"error": {"kind": "ToolFailed", "message": "no", "hint": "h"}}, "b"),
    (Kind.MODEL_CALLED, {"usd": "0.0001", "tokens_in": 5, "tokens_out": 1}),
    (Kind.RUN_DONE, {"status": "done", "answer": {"text": "42", "planner": "m"}, "error": None, "seconds": 2.5}),
)


def test_a_run_is_what_its_events_tell():
    outcome = fold(WHOLE)
    assert (outcome.run, outcome.request, outcome.status, outcome.answer) == ("r", "total", "done", "42")
    a, b = outcome.steps
    assert (a.state, a.title, a.tries, a.artifacts) == (State.DONE, "Total", 2, (TABLE,))
    assert (b.state, b.title, b.problem) == (State.FAILED, "plot", Problem(kind="ToolFailed", message="no", hint="h"))
    assert outcome.frames == (TABLE,)
    assert outcome.images == ()
    assert outcome.sources == ({"title": "t", "url": "u"},)
    assert str(outcome.cost) == "$0.0021, 105 tokens in, 11 out, 2 model calls"


@given(st.integers(0, len(WHOLE)))
def test_folding_in_two_parts_is_folding_in_one(cut):
    assert fold(WHOLE[cut:], fold(WHOLE[:cut])) == fold(WHOLE)


@given(st.text(max_size=10), json_objects)
def test_kinds_of_a_newer_version_change_nothing(kind, body):
    newer = UnknownEvent(run="r", seq=0, at="", kind=kind, step="a", body=body)
    assert fold([newer], fold(WHOLE)) == fold(WHOLE)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ([], "$0 (no model was called)"),
        (["0"], "$0, "),
        (["0.1", "0.02"], "$0.12, "),
        (["0.1", None], "price unknown, "),
        ([None, "0.1"], "price unknown, "),
    ],
)
def test_a_price_that_is_not_known_is_never_a_number(prices, said):
    outcome = fold(events(*((Kind.MODEL_CALLED, {"usd": usd}) for usd in prices)))
    assert str(outcome.cost).startswith(said)
    assert outcome.cost.calls == len(prices)


def test_pictures_are_found_wherever_they_lie_in_a_value():
    done = (Kind.STEP_DONE, {"value": {"deep": [{"x": to_json(PICTURE)}]}}, "b")
    outcome = fold(events((Kind.PLAN_MADE, {"plan": PLAN}), done))
    assert outcome.images == (PICTURE,)


def test_nothing_is_assumed_of_a_run_without_events():
    assert fold([]) == Outcome(run="")
    assert Cost().usd == Decimal(0)
