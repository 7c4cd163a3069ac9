"""A small HTTP server on a loopback socket that answers, misbehaves and remembers as a test wants."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """One answer. `declared`: the Content-Length to claim; `wait`: seconds before the answer."""

    status: int = 200
    body: bytes | str | dict[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    wait: float = 0.0

    def head_and_body(self) -> tuple[bytes, bytes]:
        body = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        data = body.encode() if isinstance(body, str) else body
        kind = {"Content-Type": "application/json"} if isinstance(self.body, dict) else {}
        length = len(data) if self.declared is None else self.declared
        headers = {**kind, "Content-Length": str(length), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode(), data


@dataclass
class Heard:
    """A request that came in; header names in small letters."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Gives the replies in turn, the last one again and again. `heard` holds what was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [Reply()]
        self.heard: list[Heard] = []
        self.open: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[asyncio.current_task()] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.heard.append(Heard(line, headers, body))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            await asyncio.sleep(reply.wait)
            head, data = reply.head_and_body()
            writer.write(head + data)
            await writer.drain()
        await self.end(writer)
        del self.open[asyncio.current_task()]

    async def end(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def close(self) -> None:
        """End what is still being answered."""
        for task, writer in list(self.open.items()):
            if task is not None:
                task.cancel()
            await self.end(writer)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server on a thread of its own; its `url` is http://127.0.0.1 and a free port."""
    server, started = Server(), threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        end = asyncio.Event()
        async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
            server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            stop.append((asyncio.get_running_loop(), end))
            started.set()
            await end.wait()
            await server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        loop, end = stop[0]
        loop.call_soon_threadsafe(end.set)
        thread.join()
