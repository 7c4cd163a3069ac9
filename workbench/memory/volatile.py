"""A memory without files: for tests, and for users who want nothing kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, dumps, loads
from workbench.core.request import Scope
from workbench.core.usage import Use
from workbench.memory import copies, engine, tables, usage
from workbench.memory.base import Hit, Page
from workbench.memory.embed import Embedder
from workbench.memory.recall import Recall
from workbench.memory.recent import ordered
from workbench.memory.vectors import Vectors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


class Kept:
    """What is remembered, in this process only; memories that are handed the same one share it. `embedder`: compares
    meanings at recall; None: words alone are compared."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.guard = threading.Lock()
        self.events: dict[str, AnyEvent] = {}
        self.erased: set[str] = set()
        self.recall = Recall(None if embedder is None else Vectors(embedder))


class InMemoryMemory:
    """`Memory` in RAM. `kept`: what to share with another memory of this process."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.kept = kept or Kept()
        self._closed = False

    def append(self, event: AnyEvent) -> None:
        self._check()
        event = loads(dumps(event))  # as it would come back from a file: JSON only, and nobody else's to change
        with self.kept.guard:
            if event.run in self.kept.erased:
                return
            self.kept.events.setdefault(event.id, event)
        self.kept.recall.hear(event)

    async def barrier(self) -> None:
        return None

    async def events(self, run: str, *, user: str | None = None) -> Sequence[AnyEvent]:
        self._check()
        events = await self._all(user)
        names = sorted({event.run for event in events if event.run.startswith(run)})
        if run not in names and len(names) > 1:
            raise Refused(f"{len(names)} runs begin with {run!r}: {', '.join(names[:3])}", hint="Give more of the id.")
        chosen = run if run in names or not names else names[0]
        return ordered([event for event in events if event.run == chosen])

    async def page(self, after: int = 0, limit: int = 2_000, *, user: str | None = None) -> Page:
        self._check()
        events = (await self._all(user))[after : after + max(1, limit)]
        return Page(events=events, position=after + len(events))

    async def erase(self, runs: Collection[str]) -> Sequence[str]:
        self._check()
        with self.kept.guard:
            self.kept.erased |= set(runs)
            for name in [name for name, event in self.kept.events.items() if event.run in runs]:
                del self.kept.events[name]
        self.kept.recall.erase(runs)
        return []

    async def erased(self) -> frozenset[str]:
        with self.kept.guard:
            return frozenset(self.kept.erased)

    async def runs(self, limit: int = 20, *, user: str | None = None) -> Sequence[Mapping[str, Any]]:
        self._check()

        def read() -> Sequence[Mapping[str, Any]]:
            with self._tables() as connection:
                return tables.runs(connection, limit, user)

        return await asyncio.to_thread(read)

    async def done_before(self, identities: Collection[str], user: str, limit: int = 30) -> Sequence[str]:
        self._check()

        def read() -> Sequence[str]:
            with self._tables() as connection:
                return tables.done_before(connection, identities, user, limit)

        return await asyncio.to_thread(read)

    async def recall(self, question: str, scope: Scope, limit: int = 5) -> Sequence[Hit]:
        self._check()
        return await asyncio.to_thread(self.kept.recall.search, question, scope, limit)

    async def memories(self, scope: Scope) -> Sequence[Hit]:
        self._check()
        return self.kept.recall.all(scope)

    async def spent(self, user: str, since: datetime, reservation: str | None = None) -> Use:
        self._check()

        def read() -> Use:
            with self._tables() as connection:
                return usage.spent(connection, user, since, reservation)

        return await asyncio.to_thread(read)

    async def snapshot(self, path: Path, *, user: str | None = None) -> None:
        self._check()

        def copy() -> None:
            with self._tables() as connection:
                copies.copy(connection, path, user=user)

        await asyncio.to_thread(copy)

    async def close(self) -> None:
        self._closed = True

    @property
    def vectors(self) -> Vectors | None:
        """What compares meanings, None when nothing does."""
        return self.kept.recall.vectors

    def _check(self) -> None:
        if self._closed:
            raise Unavailable("The memory is closed.", hint="Open a new workbench.")

    async def _all(self, user: str | None) -> list[AnyEvent]:
        """The events in the order in which they came."""
        with self.kept.guard:
            events = list(self.kept.events.values())
        if user is None:
            return events

        def read() -> set[str]:
            with self._tables() as connection:
                found, _ = tables.page(connection, 0, len(events), user)
                return {event.id for event in found}

        theirs = await asyncio.to_thread(read)
        return [event for event in events if event.id in theirs]

    def _tables(self) -> Connection:
        # The same tables and views as the shared file has, so that a test which reads them reads the real thing.
        connection = engine.connect()
        tables.prepare(connection)
        with self.kept.guard:
            events = list(self.kept.events.values())
        tables.insert(connection, events)
        return connection
