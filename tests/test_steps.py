"""What a step does beside its call: conditions, lists, failures that are allowed, and what an earlier attempt left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from tests.test_executor import TOOLS, no_wait, run, stream
from workbench.core.events import AnyEvent, Kind
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import MAX_ITEMS, load
from workbench.core.progress import State
from workbench.core.recovery import Doubt, Recovered, effect_key, recover
from workbench.core.tools import ToolCall, ToolResult
from workbench.executor import Executor

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
