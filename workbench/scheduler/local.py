"""Jobs on the event loop of this process, so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from workbench.scheduler.base import Ended, Job


class Local:
    """`Scheduler` of one process. `concurrency`: jobs at once. Runs one list of jobs; make another for the next."""

    def __init__(self, concurrency: int = 4) -> None:
        if concurrency < 1:
            raise ValueError("concurrency: at least 1")
        self._concurrency = concurrency
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._over: Future[None] = Future()

    async def run(self, jobs: Sequence[Job], ended: Ended) -> None:
        self._loop = asyncio.get_running_loop()
        waiting = iter(enumerate(jobs))
        try:
            # As many tasks as may run at once, not as many as there are jobs: those that wait cost nothing.
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(jobs))):
                    self._workers.add(group.create_task(self._work(waiting, ended)))
        finally:
            self._workers.clear()
            self._over.set_result(None)

    def stop(self, seconds: float = 0.0) -> None:
        self._stopped = True
        if self._loop is not None and not self._over.done():
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._cancel)

    async def over(self) -> None:
        """Return when `run` has ended; at once when it was never called."""
        if self._loop is not None:
            await asyncio.wrap_future(self._over)

    async def _work(self, waiting: Iterator[tuple[int, Job]], ended: Ended) -> None:
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - inside a coroutine there is one
        while not self._stopped and not me.cancelling():
            if (following := next(waiting, None)) is None:
                return
            number, job = following
            try:
                result = await job()
            except asyncio.CancelledError as stopped:
                ended(number, stopped)
                raise
            except Exception as error:  # noqa: BLE001 - in a TaskGroup it would cancel all the others
                result = error
            ended(number, result)

    def _cancel(self) -> None:
        for worker in self._workers:
            worker.cancel()
