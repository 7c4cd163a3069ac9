"""What a run asks, while its panel is looked at: one question at a time, answered by its number.

A question ends with its answer, with the run, or with the patience of whoever asked; then nothing of it stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from workbench.core.errors import Refused
from workbench.notebook.panels.question import question
from workbench.policy.approval import Asked, Decision


class Consent:
    """The questions of one run. Everything happens on the event loop. `changed` is called when one comes or goes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.asked: Asked | None = None
        self.shown: dict[str, Any] | None = None
        """The question as the panel draws it; None when nothing is asked."""
        self._changed = changed
        self._number = 0
        self._answer: asyncio.Future[Decision] | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, asked: Asked) -> Decision:
        """The answer of the person, however long that takes."""
        async with self._turn:
            self._number += 1
            self._answer = asyncio.get_running_loop().create_future()
            self.asked, self.shown = asked, question(asked, self._number)
            self._changed()
            try:
                return await self._answer
            finally:
                self.asked = self.shown = self._answer = None
                self._changed()

    def open(self, number: int) -> Asked:
        """The question of that number. Raises Refused when it is not open any more: one that comes late answers nothing
        else."""
        if self.asked is None or self._answer is None or self._answer.done() or number != self._number:
            raise Refused("This question is not open any more.", hint="What the panel shows now is in force.")
        return self.asked

    def answer(self, number: int, decision: Decision) -> None:
        """Answer the question of that number. Raises Refused as `open` does."""
        self.open(number)
        assert self._answer is not None  # noqa: S101 - an open question has one
        self._answer.set_result(decision)
