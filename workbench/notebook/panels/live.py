"""A run as a panel hears it while it goes on: told by events, drawn at most ten times a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.core.events import AnyEvent, Draft, Event, Kind
from workbench.core.outcome import Outcome, advance

SECONDS_BETWEEN = 0.1


class Live:
    """Hears a run, and calls `draw` on the event loop with what it has heard: at once or a little later, and always
    once more at the end of a burst."""

    def __init__(self, draw: Callable[[], None]) -> None:
        self.outcome = Outcome(run="")
        self.draft: Draft | None = None
        self._draw = draw
        self._drawn = 0.0
        self._pending: asyncio.TimerHandle | None = None

    def listen(self, event: AnyEvent) -> None:
        """Hear an event."""
        if not isinstance(event, Event):
            return
        self.outcome, self.draft = advance(self.outcome, event), None
        if event.kind is not Kind.RUN_DONE:  # the end is drawn when it is on disk
            self.soon()

    def watch(self, draft: Draft) -> None:
        """See what a model has said so far; events, which are final, take its place."""
        self.draft = draft
        self.soon()

    def soon(self) -> None:
        """Draw, as soon as it is time again. On the event loop."""
        if self._pending is None:
            wait = max(0.0, self._drawn + SECONDS_BETWEEN - time.monotonic())
            self._pending = asyncio.get_running_loop().call_later(wait, self._now)

    def stop(self) -> None:
        """Draw no more."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _now(self) -> None:
        self._pending, self._drawn = None, time.monotonic()
        self._draw()
