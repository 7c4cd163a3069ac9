"""A model that is held to rules of the house: admitted before it is asked, and without secrets in what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol

from workbench.core.errors import WorkbenchError
from workbench.models.base import Heard, Message, Model, Reply

TOKENS_FOR_A_REPLY = 1_000
"""What is set aside for a reply whose length nobody has limited."""


class Spent(Protocol):
    """What a call is found to have used, once that is known."""

    def __call__(self, *, tokens: int, usd: str | None) -> None: ...


Admit = Callable[[int], AbstractAsyncContextManager[Spent]]
"""Entered around a call with the tokens that it may take. Raises BudgetExceeded when there are not so many left."""


class HeldModel:
    """`inner`, asked only as `admit` allows. `redact` takes secrets out of its replies: a server may echo its key.
    `begun` does so for the beginning of a text, and keeps back an end that may be part of one.
    """

    def __init__(self, inner: Model, admit: Admit, redact: Callable[[str], str], begun: Callable[[str], str]) -> None:
        self.inner = inner
        self.name = inner.name
        self.endpoint = inner.endpoint
        self._redact = redact
        self._admit = admit
        self._begun = begun

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: Heard | None = None,
    ) -> Reply:
        cleaned = heard and (lambda text: heard(self._begun(text)))
        asked = _tokens(*(message.content for message in messages))
        async with self._admit(asked + (max_tokens or TOKENS_FOR_A_REPLY)) as spent:
            try:
                reply = await self.inner.complete(messages, schema=schema, max_tokens=max_tokens, heard=cleaned)
            except WorkbenchError as error:
                data = error.data
                spent(tokens=data.get("tokens_in", 0) + data.get("tokens_out", 0), usd=data.get("usd"))
                raise
            finally:
                self.name = self.inner.name  # one without a name learns it from its server at the first call
            counted = reply.usage.tokens_in + reply.usage.tokens_out
            spent(tokens=counted or asked + _tokens(reply.text), usd=reply.usd)
        return replace(reply, text=self._redact(reply.text), model=self._redact(reply.model))


def _tokens(*texts: str) -> int:
    """About the tokens of texts: most tokenizers make one of three or four characters."""
    return sum(map(len, texts)) // 3
