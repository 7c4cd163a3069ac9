"""How calls end, inside the room: prints one JSON object that says what lived on, and what of the user's own did.

    python -m tests.hostile.endings < {"level": …, "home": …}

Here calls may start whatever they can; everything they try is in `STAY`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.hostile.driver import KEY, build, family
from tests.hostile.plants import Plants
from workbench.core.tools import ToolCall, ToolSpec
from workbench.sandbox.base import Sandbox

MARK, PROGRAM = "staying", "import time; time.sleep(61)"
STAY = """
import ctypes, os, signal, subprocess, sys, threading, time
def stay():
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    while True: time.sleep(0.05)
def tried(function):
    try: return function()
    except OSError: return None
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: stay()
        os._exit(0)
def run():
    ctypes.CDLL(None).prctl(15, b"staying", 0, 0, 0)
    for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    tried(daemon)
    if tried(os.fork) == 0: os.setpgid(0, 0); stay()
    if tried(os.fork) == 0: stay()
    tried(lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(61)"], start_new_session=True))
    print("up", flush=True)
    from workbench import toolkit
    toolkit.progress("up")
    stay()
"""


def living() -> set[int]:
    """The user's processes. One that has ended and waits for the system to notice is not among them."""
    return {pid for pid, state in family().items() if state != "Z"}


def marked() -> set[int]:
    """The processes of a call, known by what they call themselves: idle workers that wait for the next one are not."""
    found = set()
    for pid in living():
        with suppress(OSError):
            name, line = Path(f"/proc/{pid}/comm").read_text().strip(), Path(f"/proc/{pid}/cmdline").read_bytes()
            if name == MARK or PROGRAM.encode() in line:
                found.add(pid)
    return found


class Ends:
    def __init__(self, level: str, home: Path) -> None:
        self.level = level
        self.plants = Plants(home, os.environ[KEY])
        self.found: dict[str, Any] = {}

    def call(self, seconds: float) -> ToolCall:
        tool = ToolSpec(name="stay", summary="", params={}, version="0", source=STAY.encode())
        return ToolCall(run="r1", step="s1", tool=tool, params={}, timeout=seconds)

    async def begun(self, sandbox: Sandbox, seconds: float) -> asyncio.Task[Any]:
        """A call in which everything has been started that can be."""
        up = asyncio.Event()
        artifacts = self.plants.workbench / "artifacts"
        task = asyncio.create_task(sandbox.run(self.call(seconds), {}, artifacts, lambda text: up.set()))
        await asyncio.wait({task, asyncio.create_task(up.wait())}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        return task

    async def say(self, name: str, there: Callable[[], set[int]], ended: Callable[[], Awaitable[Any]]) -> None:
        """What is still there a second after the end, and how much was there before."""
        during, until = len(there()), time.monotonic() + 0.5
        # A process that has just been made does not bear its name yet.
        while during < 5 and self.level != "kernel" and time.monotonic() < until:
            await asyncio.sleep(0.02)
            during = max(during, len(there()))
        result = await ended()
        until = time.monotonic() + 1.0
        while (left := there()) and time.monotonic() < until:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
        self.found[name] = {"during": during, "left": len(left), "how": result}

    async def play(self) -> None:
        self.plants.plant()
        os.chdir(self.plants.project)
        children = [
            subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(120)"], start_new_session=new)  # noqa: ASYNC220 - the user's own
            for new in (False, True)
        ]
        sandbox = build(self.level, self.plants)
        await sandbox.prepare()

        async def timed_out() -> str:
            return str((await task).status)

        async def cancelled() -> str:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            return "cancelled" if task.cancelled() else "finished"

        task = await self.begun(sandbox, 2.0)
        await self.say("timeout", marked, timed_out)
        task = await self.begun(sandbox, 60.0)
        await self.say("cancel", marked, cancelled)
        self.found["children"] = [child.poll() for child in children]
        await sandbox.close()
        own = {child.pid for child in children}
        await self.say("close", lambda: living() - own, self._nothing)
        await self.owner_killed(own)
        self.found["children at the end"] = [child.poll() for child in children]
        for child in children:
            child.kill()
            child.wait()

    async def _nothing(self) -> str:
        return "closed"

    async def owner_killed(self, own: set[int]) -> None:
        """A process that owns a sandbox and a call in it is killed: nothing may be left of either."""
        owner = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.hostile.endings", "owner", self.level, str(self.plants.home),
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert owner.stdout is not None
        assert await asyncio.wait_for(owner.stdout.readline(), 30) == b"up\n"

        async def killed() -> str:
            owner.send_signal(signal.SIGKILL)
            return f"killed by {-await owner.wait()}"

        await self.say("owner killed", lambda: living() - own, killed)

    async def own(self) -> None:
        """Be that process."""
        sandbox = build(self.level, self.plants)
        task = await self.begun(sandbox, 60.0)
        print("up", flush=True)
        await task


def main() -> None:
    if sys.argv[1:2] == ["owner"]:
        asyncio.run(Ends(sys.argv[2], Path(sys.argv[3])).own())
        return
    spec = json.loads(sys.stdin.read())
    ends = Ends(spec["level"], Path(spec["home"]))
    asyncio.run(ends.play())
    print(json.dumps(ends.found))


if __name__ == "__main__":
    main()
