"""A stop that stops: whatever a tool does, its processes are gone soon, and what was finished is kept."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.processes import is_alive
from workbench.configuration import load_settings
from workbench.core.events import AnyEvent, Kind, Stream
from workbench.core.outcome import fold
from workbench.core.plan import load
from workbench.core.progress import State
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.executor import Executor
from workbench.models.testing import TestModel
from workbench.sandbox import linux
from workbench.sandbox.base import Sandbox
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.portable import SpawnedSandbox
from workbench.workbench import Workbench

HEAD = '''"""Does not end."""
from workbench import toolkit
PERMISSIONS = {}
TIMEOUT = 300
'''
TOOLS = {
    "blocking": "import os, time\ndef run():\n    toolkit.progress(f'pids {os.getpid()}')\n    time.sleep(300)\n",
    "spinning": "import os\ndef run():\n    toolkit.progress(f'pids {os.getpid()}')\n    while True: pass\n",
    "deaf": """import os, signal, time
def run():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    toolkit.progress(f'pids {os.getpid()}')
    while True:
        try: time.sleep(300)
        except BaseException: pass
""",
    "parent": """import os, subprocess, sys, time
def run():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(300)"
    children = [
        subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, start_new_session=own)
        for own in (False, True)
    ]
    for child in children: child.stdout.readline()
    toolkit.progress("pids " + " ".join(str(pid) for pid in [os.getpid(), *(child.pid for child in children)]))
    time.sleep(300)
""",
}
QUICK = '"""Ends."""\nPERMISSIONS = {}\ndef run() -> int:\n    return 1\n'
GONE = 2.5
"""Seconds that a stop may take."""


@pytest.mark.kills
@pytest.mark.parametrize("level", ["process", "kernel"])
@pytest.mark.parametrize("tool", list(TOOLS))
async def test_a_stopped_tool_is_gone_at_once_with_all_that_it_started(tmp_path: Path, tool: str, level: str) -> None:
    if level == "kernel" and (why := linux.supported()):
        pytest.skip(why)
    if level == "kernel" and tool == "parent":
        tool = "deaf"  # there nobody starts a process
    (tmp_path / "config" / "tools").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "config" / "tools" / "endless.py").write_text(HEAD + TOOLS[tool])
    (tmp_path / "config" / "tools" / "quick.py").write_text(QUICK)
    settings = load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project")
    kind: Any = ConfinedSandbox if level == "kernel" else SpawnedSandbox
    sandbox: Sandbox = kind(settings.home, settings.project)
    steps = [
        {"id": "s1", "task": "quick", "params": {}},
        {"id": "s2", "task": "endless", "params": {}, "needs": ["s1"]},
        {"id": "s3", "task": "endless", "params": {}, "needs": ["s1"]},
        {"id": "s4", "task": "quick", "params": {}, "needs": ["s2", "s3"]},
    ]
    bench = Workbench(settings, model=TestModel([{"mode": "graph", "steps": steps}, "ok"]), sandbox=sandbox)
    pids: dict[str, list[int]] = {}
    both = asyncio.Event()

    def listen(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_PROGRESS and str(event.body["text"]).startswith("pids "):
            pids[str(event.step)] = [int(word) for word in event.body["text"].split()[1:]]
            if len(pids) == 2:
                both.set()

    task = asyncio.create_task(bench.ask("do it", listeners=(listen,)))
    await both.wait()
    every = [pid for found in pids.values() for pid in found]
    assert all(map(is_alive, every))
    began = time.monotonic()
    task.cancel()
    with pytest.raises(workbench.Cancelled, match="1 of 4 steps finished") as caught:
        await task
    left = [pid for pid in every if is_alive(pid)]
    seconds = time.monotonic() - began
    assert left == []
    assert seconds <= GONE, f"{seconds:.2f} s"
    print(f"{tool} at level {level}: gone after {seconds:.2f} s")  # noqa: T201 - the figure
    # What is stopped can be taken up.
    (tmp_path / "config" / "tools" / "endless.py").write_text(QUICK)
    done = await bench.resume(caught.value.run.id, changed_tools=True)
    assert [step.state for step in done.steps.values()] == ["done"] * 4
    events = await bench.memory.events(done.id)
    assert sum(event.kind == Kind.STEP_INTENT and event.step == "s1" for event in events) == 1
    await bench.close()


def test_the_processes_of_this_test_are_seen_as_alive() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(1 << 22)


async def test_a_layer_that_keeps_a_stop_to_itself_hears_of_it_again_and_a_second_stop_skips_nothing() -> None:
    inside = asyncio.Event()
    heard = 0

    async def call(what: ToolCall) -> ToolResult:
        nonlocal heard
        inside.set()
        while heard < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard += 1
        raise asyncio.CancelledError

    async def nothing() -> None:
        return None

    spec = ToolSpec(name="read", summary="", params={"type": "object"}, version="1", source=b"")
    plan = load({"mode": "graph", "steps": [{"task": "read"}, {"task": "read", "needs": ["s1"]}]})
    events: list[AnyEvent] = []
    stream = Stream("r1", events.append, now=lambda: "2026-01-01")
    stream.tell(Kind.PLAN_MADE, {"plan": plan.dump()})
    task = asyncio.create_task(Executor(call, durable=nothing).run(plan, {"read": spec}, {}, stream))
    await inside.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == 3
    assert [step.state for step in fold(events).steps] == [State.CANCELLED] * 2
