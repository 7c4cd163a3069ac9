"""What is on disk before what happens: reads wait for nothing, and nobody is told of what may still be lost."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from workbench.configuration import load_settings
from workbench.core.events import Event, Kind, loads
from workbench.core.tools import ToolCall, ToolResult
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.journal import Disk
from workbench.models.testing import TestModel
from workbench.policy.approval import Asked, Decision
from workbench.sandbox.portable import SpawnedSandbox
from workbench.workbench import Workbench

READ = '''"""Makes a table."""
PERMISSIONS = {}
def run(rows: int = 2):
    import pandas as pd
    return pd.DataFrame({"n": range(rows)})
'''
WRITE = '''"""Writes."""
PERMISSIONS = {"write": ["notes"]}
EFFECT = "write"
def run(text: str) -> str:
    return text
'''


class Order:
    """What happened, in order, from any thread."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, Any]] = []
        self._guard = threading.Lock()

    def note(self, what: str, about: Any = None) -> None:
        with self._guard:
            self.happened.append((what, about))

    def at(self, what: str, about: Any) -> int:
        return self.happened.index((what, about))

    def durable(self, kind: Kind, step: str | None = None) -> int:
        """When the event of this kind was synced."""
        written = next(
            n
            for n, (what, events) in enumerate(self.happened)
            if what == "written" and any(event.kind is kind and event.step == step for event in events)
        )
        return next(n for n, (what, _) in enumerate(self.happened) if n > written and what == "synced")


class NotingDisk(Disk):
    """Notes what is written and when it is synced; `open_` lets syncs through."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.open_ = threading.Event()
        self.open_.set()

    def write(self, descriptor: int, data: memoryview) -> int:
        self._order.note("written", [loads(line) for line in bytes(data).splitlines()])
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        assert self.open_.wait(60)
        super().sync(descriptor)
        self._order.note("synced")


class NotingSandbox(SpawnedSandbox):
    """Notes when a tool is started, and when the files that it leaves are durable."""

    def __init__(self, home: Path, project: Path, order: Order) -> None:
        def sync(descriptor: int) -> None:
            os.fsync(descriptor)
            order.note("file synced", Path(f"/proc/self/fd/{descriptor}").readlink().name)

        super().__init__(home, project, sync=sync)
        self._order = order

    async def run(self, call: ToolCall, *rest: Any, **more: Any) -> ToolResult:
        self._order.note("acts", call.step)
        return await super().run(call, *rest, **more)


class Bench:
    def __init__(self, folder: Path) -> None:
        (folder / "config" / "tools").mkdir(parents=True)
        (folder / "project" / "notes").mkdir(parents=True)
        for name, source in (("make", READ), ("note", WRITE)):
            (folder / "config" / "tools" / f"{name}.py").write_text(source)
        self.order = Order()
        self.disk = NotingDisk(self.order)
        self.settings = load_settings({"WORKBENCH_CONFIG": str(folder / "config")}, folder / "project")
        self.steps = [
            {"id": "s1", "task": "make", "params": {}},
            {"id": "s2", "task": "make", "params": {"rows": 3}, "needs": ["s1"]},
            {"id": "s3", "task": "note", "params": {"text": "x"}, "needs": ["s2"]},
        ]
        home, project = self.settings.home, self.settings.project
        self.workbench = Workbench(
            self.settings,
            model=TestModel([{"mode": "graph", "steps": self.steps}, "Done."]),
            memory=DuckDBMemory(home, disk=self.disk),
            sandbox=NotingSandbox(home, project, self.order),
        )

    async def approve(self, asked: Asked) -> Decision:
        self.order.note("asked", asked.call.step if asked.call else None)
        return Decision(answer="allow", by="user")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.disk.open_.set()
    await made.workbench.close()


async def test_what_must_be_on_disk_first_is_on_disk_first(bench: Bench) -> None:
    order = bench.order
    run = await bench.workbench.ask("do it", approver=bench.approve)
    order.note("returned")
    assert run.status == "done"
    assert order.durable(Kind.STEP_INTENT, "s3") < order.at("acts", "s3")
    assert order.durable(Kind.PLAN_MADE) < order.at("asked", None)
    assert order.durable(Kind.STEP_INTENT, "s3") < order.at("asked", "s3")
    assert order.durable(Kind.RUN_DONE) < order.at("returned", None)
    for step in ("s1", "s2"):
        (table,) = run.steps[step].outcome.artifacts
        told = order.durable(Kind.STEP_DONE, step)
        written = next(
            n
            for n, (what, events) in enumerate(order.happened)
            if what == "written" and any(e.kind is Kind.STEP_DONE and e.step == step for e in events)
        )
        assert written < told
        names = [name for what, name in order.happened[:written] if what == "file synced"]
        # The bytes under the name of their part, then the name of the whole, in the folder of the run.
        assert sum(name.startswith(".part-") for name in names) == int(step[1])
        assert names.count(run.id) == int(step[1])
        assert {"artifacts", bench.settings.home.name} <= set(names)
        assert table.path.startswith(f"{run.id}/")


async def test_reads_wait_for_nothing_and_a_write_and_the_end_wait_for_the_disk(bench: Bench) -> None:
    read = asyncio.Event()
    loop = asyncio.get_running_loop()
    bench.disk.open_.clear()

    def listen(event: Any) -> None:
        if isinstance(event, Event) and event.kind is Kind.STEP_INTENT and event.step == "s3":
            loop.call_soon(read.set)

    task = asyncio.create_task(bench.workbench.ask("do it", approver=bench.approve, rounds=False, listeners=(listen,)))
    await read.wait()
    await asyncio.wait({task}, timeout=0.2)
    acted = [step for what, step in bench.order.happened if what == "acts"]
    assert acted == ["s1", "s2"]
    assert not any(what == "synced" for what, _ in bench.order.happened)
    bench.disk.open_.set()
    run = await task
    assert run.status == "done"
    assert [step for what, step in bench.order.happened if what == "acts"] == ["s1", "s2", "s3"]
