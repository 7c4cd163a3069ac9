"""The small process between host and worker, on Linux: sees how the worker ended, ends what it left behind.

It is forked before anything is imported or started, so it is a copy of a bare interpreter with one thread. As the
"subreaper" of its descendants it inherits every orphan, also one that made a session of its own, and therefore finds
them all. It ends them when the worker has ended, when it is told to (SIGTERM), and when the host is gone, which it
learns from the channel or, should a copy of the host's end live on somewhere, from its parent-death signal. Then it
ends the same way as the worker did, so that the host reads the truth from its own wait status.

What this level cannot hold: a worker is an ordinary process of the user and may kill its supervisor. It dies with it,
and the host still ends the group and session, but a child that left both is then on its own. Level `kernel` closes
that.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
GRACE = 0.2
"""Seconds between asking a worker to end and ending it."""


def supervise(channel: socket.socket) -> None:
    """Become the supervisor of a fork of this process; return in the fork only. Only Linux has what it takes."""
    if sys.platform != "linux":
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    heard, wake = os.pipe()
    os.set_blocking(heard, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    supervisor = os.getpid()
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(heard)
        os.close(wake)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(1)
        return
    status = 1
    try:
        _let_go_of_output()
        status = _watch(worker, channel, heard, told)
        _sweep()
    finally:
        _end_like(status)


def _let_go_of_output() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)


def _watch(worker: int, channel: socket.socket, heard: int, told: list[int]) -> int:
    """The worker's wait status."""
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    poll.register(channel, select.POLLRDHUP)
    deadline: float | None = None
    while True:
        if (status := _reap(worker)) is not None:
            return status
        if told and deadline is None:
            deadline = time.monotonic() + GRACE
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)
        wait = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        for fd, _ in poll.poll(wait):
            if fd == heard:
                with suppress(BlockingIOError):
                    os.read(heard, 4096)
            else:
                poll.unregister(channel)
                told.append(signal.SIGHUP)
        if deadline is not None and time.monotonic() >= deadline:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            deadline += 1.0


def _reap(worker: int) -> int | None:
    """The wait status of the worker when it has ended; orphans that have ended are let go on the way."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1
        if pid == worker:
            return status
        if pid == 0:
            return None


def _sweep() -> None:
    """End every descendant. Killing the children makes us the parent of theirs, until there are none."""
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for child in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123 - pathlib is not loaded here
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _end_like(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        time.sleep(1)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)
