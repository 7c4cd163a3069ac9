"""Run as a process of its own by the tests: writes into a memory on PostgreSQL in the way its first argument says."""

import asyncio
import os
import sys
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from workbench.core.errors import BudgetExceeded
from workbench.core.events import Event, Kind, Stream
from workbench.core.usage import Use
from workbench.memory.postgres.memory import PostgresMemory
from workbench.policy.budgets import Budgets


def event(run: str, seq: int, kind: Kind = Kind.STEP_PROGRESS, **body: object) -> Event:
    return Event(run=run, seq=seq, at="2026-01-01T12:00:00.000001+00:00", kind=kind, body=body)


async def acknowledge(memory: PostgresMemory, run: str) -> None:
    """Print each event's id once it is acknowledged, until killed."""
    for seq in range(1_000_000):
        memory.append(event(run, seq, text="x" * (seq % 300)))
        await memory.barrier()
        os.write(1, f"{run}/1/{seq}\n".encode())


async def write_runs(memory: PostgresMemory, name: str, count: str) -> None:
    for n in range(int(count)):
        memory.append(event(f"{name}-{n:04}", 0, Kind.RUN_STARTED, request=f"request {n}", user=name))
        memory.append(event(f"{name}-{n:04}", 1, Kind.RUN_DONE, status="done", seconds=0.1))
        await memory.barrier()
    await memory.close()


async def reserve(memory: PostgresMemory, run: str, times: str, limit: str) -> None:
    """Ask for one call so many times, on one budget for all; print a line for each that was let go."""
    budgets = Budgets({("calls", "day"): Decimal(limit)}, "ann", memory.spent)
    stream = Stream(run, memory.append, now=lambda: datetime.now(UTC).isoformat())
    stream.tell(Kind.RUN_STARTED, {"user": "ann"})
    for _ in range(int(times)):
        try:
            held = await budgets.reserve(Use(calls=1), stream.tell)
        except BudgetExceeded:
            await asyncio.sleep(0)
            continue
        held.settle(Use(calls=1))
        os.write(1, b"let go\n")
    await memory.close()


async def just_end(memory: PostgresMemory) -> None:
    for seq in range(500):
        memory.append(event("r1", seq))


async def fork(memory: PostgresMemory) -> None:
    """Write in a process, in its forked child, and in the process again."""
    memory.append(event("parent", 0, Kind.RUN_STARTED))
    await memory.barrier()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            memory.append(event("child", 0, Kind.RUN_STARTED))
            memory._commits.wait(10)
            code = 0 if len(memory._events("child", None)) == len(memory._events("parent", None)) == 1 else 2
            memory.close_now()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else runs on this loop
    memory.append(event("parent", 1))
    await memory.barrier()
    os.write(1, f"{os.waitstatus_to_exitcode(status)} {len(await memory.events('parent'))}\n".encode())
    await memory.close()


if __name__ == "__main__":
    what, dsn, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(globals()[what](PostgresMemory(dsn, Path(home), wait_seconds=20.0), *rest))
