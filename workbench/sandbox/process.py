"""One worker's process as the host sees it: started clean, read with a cap, ended with everything it started."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.sandbox import files
from workbench.sandbox.course import to_the_end
from workbench.sandbox.output import Output

BOOT = "import sys; sys.path[:] = sys.argv[2:]; from workbench.sandbox.worker import main; main(int(sys.argv[1]))"
"""What the bare interpreter runs. `-I` keeps it from reading the environment and the working directory; the places to
import from are given one by one, so that it finds what this process finds, however the workbench was installed."""

_PATIENCE = 1.0
"""Seconds from SIGTERM to SIGKILL."""


class Spawned:
    """A worker's process that nobody talks to yet, in a session of its own; `channel` is the host's end."""

    def __init__(self, popen: subprocess.Popen[bytes], pipe: int, channel: socket.socket) -> None:
        self.popen = popen
        self.pipe = pipe
        self.channel = channel

    @classmethod
    def start(cls, *, env: Mapping[str, str], imports: Sequence[str]) -> Spawned:
        """A new one, which waits for its call. Raises Unavailable."""
        ours, theirs = socket.socketpair()
        pipe, printed = os.pipe()
        try:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(theirs.fileno()), *imports],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env=dict(env),
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            files.close([pipe])
            raise Unavailable(f"Cannot start a worker: {error.strerror or error}.") from error
        finally:
            theirs.close()
            files.close([printed])
        ours.setblocking(False)
        return cls(popen, pipe, ours)

    def alive(self) -> bool:
        return self.popen.poll() is None

    def end(self) -> None:
        """End it unused: it has nothing to lose."""
        self.channel.close()
        files.close([self.pipe])
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(_PATIENCE)


class Process:
    """A running worker of level `process`; see `course.Worker`."""

    def __init__(self, spawned: Spawned, most: int) -> None:
        self._popen = spawned.popen
        self._loop = asyncio.get_running_loop()
        self.channel = spawned.channel
        self.output = Output(spawned.pipe, most)
        self.why = ""

    async def ended(self) -> None:
        """Return when the process has ended; its status is kept for `end`."""
        try:
            handle = os.pidfd_open(self._popen.pid)
        except (AttributeError, OSError):  # not Linux
            while not self._over():  # noqa: ASYNC110 - the kernel tells nobody here
                await asyncio.sleep(0.01)
            return
        over = asyncio.Event()
        self._loop.add_reader(handle, over.set)
        try:
            await over.wait()
        finally:
            self._loop.remove_reader(handle)
            os.close(handle)

    def _over(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        with suppress(ChildProcessError):
            # Looks without reaping: until then nobody else gets this process' number, which names group and session.
            return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    async def end(self) -> int:
        """See `course.Worker.end`. Asks first, so that the supervisor can end what left the group."""
        return await to_the_end(self._end())

    async def _end(self) -> int:
        try:
            if not self._over():
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ended(), _PATIENCE)
        finally:  # also when the event loop is closing and cancels everything
            status = self._end_now()
        return status

    def _end_now(self) -> int:
        if not self._over():
            self._signal(signal.SIGTERM)
            until = time.monotonic() + _PATIENCE / 2
            while not self._over() and time.monotonic() < until:
                time.sleep(0.005)
        clean = self._over() and not self._failed()
        self._signal(signal.SIGKILL)
        if not clean:
            end_session(self._popen.pid)
        try:
            status = self._popen.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # stuck in the kernel, for example on a dead network drive
            status = -signal.SIGKILL
        self.output.close()
        return status

    def _failed(self) -> bool:
        with suppress(ChildProcessError, AttributeError):
            found = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return found is None or found.si_status != 0
        return True

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)


def end_session(session: int) -> None:
    """End what is left of a session, by the list of processes; for when its supervisor could not."""
    if sys.platform != "linux":
        return
    for _ in range(20):
        members = _members(session)
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not members:
            return
        time.sleep(0.005)


def _members(session: int) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # "pid (name) state ppid pgrp session": the name may hold anything, also ") "
                state, _, _, its = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
                if int(its) == session and state != "Z":
                    found.append(int(place.name))
    return found
