"""What a step does beside its call: conditions, lists, failures that are allowed, and what an earlier attempt left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from tests.test_executor import TOOLS, no_wait, run, stream
from workbench.core.budget import Budget
from workbench.core.events import AnyEvent, Kind
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import MAX_ITEMS, load
from workbench.core.progress import State
from workbench.core.provenance import Lineage, Source, SourceKind
from workbench.core.recovery import Doubt, Recovered, effect_key, recover
from workbench.core.retries import RETRIES
from workbench.core.tools import ToolCall, ToolResult
from workbench.executor import Executor
from workbench.policy.run_budget import RunBudget

Act = Callable[[ToolCall], Awaitable[ToolResult]]


def gives(values: Mapping[str, Any], seen: list[ToolCall] | None = None) -> Act:
    """A call that gives each step its value; a step without one gives back its parameters."""

    async def call(what: ToolCall) -> ToolResult:
        if seen is not None:
            seen.append(what)
        value = values.get(what.step, dict(what.params))
        if isinstance(value, Exception):
            return ToolResult(status="failed", error=str(value))
        return ToolResult(status="ok", value=value)

    return call


def states(outcome: Outcome) -> dict[str, str]:
    return {step.id: str(step.state) for step in outcome.steps}


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "task": "read", **fields}


def ref(to: str) -> dict[str, str]:
    return {"$ref": to}


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}])
async def test_a_step_whose_if_is_false_is_skipped_and_so_is_what_refers_to_it(value: Any) -> None:
    seen: list[ToolCall] = []
    plan = load(
        [
            step("a"),
            step("b", **{"if": ref("a#/x")}),
            step("c", params={"y": ref("b")}),
            step("d", needs=["b"]),
            step("e", needs=["c"]),
        ]
    )
    outcome, _ = await run(plan, gives({"a": {"x": value}}, seen))
    assert states(outcome) == {"a": "done", "b": "skipped", "c": "skipped", "d": "done", "e": "done"}
    assert {call.step for call in seen} == {"a", "d", "e"}
    assert outcome.steps[1].reason == "a#/x is false"
    assert outcome.steps[2].reason == "it refers to b, which was skipped"


@pytest.mark.parametrize("value", [True, 1, -0.5, "false", [0], {"a": None}])
async def test_a_step_whose_if_is_true_runs(value: Any) -> None:
    plan = load([step("a"), step("b", **{"if": ref("a#/x")})])
    outcome, _ = await run(plan, gives({"a": {"x": value}}))
    assert states(outcome) == {"a": "done", "b": "done"}


async def test_the_default_of_a_skipped_step_stands_for_its_result() -> None:
    plan = load([step("a"), step("b", **{"if": ref("a")}, default=None), step("c", params={"y": ref("b")})])
    outcome, _ = await run(plan, gives({"a": 0}))
    assert states(outcome) == {"a": "done", "b": "skipped", "c": "done"}
    assert outcome.steps[2].value == {"y": None}


async def test_an_if_that_names_nothing_fails_the_step() -> None:
    plan = load([step("a"), step("b", **{"if": ref("a#/x")})])
    outcome, _ = await run(plan, gives({"a": {"y": 1}}))
    assert states(outcome) == {"a": "done", "b": "failed"}
    assert outcome.steps[1].problem is not None
    assert outcome.steps[1].problem.message == "a#/x: no 'x' in an object with 'y'"


async def test_foreach_calls_once_for_each_item_in_parallel_and_keeps_the_order() -> None:
    inside = most = 0
    names: list[str] = []

    async def call(what: ToolCall) -> ToolResult:
        nonlocal inside, most
        if what.step == "a":
            return ToolResult(status="ok", value={"urls": [{"url": f"u{n}"} for n in range(7)]})
        inside += 1
        most = max(most, inside)
        for _ in range(20 - 2 * int(what.params["url"][1:])):  # the later ones end first
            await asyncio.sleep(0)
        inside -= 1
        names.append(what.params["url"])
        return ToolResult(status="ok", value=what.params["said"])

    params = {"url": ref("item#/url"), "said": "got {{item#/url}}"}
    plan = load([step("a"), step("b", foreach=ref("a#/urls"), params=params)])
    outcome, events = await run(plan, call, parallel=3)
    assert outcome.steps[1].value == [f"got u{n}" for n in range(7)]
    assert outcome.steps[1].items == (7, 7)
    assert most == 3
    assert names != sorted(names)
    kinds = [event.kind for event in events if event.step == "b"]
    assert (kinds[0], kinds[-1]) == (Kind.STEP_INTENT, Kind.STEP_DONE)
    assert kinds.count(Kind.ITEM_INTENT) == kinds.count(Kind.ITEM_DONE) == 7


async def test_each_item_is_called_with_its_own_key_and_knows_its_place() -> None:
    seen: list[ToolCall] = []
    plan = load([step("a", foreach=["x", "y"], params={"v": ref("item")})])
    await run(plan, gives({}, seen))
    assert [(c.item, c.params["v"], c.key) for c in seen] == [
        (0, "x", effect_key("r1", "a", 0)),
        (1, "y", effect_key("r1", "a", 1)),
    ]


async def test_an_empty_list_gives_an_empty_list_and_no_call() -> None:
    outcome, _ = await run(load([step("a"), step("b", foreach=ref("a"))]), gives({"a": []}))
    assert outcome.steps[1].value == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "foreach a: expected a list, got str"),
        ([0] * (MAX_ITEMS + 1), "foreach a: 201 items; at most 200 are run"),
    ],
)
async def test_what_foreach_cannot_go_over_fails_the_step_in_words(value: Any, said: str) -> None:
    seen: list[ToolCall] = []
    outcome, _ = await run(load([step("a"), step("b", foreach=ref("a"))]), gives({"a": value}, seen))
    assert outcome.steps[1].problem is not None
    assert outcome.steps[1].problem.message == said
    assert len(seen) == 1


def picky(what: ToolCall) -> Awaitable[ToolResult]:
    """Refuses odd numbers."""

    async def call() -> ToolResult:
        if what.params["n"] % 2:
            return ToolResult(status="failed", error=f"{what.params['n']} is odd")
        return ToolResult(status="ok", value=what.params["n"])

    return call()


@pytest.mark.parametrize(
    ("fields", "state", "value"),
    [
        ({}, State.FAILED, None),
        ({"on_error": "skip"}, State.DONE, [0, 2, 4]),
        ({"on_error": "default", "default": "?"}, State.DONE, [0, "?", 2, "?", 4]),
    ],
)
async def test_an_item_that_fails_is_what_on_error_says(fields: dict[str, Any], state: State, value: Any) -> None:
    plan = load([step("a", foreach=[0, 1, 2, 3, 4], params={"n": ref("item")}, **fields)])
    outcome, events = await run(plan, picky)
    assert (outcome.steps[0].state, outcome.steps[0].value) == (state, value)
    assert sum(event.kind == Kind.STEP_STARTED for event in events) == 5
    if state is State.FAILED:
        assert outcome.steps[0].problem is not None
        assert outcome.steps[0].problem.message == "2 of 5 items failed; item 2: 1 is odd"


async def test_items_that_are_done_are_not_called_again_when_the_run_is_taken_up() -> None:
    plan = load([step("a", foreach=[0, 1, 2, 3, 4], params={"n": ref("item")})])
    _, events = await run(plan, picky)
    left = recover(events)
    assert left.items == {"a": {0: 0, 2: 2, 4: 4}}
    seen: list[ToolCall] = []
    again = stream(events)
    await Executor(gives({"a": "mended"}, seen), durable=no_wait).run(plan, TOOLS, {}, again, recovered=left)
    assert [call.item for call in seen] == [1, 3]
    assert fold(again.events).steps == ()  # the plan stands in the first attempt
    done = next(e for e in again.events if e.kind is Kind.STEP_DONE)
    assert done.body["value"] == [0, "mended", 2, "mended", 4]


async def test_what_is_recovered_is_used_and_not_called() -> None:
    plan = load(
        [
            step("a"),
            step("b", params={"x": ref("a")}),
            step("c", needs=["b"]),
            step("d", params={"x": ref("w")}),
            {"id": "w", "task": "write"},
            step("s"),
            step("t", params={"x": ref("s")}),
        ]
    )
    doubt = Doubt(step="w", item=None, tool="write", version="", identity="", why="it was under way")
    left = Recovered(done={"a": ("read", 7)}, uncertain={"w": doubt}, skipped={"s": "no"})
    seen: list[ToolCall] = []
    events: list[AnyEvent] = []
    told = stream(events)
    told.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    await Executor(gives({}, seen), durable=no_wait).run(plan, TOOLS, {}, told, recovered=left)
    assert sorted(call.step for call in seen) == ["b", "c"]
    assert states(fold(events)) == {
        "a": "waiting",
        "b": "done",
        "c": "done",
        "d": "blocked",
        "w": "uncertain",
        "s": "waiting",
        "t": "skipped",
    }
    assert fold(events).steps[1].value == {"x": 7}


async def test_an_item_in_doubt_makes_the_step_uncertain_and_is_not_called() -> None:
    plan = load([{"id": "w", "task": "write", "foreach": [1, 2, 3]}, step("b", params={"x": ref("w")})])
    doubt = Doubt(step="w", item=1, tool="write", version="", identity="", why="it was under way")
    left = Recovered(items={"w": {0: "kept"}}, uncertain={("w", 1): doubt})
    seen: list[ToolCall] = []
    events: list[AnyEvent] = []
    told = stream(events)
    told.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    await Executor(gives({}, seen), durable=no_wait).run(plan, TOOLS, {}, told, recovered=left)
    assert [call.item for call in seen] == [2]
    assert states(fold(events)) == {"w": "uncertain", "b": "blocked"}


async def test_an_item_is_made_of_what_its_list_is_made_of() -> None:
    seen: list[ToolCall] = []
    web = Source(kind=SourceKind.WEB, label="example.org", step="a")

    async def call(what: ToolCall) -> ToolResult:
        seen.append(what)
        reached = frozenset({web}) if what.step == "a" else frozenset()
        return ToolResult(status="ok", value=["x", "y"], reached=reached)

    lineage = Lineage()
    steps = [
        step("a"),
        step("b", foreach=ref("a"), params={"v": "say {{item}}", "w": "mine"}),
        step("c", params={"v": ref("b#/0")}),
        step("d", **{"if": ref("a")}, params={"v": 1}),
    ]
    events: list[AnyEvent] = []
    await Executor(call, durable=no_wait).run(load(steps), TOOLS, {}, stream(events), lineage=lineage)
    for item in (what for what in seen if what.step == "b"):
        of = {argument.name: argument.sources for argument in item.arguments}
        assert web in of["v"]
        assert web not in of["w"]
        assert web in item.sources
    assert all(web in lineage.steps[name] for name in "abcd")


async def test_a_step_that_may_fail_is_skipped_or_has_its_default_and_the_rest_runs() -> None:
    no = ValueError("no")
    steps = [
        step("a", on_error="skip"),
        step("b", params={"x": ref("a")}),
        step("c", on_error="default", default={"n": 0}),
        step("d", params={"x": ref("c#/n")}),
        step("e", needs=["a"]),
    ]
    outcome, _ = await run(load(steps), gives({"a": no, "c": no}))
    assert states(outcome) == {"a": "skipped", "b": "skipped", "c": "done", "d": "done", "e": "done"}
    assert outcome.steps[0].reason == "it failed: no"
    assert outcome.steps[2].value == {"n": 0}
    assert outcome.steps[2].problem is not None
    assert outcome.steps[2].problem.message == "no"
    assert outcome.steps[3].value == {"x": 0}


async def test_what_a_budget_stops_is_passed_over_by_no_on_error() -> None:
    seen: list[ToolCall] = []
    steps = [step("a"), step("b", on_error="skip"), step("c", on_error="default", default=1)]
    budget = RunBudget(Budget(calls=1))
    outcome, _ = await run(load({"mode": "graph", "steps": steps}), gives({}, seen), budget=budget)
    assert states(outcome) == {"a": "done", "b": "cancelled", "c": "cancelled"}
    assert len(seen) == 1
    assert budget.exceeded is not None


async def test_items_that_the_budget_does_not_reach_fail_the_step_and_the_others_are_kept() -> None:
    plan = load([step("a", foreach=[0, 2, 4, 6], params={"n": ref("item")}, on_error="skip")])
    outcome, events = await run(plan, picky, budget=RunBudget(Budget(calls=3)))
    assert outcome.steps[0].problem is not None
    assert outcome.steps[0].problem.kind == "BudgetExceeded"
    assert recover(events).items == {"a": {0: 0, 1: 2, 2: 4}}


async def test_tries_are_calls_and_end_with_the_budget_of_the_run() -> None:
    calls = 0

    async def call(what: ToolCall) -> ToolResult:
        nonlocal calls
        calls += 1
        return ToolResult(status="transient", error="busy")

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    steps = [step(f"s{n}", retry={"max": 10}) for n in range(10)]
    outcome, events = await run(load({"mode": "graph", "steps": steps}), call, sleep=sleep)
    assert calls == 10 + RETRIES + 1  # ten calls have earned one more
    assert sum(event.kind == Kind.STEP_RETRIED for event in events) == sum(s.retries for s in outcome.steps)
    calls = 0
    outcome, _ = await run(load([steps[0]]), call, sleep=sleep, budget=RunBudget(Budget(calls=3)))
    assert calls == 3
    assert outcome.steps[0].problem is not None
    assert outcome.steps[0].problem.kind == "BudgetExceeded"


async def test_who_asks_for_more_than_two_minutes_is_not_waited_for() -> None:
    async def call(what: ToolCall) -> ToolResult:
        return ToolResult(status="transient", error="busy", retry_after=300.0)

    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    outcome, _ = await run(load([step("a")]), call, sleep=sleep)
    assert waits == []
    assert outcome.steps[0].problem is not None
    assert outcome.steps[0].problem.hint == "It asks to wait 300 s."


async def test_a_step_that_waits_for_its_next_try_holds_up_no_other() -> None:
    asleep, other_is_done = asyncio.Event(), asyncio.Event()
    tries = 0

    async def call(what: ToolCall) -> ToolResult:
        nonlocal tries
        if what.step == "b":
            other_is_done.set()
            return ToolResult(status="ok", value=1)
        tries += 1
        return ToolResult(status="transient" if tries == 1 else "ok", error="busy")

    async def sleep(seconds: float) -> None:
        asleep.set()
        await other_is_done.wait()

    steps = [step("a"), step("b")]
    outcome, _ = await run(load({"mode": "graph", "steps": steps}), call, sleep=sleep, parallel=1)
    assert asleep.is_set()
    assert states(outcome) == {"a": "done", "b": "done"}


async def test_a_cancellation_that_somebody_swallows_still_ends_the_run() -> None:
    started = asyncio.Event()
    swallowed = 0

    async def call(what: ToolCall) -> ToolResult:
        nonlocal swallowed
        started.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 4:
                    raise

    plan = load([{"id": "s1", "task": "read", "foreach": [1, 2], "params": {}}, step("s2", needs=["s1"])])
    events: list[AnyEvent] = []
    told = stream(events)
    told.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    task = asyncio.create_task(Executor(call, durable=no_wait).run(plan, TOOLS, {}, told))
    await started.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # once more, while the run ends
    with pytest.raises(asyncio.CancelledError):
        await task
    assert states(fold(events)) == {"s1": "cancelled", "s2": "cancelled"}


async def test_eight_at_once_of_which_one_raises_are_eight_executions_and_seven_are_kept() -> None:
    seen: list[ToolCall] = []

    async def call(what: ToolCall) -> ToolResult:
        seen.append(what)
        await asyncio.sleep(0)
        if what.step == "a3":
            raise RuntimeError("boom")
        return ToolResult(status="ok", value=what.step)

    steps = [step(f"a{n}") for n in range(8)]
    outcome, _ = await run(load({"mode": "graph", "steps": steps}), call, parallel=8)
    assert len(seen) == 8
    assert [s.value for s in outcome.steps if s.state is State.DONE] == [f"a{n}" for n in range(8) if n != 3]
    assert states(outcome)["a3"] == "failed"
