"""Keeps one confined worker, on Linux: answers for what the filter puts to it, sees how the worker ended, ends it.

    fork server (sandbox/server.py)
    └── keeper: one thread, no tool code · control socket to the host
        └── worker: confined · channel to the host

The keeper never runs anything of the tool's and believes nothing that it says. What the filter asks: may there be one
more thread (counted here, exact for any user), and where does this connection lead. A connection is made by the host
(`Doors.enter`) and put in place of the worker's own socket. Of the address only the port's number is used, and that to
look up a door of this call, so it does not matter that the worker could change it meanwhile.

The worker is ended when the host says so, and when the host is gone: its socket ends, or, should a copy of that live on
in a fork, its process does. Before the worker exists the keeper gives up, by Landlock, the power to signal anybody but
itself and its descendants. So `kill(-1)` reaches exactly this call.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from workbench.sandbox import confinement, linux, wire, worker
from workbench.sandbox.syscalls import numbers

LOOK = 0.1
"""Seconds between two looks at what the worker uses."""
_OURS = 256 << 20
"""What the server had imported before the fork does not count to the worker."""
_RECEIVE, _SEND, _VALID, _ADD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_NOTICE, _REPLY, _ADDED = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI"), struct.Struct("=QIIII")
_CONTINUE, _IN_PLACE = 1, 1
_LOOPBACK6 = bytes(15) + b"\1"


def keep(control: socket.socket, channel: socket.socket, output: int, owner: int) -> NoReturn:
    """Serve one call; ends this process. `owner`: a pidfd of the host. Call it in a fresh fork."""
    status = 1
    try:
        os.setsid()
        status = Keeper(control, owner).keep(channel, output)
    finally:
        os._exit(status)


class Keeper:
    def __init__(self, control: socket.socket, owner: int) -> None:
        self._control = control
        self._owner = owner
        self._inbox = wire.Inbox(16 << 20)
        self._worker = 0
        self._listener = -1
        self._scoped = False
        self._why = ""
        self._waiting: dict[int, tuple[int, int, int]] = {}
        self._most: Mapping[str, int] = {}

    def keep(self, channel: socket.socket, output: int) -> int:
        start = self._first()
        if start is None:
            return 1
        self._most = start["limits"]
        linux.no_new_privileges()
        linux.drop_capabilities()
        self._scoped = _scoped(start["abi"])
        ours, theirs = socket.socketpair()
        supervisor = os.getpid()
        self._worker = os.fork()
        if self._worker == 0:
            _work(start, channel, output, theirs, supervisor)
        channel.close()
        theirs.close()
        os.close(output)
        handle = os.pidfd_open(self._worker)
        said, fds, _, _ = socket.recv_fds(ours, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        ours.close()
        if fds:
            self._listener = fds[0]
            self._tell({"kind": "up", "pid": self._worker})
        else:
            self._tell({"kind": "failed", "why": said.decode("utf-8", "replace")})
        status = self._watch(handle)
        self._end_all()
        self._tell({"kind": "ended", "status": status, "why": self._why})
        return 0

    def _first(self) -> dict[str, Any] | None:
        while True:
            data = self._control.recv(1 << 16)
            if not data:
                return None
            for message in self._inbox.feed(data):
                return message

    def _tell(self, message: Mapping[str, Any]) -> None:
        with suppress(OSError):
            self._control.sendall(wire.pack(message))

    def _watch(self, handle: int) -> int:
        """How the worker ended: n, or -n by signal n."""
        poll = select.poll()
        for fd in (handle, self._owner, self._listener):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            for fd, event in poll.poll(LOOK * 1000):
                if fd == handle:
                    _, status = os.waitpid(self._worker, 0)
                    return os.waitstatus_to_exitcode(status)
                if fd == self._owner:
                    poll.unregister(fd)
                    self._kill()
                elif fd == self._listener:
                    if event & ~select.POLLIN:
                        poll.unregister(fd)
                    else:
                        self._answer()
                elif not self._hear():
                    poll.unregister(fd)
                    self._kill()
            self._look()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._worker, signal.SIGKILL)

    def _end_all(self) -> None:
        """End whatever else this call may have: nothing, as long as the filter holds."""
        if self._scoped:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGKILL)

    def _look(self) -> None:
        """What no limit of the kernel's counts: memory that could be shared, and files that have no name any more."""
        if _memory(self._worker) > self._most["memory"] + _OURS:
            self._why = "memory"
        elif _nameless(self._worker) > self._most["disk"]:
            self._why = "disk"
        else:
            return
        self._kill()

    # What the filter asks

    def _answer(self) -> None:
        buffer = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError:
            return None  # the thread that asked is gone
        number, thread, _, call, _, _, *arguments = _NOTICE.unpack(buffer)
        if call == numbers()["clone"]:
            full = os.stat(f"/proc/{self._worker}/task").st_nlink - 2 >= self._most["processes"]  # noqa: PTH116
            return self._reply(number, errno.EAGAIN if full else 0, 0 if full else _CONTINUE)
        try:
            port, flags = _asked(thread, *arguments[:3])
            fcntl.ioctl(self._listener, _VALID, struct.pack("=Q", number))  # else it was another process's memory
        except OSError as error:
            return self._reply(number, error.errno or errno.EFAULT)
        self._waiting[number] = (number, arguments[0] & 0xFFFFFFFF, flags)
        self._tell({"kind": "connect", "id": str(number), "port": port})
        return None

    def _reply(self, number: int, error: int, flags: int = 0) -> None:
        with suppress(OSError):
            fcntl.ioctl(self._listener, _SEND, bytearray(_REPLY.pack(number, 0, -error, flags)))

    def _hear(self) -> bool:
        """What the host says; False when the call is to end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 16, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return False
        self._inbox.fds.extend(fds)
        for message in self._inbox.feed(data):
            if message["kind"] == "door":
                self._enter(message)
        return bool(data)

    def _enter(self, message: Mapping[str, Any]) -> None:
        fd = self._inbox.fds.popleft() if message.get("fd") else -1
        number, target, flags = self._waiting.pop(int(message["id"]))
        if fd < 0:
            return self._reply(number, errno.ECONNREFUSED)
        problem = 0
        try:
            os.set_blocking(fd, not flags & os.O_NONBLOCK)
            close = os.O_CLOEXEC if flags & os.O_CLOEXEC else 0
            added = bytearray(_ADDED.pack(number, _IN_PLACE, fd, target, close))
            fcntl.ioctl(self._listener, _ADD, added)
        except OSError as error:
            problem = error.errno or errno.EBADF
        finally:
            os.close(fd)
        return self._reply(number, problem)


def _memory(worker: int) -> int:
    """Bytes of memory that are the worker's own, shared or not."""
    with suppress(OSError), open(f"/proc/{worker}/status") as file:  # noqa: PTH123 - ten times a second: pathlib is slow
        lines = [line.split() for line in file if line.startswith(("RssAnon", "RssShmem"))]
        return sum(int(words[1]) for words in lines) << 10
    return 0


