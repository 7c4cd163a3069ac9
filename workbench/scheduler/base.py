"""The seam to whoever runs many jobs: which one, where and when is the scheduler's to say; what a job does is not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

Job = Callable[[], Coroutine[Any, Any, Any]]
"""Starts one piece of work; called at most once. When cancelled it may still say how it ended, by what it raises."""

Ended = Callable[[int, Any], None]
"""`ended(number, result)`: hears how job `number`, counted from 0, ended: its result, or the exception that it raised
(CancelledError when it was stopped and had nothing to say). Called on the event loop's thread, once for each job that
was started."""


class Scheduler(Protocol):
    """Runs jobs that know nothing of each other. One that fails costs no other."""

    async def run(self, jobs: Sequence[Job], ended: Ended) -> None:
        """Return when every job has ended, or was never started because of `stop`. Raises CancelledError after those
        under way have ended."""
        ...

    def stop(self, seconds: float = 0.0) -> None:
        """Start no more jobs, and cancel those under way after `seconds`. May be called again, with fewer seconds, and
        from any thread."""
        ...
