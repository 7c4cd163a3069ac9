"""Level `kernel`, the host's side: a call is handed to the fork server, and its keeper reports how it goes.

What holds, on top of level `process`: no file but those that were granted, no network but the doors of the call, no
signal, no memory and no kernel object of anybody else, no further process, no new privileges. See `confinement`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.core.errors import Unavailable
from workbench.core.tools import ToolCall, ToolResult
from workbench.sandbox import files, linux, wire
from workbench.sandbox.base import Level, Service
from workbench.sandbox.course import Course, Room, imports, to_the_end
from workbench.sandbox.doors import Doors
from workbench.sandbox.grants import granted
from workbench.sandbox.limits import Limits
from workbench.sandbox.output import Output
from workbench.sandbox.owned import Server, shared

_START = 60.0
"""Seconds that a worker may take to be there; a cold server imports its packages meanwhile."""
_PATIENCE = 1.5
"""Seconds from telling a keeper to end its worker until it is taken for dead."""


class ConfinedSandbox:
    """Runs each call in a confined fork of a warm server. `home` is WORKBENCH_HOME, `project` the user's project,
    `guarded` are further folders that no call is ever granted. `abi`: the newest interface of Landlock to use.
    `server`: a fork server of its own, None to share this process's.

    May be used from any event loop, many calls at once.
    """

    level: Level = "kernel"

    def __init__(
        self,
        home: Path,
        project: Path,
        guarded: tuple[Path, ...] = (),
        limits: Limits | None = None,
        *,
        abi: int | None = None,
        server: Server | None = None,
    ) -> None:
        self._project = project
        self._guarded = (home, *guarded)
        self._limits = limits or Limits()
        self._abi = abi
        self._course = Course(home, project, self.level, self._limits, "")
        self._imports = imports(project)
        self._server = server

    @property
    def server(self) -> Server:
        """The fork server that this sandbox uses, together with the others of this process."""
        if self._server is None or self._server.owner != os.getpid():
            self._server = shared(self._imports)
        return self._server

    async def prepare(self) -> Level:
        """See `Sandbox.prepare`. Starts the server; it takes calls while it still imports."""
        self.server.start()
        return self.level

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None] = lambda text: None,
        doors: Doors | None = None,
    ) -> ToolResult:
        """See `Sandbox.run`."""
        doors = doors or Doors()

        async def start(call: ToolCall, room: Room) -> Confined:
            return await self._start(call, room, doors)

        try:
            return await self._course.run(call, services, artifacts, progress, start)
        finally:
            await doors.close()

    async def close(self) -> None:
        """Let go of the server, which ends with its last user. A call that still runs goes on."""
        self._server = None

    async def _start(self, call: ToolCall, room: Room, doors: Doors) -> Confined:
        grants = await asyncio.to_thread(granted, call, self._project, self._imports, self._guarded)
        frame = wire.pack(
            {
                "kind": "start",
                "scratch": str(room.folder.resolve()),
                "grants": asdict(grants),
                "limits": asdict(self._limits),
                "abi": min(linux.landlock_abi(), self._abi or 1 << 16),
            }
        )
        why = ""
        for again in (True, False):
            worker = Confined(self.server, self._limits.output, doors)
            if await worker.started(frame):
                return worker
            why = worker.why or self.server.why()
            await worker.end()
            worker.channel.close()
            if worker.why or not again:
                break
        raise Unavailable(f"A confined worker could not start: {why}.", hint="`workbench doctor --sandbox` has more.")


class Confined:
    """A confined worker; see `course.Worker`. Made, it is already on its way."""

    def __init__(self, server: Server, most: int, doors: Doors) -> None:
        pairs = [socket.socketpair() for _ in range(2)]
        (self._control, keepers), (self.channel, theirs) = pairs
        pipe, printed = os.pipe()
        try:
            server.hand(keepers.fileno(), theirs.fileno(), printed)
        except BaseException:
            self._control.close()
            self.channel.close()
            files.close([pipe])
            raise
        finally:
            keepers.close()
            theirs.close()
            files.close([printed])
        self._control.setblocking(False)
        self.channel.setblocking(False)
        self.output = Output(pipe, most)
        self.why = ""
        self._doors = doors
        self._status = -signal.SIGKILL  # what it is when nobody can say any more
        self._up, self._over = asyncio.Event(), asyncio.Event()
        self._sending = asyncio.Lock()
        self._answers: set[asyncio.Task[None]] = set()
        self._listening = asyncio.create_task(self._listen())

    async def started(self, frame: bytes) -> bool:
        """Tell the keeper about the call; True when the worker is there and confined."""
        try:
            async with asyncio.timeout(_START):
                with suppress(BrokenPipeError, ConnectionResetError):
                    await asyncio.get_running_loop().sock_sendall(self._control, frame)
                waits = [asyncio.create_task(event.wait()) for event in (self._up, self._over)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in waits:
                        task.cancel()
        except TimeoutError:
            self.why = f"the fork server did not answer within {_START:g} s"
        except BaseException:
            await self.end()
            self.channel.close()
            raise
        return self._up.is_set()

    async def _listen(self) -> None:
        loop, inbox = asyncio.get_running_loop(), wire.Inbox(1 << 16)
        try:
            while data := await loop.sock_recv(self._control, 1 << 16):
                for message in inbox.feed(data):
                    self._hear(message)
        except OSError:
            pass
        finally:
            self._over.set()

    def _hear(self, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "up":
                self._up.set()
            case "failed":
                self.why = str(message["why"]) or "it died before it was confined"
            case "connect":
                task = asyncio.create_task(self._enter(message))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
            case "ended":
                self._status, self.why = int(message["status"]), self.why or str(message["why"])
                self._over.set()

    async def _enter(self, message: Mapping[str, Any]) -> None:
        """Answer the keeper with a connection to a door of the call, or with none."""
        inside = None
        with suppress(OSError):
            inside = await self._doors.enter(int(message["port"]))
        answer = {"kind": "door", "id": message["id"], "fd": inside is not None}
        try:
            async with self._sending:
                # One small frame: a keeper that does not even take that is ended with its call.
                with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    if inside is None:
                        self._control.send(wire.pack(answer))
                    else:
                        inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        socket.send_fds(self._control, [wire.pack(answer)], [inside.fileno()])
        finally:
            if inside is not None:
                inside.close()

    async def ended(self) -> None:
        await self._over.wait()

    async def end(self) -> int:
        return await to_the_end(self._end())

    async def _end(self) -> int:
        try:
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._over.wait()
        finally:  # also when the event loop is closing and cancels everything: closed, the keeper ends its worker
            for task in (self._listening, *self._answers):
                task.cancel()
            self._control.close()
            self.output.close()
        await asyncio.gather(self._listening, *self._answers, return_exceptions=True)
        return self._status
