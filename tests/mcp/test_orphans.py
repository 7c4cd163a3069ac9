"""`kill -9` of ours, and of the keeper: no server, and nothing that it started, is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import is_alive

pytestmark = pytest.mark.kills

OURS = """
import asyncio, sys
from pathlib import Path
from tests.mcp.support import Project, tool

async def main():
    project = Project(Path(sys.argv[1]))
    project.write([tool("pid"), tool("child")], {"pid": "pid", "child": "child"})
    await project.trust()
    print(await project.call("pid"), await project.call("child"), await project.call("child"), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def all_gone(pids: list[int], seconds: float) -> bool:
    """Whether the processes end in time; looked at as the kernel tells of it, by pidfd."""
    until, poll = time.monotonic() + seconds, select.poll()
    for pid in pids:
        if is_alive(pid):
            handle = os.pidfd_open(pid)
            poll.register(handle, select.POLLIN)
    while any(map(is_alive, pids)) and time.monotonic() < until:
        for handle, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000):
            poll.unregister(handle)
    return not any(map(is_alive, pids))


def test_after_a_kill_of_ours_nothing_is_left_within_five_seconds(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", OURS, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as ours:
        assert ours.stdout is not None
        pids = [int(word) for word in ours.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(is_alive, pids))
        ours.send_signal(signal.SIGKILL)
        assert all_gone(pids, 5.0)
