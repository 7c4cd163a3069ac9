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

BOOT = "import sys; sys.path[:] = sys.argv[2:]; from workbench.sandbox.worker import main; main(int(sys.argv[1]))"
"""What the bare interpreter runs. `-I` keeps it from reading the environment and the working directory; the places to
import from are given one by one, so that it finds what this process finds, however the workbench was installed."""

_PATIENCE = 1.0
"""Seconds from SIGTERM to SIGKILL."""


class Process:
    """A running worker. `output` is what it printed so far, `flooded` is set when that is more than `max_output`."""

    def __init__(self, popen: subprocess.Popen[bytes], pipe: int, max_output: int) -> None:
        self._popen = popen
        self._pipe = pipe
        self._max_output = max_output
        self.output = bytearray()
        self.flooded = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    @classmethod
    def start(
        cls, *, env: Mapping[str, str], cwd: Path, imports: Sequence[str], max_output: int
    ) -> tuple[Process, socket.socket]:
        """A new worker in a session of its own, and the host's end of its channel. Raises Unavailable."""
        ours, theirs = socket.socketpair()
        pipe, printed = os.pipe()
        try:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(theirs.fileno()), *imports],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env=dict(env),
                cwd=cwd,
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
        return cls(popen, pipe, max_output), ours

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.output += data[: max(0, self._max_output - len(self.output))]
        if len(data) and len(self.output) == self._max_output:
            self.flooded.set()
        if not data or self.flooded.is_set():
            self._loop.remove_reader(self._pipe)

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
        """End every process of the call, read what is left of the output, and give the exit status (-n: by signal n).

        Asks first, so that the supervisor can end what left the group. It is over within two seconds, and not given up
        half-way: a cancellation goes on when it is done.
        """
        ending = asyncio.ensure_future(self._end())
        cancelled = False
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled or ending.cancelled():
            raise asyncio.CancelledError
        return ending.result()

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
        self._drain()
        return status

    def _failed(self) -> bool:
        with suppress(ChildProcessError, AttributeError):
            found = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return found is None or found.si_status != 0
        return True

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _drain(self) -> None:
        """Take what is in the pipe now. Never to its end: a process that got away may hold the other side open."""
        if self._pipe < 0:
            return
        self._loop.remove_reader(self._pipe)
        while not self.flooded.is_set():
            before = len(self.output)
            self._read()
            if len(self.output) == before:
                break
        self._loop.remove_reader(self._pipe)
        files.close([self._pipe])
        self._pipe = -1


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
