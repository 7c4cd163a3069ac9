"""Tries to break out of a sandbox, in one call, and looks at what really happened.

Each probe is judged by its effect on something of ours: a file, a listener, a process that must live. What the worker
says counts only for what it read, and as proof that it tried at all. The first
probes are the opposite, things that must work, so that a sandbox in which nothing runs does not pass.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.sandbox.base import Sandbox
from workbench.sandbox.doors import Doors
from workbench.sandbox.scratch import scratch

SECONDS = 20.0

_SOURCE = """
import ctypes, os, resource, socket, subprocess, sys, threading
from workbench import toolkit

def run(at: dict):
    tried, found = [], []
    def attempt(name):
        def now(function):
            tried.append(name)
            try:
                found.append(str(function()))
            except Exception as error:
                found.append(type(error).__name__)
        return now
    libc = ctypes.CDLL(None, use_errno=True)

    @attempt("works")
    def _():
        with open("mine", "w") as file:
            file.write("x")
        thread = threading.Thread(target=os.remove, args=("mine",))
        thread.start()
        thread.join()
        with socket.create_connection(("127.0.0.1", toolkit.call("door")), timeout=5) as door:
            door.sendall(at["word"].encode())
            door.recv(1)
    @attempt("read")
    def _(): return open(at["secret"]).read()
    @attempt("read of the host's environment")
    def _(): return "ENVIRON" if open(f"/proc/{at['host']}/environ", "rb").read() else ""
    @attempt("read of the child's memory")
    def _(): return "MEMORY" if open(f"/proc/{at['child']}/maps").read() else ""
    @attempt("write")
    def _(): open(at["folder"] + "/new", "w").close()
    @attempt("truncate")
    def _(): os.truncate(at["secret"], 0)
    @attempt("remove")
    def _(): os.remove(at["spare"])
    @attempt("chmod")
    def _(): os.chmod(at["secret"], 0)
    @attempt("tcp")
    def _(): socket.create_connection(("127.0.0.1", at["tcp"]), timeout=2)
    @attempt("fast open")
    def _(): socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", at["tcp"]))
    @attempt("multipath tcp")
    def _(): socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect(("127.0.0.1", at["tcp"]))
    @attempt("udp")
    def _(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", at["udp"]))
    @attempt("unix socket")
    def _(): socket.socket(socket.AF_UNIX).connect(at["unix"])
    @attempt("abstract socket")
    def _(): socket.socket(socket.AF_UNIX).connect("\\0" + at["abstract"])
    @attempt("datagram from a pair")
    def _(): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", at["datagram"])
    @attempt("limits of others")
    def _(): resource.prlimit(at["child"], resource.RLIMIT_NOFILE, (64, 64))
    @attempt("priority of others")
    def _(): os.setpriority(os.PRIO_PROCESS, at["child"], 19)
    @attempt("shared memory")
    def _():
        number = libc.shmget(at["key"], 4096, 0o1600)
        return "SHARED" if number >= 0 and libc.shmctl(number, 0, None) == 0 else ""
    @attempt("signal")
    def _(): os.kill(at["victim"], 9)
    @attempt("exec")
    def _(): subprocess.run([sys.executable, "-I", "-S", "-c", "open(%r, 'w')" % at["ran"]], timeout=5)
    @attempt("fork")
    def _():
        if (child := os.fork()) == 0:
            os.write(1, b"FORKED")
            os._exit(0)
        os.waitpid(child, 0)
    return {"tried": tried, "found": found}
"""


@dataclass(frozen=True, slots=True)
class Probed:
    """One thing that was tried. `held`: nothing got through (or, for what must work, it worked)."""

    name: str
    held: bool
    detail: str = ""


async def selftest(sandbox: Sandbox, home: Path) -> tuple[Probed, ...]:
    """How the sandbox did, probe by probe. Raises Unavailable when it cannot run a call at all."""
    with scratch(home) as folder, ExitStack() as stack:
        targets = _Targets(stack)
        heard: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readexactly(len(targets.word)))
            writer.write(b"!")

        doors = Doors()

        async def door(params: Mapping[str, Any]) -> Any:
            return await doors.open(listen)

        tool = ToolSpec(name="selftest", summary="", params={}, version="", source=_SOURCE.encode(), uses=("door",))
        call = ToolCall(run="selftest", step="selftest", tool=tool, params={"at": targets.told()}, timeout=SECONDS)
        result = await sandbox.run(call, {"door": door}, folder / "artifacts", doors=doors)
        return tuple(_judged(result, targets, heard == [targets.word]))


def _judged(result: ToolResult, targets: _Targets, door: bool) -> Iterator[Probed]:
    value: Any = result.value if isinstance(result.value, dict) else {}
    tried = value.get("tried", ())
    said = json.dumps(value) + result.text
    whole = result.status == "ok" and len(tried) == _SOURCE.count("@attempt")
    yield _probed("the probes run", whole, result.error or "not all of them")
    yield _probed("own files, threads and ports work", door, "the port was not reached")
    for name, harmed in targets.harm(said).items():
        yield _probed(name, not harmed, "it got through")


def _probed(name: str, held: bool, otherwise: str) -> Probed:
    return Probed(name, held, "" if held else otherwise)


class _Targets:
    """What the probes are aimed at, all of it ours."""

    def __init__(self, stack: ExitStack) -> None:
        self.word = secrets.token_hex(16).encode()
        # Not below the home: the path in a socket's address may have 107 bytes.
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workbench-")))
        self._secret, self._spare = self._folder / "secret", self._folder / "spare"
        self._text = secrets.token_hex(16)
        self._secret.write_text(self._text)
        self._spare.touch()
        self._abstract = f"workbench-{self._text}"
        self._key = secrets.randbits(30) | 1
        self._tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._udp.bind(("127.0.0.1", 0))
        self._unix, self._far, self._datagram = (
            stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
        )
        self._unix.bind(str(self._folder / "unix"))
        self._datagram.bind(str(self._folder / "datagram"))
        self._far.bind(f"\0{self._abstract}")
        for listener in (self._unix, self._far):
            listener.listen()
        for each in (self._tcp, self._udp, self._unix, self._far, self._datagram):
            each.setblocking(False)
        self._child, self._victim = stack.enter_context(_child()), stack.enter_context(_child())
        self._before = self._facts()

    def told(self) -> dict[str, Any]:
        return {
            "word": self.word.decode(),
            "secret": str(self._secret),
            "folder": str(self._folder),
            "spare": str(self._spare),
            "host": os.getpid(),
            "child": self._child.pid,
            "victim": self._victim.pid,
            "tcp": self._tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "unix": str(self._folder / "unix"),
            "datagram": str(self._folder / "datagram"),
            "abstract": self._abstract,
            "key": self._key,
            "ran": str(self._folder / "ran"),
        }

    def _facts(self) -> tuple[Any, ...]:
        return resource.prlimit(self._child.pid, resource.RLIMIT_NOFILE), os.getpriority(
            os.PRIO_PROCESS, self._child.pid
        )

    def harm(self, said: str) -> dict[str, bool]:
        """What came of it: the probes by name, and whether each got through."""
        secret = self._secret
        limits, priority = self._facts()
        return {
            "a file of the user's is not read": self._text in said,
            "the environment of the host is not read": "ENVIRON" in said,
            "the memory of another process is not seen": "MEMORY" in said,
            "no file is made outside": (self._folder / "new").exists(),
            "no file is emptied": secret.stat().st_size == 0,
            "no file is removed": not self._spare.exists(),
            "no rights of a file are changed": stat.S_IMODE(secret.stat().st_mode) == 0,
            "no TCP connection, plain, fast or multipath": _knocked(self._tcp),
            "no UDP": _received(self._udp),
            "no unix socket": _knocked(self._unix),
            "no abstract unix socket": _knocked(self._far),
            "no datagram to a unix socket": _received(self._datagram),
            "no signal to another process": self._victim.poll() is not None,
            "no limits of another process": limits != self._before[0],
            "no priority of another process": priority != self._before[1],
            "no shared memory that stays": "SHARED" in said,
            "no other program runs": (self._folder / "ran").exists(),
            "no process is forked": "FORKED" in said,
        }


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that does nothing until it is let go."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, env={}
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _knocked(listener: socket.socket) -> bool:
    with suppress(BlockingIOError):
        listener.accept()[0].close()
        return True
    return False


def _received(bound: socket.socket) -> bool:
    with suppress(BlockingIOError):
        return bool(bound.recv(16))
    return False
