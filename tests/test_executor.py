"""The executor over a fake call: order, failure, retries and cancellation, without workers, time or luck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.calls import audited, limited
from workbench.core.errors import BudgetExceeded, Unavailable
from workbench.core.events import AnyEvent, Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import Plan, load
from workbench.core.progress import State
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.executor import Executor

ANYTHING = {"type": "object"}


def tool(name: str, **fields: Any) -> ToolSpec:
    return ToolSpec(name=name, summary=name, params=ANYTHING, version="v1", source=b"toolkit.context()", **fields)


TOOLS = {name: tool(name) for name in ("read", "other")} | {"write": tool("write", effect="write")}


async def no_wait() -> None:
    return None


def stream(events: list[AnyEvent]) -> Stream:
    return Stream("r1", events.append, now=lambda: "2026-11-23T00:00:00")


async def run(
    plan: Plan, call: Callable[[ToolCall], Awaitable[ToolResult]], **options: Any
) -> tuple[Outcome, list[AnyEvent]]:
    events: list[AnyEvent] = []
    told = stream(events)
    told.tell(Kind.RUN_STARTED, {"request": "x"})
    told.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    executor = Executor(call, **{"durable": no_wait, "uniform": lambda low, high: high} | options)
    await executor.run(plan, TOOLS, {}, told)
    return fold(events), events


async def echo(call: ToolCall) -> ToolResult:
    return ToolResult(status="ok", value=dict(call.params))


async def test_a_bare_list_runs_in_order_and_each_step_sees_the_earlier_results() -> None:
    seen: list[tuple[str, list[str]]] = []

    async def call(what: ToolCall) -> ToolResult:
        seen.append((what.step, [name for name, _, _ in what.context]))
        return ToolResult(status="ok", value=what.step)

    await run(load([{"task": "read"}, {"task": "other"}, {"task": "read"}]), call)
    assert seen == [("s1", []), ("s2", ["s1"]), ("s3", ["s1", "s2"])]


async def test_independent_steps_run_together_up_to_the_limit() -> None:
    inside = most = 0

    async def call(what: ToolCall) -> ToolResult:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(5):
            await asyncio.sleep(0)
        inside -= 1
        return ToolResult(status="ok")

    steps = [{"id": f"a{i}", "task": "read"} for i in range(8)]
    await run(load({"mode": "graph", "steps": steps}), call, parallel=3)
    assert most == 3


async def test_one_failure_of_eight_costs_only_its_descendants() -> None:
    async def call(what: ToolCall) -> ToolResult:
        if what.step == "a3":
            return ToolResult(status="failed", error="no", hint="try another")
        return ToolResult(status="ok", value=1)

    steps: list[dict[str, Any]] = [{"id": f"a{i}", "task": "read"} for i in range(8)]
    steps += [{"id": "b", "task": "read", "needs": ["a3"]}, {"id": "c", "task": "read", "needs": ["a1"]}]
    outcome, events = await run(load(steps), call)
    states = {step.id: step.state for step in outcome.steps}
    assert states.pop("a3") is State.FAILED
    assert states.pop("b") is State.BLOCKED
    assert set(states.values()) == {State.DONE}
    assert sum(event.kind == Kind.STEP_STARTED for event in events) == 9


async def test_transient_failures_are_tried_again_and_retry_after_is_honoured() -> None:
    waits: list[float] = []
    tries = iter([ToolResult(status="transient", error="busy", retry_after=7.0), ToolResult(status="transient")])

    async def call(what: ToolCall) -> ToolResult:
        return next(tries, ToolResult(status="ok", value=what.attempt))

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    outcome, _ = await run(load([{"task": "read"}]), call, sleep=sleep)
    assert outcome.steps[0].value == 3
    assert waits == [7.5, 1.0]


async def test_a_write_is_never_repeated_and_waits_until_its_intent_is_durable() -> None:
    order: list[str] = []

    async def durable() -> None:
        order.append("durable")

    async def call(what: ToolCall) -> ToolResult:
        order.append("call")
        return ToolResult(status="transient", error="busy")

    outcome, events = await run(load([{"task": "write"}]), call, durable=durable)
    assert order == ["durable", "call"]
    assert outcome.steps[0].state is State.FAILED
    assert [e.kind for e in events if e.step][:2] == [Kind.STEP_INTENT, Kind.STEP_STARTED]


async def test_a_bug_in_the_call_is_reported_whole_and_costs_one_step() -> None:
    bugs: list[BaseException] = []

    async def call(what: ToolCall) -> ToolResult:
        if what.step == "s1":
            raise RuntimeError("ours")
        return ToolResult(status="ok")

    steps = [{"id": "s1", "task": "read"}, {"id": "s2", "task": "read"}]
    outcome, _ = await run(load({"mode": "graph", "steps": steps}), call, on_bug=bugs.append)
    assert [step.state for step in outcome.steps] == [State.FAILED, State.DONE]
    assert [str(bug) for bug in bugs] == ["ours"]


async def test_a_reference_that_names_nothing_fails_the_step_before_any_call() -> None:
    calls: list[str] = []

    async def call(what: ToolCall) -> ToolResult:
        calls.append(what.step)
        return ToolResult(status="ok", value={"a": 1})

    plan = load([{"task": "read"}, {"task": "read", "params": {"x": {"$ref": "s1#/b"}}}])
    outcome, _ = await run(plan, call)
    assert calls == ["s1"]
    assert outcome.steps[1].problem is not None
    assert "no 'b'" in outcome.steps[1].problem.message


async def test_cancellation_ends_every_call_and_keeps_what_is_finished() -> None:
    started = asyncio.Event()
    gone: list[str] = []

    async def call(what: ToolCall) -> ToolResult:
        if what.step == "s1":
            return ToolResult(status="ok", value=1)
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.append(what.step)
        raise AssertionError

    plan = load([{"task": "read"}, {"task": "read"}, {"task": "read"}])
    events: list[AnyEvent] = []
    told = stream(events)
    told.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    task = asyncio.create_task(Executor(call, durable=no_wait).run(plan, TOOLS, {}, told))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone == ["s2"]
    assert [step.state for step in fold(events).steps] == [State.DONE, State.CANCELLED, State.CANCELLED]


async def test_a_journal_that_fails_ends_the_run_and_its_calls() -> None:
    def journal(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_DONE:
            raise Unavailable("the disk is full")

    plan = load({"mode": "graph", "steps": [{"task": "read"}, {"task": "read"}]})
    with pytest.raises(Unavailable):
        await Executor(echo, durable=no_wait).run(plan, TOOLS, {}, Stream("r", journal, now=str))


@given(st.integers(1, 12), st.randoms(use_true_random=False), st.integers(1, 4))
async def test_any_graph_ends_with_nothing_run_twice_or_before_its_needs(size: int, random: Any, parallel: int) -> None:
    steps = [
        {"id": f"n{i}", "task": "read", "needs": [f"n{j}" for j in range(i) if random.random() < 0.3]}
        for i in range(size)
    ]
    plan = load({"mode": "graph", "steps": steps})
    failing = {f"n{i}" for i in range(size) if random.random() < 0.2}
    finished: list[str] = []

    async def call(what: ToolCall) -> ToolResult:
        assert all(need in finished for need in plan.step(what.step).needs)
        assert what.step not in finished
        await asyncio.sleep(0)
        if what.step in failing:
            return ToolResult(status="failed", error="no")
        finished.append(what.step)
        return ToolResult(status="ok")

    outcome, _ = await run(plan, call, parallel=parallel)
    assert {step.id for step in outcome.steps if step.state is State.DONE} == set(finished)
    assert all(step.state in (State.DONE, State.FAILED, State.BLOCKED) for step in outcome.steps)


async def test_every_try_leaves_an_audit_record_also_when_a_limit_says_no() -> None:
    told: list[tuple[Kind, Any]] = []

    def tell(kind: Kind, body: Any, step: str) -> Any:
        told.append((kind, body))

    def admit() -> None:
        raise BudgetExceeded("too many calls", hint="wait 5 s")

    call = audited(limited(echo, admit), tell)
    result = await call(ToolCall(run="r", step="s", tool=TOOLS["read"], params={"a": 1}, timeout=1))
    assert (result.status, result.error) == ("exceeded", "too many calls")
    (kind, body) = told[0]
    assert kind is Kind.TOOL_CALLED
    assert body["status"] == "exceeded"
    assert len(body["request_sha256"]) == len(body["response_sha256"]) == 64
