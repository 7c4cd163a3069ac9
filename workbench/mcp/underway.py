"""The calls that are under way at one MCP server, and whose a question of the server is.

A question that comes with the answer to a call, as in the newer protocol, or in the answer to a call's request over
HTTP, comes in that call's context. One that comes over stdio in the older protocol says nothing: it is of one of the
calls that are under way. It waits until all but one of them are answered, for a call that is answered asks no more.
When each of them may be the one that waits, or one was given up, nobody can say whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from workbench.core.tools import ToolCall
from workbench.policy.gate import Gate


@dataclass(slots=True, eq=False)
class Served:
    """A call while a server serves it, and the gate of its run."""

    call: ToolCall
    gate: Gate
    state: Literal["under way", "answered", "given up", "let go"] = "under way"
    """given up: the server may still be at it. let go: it is not."""


_current: ContextVar[Served | None] = ContextVar("served", default=None)


def outside() -> None:
    """From here on nothing is part of a call."""
    _current.set(None)


class UnderWay:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._calls: list[Served] = []
        self._questions = 0
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        """Whether a call is under way."""
        return any(one.state == "under way" for one in self._calls)

    @contextmanager
    def serving(self, one: Served) -> Iterator[None]:
        """What is done inside is done for that call. One that is cancelled counts as given up until it is let go."""
        self._calls.append(one)
        before = _current.set(one)
        ended: Literal["answered", "given up"] = "answered"
        try:
            yield
        except asyncio.CancelledError:
            ended = "given up"
            raise
        finally:
            _current.reset(before)
            self._end(one, ended)

    def let_go(self, one: Served) -> None:
        """The server is not at that call any more."""
        self._end(one, "let go")

    def _end(self, one: Served, state: Literal["answered", "given up", "let go"]) -> None:
        one.state = state
        if state != "given up":
            self._calls.remove(one)
        self._changed.set()
        self._changed = asyncio.Event()

    async def whose(self) -> Served | list[Served]:
        """The call that a question is of, or those that it may be of when nobody can say."""
        one = _current.get()
        if one is not None:
            return one if one.state == "under way" else []
        possible = list(self._calls)
        self._questions += 1
        try:
            while len(possible) > 1 and self._questions < len(self._calls) and not _lost(possible):
                await self._changed.wait()
                possible = [one for one in possible if one.state != "answered"]
        finally:
            self._questions -= 1
        sure = len(possible) == 1 and not _lost(possible)
        return possible[0] if sure else [one for one in possible if one.state == "under way"]


def _lost(possible: list[Served]) -> bool:
    return any(one.state != "under way" for one in possible)
