"""What goes to a declared host goes to the address that was checked, under a certificate of that host's name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpcore2
import httpx2
import pytest
import trustme
from httpcore2._backends.auto import AutoBackend

from tests.policy.doors import ALLOWED, HOST, KEY, SECRETS
from workbench.core.errors import ToolFailed
from workbench.policy.outgoing import WayOut

ADDRESS = "93.184.216.34"
ASK = {"url": f"https://{HOST}/a", "auth": {"bearer": "KEY"}}


@dataclass
class Far:
    """A server with TLS that stands at ADDRESS. `connected`: where connections were to go; `names`: asked by SNI."""

    transport: httpx2.AsyncHTTPTransport
    connected: list[tuple[str, int]] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)


class Detour(AutoBackend):
    """Connects to this machine instead of anywhere else."""

    def __init__(self, port: int, connected: list[tuple[str, int]]) -> None:
        self.port = port
        self.connected = connected

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        self.connected.append((host, port))
        return await super().connect_tcp("127.0.0.1", self.port, *args, **options)


@asynccontextmanager
async def far(name: str, *, trusted: bool = True) -> AsyncIterator[Far]:
    """A server whose certificate is for `name`, signed by somebody whom the client trusts or not."""
    authority = trustme.CA()
    ours = ssl.create_default_context()
    if trusted:
        authority.configure_trust(ours)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(theirs)
    there = Far(httpx2.AsyncHTTPTransport(verify=ours))
    theirs.sni_callback = lambda connection, asked, context: there.names.append(asked)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs) as server:
        port = server.sockets[0].getsockname()[1]
        # The pool takes a way to connect; the transport around it does not pass one on.
        there.transport._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ours, network_backend=Detour(port, there.connected)
        )
        yield there


async def resolve(host: str) -> list[str]:
    return [ADDRESS]


async def test_the_key_goes_to_the_checked_address_under_the_certificate_of_the_name():
    async with far(HOST) as there:
        answered = await WayOut(ALLOWED, SECRETS, {}, resolve=resolve, transport=there.transport).send(ASK)
    assert answered.content == b"ok"
    assert there.connected == [(ADDRESS, 443)]
    assert there.names == [HOST]
    assert f"Host: {HOST}".lower().encode() in there.heard[0].lower()
    assert f"Bearer {KEY}".encode() in there.heard[0]


@pytest.mark.parametrize(("name", "trusted"), [("evil.example.com", True), (ADDRESS, True), (HOST, False)])
async def test_a_certificate_of_another_name_or_of_a_stranger_gets_no_byte(name, trusted):
    async with far(name, trusted=trusted) as there:
        with pytest.raises(ToolFailed, match="certificate that cannot be checked"):
            await WayOut(ALLOWED, SECRETS, {}, resolve=resolve, transport=there.transport).send(ASK)
    assert there.heard == []
