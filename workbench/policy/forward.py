"""A PostgreSQL server behind a port of one call. The host logs in, so that no worker ever holds the password.

    worker ──startup──▶ host ──startup, TLS, password──▶ server
           ◀──ready────      ◀──ready──────────────────
           ◀════════════ bytes as they are ════════════▶

Whatever database and user a worker asks for, it is led to the declared ones. A request to cancel is passed on when its
key is one that was given out here.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import SecretStr

from workbench.core.connections import Connection
from workbench.core.errors import Unavailable
from workbench.policy.scram import Scram

MAX_BYTES = 160_000_000
"""From the server to the worker, in one connection."""
_PATIENCE = 20.0
"""Seconds for connecting and logging in."""
_FAREWELL = 3.0
"""Seconds for cancelling what a worker has left behind."""
_MAX_MESSAGE = 1 << 20
_GOODBYE = b"X\0\0\0\x04"
_PROTOCOL, _CANCEL, _TLS, _GSS = 196_608, 80_877_102, 80_877_103, 80_877_104


@dataclass(slots=True)
class Meter:
    """What one connection carried. `sent` is from the worker to the server."""

    sent: int = 0
    received: int = 0
    error: str = ""
    said_goodbye: bool = False


class Forward:
    """Serves the connections of one call to one declared server. `ended` hears of each when it is over."""

    def __init__(
        self,
        connection: Connection,
        password: SecretStr | None,
        ended: Callable[[Meter], None] = lambda meter: None,
    ) -> None:
        self._connection = connection
        self._password = password
        self._ended = ended
        self._keys: set[bytes] = set()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection of the worker, from its first byte to its last."""
        meter = Meter()
        server: StreamWriter | None = None
        try:
            async with asyncio.timeout(_PATIENCE):
                first = await _startup(reader, writer)
                if first[4:8] == struct.pack("!i", _CANCEL):
                    return await self._cancel(first)
                answers, server = await self._connect()
                await self._log_in(answers, server, writer)
            await self._pass_on(reader, writer, answers, server, meter)
        except (Unavailable, OSError, EOFError, TimeoutError, ValueError, struct.error) as error:
            meter.error = error.message if isinstance(error, Unavailable) else _said(error)
            hint = error.hint if isinstance(error, Unavailable) else ""
            with suppress(OSError):
                writer.write(_refusal(meter.error, hint))
                await writer.drain()
        finally:
            if server is not None:
                # A server notices that nobody listens only when it has something to say: what still runs is cancelled.
                try:
                    if not meter.said_goodbye:
                        await self._cancel_all()
                finally:
                    server.transport.abort()
                    self._ended(meter)
            else:
                self._ended(meter)
        return None

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        there = self._connection
        if there.host.startswith("/"):
            return await asyncio.open_unix_connection(f"{there.host}/.s.PGSQL.{there.port}")
        reader, writer = await asyncio.open_connection(there.host, there.port)
        if there.is_encrypted:
            writer.write(struct.pack("!ii", 8, _TLS))
            await writer.drain()
            if await reader.readexactly(1) != b"S":
                writer.transport.abort()
                raise Unavailable("The database server speaks no TLS.", hint='Set tls = "off" if its network is safe.')
            await writer.start_tls(ssl.create_default_context(cafile=there.ca), server_hostname=there.host)
        return reader, writer

    async def _log_in(self, answers: StreamReader, server: StreamWriter, worker: StreamWriter) -> None:
        """Log in at the server and tell the worker that it is in."""
        there = self._connection
        facts = {"user": there.user, "database": there.dbname, "application_name": "agent-workbench"}
        text = b"".join(f"{key}\0{value}\0".encode() for key, value in facts.items()) + b"client_encoding\0UTF8\0\0"
        server.write(struct.pack("!ii", len(text) + 8, _PROTOCOL) + text)
        await server.drain()
        scram: Scram | None = None
        while True:
            kind, body = await _message(answers)
            if kind == b"R":
                code = struct.unpack_from("!i", body)[0]
                if code == 0:
                    if scram is not None and not scram.proven:
                        raise Unavailable("The database server did not prove who it is.")
                    worker.write(_packed(b"R", body))
                else:
                    scram = await self._prove(code, body[4:], server, scram)
            elif kind == b"E":
                # In the server's own words: it says which role or database it does not know.
                worker.write(_packed(kind, body))
                await worker.drain()
                raise EOFError("refused")
            elif kind in (b"S", b"K", b"Z"):
                if kind == b"K":
                    self._keys.add(body)
                worker.write(_packed(kind, body))
                if kind == b"Z":
                    return await worker.drain()

    async def _prove(self, code: int, body: bytes, server: StreamWriter, scram: Scram | None) -> Scram | None:
        """Answer the server's question for the password."""
        there = self._connection
        if self._password is None:
            what = f"its secret {there.secret} is not set" if there.secret else "the connection names no secret"
            raise Unavailable(f"The database asks for a password, and {what}.", hint="See `secret` in config.toml.")
        password = self._password.get_secret_value()
        if code == 10 and b"SCRAM-SHA-256" in body.split(b"\0"):
            scram = Scram(password)
            first = scram.first()
            server.write(_packed(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first))
        elif code == 11 and scram is not None:
            server.write(_packed(b"p", await asyncio.to_thread(scram.answer, body)))
        elif code == 12 and scram is not None:
            scram.check(body)
        elif code in (3, 5) and not (there.is_encrypted or there.is_local):
            raise Unavailable("The database asks for the password on an open line.", hint="Use tls, or SCRAM.")
        elif code == 3:
            server.write(_packed(b"p", password.encode() + b"\0"))
        elif code == 5:
            inner = hashlib.md5((password + there.user).encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + body[:4], usedforsecurity=False).hexdigest()
            server.write(_packed(b"p", b"md5" + outer.encode() + b"\0"))
        else:
            raise Unavailable("The database asks for a way of logging in that is not known here.", hint="Use SCRAM.")
        await server.drain()
        return scram

    async def _pass_on(
        self, reader: StreamReader, writer: StreamWriter, answers: StreamReader, server: StreamWriter, meter: Meter
    ) -> None:
        """Carry bytes both ways until one side has ended."""

        async def out() -> None:
            while data := await reader.read(1 << 16):
                meter.sent += len(data)
                meter.said_goodbye = data.endswith(_GOODBYE)
                server.write(data)
                await server.drain()

        async def back() -> None:
            while data := await answers.read(1 << 16):
                meter.received += len(data)
                if meter.received > MAX_BYTES:
                    meter.error = f"more than {MAX_BYTES // 1_000_000} MB came back"
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(out()), asyncio.create_task(back())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _cancel_all(self) -> None:
        """Also when the call is being cleared away meanwhile: then this is finished first."""
        farewell = asyncio.create_task(self._cancel_each())
        try:
            await asyncio.shield(farewell)
        except asyncio.CancelledError:
            await farewell
            raise

    async def _cancel_each(self) -> None:
        with suppress(OSError, TimeoutError, Unavailable):
            async with asyncio.timeout(_FAREWELL):
                for key in self._keys:
                    await self._cancel(struct.pack("!ii", len(key) + 8, _CANCEL) + key)

    async def _cancel(self, request: bytes) -> None:
        if request[8:] not in self._keys:
            return
        _, server = await self._connect()
        try:
            server.write(request)
            await server.drain()
        finally:
            server.close()
            with suppress(OSError):
                await server.wait_closed()


