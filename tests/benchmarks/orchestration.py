"""Plans over a call that only waits, with every event on disk at the end: what orchestration costs by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.calls import Call
from workbench.core.events import Kind, Listener, Stream
from workbench.core.plan import MAX_STEPS, Plan, load
from workbench.core.provenance import Lineage
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.executor import Executor
from workbench.memory.journal import Disk, Journal

Plans = list[Plan]
"""Rounds of steps."""

WAIT = ToolSpec(name="wait", summary="waits", params={"type": "object"}, version="v1", source=b"")


class Counting(Disk):
    """The disk, and how often it was synced."""

    syncs = 0

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one run: seconds of wall and CPU, events, syncs of the journal, and its bytes."""

    wall: float
    cpu: float
    events: int
    syncs: int
    size: int


def independent(count: int, seconds: float) -> Plans:
    return _rounds([_step(n, seconds) for n in range(count)])


def diamond(seconds: float) -> Plans:
    needs: list[tuple[int, ...]] = [(), (0,), (0,), (1, 2)]
    return _rounds([_step(n, seconds, before) for n, before in enumerate(needs)])


def chain(count: int, seconds: float) -> Plans:
    return _rounds([_step(n, seconds, (n - 1,) if n % MAX_STEPS else ()) for n in range(count)])


def _rounds(steps: list[dict[str, Any]]) -> Plans:
    """The steps as plans of as many as one may have."""
    return [load({"mode": "graph", "steps": steps[at : at + MAX_STEPS]}) for at in range(0, len(steps), MAX_STEPS)]


def _step(number: int, seconds: float, before: tuple[int, ...] = ()) -> dict[str, Any]:
    params: dict[str, Any] = {"seconds": seconds}
    return {"id": f"s{number}", "task": "wait", "params": params | {f"p{n}": {"$ref": f"s{n}"} for n in before}}


async def waiting(call: ToolCall) -> ToolResult:
    if call.params["seconds"]:
        await asyncio.sleep(call.params["seconds"])
    return ToolResult(status="ok", value={"waited": call.params["seconds"], "rows": list(range(10))})


async def run(
    plans: Plans,
    folder: Path,
    *,
    call: Call = waiting,
    parallel: int = 8,
    tools: Mapping[str, ToolSpec] | None = None,
    take: tuple[Listener, Callable[[], Awaitable[None]]] | None = None,
) -> Measured:
    """Run plans, one round after the other, with a journal in `folder`, up to the barrier that an answer waits for.
    `take`: what takes the events and its barrier, in place of a journal by itself."""
    disk = Counting()
    journal = Journal(folder / "journal", disk=disk)

    def append(event: Any) -> None:
        journal.append(event)

    listener, durable = take or (append, journal.barrier)
    stream = Stream("r1", listener, now=lambda: "2026-11-27T00:00:00.000000+00:00")
    executor = Executor(call, durable=durable, parallel=parallel)
    wall, cpu = time.perf_counter(), time.process_time()
    stream.tell(Kind.RUN_STARTED, {"request": "x"})
    earlier: dict[str, tuple[str, Any]] = {}
    lineage = Lineage()
    for number, plan in enumerate(plans, 1):
        stream.tell(Kind.PLAN_MADE, {"plan": plan.dump(), "round": number})
        await executor.run(plan, tools or {"wait": WAIT}, {}, stream, earlier, lineage)
        earlier |= {step.id: ("wait", None) for step in plan.steps}
    stream.tell(Kind.RUN_DONE, {"status": "done"})
    await durable()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    journal.close()
    done = sum(event.kind is Kind.STEP_DONE for event in stream.events)
    steps = sum(len(plan.steps) for plan in plans)
    assert done == steps, f"{done} of {steps} steps are done"
    size = sum(path.stat().st_size for path in (folder / "journal").glob("*")) if take is None else 0
    return Measured(wall=wall, cpu=cpu, events=len(stream.events), syncs=disk.syncs, size=size)