def _nameless(worker: int) -> int:
    """Bytes of files that were removed while open or mapped."""
    total = 0
    with suppress(OSError), os.scandir(f"/proc/{worker}/fd") as listing:
        for entry in listing:
            with suppress(OSError):
                facts = entry.stat()
                if stat.S_ISREG(facts.st_mode) and not facts.st_nlink:
                    total += facts.st_blocks * 512
    with suppress(OSError), open(f"/proc/{worker}/maps") as file:  # noqa: PTH123 - as above
        for line in file:
            if line.endswith("(deleted)\n") and "/dev/zero" not in line:  # that is memory
                start, _, end = line.partition(" ")[0].partition("-")
                total += int(end, 16) - int(start, 16)
    return total


def _scoped(abi: int) -> bool:
    """Give up the power to signal others; whether that has been seen to hold. -1 would mean everybody otherwise."""
    parent = os.getppid()
    if not confinement.scope_signals(abi) or parent == 1:
        return False
    try:
        os.kill(parent, 0)
    except PermissionError:  # for a living process of the same user only Landlock says so
        return os.getppid() == parent
    return False


def _asked(thread: int, fd: int, address: int, size: int) -> tuple[int, int]:
    """The port that a thread wants to connect to, and the flags of its socket. Raises OSError, told to the thread."""
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(memory, min(size & 0xFFFFFFFF, 128), address)
    except (OverflowError, ValueError) as error:
        raise OSError(errno.EFAULT, "no such address") from error
    finally:
        os.close(memory)
    if len(data) < 16:
        raise OSError(errno.EINVAL, "no address")
    (family,) = struct.unpack_from("=H", data)
    near = family == socket.AF_INET and data[4] == 127
    if family == socket.AF_INET6 and len(data) >= 24:
        near = data[8:24] == _LOOPBACK6 or data[8:21] == bytes(10) + b"\xff\xff\x7f"
    elif family != socket.AF_INET:
        raise OSError(errno.EACCES, "no such kind of address")
    if not near:
        raise OSError(errno.ENETUNREACH, "there is no network")
    with open(f"/proc/{thread}/fdinfo/{fd & 0xFFFFFFFF}") as file:  # noqa: PTH123 - as above
        flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags:"))
    return int(struct.unpack_from(">H", data, 2)[0]), flags


def _work(
    start: Mapping[str, Any], channel: socket.socket, output: int, report: socket.socket, supervisor: int
) -> NoReturn:
    """The worker's side of the fork: confined first, then as any other worker."""
    try:
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for fd, place in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(fd, place)
        streams = (os.fdopen(fd, mode, closefd=False) for fd, mode in enumerate("rww"))
        sys.stdin, sys.stdout, sys.stderr = streams
        _close_all_but(channel.fileno(), report.fileno())
        listener = confinement.confine(start["grants"], start["scratch"], start["abi"])
        socket.send_fds(report, [b"confined"], [listener])
        os.close(listener)
        report.close()
        worker.serve(channel)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the host has to hear of it
        with suppress(OSError):
            report.sendall(f"{type(error).__name__}: {error}".encode())
    os._exit(1)


def _close_all_but(*kept: int) -> None:
    last = 2
    for fd in sorted(kept):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, 1 << 16)
