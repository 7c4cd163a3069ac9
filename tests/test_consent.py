"""What runs is exactly what was approved, also when a person has changed the plan, and the record says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench
from tests.test_workbench import bench
from workbench.core import refs
from workbench.core.errors import PlanInvalid
from workbench.core.events import AnyEvent, Kind
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import Plan, load, read
from workbench.core.provenance import Source, SourceKind
from workbench.core.recovery import recover
from workbench.core.request import Request
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.memory.volatile import InMemoryMemory
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Tell
from workbench.policy.approval import Asked, Decision
from workbench.workbench import Workbench

SAY = '''"""Says it."""
PERMISSIONS = {}

def run(text: str = "", times: int = 1) -> str:
    return text * times
'''
SEND = '''"""Sends it."""
PERMISSIONS = {}
EFFECT = "write"

def run(text: str, to: str = "me") -> str:
    return text
'''
STRANGER = frozenset({Source(kind=SourceKind.WEB, label="elsewhere.example")})


class Fixed:
    """Plans what it is told to, having read a stranger's text."""

    name = "fixed"

    def __init__(self, *plans: Any) -> None:
        self._plans = list(plans)

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        return Planned(plan=load(self._plans.pop(0)), planner=self.name, sources=STRANGER)

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        if not self._plans:
            return None
        earlier = [step.id for step in outcome.steps]
        return Planned(plan=load(self._plans.pop(0), earlier), planner=self.name, sources=STRANGER)

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        return summarise(outcome)


class Echo:
    """A sandbox that gives what it is asked, and keeps it."""

    level = "kernel"

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    async def prepare(self) -> Any:
        return self.level

    async def run(self, call: ToolCall, *rest: Any, **more: Any) -> ToolResult:
        self.calls.append(call)
        await asyncio.sleep(0)
        return ToolResult(status="ok", value=f"{call.step} has run")

    async def close(self) -> None: ...


def house(tmp_path: Path, *plans: Any, echo: Echo | None = None, memory: Any = None, **more: Any) -> Workbench:
    tools = tmp_path / "config" / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "say.py").write_text(SAY)
    (tools / "send.py").write_text(SEND)
    settings = bench(tmp_path, calls_per_minute=100_000, requests_per_minute=100_000, **more).settings
    sandbox: Any = echo or Echo()
    return Workbench(settings, planner=Fixed(*plans), memory=memory or InMemoryMemory(), sandbox=sandbox)


def changing(change: Callable[[Asked], Any], heard: list[Asked] | None = None) -> Any:
    """An approver that allows what `change` makes of the first question's plan, and says yes to every other round."""

    async def approver(asked: Asked) -> Decision:
        if heard is not None:
            heard.append(asked)
        if asked.call is not None or (heard is not None and len(heard) > 1):
            return Decision(answer="allow", by="user")
        return Decision(answer="allow", by="user", plan=load(change(asked), asked.earlier))

    return approver


TWO: dict[str, Any] = {
    "mode": "graph",
    "steps": [
        {"id": "s1", "task": "say", "params": {"text": "one"}},
        {"id": "s2", "task": "say", "params": {"text": "two", "times": 2}},
    ],
}

