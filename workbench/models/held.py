"""A model that is held to rules of the house: admitted before it is asked, and without secrets in what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.retries import Retries
from workbench.core.usage import Estimate, Price, unpriced
from workbench.models import base
from workbench.models.audio import Heard, Speech, Spoken, Transcription
from workbench.models.base import Message, Model, Priced, Reply, Usage
from workbench.models.images import ImageModel, Painted, Progress, Wanted

TOKENS_FOR_A_REPLY = 1_000
"""What is set aside for a reply whose length nobody has limited."""
TOKENS_FOR_A_PICTURE = 4_000
"""What is set aside for a picture that is made."""
TOKENS_OF_A_PICTURE = 1_000
"""What a picture takes of a prompt, about; models count it in ways of their own."""
TOKENS_OF_A_SECOND = 10
"""What a second of sound takes, about."""

Spent = Callable[..., None]
"""`spent(tokens=…, usd=…, calls=1)`: what a call is found to have used, once that is known."""

Admit = Callable[[Estimate], AbstractAsyncContextManager[Spent]]
"""Entered around a call with what it is likely to take. Raises BudgetExceeded when there is not so much left."""


class HeldModel:
    """`inner`, asked only as each of `admits` allows, in their order. `redact` takes secrets out of its replies: a
    server may echo its key. `begun` does so for the beginning of a text, and keeps back an end that may be part of one.
    """

    def __init__(
        self, inner: Model, admits: Sequence[Admit], redact: Callable[[str], str], begun: Callable[[str], str]
    ) -> None:
        self.inner = inner
        self.name = inner.name
        self.endpoint = inner.endpoint
        self._redact = redact
        self._admits = admits
        self._begun = begun

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: base.Heard | None = None,
    ) -> Reply:
        cleaned = heard and (lambda text: heard(self._begun(text)))
        asked = _tokens(*(message.content for message in messages))
        asked += TOKENS_OF_A_PICTURE * sum(len(message.pictures) for message in messages)
        estimate = Estimate(
            prompt=asked, reply=max_tokens or TOKENS_FOR_A_REPLY, price=price_of(self.inner) or unpriced
        )
        async with admitted(self._admits, estimate) as spent:
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


@asynccontextmanager
async def admitted(admits: Sequence[Admit], estimate: Estimate) -> AsyncIterator[Spent]:
    """Entered when each of `admits` allows a call; takes what it was found to have used."""
    entered: list[Spent] = []

    def spent(*, tokens: int, usd: str | None, calls: int = 1) -> None:
        for one in entered:
            one(tokens=tokens, usd=usd, calls=calls)

    async with AsyncExitStack() as stack:
        for admit in admits:
            try:
                entered.append(await stack.enter_async_context(admit(estimate)))
            except BaseException:
                spent(tokens=0, usd="0", calls=0)  # what the others have set aside was not needed
                raise
        yield spent


class HeldImages:
    """A model for pictures, held to the same rules. `inner`, `admits` and `redact` as of HeldModel."""

    def __init__(self, inner: ImageModel, admits: Sequence[Admit], redact: Callable[[str], str]) -> None:
        self.inner = inner
        self.name = inner.name
        self.endpoint = inner.endpoint
        self._admits = admits
        self._redact = redact

    def within(self, retries: Retries) -> HeldImages:
        return HeldImages(self.inner.within(retries), self._admits, self._redact)

    async def close(self) -> None:
        await self.inner.close()

    async def paint(self, wanted: Wanted, progress: Progress) -> Painted:
        estimate = Estimate(
            prompt=_tokens(wanted.prompt),
            reply=TOKENS_FOR_A_PICTURE * wanted.count,
            price=price_of(self.inner) or unpriced,
        )
        async with _paid(self._admits, estimate) as paid:
            painted = await self.inner.paint(wanted, progress)
            paid(painted.usage, painted.usd)
        return replace(painted, revised=tuple(map(self._redact, painted.revised)))


class HeldSpeech:
    """A model that reads aloud, held to the same rules."""

    def __init__(self, inner: Speech, admits: Sequence[Admit]) -> None:
        self.inner = inner
        self.name = inner.name
        self.endpoint = inner.endpoint
        self.voice = inner.voice
        self._admits = admits

    async def speak(self, text: str, voice: str, kind: str, instructions: str) -> Spoken:
        estimate = Estimate(prompt=_tokens(text, instructions), reply=0, price=price_of(self.inner) or unpriced)
        async with _paid(self._admits, estimate) as paid:
            spoken = await self.inner.speak(text, voice, kind, instructions)
            paid(spoken.usage, spoken.usd)
        return spoken


class HeldTranscription:
    """A model that writes down speech, held to the same rules; no key is in what it has heard."""

    def __init__(self, inner: Transcription, admits: Sequence[Admit], redact: Callable[[str], str]) -> None:
        self.inner = inner
        self.name = inner.name
        self.endpoint = inner.endpoint
        self._admits = admits
        self._redact = redact

    async def hear(self, sound: bytes, suffix: str, length: float, language: str, sha256: str) -> Heard:
        estimate = Estimate(
            prompt=int(length * TOKENS_OF_A_SECOND), reply=TOKENS_FOR_A_REPLY, price=price_of(self.inner) or unpriced
        )
        async with _paid(self._admits, estimate) as paid:
            heard = await self.inner.hear(sound, suffix, length, language, sha256)
            paid(heard.usage, heard.usd)
        segments = tuple((start, end, self._redact(text)) for start, end, text in heard.segments)
        return replace(heard, text=self._redact(heard.text), segments=segments)


@asynccontextmanager
async def _paid(admits: Sequence[Admit], estimate: Estimate) -> AsyncIterator[Callable[[Usage, str | None], None]]:
    """Entered around a call; takes what it cost. Of one that failed that is not known."""
    async with admitted(admits, estimate) as spent:

        def paid(usage: Usage, usd: str | None) -> None:
            spent(tokens=usage.tokens_in + usage.tokens_out, usd=usd)

        try:
            yield paid
        except WorkbenchError:
            spent(tokens=0, usd=None)
            raise


def price_of(model: object) -> Price | None:
    """What gives the price of a model's tokens, None when it is no model that knows it."""
    if not isinstance(model, Priced):
        return None
    known = model

    def price(tokens_in: int, tokens_out: int) -> Decimal | None:
        usd = known.price(Usage(tokens_in=tokens_in, tokens_out=tokens_out))
        return None if usd is None else Decimal(usd)

    return price


def _tokens(*texts: str) -> int:
    """About the tokens of texts: most tokenizers make one of three or four characters."""
    return sum(map(len, texts)) // 3
