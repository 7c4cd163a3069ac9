"""The host's side of one call: gives the worker what it may have, and takes what it sends as from a stranger.

Any sandbox that gives a worker one end of a socket pair talks to it through `Conversation`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from workbench.core.artifacts import FileKind
from workbench.core.errors import ToolFailed, TransientError, WorkbenchError
from workbench.core.tools import ToolCall
from workbench.sandbox import wire
from workbench.sandbox.base import Service
from workbench.sandbox.exchange import opening
from workbench.sandbox.files import Inputs, Outputs
from workbench.sandbox.limits import Limits
from workbench.sandbox.values import clean

MAX_LINES = 1000
"""Progress lines of one call that are passed on, and sources that are kept."""
MAX_LINE = 500
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What the worker says about the tool: a value whose files are still to be settled, or how it failed."""

    value: Any = None
    error: Mapping[str, Any] | None = None


class Conversation:
    """Talks with one worker about one call until it is done. `ready` once the tool's own code runs; `sources` are those
    that the tool has named so far."""

    def __init__(
        self,
        channel: socket.socket,
        call: ToolCall,
        *,
        services: Mapping[str, Service],
        inputs: Inputs,
        outputs: Outputs,
        limits: Limits,
        project: Path,
        room: Mapping[str, Any],
        progress: Callable[[str], None],
    ) -> None:
        self._channel = channel
        self._services = {name: service for name, service in services.items() if may_use(call.tool.uses, name)}
        self._inputs = inputs
        self._outputs = outputs
        self._limits = limits
        self._progress = progress
        self._sending = asyncio.Lock()
        self._lines = 0
        self.ready = False
        self.sources: list[dict[str, str]] = []
        self._first = opening(call, inputs, limits, project, room)

    async def talk(self) -> Done:
        """The worker's `done`. Raises BrokenFrame when it does not keep to the protocol, EOFError when it ends without
        a word; what a host function raises that is no WorkbenchError is our bug and raised as it is."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks: set[asyncio.Task[None]] = set()
                group_sending = group.create_task(self._send_first())
                done = await self._listen(group, tasks)
                for task in (group_sending, *tasks):
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return done

    async def _send_first(self) -> None:
        try:
            await self._send(self._first)
        except (BrokenPipeError, ConnectionResetError):
            return  # the worker is gone; the listener finds that out too

    async def _listen(self, group: asyncio.TaskGroup, tasks: set[asyncio.Task[None]]) -> Done:
        loop = asyncio.get_running_loop()
        inbox = wire.Inbox(self._limits.result + 4096)
        while True:
            try:
                data = await loop.sock_recv(self._channel, 1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            for message in inbox.feed(data):
                match message["kind"]:
                    case "ready":
                        self.ready = True
                    case "done":
                        return _done(message)
                    case "progress" | "source" as kind:
                        self._hear(kind, message)
                    case "call" | "input" | "output":
                        while len(tasks) >= _AT_ONCE:
                            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                        task = group.create_task(self._answer(message))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
                    case kind:
                        raise wire.BrokenFrame(f"a frame of kind {kind[:40]!r}")

    def _hear(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "progress" and self._lines < MAX_LINES:
            self._lines += 1
            self._progress(_line(message.get("text")))
        elif kind == "source" and len(self.sources) < MAX_LINES:
            self.sources.append({"title": _line(message.get("title")), "url": _line(message.get("url"), 2000)})

    async def _answer(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        fd = -1
        answer: dict[str, Any] = {"kind": "answer", "id": number}
        try:
            match message["kind"]:
                case "input":
                    fd = self._inputs.open(message.get("file"))
                case "output":
                    answer["value"], fd = self._output(message)
                case _:
                    answer["value"] = await self._serve(message)
        except WorkbenchError as error:
            answer["error"] = _told(error)
        try:
            await self._send(pack_answer(answer, self._limits.answer, has_fd=fd >= 0), fd)
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            if fd >= 0:
                os.close(fd)

    def _output(self, message: Mapping[str, Any]) -> tuple[int, int]:
        title, alt = _line(message.get("title")), _line(message.get("alt"), 4000)
        kind: Any = message.get("as")
        return self._outputs.open(kind if kind in get_args(FileKind) else "frame", title=title, alt=alt)

    async def _serve(self, message: Mapping[str, Any]) -> Any:
        name, params = message.get("service"), message.get("params")
        service = self._services.get(name) if isinstance(name, str) else None
        if service is None or not isinstance(params, dict):
            raise ToolFailed(f"the tool may not call {_line(name)!r}", hint="Declare it in the tool's USES.")
        handed: Mapping[str, Any] = params
        if any(isinstance(value, dict) and wire.FILE in value for value in params.values()):
            handed = await asyncio.to_thread(self._handed, params)
        try:
            return await service(handed)
        except (KeyError, TypeError, ValueError) as error:
            raise ToolFailed(f"{name} was called with wrong parameters ({type(error).__name__}: {error})") from error

    def _handed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a host function with the files that the tool hands over as artifacts."""
        return {
            name: self._outputs.handed(value[wire.FILE]) if isinstance(value, dict) and wire.FILE in value else value
            for name, value in params.items()
        }

    async def _send(self, data: bytes, fd: int = -1) -> None:
        loop = asyncio.get_running_loop()
        async with self._sending:
            sent = 0
            while fd >= 0 and not sent:
                try:
                    sent = socket.send_fds(self._channel, [data], [fd])
                except BlockingIOError:
                    await _writable(self._channel)
            await loop.sock_sendall(self._channel, memoryview(data)[sent:])


def may_use(uses: tuple[str, ...], service: str) -> bool:
    """Whether a tool's USES name a host function, by itself or by what stands before its dot."""
    return service in uses or service.partition(".")[0] in uses


def pack_answer(answer: dict[str, Any], max_bytes: int, *, has_fd: bool) -> bytes:
    """An answer as a frame, or the frame that says that it is too large."""
    if has_fd:
        answer["fd"] = True
    data = wire.pack(answer)
    if len(data) <= max_bytes:
        return data
    message = f"the answer is {len(data):,} bytes of JSON; the limit is {max_bytes:,}"
    return wire.pack({"kind": "answer", "id": answer["id"], "error": {"kind": "failed", "message": message}})


def _done(message: Mapping[str, Any]) -> Done:
    error = message.get("error")
    if error is not None and not isinstance(error, dict):
        raise wire.BrokenFrame("a failure without words")
    return Done(value=message.get("value"), error=error)


def _told(error: WorkbenchError) -> dict[str, Any]:
    kind = "transient" if isinstance(error, TransientError) else "failed"
    return {
        "kind": kind,
        "message": clean(error.message),
        "hint": clean(error.hint),
        "after": getattr(error, "retry_after", None),
    }


def _line(value: Any, most: int = MAX_LINE) -> str:
    """Anything as one clean line."""
    text = clean(value) if isinstance(value, str) else "" if value is None else clean(str(value))
    return " ".join(text[: most * 2].split())[:most]


async def _writable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(channel, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(channel)
