"""The fork server that this process owns: started when it is needed, started again when it has ended.

One for all sandboxes of the process that import from the same places; it ends when the last of them lets go. Why it is
not shared with other processes: see `sandbox.server`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress

from workbench.core.errors import Unavailable
from workbench.sandbox.course import environment
from workbench.sandbox.server import BOOT

IDLE = 600
"""Seconds without a call after which a server ends."""


class Server:
    """A fork server and the way to it, from any thread of the process that made it. `owner` is that process."""

    def __init__(self, imports: Sequence[str], idle: int = IDLE) -> None:
        self._imports = imports
        self._idle = idle
        self._lock = threading.Lock()
        self._running: list[_Running] = []
        self._last = ""
        self.owner = os.getpid()
        weakref.finalize(self, _end, self._running)

    @property
    def pid(self) -> int | None:
        """The process that serves, None when there is none."""
        running = self._running[0] if self._running else None
        return running.popen.pid if running is not None and running.popen.poll() is None else None

    def start(self) -> None:
        """Have it run. Raises Unavailable."""
        with self._lock:
            self._start()

    def hand(self, *fds: int) -> None:
        """Give it the descriptors of a call; it takes them as soon as it is ready. Raises Unavailable."""
        with self._lock:
            for _ in range(2):
                try:
                    socket.send_fds(self._start().control, [b"call"], fds)
                except (BrokenPipeError, ConnectionResetError):
                    self._last = _end(self._running)  # it was idle for long, or somebody ended it
                except OSError as error:
                    raise Unavailable(f"The fork server takes no call: {error.strerror}.") from error
                else:
                    return
        raise Unavailable(f"The fork server does not start: {self.why()}.")

    def why(self) -> str:
        """The last line that it said, which is why it ended when it did."""
        said = self._running[0].last_line() if self._running else self._last
        return said or "it ended and did not say why"

    def end(self) -> None:
        """End it. Idempotent; the next call starts it again."""
        with self._lock:
            self._last = _end(self._running)

    def _start(self) -> _Running:
        if self.pid is None:
            self._last = _end(self._running)
            self._running.append(_Running(self._imports, self._idle))
        return self._running[0]


class _Running:
    """A server's process, this end of its socket, and the file that takes what it says."""

    def __init__(self, imports: Sequence[str], idle: int) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(theirs.fileno()), str(idle), *imports],
                stdin=subprocess.DEVNULL,
                stdout=self.said,
                stderr=self.said,
                env=environment(),
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            self.control.close()
            self.said.close()
            raise Unavailable(f"Cannot start the fork server: {error.strerror or error}.") from error
        finally:
            theirs.close()
        self.control.setblocking(False)
        self._owner = os.getpid()

    def last_line(self) -> str:
        lines = os.pread(self.said.fileno(), 100_000, 0).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def end(self) -> str:
        """End it; gives its last line. A forked child only lets go of its copies."""
        self.control.close()
        if self._owner == os.getpid():
            self.popen.kill()
            self.popen.wait()
        else:
            self.popen.returncode = 0
        last = self.last_line()
        self.said.close()
        return last


def _end(running: list[_Running]) -> str:
    with suppress(IndexError):  # emptied first: this may run in a collection, in the middle of itself
        return running.pop().end()
    return ""


_lock = threading.Lock()
_servers: weakref.WeakValueDictionary[tuple[str, ...], Server] = weakref.WeakValueDictionary()


def shared(imports: Sequence[str]) -> Server:
    """This process's server for these places. It lives for as long as somebody keeps it."""
    with _lock:
        server = _servers.get(tuple(imports))
        if server is None:
            server = _servers[tuple(imports)] = Server(imports)
        return server


def _forget() -> None:
    """In a forked child: what is here belongs to the parent, and a thread that is not here may hold the lock."""
    global _lock, _servers
    _lock, _servers = threading.Lock(), weakref.WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
