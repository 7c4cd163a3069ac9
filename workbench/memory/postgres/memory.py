"""The memory of every kernel and machine on one PostgreSQL: its COMMIT acknowledges, there is no journal.

What this process wrote itself it knows at once, from RAM; what others have committed is found with the next question.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.core.request import Scope
from workbench.core.usage import Use
from workbench.memory import rows
from workbench.memory.base import Hit, Page
from workbench.memory.embed import Embedder
from workbench.memory.postgres import copy, erasing, tables, usage
from workbench.memory.postgres.address import read
from workbench.memory.postgres.blobs import Blobs
from workbench.memory.postgres.commits import Commits
from workbench.memory.postgres.leases import ServerLeases
from workbench.memory.postgres.server import Server
from workbench.memory.recall import Recall
from workbench.memory.recent import Recent, is_whole_and_live, the_run
from workbench.memory.vectors import Vectors

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

T = TypeVar("T")

_PATIENCE = 5.0
_DEAF = 2.0
"""Seconds for which a server that did not answer is not asked for others' memories again."""

_inherited: list[object] = []
"""A parent's connections, in its forked child: never used there, and never freed, which would end the parent's."""


class PostgresMemory:
    """`Memory` on the database that `dsn` (postgresql://…) names. Making one connects to nothing.

    `home`: folder for the index of vectors, which is a cache. `embedder`: compares meanings at recall; None: words
    alone are compared. `wait_seconds`: how long the server may take for one answer. `notices`: what the user should
    hear about, one line each. `place` names the database, without its password. Raises Unavailable when `dsn` is none.
    """

    def __init__(
        self, dsn: str, home: Path, *, embedder: Embedder | None = None, wait_seconds: float = _PATIENCE
    ) -> None:
        self._address = read(dsn)
        self.place = self._address.place
        self._home = home
        self._embedder = embedder
        self._wait_seconds = wait_seconds
        self._closed = False
        self._afresh()

    def _afresh(self) -> None:
        self._pid = os.getpid()
        self._server = Server(self._address, wait=self._wait_seconds)
        self._commits = Commits(self._server, wait=self._wait_seconds)
        self.leases = ServerLeases(self._server)
        self._recent = Recent()
        self._recall = Recall(self._vectors())
        self._recalled: tuple[str, int] = ("", 0)  # the store and the position up to which `_recall` has heard it
        self._recalling = threading.Lock()
        self._deaf_until = 0.0

    def _vectors(self) -> Vectors | None:
        if self._embedder is None:
            return None
        of_this = hashlib.sha256(self.place.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return Vectors(self._embedder, blobs=self.blobs, folder=self._home / "index" / of_this)

    @property
    def blobs(self) -> Blobs:
        """The vectors that are kept."""
        return Blobs(self._server)

    @property
    def notices(self) -> list[str]:
        failure = self._commits.failure
        return [] if failure is None else [str(failure)]

    @property
    def facts(self) -> str:
        """The server's version and how the connection is secured, once it was asked; "" before."""
        return self._server.facts

    @property
    def vectors(self) -> Vectors | None:
        """What compares meanings, None when nothing does."""
        return self._recall.vectors

    def append(self, event: AnyEvent) -> None:
        self._own()
        size = self._commits.append(event)
        self._recent.hear(event, size)
        self._recall.hear(event)

    async def barrier(self) -> None:
        self._own()
        await self._commits.barrier()

    async def events(self, run: str, *, user: str | None = None) -> Sequence[AnyEvent]:
        return await asyncio.to_thread(self._events, run, user)

    async def runs(self, limit: int = 20, *, user: str | None = None) -> Sequence[Mapping[str, Any]]:
        return await asyncio.to_thread(self._read, lambda connection: tables.runs(connection, limit, user))

    async def done_before(self, identities: Collection[str], user: str, limit: int = 30) -> Sequence[str]:
        query = partial(tables.done_before, identities=identities, user=user, limit=limit)
        return await asyncio.to_thread(self._read, query)

    async def recall(self, question: str, scope: Scope, limit: int = 5) -> Sequence[Hit]:
        def search() -> Sequence[Hit]:
            self._hear_others()
            return self._recall.search(question, scope, limit)

        return await asyncio.to_thread(search)

    async def memories(self, scope: Scope) -> Sequence[Hit]:
        await asyncio.to_thread(self._hear_others)
        return self._recall.all(scope)

    async def spent(self, user: str, since: datetime, reservation: str | None = None) -> Use:
        return await asyncio.to_thread(self._read, lambda server: usage.spent(server, user, since, reservation))

    async def page(self, after: int = 0, limit: int = 2_000, *, user: str | None = None) -> Page:
        query = partial(tables.page, after=after, limit=limit, user=user)
        found = await asyncio.to_thread(self._read, query)
        events = await asyncio.to_thread(rows.events, [row[1:] for row in found])
        return Page(events=events, position=found[-1][0] if found else after)

    async def snapshot(self, path: Path, *, user: str | None = None) -> None:
        await self.barrier()
        await asyncio.to_thread(copy.to_duckdb, self._server, path, user)

    async def erase(self, runs: Collection[str]) -> Sequence[str]:
        await self.barrier()
        left = await asyncio.to_thread(erasing.erase, self._server, runs)
        await asyncio.to_thread(self._hear_others)
        return left

    async def erased(self) -> frozenset[str]:
        return await asyncio.to_thread(self._read, tables.erased)

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close` for a caller without an event loop."""
        self._own()
        if self._closed:
            return
        self._closed = True
        if self._recall.vectors is not None:
            self._recall.vectors.close()
        try:
            self._commits.close(self._wait_seconds)
        finally:
            self._server.close()

    def _own(self) -> None:
        if os.getpid() != self._pid:  # a forked child: nothing of the parent's may be used
            _inherited.append((self._server, self._commits))
            self._afresh()

    def _ask(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        self._own()
        if self._closed:
            raise Unavailable("The memory is closed.", hint="Open a new workbench.")
        return self._server.ask(query)

    def _read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        """What a query says about a store that holds all that this process has appended."""
        self._own()
        if self._commits.failure is None:
            with suppress(Unavailable):  # a server that takes nothing more can perhaps still be read
                self._commits.wait(self._wait_seconds)
        return self._ask(query)

    def _events(self, run: str, user: str | None) -> Sequence[AnyEvent]:
        async def stored(connection: Connection) -> tuple[list[str], list[rows.Row], frozenset[str]]:
            names = await tables.runs_like(connection, run, user)
            chosen = run if run in names or len(names) != 1 else names[0]
            return names, await tables.events_of(connection, chosen, user), await tables.erased(connection)

        try:
            names, found, erased = self._read(stored)
        except Unavailable:
            # Of a run that goes on here nobody else knows more.
            if not self._closed and user is None and is_whole_and_live(own := self._recent.events(run)):
                return own
            raise
        if user is not None:  # what is theirs the tables say
            the_run(run, names)
            return rows.events(found)
        return self._recent.completed(run, names, rows.events(found), erased)

    def _hear_others(self) -> None:
        """Bring `_recall` up to what other processes have committed."""
        with self._recalling:
            heard = bool(self._recalled[0])
            if heard and time.monotonic() < self._deaf_until:
                return
            store, position = self._recalled
            try:
                newest = self._ask(lambda connection: tables.memory_events(connection, position))
                if position and newest.store != store:  # another database by now: its positions are others
                    newest = self._ask(lambda connection: tables.memory_events(connection, 0))
            except Unavailable:
                if self._closed or not heard:
                    raise  # nothing was ever heard: an empty answer would be a wrong one
                self._deaf_until = time.monotonic() + _DEAF
                return
            self._recall.erase(newest.erased)
            for run in newest.erased:
                self._recent.drop(run)
            for event in newest.events:
                self._recall.hear(event)
            self._recalled = (newest.store, newest.position)
