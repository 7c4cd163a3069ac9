"""What running a plan costs beside its tools, and the same plans through real workers.

    python tests/benchmarks/bench_orchestration.py [rounds]

First over a call that only waits, at the seam: every step durable, up to the barrier that an answer waits for. Then
with the memory and the audit trail of a workbench in place of a journal alone. Then each plan through confined workers
beside its bound: orchestration, and a median confined call for each call, on as many cores as there are. Steps that
follow each other cannot use more than one core: their bound is out of reach, and printed all the same.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.orchestration import Measured, Plans, chain, diamond, independent, run
from workbench.calls import Call, sandboxed
from workbench.core.events import AnyEvent, Event
from workbench.core.settings import Settings
from workbench.core.tools import Permissions, ToolCall, ToolSpec
from workbench.memory.duckdb import DuckDBMemory
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import best
from workbench.telemetry.audit import trail_of

SOURCE = b"import time\n\ndef run(seconds, **rest):\n    time.sleep(seconds)\n    return seconds\n"
ROWS: tuple[tuple[str, Plans, float, str, float], ...] = (
    ("8 independent steps of 100 ms", independent(8, 0.1), 0.1, "the critical path", 1.25),
    ("a diamond of 100 ms steps", diamond(0.1), 0.3, "the critical path", 1.1),
    ("20 steps of 1 ms, one after the other", chain(20, 0.001), 0.02, "the critical path", 3.0),
)


def once(plans: Plans, *, whole: bool = False) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not whole:
            return asyncio.run(run(plans, folder))
        memory, trail = DuckDBMemory(folder / "home"), trail_of(folder / "home", folder / "config")

        def take(event: AnyEvent) -> None:
            trail(event)
            memory.append(event)

        async def measured() -> Measured:
            result = await run(plans, folder, take=(take, memory.barrier))
            await memory.close()
            return result

        return asyncio.run(measured())


def median(of: Callable[[], Measured], rounds: int) -> Measured:
    return sorted((of() for _ in range(rounds)), key=lambda one: one.wall)[rounds // 2]


def alone(rounds: int) -> dict[str, float]:
    """The seconds of each row, over the call that waits."""
    once(independent(8, 0.0))  # imports
    walls = {}
    for name, plans, critical, what, most in ROWS:
        found = median(lambda plans=plans: once(plans), rounds)  # type: ignore[misc]  # a default, not a parameter
        walls[name] = found.wall
        print(f"{name:38} {found.wall * 1000:7.1f} ms, {found.wall / critical:.2f} of {what} (at most {most:.2f})")
    for name, plans in (("200 independent steps", independent(200, 0)), ("200 steps in chains of 50", chain(200, 0))):
        for whole in (False, True):
            cpu = statistics.median(once(plans, whole=whole).cpu for _ in range(rounds)) / 200 * 1000
            beside = "with memory and audit trail" if whole else "with a journal (at most 0.20)"
            print(f"{name:38} {cpu:7.3f} ms CPU a step {beside}")
    hundred, twice = once(chain(100, 0)), once(chain(200, 0))
    print(f"bytes at 200 steps: {twice.size / hundred.size:.2f} of those at 100 (at most 2.20)")
    many = once(independent(662, 0))
    print(f"{many.events:,} records: {many.syncs} syncs (fewer than 100 for 2,000)")
    return walls


async def workers(rounds: int, walls: dict[str, float]) -> None:
    """Each row through confined workers, beside its bound."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "project").mkdir()
        sandbox = best(Settings(home=folder / "home", project=folder / "project", config=folder / "config", user="ann"))
        level = await sandbox.prepare()
        tool = ToolSpec(
            name="wait", summary="waits", params={"type": "object"}, version="v", source=SOURCE,
            permissions=Permissions(), timeout=60.0,
        )  # fmt: skip
        call = through(sandbox, folder)
        what = ToolCall(run="r", step="s", tool=tool, params={"seconds": 0}, timeout=60.0)
        seconds = []
        for _ in range(rounds + 10):
            began = time.perf_counter()
            result = await call(what)
            assert result.status == "ok", result.error
            seconds.append(time.perf_counter() - began)
        one = statistics.median(seconds[5:])
        print(f"a call in a worker, isolation {level}: {one * 1000:.1f} ms, {cores} cores")
        for title, plans, *_ in ROWS:
            took = []
            for _ in range(max(3, rounds // 2)):
                with tempfile.TemporaryDirectory() as home:
                    took.append((await run(plans, Path(home), call=call, tools={"wait": tool})).wall)
            calls = sum(len(plan.steps) for plan in plans)
            bound = walls[title] + calls * one / cores
            found = statistics.median(took)
            of = f"{found / bound:.2f} of its bound ({bound * 1000:.1f} ms)"
            print(f"{title:38} {found * 1000:7.1f} ms in workers, {of}")
        await sandbox.close()


def through(sandbox: Sandbox, folder: Path) -> Call:
    def silent(kind: object, body: object, step: str) -> Event:
        raise AssertionError("this tool tells nothing")

    return sandboxed(sandbox, lambda call, doors: {}, folder / "artifacts", silent)


def main(rounds: int) -> None:
    asyncio.run(workers(rounds, alone(rounds)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
