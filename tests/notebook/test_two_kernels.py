"""Several kernels on one memory, and a kernel that is killed in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolfiles import put_slow
from workbench.bridge import wait
from workbench.configuration import load_settings
from workbench.core.events import Kind
from workbench.core.progress import State
from workbench.workbench import Workbench

pytestmark = [pytest.mark.kills, pytest.mark.timeout(300)]

MANY = """
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns["sales"] = pd.DataFrame({"region": ["North", "South"], "revenue": [1.0, 2.0]})
shell.run_line_magic("load_ext", "workbench")
for _ in range(200):
    shell.run_line_magic("agent", "--plan total revenue by region of @sales")
"""

LONG = """
import json, sys
from workbench.bridge import wait
from workbench.models.testing import TestModel
from workbench.workbench import Workbench

plan = {"mode": "sequential", "steps": [
    {"task": "slow", "params": {"seconds": 0}}, {"task": "slow", "params": {"seconds": 100}}]}

async def main():
    bench = Workbench(model=TestModel([plan]))
    acknowledged = []
    def listen(event):
        acknowledged.append(event.seq)
        if event.kind == "step.started" and event.step == "s2":
            loop.create_task(tell(event.run, list(acknowledged)))
    async def tell(run, seqs):
        await bench.memory.barrier()
        print(json.dumps([run, seqs]), flush=True)
    import asyncio
    loop = asyncio.get_running_loop()
    await bench.ask("wait", listeners=(listen,))

wait(main())
"""


def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config" / "tools").mkdir(parents=True)
    put_slow(tmp_path / "config" / "tools")
    return {
        **os.environ,
        "WORKBENCH_HOME": str(tmp_path / "home"),
        "WORKBENCH_CONFIG": str(tmp_path / "config"),
        "WORKBENCH_REQUESTS_PER_MINUTE": "100000",
    }


def test_two_kernels_write_200_runs_each_and_the_table_counts_400(tmp_path: Path) -> None:
    env = environment(tmp_path)
    kernels = [
        subprocess.Popen([sys.executable, "-c", MANY], env=env, stdout=subprocess.DEVNULL, cwd=tmp_path)
        for _ in range(2)
    ]
    assert [kernel.wait(250) for kernel in kernels] == [0, 0]
    bench = Workbench(load_settings(env, tmp_path))
    frame = wait(bench.record.sql("select count(*) as runs, count(distinct session) as kernels from runs"))
    assert frame.to_dict("records") == [{"runs": 400, "kernels": 2}]
    wait(bench.close())


def test_what_was_acknowledged_is_found_after_a_kernel_was_killed_in_a_run(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with subprocess.Popen([sys.executable, "-c", LONG], env=env, stdout=subprocess.PIPE, cwd=tmp_path) as kernel:
        assert kernel.stdout is not None
        run, acknowledged = json.loads(kernel.stdout.readline())
        workers = children_of(kernel.pid)
        kernel.send_signal(signal.SIGKILL)
    assert workers
    bench = Workbench(load_settings(env, tmp_path))
    events = wait(bench.memory.events(run))
    assert {event.seq for event in events} >= set(acknowledged)
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    shown = wait(bench.record.show(run)).outcome
    assert [step.state for step in shown.steps] == [State.DONE, State.RUNNING]
    assert not [event for event in events if event.kind == Kind.RUN_DONE]
    wait(bench.close())
    gone_after = time.monotonic() + 5
    while any(Path("/proc", str(pid)).exists() for pid in workers):
        assert time.monotonic() < gone_after, "a worker outlived its kernel"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path("/proc", str(pid), "task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found
