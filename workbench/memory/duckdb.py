"""The memory of every kernel on one WORKBENCH_HOME: own journals for writing, one shared DuckDB file for reading.

An event is acknowledged when this process's journal is synced; it reaches the tables about a second later, or as soon
as somebody reads. What this process wrote itself it knows at once, from RAM.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.core.request import Scope
from workbench.core.usage import Use
from workbench.memory import folder as folders
from workbench.memory import tables, usage
from workbench.memory.base import Hit, Page
from workbench.memory.blobs import Blobs
from workbench.memory.embed import Embedder
from workbench.memory.journal import Disk, Journal
from workbench.memory.payloads import Payloads
from workbench.memory.recall import Recall
from workbench.memory.recent import Recent, is_whole_and_live, ordered, the_run
from workbench.memory.shared import Busy
from workbench.memory.store import Compacted, Store
from workbench.memory.vectors import Vectors

T = TypeVar("T")

_PATIENCE = 5.0
_memories: WeakSet[DuckDBMemory] = WeakSet()
_inherited: list[object] = []
"""A parent's database connections, in its forked child: never used there, and never freed, which could hang."""


class DuckDBMemory:
    """`Memory` on `home`. Making one touches nothing: files come with the first event or the first question.

    `merge_seconds`: how long after an event the tables may lag behind. `wait_seconds`: how long a read waits for other
    processes. `embedder`: compares meanings at recall; None: words alone are compared. `network`: whether a home on a
    network file system is accepted. `notices`: what the user should hear about, one line each.
    """

    def __init__(
        self,
        home: Path,
        *,
        embedder: Embedder | None = None,
        merge_seconds: float = 1.0,
        wait_seconds: float = _PATIENCE,
        disk: Disk | None = None,
        network: bool = False,
    ) -> None:
        self.home = home.absolute()
        self._embedder = embedder
        self.notices: list[str] = []
        self._merge_seconds = merge_seconds
        self._wait_seconds = wait_seconds
        self._network = network
        self.payloads = Payloads(self.home / "artifacts")
        self._journal = Journal(self.home / "journal", disk=disk, payloads=self.payloads)
        self._closed = False
        self._afresh()
        _memories.add(self)

    def _afresh(self) -> None:
        self._pid = os.getpid()
        self._store = Store(self.home, wait=self._wait_seconds, notices=self.notices, network=self._network)
        self._recent = Recent()
        self._recall = Recall(self._vectors())
        self._recalled: tuple[str, int] = ("", 0)  # the store and the position up to which `_recall` has heard it
        self._recalled_sizes: Mapping[str, int] | None = None  # not even a look yet
        self._recalling = threading.Lock()
        self._unmerged = threading.Event()
        self._stop = threading.Event()
        self._merger: threading.Thread | None = None

    def _vectors(self) -> Vectors | None:
        if self._embedder is None:
            return None
        return Vectors(self._embedder, blobs=self.blobs, folder=self.home / "index")

    @property
    def blobs(self) -> Blobs:
        """The vectors that are kept."""
        return Blobs(self._store)

    def append(self, event: AnyEvent) -> None:
        self._own()
        if self._closed:
            raise Unavailable("The memory is closed.", hint="Open a new workbench.")
        if self._merger is None:
            folders.check_local(self.home, self._network)
        size = self._journal.append(event)
        self._recent.hear(event, size)
        self._recall.hear(event)
        if self._merger is None:
            self._start()
        self._unmerged.set()

    async def barrier(self) -> None:
        await self._journal.barrier()

    async def events(self, run: str, *, user: str | None = None) -> Sequence[AnyEvent]:
        return await asyncio.to_thread(self._events, run, user)

    async def page(self, after: int = 0, limit: int = 2_000, *, user: str | None = None) -> Page:
        def read(connection: Any) -> Page:
            events, position = tables.page(connection, after, limit, user)
            return Page(events=events, position=position)

        page = await asyncio.to_thread(self._read, read)
        return replace(page, events=await asyncio.to_thread(self.payloads.joined, page.events))

    async def runs(self, limit: int = 20, *, user: str | None = None) -> Sequence[Mapping[str, Any]]:
        return await asyncio.to_thread(self._read, lambda connection: tables.runs(connection, limit, user))

    async def done_before(self, identities: Collection[str], user: str, limit: int = 30) -> Sequence[str]:
        return await asyncio.to_thread(self._read, lambda store: tables.done_before(store, identities, user, limit))

    async def recall(self, question: str, scope: Scope, limit: int = 5) -> Sequence[Hit]:
        def search() -> Sequence[Hit]:
            self._hear_others()
            return self._recall.search(question, scope, limit)

        return await asyncio.to_thread(search)

    async def memories(self, scope: Scope) -> Sequence[Hit]:
        await asyncio.to_thread(self._hear_others)
        return self._recall.all(scope)

    @property
    def vectors(self) -> Vectors | None:
        """What compares meanings, None when nothing does."""
        return self._recall.vectors

    async def spent(self, user: str, since: datetime, reservation: str | None = None) -> Use:
        return await asyncio.to_thread(self._read, lambda store: usage.spent(store, user, since, reservation))

    async def snapshot(self, path: Path, *, user: str | None = None) -> None:
        await self.barrier()
        await asyncio.to_thread(self._reading, lambda: self._store.snapshot(path, user))

    async def erase(self, runs: Collection[str]) -> Sequence[str]:
        await self.barrier()
        left = await asyncio.to_thread(self._reading, lambda: self._store.erase(runs, self._journal.look))
        await asyncio.to_thread(self._hear_others)
        return left

    async def erased(self) -> frozenset[str]:
        return await asyncio.to_thread(self._read, tables.erased)

    async def compact(self) -> Compacted:
        """Make a verified snapshot, and delete the journals of dead processes that it covers."""
        return await asyncio.to_thread(self._reading, self._store.compact)

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close` for a caller without an event loop."""
        self._own()
        if self._closed:
            return
        self._closed = True
        self._stop_merging()
        try:
            self._journal.close()
        finally:
            if self._merger is not None:
                with suppress(Unavailable):  # then the next process on this home takes it over
                    self._merge_for(seconds=2.0)
            self._store.close()

    def _own(self) -> None:
        if os.getpid() != self._pid:  # a forked child: nothing of the parent's may be used, only what is on disk
            _inherited.append(self._store)
            self._afresh()

    def _reading(self, work: Callable[[], T]) -> T:
        self._own()
        if self._closed:
            raise Unavailable("The memory is closed.", hint="Open a new workbench.")
        return work()

    def _read(self, query: Callable[[Any], T]) -> T:
        def read() -> T:
            with suppress(Unavailable):  # a disk that takes no more can still be read
                self._journal.wait(_PATIENCE)
            return self._store.read(query)

        return self._reading(read)

    def _events(self, run: str, user: str | None) -> Sequence[AnyEvent]:
        def stored(connection: Any) -> tuple[list[str], list[AnyEvent], frozenset[str]]:
            names = tables.runs_like(connection, run, user)
            chosen = run if run in names or len(names) != 1 else names[0]
            return names, tables.events_of(connection, chosen, user), tables.erased(connection)

        try:
            names, events, erased = self._read(stored)
        except Unavailable:
            # Of a run that goes on here nobody else knows more.
            if not self._closed and user is None and is_whole_and_live(own := self._recent.events(run)):
                return own
            raise
        whole = self.payloads.joined(events)
        if user is not None:  # what is theirs the tables say, and all that is appended here is in them by now
            the_run(run, names)
            return ordered(whole)
        return self._recent.completed(run, names, whole, erased)

    def _hear_others(self) -> None:
        """Bring `_recall` up to what other processes have made durable; a look at file sizes when there is nothing."""

        def hear() -> None:
            with self._recalling:
                found = self._store.sizes()
                own = self._journal.names
                sizes = {name: size for name, size in found.items() if name not in own}
                # An own journal that went: what was in it may have been erased by another.
                sizes |= dict.fromkeys(own - set(found), -1)
                if sizes == self._recalled_sizes:
                    return
                store, position = self._recalled
                newest = self._store.read(lambda connection: tables.memory_events(connection, position))
                if position and newest.store != store:  # made again from the journals meanwhile: positions differ
                    newest = self._store.read(lambda connection: tables.memory_events(connection, 0))
                self._recall.erase(newest.erased)
                for run in newest.erased:
                    self._recent.drop(run)
                for event in self.payloads.joined(newest.events):
                    self._recall.hear(event)
                self._recalled, self._recalled_sizes = (newest.store, newest.position), sizes

        try:
            self._reading(hear)
        except Unavailable:
            if self._closed or not self._recalled[0]:
                raise  # nothing was ever heard: an empty answer would be a wrong one

    def _start(self) -> None:
        self._merger = threading.Thread(target=self._merging, name="workbench-merge", daemon=True)
        self._merger.start()

    def _merging(self) -> None:
        pause = self._merge_seconds
        while True:
            self._unmerged.wait()
            if self._stop.wait(pause):
                return
            self._unmerged.clear()
            try:
                self._journal.wait(_PATIENCE)  # what is still on its way to the file would be missed
                while not self._store.merge():
                    if self._stop.wait(0.01):
                        return
                self._store.finish_erasures()
                if self._store.is_loose():
                    self._store.compact()
                pause = self._merge_seconds
            except Busy:
                self._unmerged.set()
            except Unavailable as error:
                self._unmerged.set()
                pause = min(pause * 2, 60.0)
                if str(error) not in self.notices:
                    self.notices.append(str(error))

    def _merge_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._store.merge(wait=left):
            continue

    def _stop_merging(self) -> None:
        if self._recall.vectors is not None:
            self._recall.vectors.close()
        self._stop.set()
        self._unmerged.set()  # wakes the thread
        if self._merger is not None:
            self._merger.join(_PATIENCE)


@atexit.register
def _at_exit() -> None:
    for memory in list(_memories):
        if memory._pid == os.getpid() and not memory._closed:
            # The journal flushes itself. No merge: the process should end, and the next one takes over what is left.
            memory._stop_merging()
