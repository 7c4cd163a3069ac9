"""Talking with a PostgreSQL server from any thread, never for longer than was said.

One thread with an event loop of its own holds the connections: `writing` for commits, `reading` for questions. So a
server that is slow, gone or frozen holds up neither a notebook's loop nor the events that wait. What does not answer in
time is cut off at the socket; the next use connects anew.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import Unavailable
from workbench.memory.postgres import tables
from workbench.memory.postgres.address import Address

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

T = TypeVar("T")

_HINTS = (
    ("28", "Check the user and the password in WORKBENCH_MEMORY."),
    ("3D000", "Create it on the server: createdb NAME."),
    ("42501", "SECURITY.md says what the role must be allowed."),
    ("53100", "Free some space on the server; what was not written is kept and tried again."),
    ("53300", "Close other programs, or allow more connections on the server."),
)
_BEFORE = re.compile(r"^(?:connection failed: )?(?:connection to server (?:at|on) .*? failed: )?(?:FATAL: +)?")
_AWAY = "Is the server running? What was not written is kept and tried again."
_CERTIFICATE = "Name its authority with sslrootcert=FILE in WORKBENCH_MEMORY, or say which sslmode will do."


class Server:
    """The connections to one server. `wait`: seconds that one use may take. Makes none before it is asked."""

    def __init__(self, address: Address, *, wait: float) -> None:
        self.address = address
        self.wait = wait
        self.facts = ""
        """The version of the server, once connected, and how the connection is secured."""
        self.lines: list[Line] = []
        self.writing = Line(self)
        self.reading = Line(self)
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start work on the loop of the connections."""
        with self._guard:
            if self._loop is None:
                # psycopg needs a loop that watches sockets, which Windows' own does not.
                self._loop = asyncio.SelectorEventLoop() if os.name == "nt" else asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_turning, args=[self._loop], name="workbench-postgres", daemon=True
                )
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` gives, from a thread that may block. Raises Unavailable."""
        return self.submit(self.reading.use(work)).result()

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run a callback on the loop, if there is one."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """Let go of the connections. Idempotent; nothing may be asked afterwards."""
        with self._guard:
            loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._end(loop), loop)
            self._thread.join(self.wait)

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in list(self.lines):
            await line.close()
        loop.stop()

    def explained(self, error: Exception) -> Unavailable:
        """The one line that tells what is wrong with the server, with what to do."""
        words = self.address.clean(str(error)).strip() or type(error).__name__
        state = getattr(error, "sqlstate", None) or ""
        hint = next((hint for start, hint in _HINTS if state.startswith(start)), "" if state else _AWAY)
        if state.startswith(("57P", "08")):
            hint = _AWAY
        if "password authentication" in words or "no password supplied" in words:
            hint = _HINTS[0][1]
        elif "does not exist" in words and not state:
            hint = _HINTS[1][1]
        elif "certificate" in words or "SSL" in words:
            hint = _CERTIFICATE
        reason = _BEFORE.sub("", words.splitlines()[0]).rstrip(".")
        return Unavailable(f"{self.address.place} cannot be used: {reason}.", hint=hint, sqlstate=state)


def _turning(loop: asyncio.AbstractEventLoop) -> None:
    """Turn a loop until it is stopped; nothing of it is left then."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        with suppress(RuntimeError):  # at the end of the process no thread can be started
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class Line:
    """One connection, used by one at a time, made anew when it is lost. Used on the server's loop only. `wait`: seconds
    that one use may take, None for those of the server."""

    def __init__(self, server: Server, *, wait: float | None = None) -> None:
        self._server = server
        self._wait = server.wait if wait is None else wait
        self._turn: asyncio.Lock | None = None
        server.lines.append(self)
        self._connection: Connection | None = None

    async def use(self, work: Callable[[Connection], Awaitable[T]], *, once: bool = False) -> T:
        """What `work` gives. It is done again when the connection turns out to have been lost meanwhile, so it must be
        such that this changes nothing; with `once` it is not. Raises Unavailable."""
        try:
            import psycopg
        except ImportError as error:
            hint = 'pip install "agent-workbench[postgres]"'
            raise Unavailable("A memory on PostgreSQL needs the package psycopg.", hint=hint) from error
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            for again in (not once, False):
                was_open = self._connection is not None
                try:
                    return await self._bounded(self._with_connection(work))
                except psycopg.Error as error:
                    lost = self._connection is None or self._connection.closed
                    await self._drop()
                    if not (again and lost and was_open):
                        raise self._server.explained(error) from error
                except BaseException:
                    await self._drop()
                    raise
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Let go of the connection."""
        if self in self._server.lines:
            self._server.lines.remove(self)
        await self._drop()

    async def _with_connection(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect()
        return await work(self._connection)

    async def _connect(self) -> Connection:
        import psycopg

        # Prepared statements would not survive a pooler between us and the server.
        connection = await psycopg.AsyncConnection.connect(
            self._server.address.conninfo(), autocommit=True, prepare_threshold=None
        )
        self._connection = connection  # so that it can be cut off from here on
        await tables.prepare(connection)
        self._server.facts = await _facts(connection)
        return connection

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=self._wait)
        if not done:
            self._cut()
            await asyncio.wait({task}, timeout=1.0)
            task.cancel()
            with suppress(Exception, asyncio.CancelledError):
                await task
            place, seconds = self._server.address.place, self._wait
            raise Unavailable(f"{place} did not answer in {seconds:g} s.", hint=_AWAY)
        return task.result()

    def _cut(self) -> None:
        """End the conversation at once, whatever the server does: the driver's own way to stop asks it first."""
        if self._connection is not None and not self._connection.closed:
            with suppress(OSError), socket.socket(fileno=os.dup(self._connection.pgconn.socket)) as end:
                end.shutdown(socket.SHUT_RDWR)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close()


async def _facts(connection: Connection) -> str:
    cursor = await connection.execute(
        "select current_setting('server_version'), exists (select from pg_extension where extname = 'vector')"
    )
    (version, vectors) = (await cursor.fetchall())[0]
    tls = "encrypted" if connection.pgconn.ssl_in_use else "not encrypted"
    return f"PostgreSQL {version.split()[0]}, {tls}, {'with pgvector' if vectors else 'without pgvector'}"
