"""Doors on real ports, a server behind them, and raw clients in front of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from tests.web import Server, serving
from workbench.core.tools import Permissions
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.recording import Recorder
from workbench.policy.secrets import Secrets
from workbench.sandbox.doors import Doors

KEY = "sk-Live0123456789abcdef"
HOST = "api.example.com"
ALLOWED = Permissions(network=(HOST,), secrets=("KEY",))
SECRETS = Secrets({"KEY": SecretStr(KEY), "OTHER": SecretStr("Another-secret-42")})
AUTH = {"bearer": "KEY"}


@dataclass
class Street:
    """One call's doors. `told` holds the bodies of what was recorded."""

    doors: Doors
    server: Server
    door: Any
    way: WayOut
    told: list[Mapping[str, Any]] = field(default_factory=list)

    async def open(self, host: str = HOST, auth: Mapping[str, str] | None = AUTH) -> str:
        answer = await self.door({"host": host, "auth": auth})
        return str(answer["url"])


@asynccontextmanager
async def street(folder: Path, *, limits: Mapping[str, float] | None = None, **options: Any) -> AsyncIterator[Street]:
    """Doors to HOST, which a server on this machine stands for. `limits` are those of a door, `options` of the way."""
    doors = Doors()
    doors.listening = True
    with serving() as server:
        told: list[Mapping[str, Any]] = []
        recorder = Recorder(told.append, folder, "r1", Counter())
        way = WayOut(ALLOWED, SECRETS, {HOST: server.url}, recorder, **options)
        try:
            yield Street(doors, server, door_service(way.send, way, doors, **(limits or {})), way, told)
        finally:
            await doors.close()


async def say(url: str, data: bytes, *, end: bool = False) -> bytes:
    """Everything that the door answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    try:
        writer.write(data)
        if end:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read(-1)
    finally:
        writer.close()


def get(url: str, path: str = "/a", *, method: str = "GET", host: str = "", headers: str = "", body: str = "") -> bytes:
    """A request to a door as bytes, on a connection of its own."""
    parts = urlsplit(url)
    first = f"{method} {parts.path}{path} HTTP/1.1\r\nHost: {host or parts.netloc}\r\n"
    return f"{first}Connection: close\r\n{headers}\r\n{body}".encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0
