"""A model for tests and tutorials: it says what was written down beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import Unavailable
from workbench.core.tools import digest
from workbench.models.base import Heard, Message, Reply

Scripted = str | Mapping[str, Any] | Sequence[Any] | Exception
"""A reply as text, as data that is sent as JSON, or an error that is raised."""

PIECE = 8
"""Characters that a listener hears at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFor:
    """One call that a TestModel took."""

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None
    max_tokens: int | None


class TestModel:
    """A model that gives the `replies` in order, or what a function makes of the messages.

    `calls` holds what was asked. It costs nothing and counts no tokens. Asked more often than it has replies, it raises
    Unavailable.
    """

    __test__ = False  # pytest takes every class named Test… for tests
    endpoint = ""

    def __init__(
        self,
        replies: Sequence[Scripted] | Callable[[Sequence[Message]], Scripted],
        name: str = "test-model",
    ) -> None:
        self.name = name
        self.calls: list[AskedFor] = []
        self._replies = replies

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: Heard | None = None,
    ) -> Reply:
        self.calls.append(AskedFor(messages=tuple(messages), schema=schema, max_tokens=max_tokens))
        scripted = self._next(messages)
        if isinstance(scripted, Exception):
            raise scripted
        text = scripted if isinstance(scripted, str) else json.dumps(scripted, ensure_ascii=False)
        if heard is not None:
            for end in range(PIECE, len(text) + PIECE, PIECE):
                heard(text[:end])
        asked = {"model": self.name, "messages": [[m.role, m.content] for m in messages], "schema": schema}
        return Reply(text=text, model=self.name, usd="0", request_sha256=digest(asked))

    def _next(self, messages: Sequence[Message]) -> Scripted:
        if callable(self._replies):
            return self._replies(messages)
        if len(self.calls) > len(self._replies):
            raise Unavailable(
                f"{self.name} has no reply left: call {len(self.calls)}, and {len(self._replies)} were written down.",
                hint="Write down one more reply.",
                usd="0",
            )
        return self._replies[len(self.calls) - 1]
