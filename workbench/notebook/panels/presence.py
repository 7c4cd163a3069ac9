"""Whether a page still shows a panel. Pages say when they show it and when they go, and answer when they are called;
one that has crashed does neither, so that a page which is silent for long is taken for gone.

A page that is loaded anew has lost what the cell was about to show: it gets a panel back only from a kernel that is not
busy. So a cell must not wait for a click that only a page could make which is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

UNSEEN = 3.0
"""Seconds that a page has to show what was sent to it."""
GRACE = 5.0
"""Seconds that a page has to answer when one goes: it may be this one, whose person is asked by the browser whether to
leave, and stays."""
BETWEEN = 10.0
"""Seconds between two calls."""
PATIENCE = 30.0
"""Seconds after which a page that was called, and does not answer, is gone."""


class Presence:
    """The pages that show one panel. `call` asks them to say that they are there. All of it on the event loop."""

    def __init__(
        self,
        call: Callable[[], None],
        *,
        grace: float = GRACE,
        between: float = BETWEEN,
        patience: float = PATIENCE,
    ) -> None:
        self.lost_one = False
        """Whether a page that showed the panel has gone: one that shows it now may have no output for a result."""
        self._call = call
        self._grace, self._between, self._patience = grace, between, patience
        self._there = asyncio.Event()
        self._leaving = asyncio.Event()

    def there(self) -> None:
        """A page shows the panel."""
        self._there.set()

    def leaving(self) -> None:
        """A page has gone; there may be another."""
        self.lost_one = True
        self._leaving.set()

    async def gone(self) -> None:
        """Return when nobody sees the panel any more."""
        doubts = 0
        while True:
            if self._leaving.is_set():
                self._leaving.clear()
                doubts = 2  # the first answer may be the last that a page gives which is about to go
            if not await self._answers(in_doubt=doubts > 0):
                self.lost_one = True
                return
            doubts = max(0, doubts - 1)
            await _first(self._grace if doubts else self._between, self._leaving)

    async def _answers(self, *, in_doubt: bool) -> bool:
        """Whether somebody may be there: a page answers, or one goes and the others are to be called."""
        self._there.clear()
        self._call()
        if in_doubt:
            return await _first(self._grace, self._there)
        return await _first(self._patience, self._there, self._leaving)


async def _first(seconds: float, *events: asyncio.Event) -> bool:
    """Whether one of the events came within so many seconds."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for one in waits:
            one.cancel()