WORDS = st.sampled_from(["one", "two", "tide", "42", "{{s1}}", "see {{s2}}", ""])
CONSTANTS = st.one_of(st.sampled_from(["one", "42", ""]), st.integers(-2, 3), st.booleans())
VALUES = st.one_of(WORDS, CONSTANTS, st.just({"$ref": "s1"}))
FIELDS = {"text": VALUES, "times": CONSTANTS, "to": VALUES}  # a result is a text, which no check beforehand can see
STEPS = st.builds(
    lambda task, params, needs: {"task": task, "params": params} | ({"needs": needs} if needs else {}),
    st.sampled_from(["say", "send"]),
    st.fixed_dictionaries({}, optional=FIELDS),
    st.lists(st.sampled_from(["s1", "s2", "s3"]), max_size=1),
)
PLANNED = st.lists(
    st.builds(
        lambda text, times: {"task": "say", "params": {"text": text, "times": times}},
        st.sampled_from(["one", "two", "tide"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Some of what a person can do to a plan: drop, disable (the same), reorder, change, add."""
    acts = draw(st.lists(st.sampled_from(["drop", "move", "change", "add", "mode"]), min_size=1, max_size=5))
    drawn = []
    for act in acts:
        name = draw(st.sampled_from(["text", "times"]))
        change = {name: draw(FIELDS[name])}
        drawn.append((act, draw(st.integers(0, 9)), draw(st.integers(0, 9)), draw(STEPS), change))

    def apply(plan: dict[str, Any]) -> dict[str, Any]:
        steps = [dict(step) for step in plan["steps"]]
        for act, one, other, new, change in drawn:
            at = one % len(steps) if steps else 0
            if act == "add":
                steps.insert(other % (len(steps) + 1), {"id": f"n{len(steps)}_{one}", **new})
            elif act == "mode":
                plan = plan | {"mode": ["graph", "sequential"][other % 2]}
            elif not steps:
                continue
            elif act == "drop":
                steps.pop(at)
            elif act == "move":
                steps.insert(other % len(steps), steps.pop(at))
            else:
                steps[at] = steps[at] | {"params": {**steps[at]["params"], **change}}
        return plan | {"steps": steps}

    return apply


@settings(max_examples=60)
@given(PLANNED, edits(), st.booleans())
def test_whatever_was_changed_what_runs_is_what_was_approved(
    tmp_path_factory: pytest.TempPathFactory, planned: list[Any], edit: Any, graph: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "consent"
    echo, heard, approved = Echo(), list[AnyEvent](), list[Plan]()
    wb = house(folder, {"mode": "graph" if graph else "sequential", "steps": planned}, echo=echo)

    async def approver(asked: Asked) -> Decision:
        if asked.call is not None:
            return Decision(answer="allow", by="user")
        changed = edit(asked.plan.dump())
        approved.append(load(changed) if changed["steps"] else asked.plan)  # with no step left there is none to approve
        return Decision(answer="allow", by="user", plan=approved[0])

    async def ask() -> None:
        try:
            await wb.ask("x", approver=approver, rounds=True, listeners=(heard.append,))
        finally:
            await wb.close()

    try:
        read(approved_raw(edit, planned, graph), wb.tools())
    except PlanInvalid:
        _nothing_runs(ask, echo, heard)
    else:
        asyncio.run(ask())
        _all_runs(approved[0], echo, heard)


def _all_runs(plan: Plan, echo: Echo, heard: list[AnyEvent]) -> None:
    values = {step.id: f"{step.id} has run" for step in plan.steps}
    ran = {call.step: (call.tool.name, call.params) for call in echo.calls}
    assert ran == {step.id: (step.task, refs.resolve(step.params, values, {})) for step in plan.steps}
    assert len(echo.calls) == len(plan.steps)
    order = [call.step for call in echo.calls]
    assert all(order.index(need) < order.index(step) for step, needs in plan.needs().items() for need in needs)
    told = fold(heard)
    assert told.plan == plan
    assert [step.id for step in told.steps] == [step.id for step in plan.steps]
    assert recover(heard).done.keys() == values.keys()


def approved_raw(edit: Any, planned: list[Any], graph: bool) -> Any:
    before = load({"mode": "graph" if graph else "sequential", "steps": planned})
    after = edit(before.dump())
    return after if after["steps"] else before.dump()


def _nothing_runs(ask: Any, echo: Echo, heard: list[AnyEvent]) -> None:
    with pytest.raises(PlanInvalid) as caught:
        asyncio.run(ask())
    assert caught.value.errors
    assert echo.calls == []
    assert not any(event.kind == Kind.PLAN_EDITED for event in heard)
    assert {str(step.state) for step in fold(heard).steps} == {"cancelled"}


async def test_a_changed_plan_is_told_before_the_yes_and_says_what_changed(tmp_path: Path) -> None:
    heard: list[AnyEvent] = []
    wb = house(tmp_path, TWO)

    def change(asked: Asked) -> Any:
        assert {"say", "send"} <= asked.tools.keys()
        return {
            "mode": "graph",
            "steps": [
                {"id": "s2", "task": "say", "params": {"text": "two", "times": 3}},
                {"id": "mine", "task": "say", "params": {"text": "tide"}},
            ],
        }

    run = await wb.ask("x", approver=changing(change), rounds=True, listeners=(heard.append,))
    kinds = [event.kind for event in heard if event.kind in (Kind.PLAN_MADE, Kind.PLAN_EDITED, Kind.APPROVAL)]
    assert kinds == [Kind.PLAN_MADE, Kind.PLAN_EDITED, Kind.APPROVAL]
    told = next(event.body for event in heard if event.kind == Kind.PLAN_EDITED)
    assert told["left_out"] == ["s1"]
    assert told["typed"] == {"s2": ["/times"], "mine": ["", "/text"]}
    assert "Changed before it ran: without s1; s2: times; mine added." in run.outcome.notes
    assert (await wb.record.show(run.id)).outcome == run.outcome
    await wb.close()


async def test_a_plan_that_breaks_the_rules_runs_nothing_and_names_everything_wrong(tmp_path: Path) -> None:
    echo = Echo()
    wb = house(tmp_path, TWO, echo=echo)
    wrong = [
        {"id": "s1", "task": "sai", "params": {}},
        {"id": "s2", "task": "say", "params": {"times": "x", "more": 1}},
    ]
    with pytest.raises(PlanInvalid) as caught:
        await wb.ask("x", approver=changing(lambda asked: wrong), rounds=True)
    assert len(caught.value.errors) == 3
    assert echo.calls == []
    await wb.close()


SENDS = [{"id": "s1", "task": "send", "params": {"text": "the whole report", "to": "eve@elsewhere.example"}}]


@pytest.mark.parametrize(
    ("params", "asked_about"),
    [
        ({"text": "the whole report", "to": "eve@elsewhere.example"}, ["/text", "/to"]),
        ({"text": "the whole report", "to": "ann@home.example"}, ["/text"]),
        ({"text": "hello", "to": "ann@home.example"}, []),
        # moved to another place, it is still the planner's
        ({"text": "eve@elsewhere.example", "to": "ann@home.example"}, ["/text"]),
    ],
)
async def test_what_a_person_typed_is_theirs_and_the_rest_is_asked_about(
    tmp_path: Path, params: dict[str, Any], asked_about: list[str]
) -> None:
    heard: list[Asked] = []
    wb = house(tmp_path, SENDS)
    approver = changing(lambda asked: [{"id": "s1", "task": "send", "params": params}], heard)
    await wb.ask("x", approver=approver, rounds=True)
    assert [part.path for asked in heard[1:] if asked.call for part in asked.call.arguments] == asked_about
    await wb.close()


async def test_to_rename_a_step_makes_its_words_nobody_elses(tmp_path: Path) -> None:
    heard: list[Asked] = []
    wb = house(tmp_path, SENDS)
    await wb.ask("x", approver=changing(lambda asked: [{**SENDS[0], "id": "mine"}], heard), rounds=True)
    assert [part.path for part in heard[1].call.arguments] == ["/text", "/to"]  # type: ignore[union-attr]
    await wb.close()


async def test_a_run_that_stopped_goes_on_with_the_changed_plan(tmp_path: Path) -> None:
    class Stops(Echo):
        async def run(self, call: ToolCall, *rest: Any, **more: Any) -> ToolResult:
            if call.step == "s2" and not self.calls[1:]:
                self.calls.append(call)
                return ToolResult(status="failed", error="not now")
            return await super().run(call, *rest, **more)

    echo, memory, heard = Stops(), InMemoryMemory(), list[Asked]()
    wb = house(tmp_path, TWO, echo=echo, memory=memory)
    changed = [
        {"id": "s1", "task": "say", "params": {"text": "first"}},
        {"id": "s2", "task": "send", "params": {"text": "second", "to": "{{s1}}"}},
    ]
    with pytest.raises(workbench.ToolFailed) as caught:
        await wb.ask("x", approver=changing(lambda asked: changed, heard), rounds=True)
    count = len(heard)
    approver = changing(lambda asked: changed, heard)
    run = await wb.resume(caught.value.run.id, again=["s2"], approver=approver)
    assert run.plan is not None
    assert [step.task for step in run.plan.steps] == ["say", "send"]
    assert [call.params["text"] for call in echo.calls] == ["first", "second", "second"]
    assert all(asked.call is not None for asked in heard[count:])  # the steps are approved already
    assert all(part.path == "/to" for asked in heard[count:] if asked.call for part in asked.call.arguments)
    await wb.close()


async def test_a_rerun_takes_over_only_what_a_person_has_left_as_it_was(tmp_path: Path) -> None:
    echo = Echo()
    steps: list[dict[str, Any]] = TWO["steps"]
    chain = [steps[0], {"id": "s2", "task": "say", "params": {"text": "{{s1}}"}}, steps[1] | {"id": "s3"}]
    wb = house(tmp_path, {"steps": chain}, echo=echo)
    run = await wb.ask("x")
    echo.calls.clear()
    change = changing(lambda asked: {"steps": [chain[0] | {"params": {"text": "other"}}, *chain[1:]]})
    again = await wb.rerun(run.id, first=["s3"], approver=change, rounds=True)
    assert sorted(call.step for call in echo.calls) == ["s1", "s2", "s3"]
    assert again.steps["s1"].params == {"text": "other"}
    await wb.close()


async def test_a_later_round_may_be_changed_and_the_first_stays(tmp_path: Path) -> None:
    echo = Echo()
    first = {"look": True, "steps": [{"id": "a", "task": "say", "params": {"text": "one"}}]}
    second = {"steps": [{"id": "b", "task": "say", "params": {"text": "{{a}}"}}, {"id": "c", "task": "say"}]}
    wb = house(tmp_path, first, second, echo=echo)

    async def approver(asked: Asked) -> Decision:
        if asked.round == 1:
            return Decision(answer="allow", by="user")
        assert asked.earlier == {"a": True}
        return Decision(answer="allow", by="user", plan=load(second["steps"][:1], ["a"]))

    run = await wb.ask("x", approver=approver, rounds=True)
    assert list(run.steps) == ["a", "b"]
    assert [call.step for call in echo.calls] == ["a", "b"]
    assert run.plan is not None
    assert [step.id for step in run.plan.steps] == ["a", "b"]
    await wb.close()


async def test_a_strict_replay_runs_the_plan_as_it_was_changed(tmp_path: Path) -> None:
    changed = [{"id": "s1", "task": "say", "params": {"text": "mine"}}]
    wb = house(tmp_path, TWO, TWO)
    wb.replays.on(tmp_path / "x.cassette")
    run = await wb.ask("x", approver=changing(lambda asked: changed), rounds=True)
    echo = Echo()
    again = house(tmp_path, TWO, echo=echo)
    again.replays.on(tmp_path / "x.cassette", "strict")
    replayed = await again.ask("x")
    assert replayed.plan == run.plan
    assert echo.calls == []
    await wb.close()
    await again.close()


async def test_what_a_changed_plan_can_take_is_said_again_and_its_budget_holds(tmp_path: Path) -> None:
    echo = Echo()
    wb = house(tmp_path, {**TWO, "budget": {"calls": 1}}, echo=echo)
    each = {"id": "s1", "task": "say", "params": {"text": "{{item}}"}, "foreach": ["a", "b", "c", "d"]}
    change = changing(lambda asked: {"mode": "graph", "steps": [each], "budget": {"calls": 3}})
    with pytest.raises(workbench.BudgetExceeded) as caught:
        await wb.ask("x", approver=change, rounds=True)
    assert len(echo.calls) == 3, "the budget is that of the plan that was approved"
    run = caught.value.run
    assert "Budget of the run: 3 calls" in "\n".join(run.outcome.notes)
    assert "budget" in next(note for note in run.outcome.notes if note.startswith("Changed before"))
    await wb.close()


def test_what_another_has_typed_is_not_this_users_word() -> None:
    from workbench.core.events import Event
    from workbench.replay import parcels

    body = {"plan": {"steps": SENDS}, "typed": {"s1": ["/text"]}, "round": 1}
    event = Event(run="r", seq=1, at="", kind=Kind.PLAN_EDITED, body=body)
    parcel: Any = type("Parcel", (), {"user": "eve", "workspace": "", "sha256": "0"})
    assert "typed" not in parcels._foreign(event, parcel, "ann", "run.wbz").body


async def test_the_record_in_sql_has_the_steps_that_ran(tmp_path: Path) -> None:
    changed = [{"id": "s2", "task": "say", "params": {"text": "mine"}}, {"id": "z", "task": "say"}]
    real = house(tmp_path)
    sandbox: Any = Echo()
    wb = Workbench(real.settings, planner=Fixed(TWO), sandbox=sandbox)
    run = await wb.ask("x", approver=changing(lambda asked: changed), rounds=True)
    await wb.close()
    looking = Workbench(real.settings)
    query = "select step, params->>'text' as text, state from steps where run = '{}' order by number"
    found = await looking.record.sql(query.replace("{}", run.id))
    assert found["step"].tolist() == ["s2", "z"]
    assert found["text"].tolist()[0] == "mine"
    assert found["state"].tolist() == ["done", "done"]
    await looking.close()
