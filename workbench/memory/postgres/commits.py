"""The events on their way to the server: its COMMIT acknowledges them, many at once.

    append(event)  →  queue  →  one INSERT for all that waits  →  barrier() returns

While the server is away, what is not acknowledged stays here, in order, and is tried again, more and more rarely, up to
once in two seconds. `append` never waits; it refuses once so much has gathered that the memory of this process is at
stake. An event that was committed when its acknowledgement got lost is sent again, and is there once.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from functools import partial

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent, dumps
from workbench.memory.postgres import tables
from workbench.memory.postgres.server import Server
from workbench.memory.rows import Row

MAX_WAITING = 64 << 20
"""Bytes of events that may wait."""

_MAX_EVENTS = 1_000
_MAX_BYTES = 1 << 20
_PAUSES = (0.05, 2.0)
_open: set[Commits] = set()
"""Those that may hold events: kept alive until they are closed, whoever else lets go of them."""


class Commits:
    """The queue of one process. Thread-safe. `wait`: seconds after which a barrier says that the server is away."""

    def __init__(self, server: Server, *, wait: float) -> None:
        self._server = server
        self._wait = wait
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._queue: deque[tuple[Row, int]] = deque()
        self._bytes = 0
        self._appended = 0
        self._durable = 0
        self._waiters: list[tuple[int, Future[None]]] = []
        self.failure: Unavailable | None = None
        """Why the newest try failed; None when it did not."""
        self._overtaken: frozenset[str] = frozenset()
        self._refused: Unavailable | None = None  # for the next barrier to tell
        self._closed = False
        self._started = False
        self._stirred = asyncio.Event()
        self._retry = asyncio.Event()

    def append(self, event: AnyEvent) -> int:
        """Take an event, acknowledged once a later `barrier` or `wait` returns; gives its size in bytes.

        Raises Unavailable when none can be taken, ValueError or TypeError when the event is none that can be kept.
        """
        size, row = len(dumps(event)), tables.row(event)
        with self._guard:
            if self._closed:
                raise Unavailable("The memory is closed.", hint="Open a new workbench.")
            if row[0] in self._overtaken:
                raise _taken_over(row[0])
            if self._bytes + size > MAX_WAITING and self._queue:
                why = self.failure or Unavailable(f"{self._server.address.place} takes events too slowly.")
                raise Unavailable(f"{why.message} {len(self._queue):,} events wait for it.", hint=why.hint)
            self._queue.append((row, size))
            self._bytes += size
            self._appended += 1
            stir = len(self._queue) == 1
            start, self._started = not self._started, True
        if start:
            _open.add(self)
            self._server.submit(self._drain())
        elif stir:
            self._server.call_soon(self._stirred.set)
        return size

    async def barrier(self) -> None:
        """Return when everything appended before is committed. Raises Unavailable when the server is away."""
        promise = asyncio.wrap_future(self._promise())
        try:
            while not promise.done():
                await asyncio.wait({promise}, timeout=self._wait)
                if not promise.done() and self.failure is not None:
                    raise self._away()
            promise.result()
        finally:
            promise.cancel()
        with self._guard:
            refused, self._refused = self._refused, None
        if refused is not None:
            raise refused

    def wait(self, seconds: float) -> None:
        """`barrier` for a caller without an event loop; Unavailable also when it takes longer than `seconds`."""
        try:
            self._promise().result(seconds)
        except TookTooLong:
            raise self._away() from None

    def close(self, seconds: float) -> None:
        """Commit what waits, within so many seconds. Idempotent. Raises Unavailable when events are lost."""
        with self._guard:
            self._closed = True
        try:
            self.wait(seconds)
        except Unavailable as error:
            lost = self._appended - self._durable
            raise Unavailable(f"{error.message}; {lost} events were not kept", hint=error.hint, lost=lost) from error
        finally:
            _open.discard(self)
            self._server.call_soon(self._stirred.set)
            self._server.call_soon(self._retry.set)

    def _promise(self) -> Future[None]:
        promise: Future[None] = Future()
        with self._guard:
            if self._durable >= self._appended:
                promise.set_result(None)
            else:
                self._waiters.append((self._appended, promise))
        self._server.call_soon(self._retry.set)
        return promise

    def _away(self) -> Unavailable:
        return self.failure or Unavailable(
            f"{self._server.address.place} took nothing for {self._wait:g} s.", hint="Is the server running?"
        )

    async def _drain(self) -> None:
        pause = _PAUSES[0]
        while batch := await self._next():
            try:
                overtaken = await self._server.writing.use(partial(tables.insert, rows=batch))
            except Exception as error:  # noqa: BLE001 - nobody may wait for ever on a bug of ours
                self._failed(error if isinstance(error, Unavailable) else self._server.explained(error))
                await self._rest(pause)
                pause = min(2 * pause, _PAUSES[1])
            else:
                self._done(len(batch), overtaken)
                pause = _PAUSES[0]

    async def _next(self) -> list[Row]:
        """What to commit next, at the head of the queue and still in it; empty when nothing more will come."""
        while True:
            self._stirred.clear()
            with self._guard:
                batch: list[Row] = []
                size = 0
                for row, bytes_ in self._queue:
                    size += bytes_
                    if batch and (size > _MAX_BYTES or len(batch) >= _MAX_EVENTS):
                        break
                    batch.append(row)
                if batch or self._closed:
                    return batch
            await self._stirred.wait()

    async def _rest(self, pause: float) -> None:
        """Wait before the next try; a new barrier makes it come sooner, but not at once."""
        self._retry.clear()
        await asyncio.sleep(_PAUSES[0])
        try:
            async with asyncio.timeout(pause):
                await self._retry.wait()
        except TimeoutError:
            return

    def _failed(self, error: Unavailable) -> None:
        with self._guard:
            self.failure = error
            # What a server that comes back does not mend is told at once.
            lasting = error.data.get("sqlstate", "")[:2] not in ("", "08", "57", "53", "40", "55", "58")
            told, self._waiters = (self._waiters, []) if lasting else ([], self._waiters)
        for _, promise in told:
            if promise.set_running_or_notify_cancel():
                promise.set_exception(error)

    def _done(self, count: int, overtaken: frozenset[str]) -> None:
        with self._guard:
            self.failure = None
            if overtaken:
                self._overtaken |= overtaken
                self._refused = _taken_over(min(overtaken))
            for _ in range(count):
                self._bytes -= self._queue.popleft()[1]
            self._durable += count
            told = [promise for ticket, promise in self._waiters if ticket <= self._durable]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self._durable]
        for promise in told:
            if promise.set_running_or_notify_cancel():
                promise.set_result(None)


def _taken_over(run: str) -> Unavailable:
    return Unavailable(f"Run {run} was taken over by another process.", hint=f"Look at it with: workbench show {run}")


@atexit.register
def _at_exit() -> None:
    for commits in list(_open):
        if commits._pid == os.getpid():
            with suppress(Unavailable):  # nobody is left to hear it; what was acknowledged is on the server
                commits.close(commits._wait)
            commits._server.close()
