"""A process that is warm, forks one life after another, and says how each ended; run by `test_kills`.

Each life begins a run, or goes on with it, and may kill itself: `-9`, at the n-th thing that happens or after so many
seconds. What a life does is the real thing: workbench, journal, memory, leases; with `workers` also the sandbox.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench import toolkit
from workbench.configuration import load_settings
from workbench.core import artifacts
from workbench.core.errors import Refused, WorkbenchError
from workbench.core.events import AnyEvent
from workbench.core.outcome import Outcome
from workbench.core.plan import read
from workbench.core.recovery import effect_key, recover
from workbench.core.tools import ToolCall, ToolResult
from workbench.memory.base import Memory
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.postgres.memory import PostgresMemory
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned
from workbench.policy.approval import Asked, Decision
from workbench.registry.discover import discover
from workbench.sandbox.base import Level
from workbench.workbench import Workbench


class Death:
    """Kills this process at the n-th thing that happens in it, or after so many seconds; neither: never."""

    def __init__(self, after: int | None, seconds: float | None) -> None:
        self._left = after
        if seconds is not None:
            threading.Timer(seconds, self._now).start()

    def near(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._now()

    def _now(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class TellingMemory:
    """A memory that writes down the newest event that a barrier has acknowledged."""

    def __init__(self, inner: Memory, death: Death, told: Path) -> None:
        self._inner = inner
        self._death = death
        self._newest = ""
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(self, event: AnyEvent) -> None:
        self._inner.append(event)
        self._newest = event.id
        self._death.near()

    async def barrier(self) -> None:
        newest = self._newest
        await self._inner.barrier()
        if newest:
            os.write(self._told, f"{newest}\n".encode())
        self._death.near()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Here:
    """A sandbox that is none: tools run in this process, and die with it at any line."""

    level: Level = "kernel"

    def __init__(self, project: Path, death: Death) -> None:
        self._project = project
        self._death = death

    async def prepare(self) -> Level:
        return self.level

    async def run(self, call: ToolCall, *rest: Any) -> ToolResult:
        await asyncio.sleep(0.001)
        module = types.ModuleType("tool")
        toolkit._Host.key, toolkit._Host.project = call.key, self._project
        exec(call.tool.source, module.__dict__)  # noqa: S102 - the tests' own tools
        value = module.check(call.key) if call.entry == "check" else module.run(**call.params)
        self._death.near()
        return ToolResult(status="ok", value=value)

    async def close(self) -> None:
        return None


class Fixed:
    """Plans what it is told to."""

    name = "fixed"

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    async def plan(self, request: Any, tools: Any, tell: Any) -> Planned:
        return Planned(plan=read(self._raw, tools), planner=self.name)

    async def look(self, request: Any, outcome: Any, tools: Any, tell: Any) -> None:
        return None

    async def answer(self, outcome: Outcome, tell: Any) -> Answer:
        return summarise(outcome)


async def yes(asked: Asked) -> Decision:
    return Decision(answer="allow", by="option")


async def live(order: Mapping[str, Any]) -> dict[str, Any]:
    """One life: what became of the run, as JSON."""
    folder = Path(order["folder"])
    death = Death(order.get("after"), order.get("seconds"))
    settings = load_settings({"WORKBENCH_CONFIG": str(folder / "config")}, folder / "project", home=folder / "home")
    dsn = order.get("dsn")
    inner: Memory = PostgresMemory(dsn, settings.home) if dsn else DuckDBMemory(settings.home)
    memory: Any = TellingMemory(inner, death, folder / "acknowledged")
    sandbox = None if order["workers"] else Here(settings.project, death)
    bench = Workbench(settings, planner=Fixed(order["plan"]), memory=memory, sandbox=sandbox)
    run = await offered(bench) if dsn else newest(settings.home)
    try:
        if run is None and (before := await memory.runs(1)):
            # Killed when the run was over and its lease given back: only then may there be none.
            done = await bench.record.show(before[0]["run"])
            assert done.status == "done", f"{done.id} is {done.status}, and nobody has left it"
        elif run is None:
            done = await bench.ask("do it", approver=yes, rounds=False)
        else:
            happened = seen(folder)
            doubts = recover(await memory.events(run)).uncertain.values()
            open_ = [d for d in doubts if not bench.tools()[d.tool].checks]
            there = {str(d): effect_key(run, d.step, d.item) in happened for d in open_}
            done = await bench.resume(
                run,
                done=[name for name, acted in there.items() if acted],
                again=[name for name, acted in there.items() if not acted],
                changed_tools=True,
                approver=yes,
            )
    except Refused as error:
        if "is done" not in error.message:
            return {"refused": error.message}
        done = await bench.record.show(str(run))  # killed after its last word
        assert await bench.left() == []
    values = {step.id: artifacts.to_json(step.outcome.value) for step in done.steps.values()}
    said_by = {step.id: step.outcome.said_by for step in done.steps.values()}
    await bench.close()
    return {"run": done.id, "status": done.status, "values": values, "said_by": said_by}


def newest(home: Path) -> str | None:
    """The run that the life before has left."""
    from workbench.memory import lease

    left = [holder.run for holder in lease.left(home)]
    return left[-1] if left else None


async def offered(bench: Workbench) -> str | None:
    """The run that is offered to be gone on with. Of one without a plan there is nothing to be taken up."""
    left = [holder.run for holder in await bench.left()]
    return left[-1] if left else None


def seen(folder: Path) -> list[str]:
    """The keys of what has been written, as a person sees it who goes and looks."""
    path = folder / "project" / "notes" / "notes.txt"
    return [line.split(" ")[0] for line in path.read_text().splitlines()] if path.is_file() else []


def fork(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a forked child says that does the work, or the signal that it died by."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        try:
            said = work()
        except WorkbenchError as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to hear of it
            said = {"error": f"BUG {type(error).__name__}: {error}"}
        os.write(writable, json.dumps(said).encode())
        os._exit(0)
    os.close(writable)
    data = b""
    while piece := os.read(readable, 1 << 16):
        data += piece
    os.close(readable)
    _, status = os.waitpid(child, 0)
    return {"killed": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else dict(json.loads(data))


def main() -> None:
    """Orders in, a line of JSON each; how each life ended out."""
    # What every life needs is there before.
    for name in ("duckdb", "psycopg", "limits", "loguru", "multiprocessing.context"):
        importlib.import_module(name)

    warm = load_settings({}, Path.cwd())
    discover(warm.project, warm.config)
    for line in sys.stdin:
        threads = len(os.listdir("/proc/self/task")) if Path("/proc").is_dir() else 1  # noqa: PTH208 - names are enough
        assert threads == 1, "a process with threads may not be forked"
        order = json.loads(line)
        began = time.monotonic()
        random.seed(order.get("seed"))
        said = fork(lambda order=order: asyncio.run(live(order)))  # type: ignore[misc]  # bound now
        print(json.dumps({**said, "seconds": time.monotonic() - began}), flush=True)  # noqa: T201 - it is heard


if __name__ == "__main__":
    main()
