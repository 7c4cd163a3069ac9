"""The warm fork server, on Linux: imports what tools need, calls none of it, and forks a keeper for each call.

    host ──socket (one message a call, with three descriptors)──▶ server ──fork──▶ keeper ──fork──▶ worker

Forking is safe only where no other thread holds a lock, so the server is a process of its own, started by exec, with a
clean environment and exactly one thread; when a library starts one on import the server says so and ends. What it has
imported costs a call nothing and is shared memory. Nothing of one call reaches the next: the server itself never sees a
call, only the three descriptors of one.

Each owner has a server of its own, at the end of a socket pair: no path in the file system that another process could
connect to, nothing to authenticate, and nothing of one user or project in the memory of another. The price is memory
for each kernel that runs tools. The server ends when its owner does, in whichever way, and after a while without calls.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from workbench.sandbox import keeper

BOOT = (
    "import sys; sys.path[:] = sys.argv[3:]; from workbench.sandbox.server import main; main(*map(int, sys.argv[1:3]))"
)
"""What the bare interpreter runs: the socket, seconds of patience, and the places to import from."""
PRELOAD = ("numpy", "pandas", "pyarrow", "duckdb", "workbench.sandbox.arrow")
"""Imported where they are installed. Libraries that draw are left out: they would take the server over 150 MB."""


def main(fd: int, patience: int) -> NoReturn:
    """Serve the owner at the other end of the socket until it is gone, or for `patience` seconds without a call."""
    owner = os.getppid()
    handle = os.pidfd_open(owner)
    if os.getppid() != owner:  # it died before there was something to watch it by
        sys.exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers: they report to the host
    for name in PRELOAD:
        with suppress(ImportError):
            importlib.import_module(name)
    if (threads := len([*Path("/proc/self/task").iterdir()])) != 1:
        os.write(2, f"the fork server has {threads} threads, so it may not fork".encode())
        os._exit(1)  # without waiting for them
    _freeze()
    _serve(socket.socket(fileno=fd), handle, patience)
    os._exit(0)


def _freeze() -> None:
    """Leave what is there to itself: a collection in a child would copy the pages that it marks."""
    import gc

    gc.collect()
    gc.freeze()


def _serve(control: socket.socket, owner: int, patience: int) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(owner, select.POLLIN)
    while events := poll.poll(patience * 1000):
        if any(fd == owner for fd, _ in events):
            return
        _, fds, _, _ = socket.recv_fds(control, 64, 3, socket.MSG_CMSG_CLOEXEC)
        if not fds:
            return
        if len(fds) == 3 and _forked():
            control.close()
            line, channel, output = fds
            keeper.keep(socket.socket(fileno=line), socket.socket(fileno=channel), output, owner)
        for fd in fds:
            os.close(fd)


def _forked() -> bool:
    """True in the child. A fork that fails closes the call's descriptors, and that is how its host hears of it."""
    try:
        child = os.fork()
    except OSError:
        return False
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return child == 0
