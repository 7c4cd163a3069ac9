"""The run panel without a browser: what is sent, what is asked, what a row unfolds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import graphs
from tests.notebook.test_plans import STEPS, TOOLS
from workbench.core.artifacts import Artifact, Column, to_json
from workbench.core.events import Event, Kind, Stream
from workbench.core.outcome import Outcome, advance, fold
from workbench.core.plan import load
from workbench.notebook.panels.detail import MAX_LINES, result, summary
from workbench.notebook.panels.lanes import MOST, lanes
from workbench.notebook.panels.run import Board
from workbench.policy.approval import Asked, AskedCall, AskedStep, Decision, Field, within

PLAN = Asked(run="r", request="x", plan=load(STEPS), round=1, tools=TOOLS)


def page(state: dict[str, Any], sent: list[dict[str, Any]]) -> dict[str, Any]:
    """What a page makes of a state and patches of it: `patchState` in run.js, in Python."""
    for message in sent:
        patch = json.loads(json.dumps(message.get("patch", {})))
        rows = {**state["rows"], **patch.pop("rows", {})}
        patch.pop("log", None)
        state = {**state, **patch, "rows": rows}
        state["rows"] = {name: row for name, row in rows.items() if name in state["order"]}
    return state


KINDS = st.sampled_from(
    [
        (Kind.STEP_INTENT, {}),
        (Kind.STEP_STARTED, {"try": 1}),
        (Kind.STEP_PROGRESS, {"text": "half\nway"}),
        (Kind.STEP_RETRIED, {"try": 1, "error": "busy", "wait": 0.5}),
        (Kind.STEP_STARTED, {"try": 2}),
        (Kind.STEP_DONE, {"value": 3, "seconds": 61.5}),
        (Kind.STEP_FAILED, {"error": {"kind": "ToolFailed", "message": "no\u202e"}}),
        (Kind.PLAN_EDITED, {"plan": {"steps": STEPS[:1]}, "left_out": ["s2"], "notes": ["Changed."], "round": 1}),
        (Kind.PLAN_MADE, {"plan": {"steps": [{"id": "t", "task": "say"}]}, "round": 2, "notes": ["More."]}),
        (Kind.MODEL_CALLED, {"usd": "0.1", "tokens_in": 3}),
    ]
)


@given(st.lists(st.tuples(KINDS, st.sampled_from(["s1", "s2", "t"]), st.booleans()), max_size=25))
def test_patches_add_up_to_the_whole_and_hold_only_what_changed(told: list[Any]) -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None)
    events: list[Event] = []
    stream = Stream("r", lambda event: None, (events.append,), now=lambda: "")  # type: ignore[arg-type]  # known kinds
    first = json.loads(json.dumps(board.picture.state))
    outcome = advance(Outcome(run=""), stream.tell(Kind.RUN_STARTED, {"request": "x"}))
    outcome = advance(outcome, stream.tell(Kind.PLAN_MADE, {"plan": {"steps": STEPS}, "round": 1}))
    for (kind, body), step, draws in told:
        event = stream.tell(kind, body, step=step if str(kind).startswith("step.") else None)
        outcome = advance(outcome, event)
        board.hear(event)
        if draws:
            board.draw(outcome)
    board.draw(outcome)
    whole = json.loads(json.dumps(board.picture.state))
    assert page(first, sent) == whole
    assert [row["id"] for row in whole["rows"].values()] == list(dict.fromkeys(s.id for s in fold(events).steps))
    assert "\u202e" not in str(whole)
    count = len(sent)
    board.draw(outcome)
    assert len(sent) == count, "where nothing is new nothing is sent"


def test_a_step_that_moves_on_sends_its_own_row_and_the_line_alone() -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None)
    board.hears = True
    events: list[Any] = []
    stream = Stream("r", lambda event: None, (events.append,), now=lambda: "")
    many = [{"id": f"s{n}", "task": "say", "title": f"Step {n}"} for n in range(12)]
    stream.tell(Kind.PLAN_MADE, {"plan": {"mode": "graph", "steps": many}})
    board.draw(fold(events))
    sent.clear()
    stream.tell(Kind.STEP_INTENT, {}, step="s4")
    board.draw(fold(events))
    ((name, patch),) = sent[0].items()
    assert (name, list(patch), list(patch["rows"])) == ("patch", ["rows"], ["s4"])


@given(graphs())
def test_every_arrow_that_leads_down_is_drawn_without_a_gap(needs: dict[str, tuple[str, ...]]) -> None:
    drawn = lanes(needs)
    rows = list(needs)
    arrows = [(need, step) for step in rows for need in needs[step] if rows.index(need) < rows.index(step)]
    if not drawn:
        return
    assert list(drawn) == rows
    for row in drawn.values():
        assert row["dot"] not in row["through"]
        assert max([row["dot"], *row["through"], *row["into"]]) < MOST
        assert len(set(row["through"])) == len(row["through"])
    for need, step in arrows:
        lane = drawn[need]["dot"]
        assert drawn[need]["down"]
        assert lane in drawn[step]["into"]
        assert all(lane in drawn[name]["through"] for name in rows[rows.index(need) + 1 : rows.index(step)])


def test_a_plan_of_a_dozen_steps_is_drawn_and_a_carpet_is_not() -> None:
    assert lanes({f"s{n}": (f"s{n - 1}",) if n else () for n in range(50)})
    assert not lanes({"a": (), "b": ()})
    wide = {f"s{n}": () for n in range(20)} | {"end": tuple(f"s{n}" for n in range(20))}
    assert not lanes(wide)


def table(rows: int) -> Artifact:
    columns = tuple(Column(name=f"c{n}", type="int64") for n in range(20))
    preview = tuple(tuple(range(20)) for _ in range(min(rows, 20)))
    return Artifact(
        path="r/t.arrow", mime="application/vnd.apache.arrow.file", bytes=1, sha256="0" * 64, title="t",
        rows=rows, columns=columns, preview=preview,
    )  # fmt: skip


async def answer(board: Board, sent: list[dict[str, Any]], **content: Any) -> dict[str, Any]:
    """What a page hears of its message."""
    await board._answered({"ask": 7, **content})
    return sent.pop()


async def test_a_row_unfolds_its_log_and_its_result_and_only_then_more_is_sent() -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None)
    board.hears = True
    events: list[Any] = []
    stream = Stream("r", lambda event: None, (events.append, board.hear), now=lambda: "")  # type: ignore[arg-type]
    stream.tell(Kind.PLAN_MADE, {"plan": {"steps": STEPS}})
    for number in range(80):
        stream.tell(Kind.STEP_PROGRESS, {"text": f"line {number}"}, step="s1")
    stream.tell(Kind.STEP_DONE, {"value": to_json(table(300))}, step="s1")
    board.draw(fold(events))
    assert "log" not in sent.pop()["patch"]
    told = (await answer(board, sent, do="unfold", step="s1", on=True))["value"]
    assert told["lines"] == [f"line {number}" for number in range(30, 80)]
    assert "295 rows" in told["html"]
    assert "8 columns" in told["html"]
    stream.tell(Kind.STEP_PROGRESS, {"text": "more"}, step="s1")
    stream.tell(Kind.STEP_PROGRESS, {"text": "unseen"}, step="s2")
    board.draw(fold(events))
    assert sent.pop()["patch"]["log"] == {"s1": ["more"]}
    await answer(board, sent, do="unfold", step="s1", on=False)
    stream.tell(Kind.STEP_PROGRESS, {"text": "again"}, step="s1")
    board.draw(fold(events))
    assert not sent or "log" not in sent.pop()["patch"]


def test_what_a_row_says_of_a_result() -> None:
    stream = Stream("r", lambda event: None, now=lambda: "")
    stream.tell(Kind.PLAN_MADE, {"plan": {"steps": STEPS}})
    stream.tell(Kind.STEP_DONE, {"value": [to_json(table(3)), {"x": 1}]}, step="s1")
    stream.tell(Kind.STEP_DONE, {"value": "<b>bold</b>" * 200}, step="s2")
    one, other = fold(stream.events).steps
    assert summary(one) == "3 rows × 20"
    assert "<b>" not in result(other, None)
    assert "characters more" in result(other, None)


def test_the_step_whose_call_waits_for_an_answer_is_not_said_to_run() -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None, lambda: None)
    stream = Stream("r", lambda event: None, now=lambda: "")
    stream.tell(Kind.PLAN_MADE, {"plan": {"steps": STEPS}})
    stream.tell(Kind.STEP_INTENT, {}, step="s1")
    outcome = fold(stream.events)
    states = []
    for waiting in (None, "s1", None):
        board.draw(outcome, waiting=waiting)
        states.append(sent.pop()["patch"]["rows"]["s1"]["state"])
    assert states == ["running", "asks you", "running"]


async def test_a_yes_to_a_changed_plan_and_a_late_one() -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None, lambda: None)
    asking = asyncio.create_task(board.consent(PLAN))
    await asyncio.sleep(0)
    board.draw(Outcome(run="r"))
    patch = sent.pop()["patch"]
    assert patch["line"] == "Waiting for your approval"
    question = json.loads(json.dumps(patch["question"]))
    plan = question["editor"]["plan"]
    plan["steps"][1] |= {"disabled": True}
    assert (await answer(board, sent, do="check", plan=plan))["value"]["problems"] == {}
    broken = {**plan, "steps": [{**plan["steps"][0], "params": {}}]}
    refused = await answer(board, sent, do="approve", number=question["number"], plan=broken)
    assert "s1: text: missing" in refused["problem"]
    assert not asking.done()
    assert "problem" not in await answer(board, sent, do="approve", number=question["number"], plan=plan)
    decision = await asking
    assert decision.answer == "allow"
    assert decision.plan is not None
    assert [step.id for step in decision.plan.steps] == ["s1"]
    assert "not open" in (await answer(board, sent, do="deny", number=question["number"]))["problem"]
    board.draw(Outcome(run="r"))
    assert sent.pop()["patch"]["question"] is None


def about(**more: Any) -> Asked:
    return Asked(run="r", request="x", plan=PLAN.plan, round=1, **more)


def call(why: str, where: str) -> AskedCall:
    fixed: dict[str, Any] = {"version": "0", "params_sha256": "0", "effect": "write", "arguments": []}
    return AskedCall(step="s1", tool="say", why=why, where=[where], **fixed)


DOUBT = AskedStep(step="s1", tool="say", lines=["s1 say: it was under way"], question="Has it happened?")
AGE = [Field(name="age", kind="integer")]


@pytest.mark.parametrize(
    ("asked", "buttons", "said"),
    [
        (about(call=call("it writes", "disk")), ["Approve", "Deny"], "it writes"),
        (about(step=DOUBT), ["Yes", "No"], "it was under way"),
        (about(call=call("how old?", "a server"), fields=AGE), ["Answer", "Decline"], "how old?"),
    ],
    ids=["a call", "a step in doubt", "fields"],
)
async def test_other_questions_are_asked_there_too(asked: Asked, buttons: list[str], said: str) -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None)
    asking = asyncio.create_task(board.consent(asked))
    await asyncio.sleep(0)
    shown = board.consent.shown
    assert shown is not None
    assert [shown["yes"], shown["no"]] == buttons
    assert said in "\n".join(shown["lines"])
    if asked.fields:
        wrong = await answer(board, sent, do="approve", number=shown["number"], filled={"age": "old"})
        assert "problem" in wrong
    await answer(board, sent, do="approve", number=shown["number"], filled={"age": "41"})
    decision = await asking
    assert decision.filled == ({"age": 41} if asked.fields else {})


async def test_patience_and_a_stop_end_a_question_and_nothing_of_it_stays() -> None:
    changes: list[None] = []
    board = Board(lambda message: None, lambda: None, lambda: changes.append(None))
    late = await within(board.consent, 0.01)(PLAN)
    assert (late.answer, late.by) == ("deny", "timeout")
    assert board.consent.shown is None
    asking = asyncio.create_task(board.consent(PLAN))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert board.consent.shown is None
    assert len(changes) == 4


async def test_questions_come_one_after_the_other() -> None:
    shown: asyncio.Queue[Any] = asyncio.Queue()
    board = Board(lambda message: None, lambda: None, lambda: shown.put_nowait(board.consent.shown))
    one, other = (asyncio.create_task(board.consent(PLAN)) for _ in range(2))
    assert (await shown.get())["number"] == 1
    board.consent.answer(1, Decision(answer="deny", by="user"))
    assert (await one).answer == "deny"
    assert await shown.get() is None
    assert (await shown.get())["number"] == 2
    board.consent.answer(2, Decision(answer="allow", by="user"))
    assert (await other).answer == "allow"


async def test_whatever_a_page_sends_breaks_nothing() -> None:
    sent: list[dict[str, Any]] = []
    board = Board(sent.append, lambda: None)
    for content in (
        None,
        3,
        {},
        {"do": "unfold"},
        {"do": "x"},
        {"do": "approve", "number": "1"},
        {"do": "check", "plan": 3},
    ):
        await board._answered({"ask": 7, **content} if isinstance(content, dict) else content)
    assert len(sent) == 5
    assert all("problem" in message for message in sent)


def test_a_log_keeps_its_end() -> None:
    board = Board(lambda message: None, lambda: None)
    for number in range(MAX_LINES + 10):
        board.hear(Event(run="r", seq=number, at="", kind=Kind.STEP_PROGRESS, step="s1", body={"text": f"{number}"}))
    assert board._log.of("s1") == [str(number) for number in range(10, MAX_LINES + 10)]