async def _startup(reader: StreamReader, writer: StreamWriter) -> bytes:
    """The worker's startup or cancel message, after any wish for encryption, which this port does not need."""
    while True:
        head = await reader.readexactly(4)
        length = struct.unpack("!i", head)[0]
        if not 8 <= length <= 10_000:
            raise ValueError("no startup message")
        message = head + await reader.readexactly(length - 4)
        code = struct.unpack_from("!i", message, 4)[0]
        if code in (_TLS, _GSS):
            writer.write(b"N")
            await writer.drain()
        elif code == _CANCEL or code >> 16 == _PROTOCOL >> 16:
            return message
        else:
            raise ValueError("no startup message")


async def _message(reader: StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    length = struct.unpack("!i", await reader.readexactly(4))[0]
    if not 4 <= length <= _MAX_MESSAGE:
        raise ValueError("the server speaks no PostgreSQL")
    return kind, await reader.readexactly(length - 4)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _refusal(message: str, hint: str) -> bytes:
    fields = {"S": "FATAL", "V": "FATAL", "C": "08001", "M": message} | ({"H": hint} if hint else {})
    return _packed(b"E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")


def _said(error: BaseException) -> str:
    """What went wrong, without addresses: the worker knows the connection by its name only."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the database server's certificate is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "the database server does not answer"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return f"the database server cannot be reached ({type(error).__name__})"
    return "the database server ended the connection"
