"""Any server that speaks OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp, LM Studio and others.

One owner of retries, `models.tries`: the SDK's are off, and planners do not retry. At most 16 calls of a process are
under way at one endpoint. How the server can be held to JSON is found out once and remembered (see `models.wire`).
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from workbench.core.errors import TransientError, Unavailable, WorkbenchError
from workbench.core.retries import Retries
from workbench.core.tools import digest
from workbench.models.address import host, usable_key
from workbench.models.azure import is_azure
from workbench.models.base import Heard, Message, Reply, Usage
from workbench.models.prices import OPENAI, price
from workbench.models.served import is_about_the_model, only_model, unknown_model
from workbench.models.tries import Tries
from workbench.models.wire import LADDER, Rung, Said, read, request

if TYPE_CHECKING:
    from workbench.models.endpoint import Endpoint

AT_ONCE = 16
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
"""Only where somebody watches: a reply in a thousand chunks costs more than one in one piece."""

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


class OpenAIModel:
    """A model behind `base_url` (empty: OpenAI). An empty `name` stands for the only model that is served there.

    `timeout`: seconds for a try. `retries`: tries after the first. `sleep`, `uniform` and `now` are parameters so that
    tests need no time and no luck. May be used from several event loops; building one opens nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str = "",
        api_key: SecretStr | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._known = _Known(name)
        self.base_url = base_url or OPENAI
        self.endpoint = host(self.base_url)
        self._api_key = api_key
        self._timeout = timeout
        self._tries = Tries(most=retries, sleep=sleep, uniform=uniform)
        self._now = now
        self._endpoints: WeakKeyDictionary[asyncio.AbstractEventLoop, Endpoint] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        return self._known.name

    @name.setter
    def name(self, name: str) -> None:
        self._known.name = name

    def price(self, usage: Usage) -> str | None:
        return price(self.name, usage, self.base_url)

    def within(self, retries: Retries) -> OpenAIModel:
        inner = copy.copy(self)  # the connections and what is known stay shared
        inner._tries = self._tries.within(retries)
        return inner

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: Heard | None = None,
    ) -> Reply:
        started = time.monotonic()
        endpoint = self._connected()
        if not self.name:
            self.name = await self._only_model(endpoint)
        try:
            said, sha256, usage, blind = await self._seen(endpoint, messages, schema, self._limit(max_tokens), heard)
        except WorkbenchError as error:
            if "tokens_in" in error.data:  # a reply that cannot be used was paid for all the same
                spent = Usage(tokens_in=error.data["tokens_in"], tokens_out=error.data["tokens_out"])
                error.data["usd"] = price(self.name, spent, self.base_url)
            raise await self._explained(endpoint, error) from None
        if said.finish == "length" and schema is not None:
            raise Unavailable(
                f"The reply of {self.name} was cut at the token limit.",
                hint="Ask for less at once, or use a model with a larger limit.",
                tokens_in=usage.tokens_in,
                tokens_out=usage.tokens_out,
                usd=price(self.name, usage, self.base_url),
                finish="length",
            )
        return Reply(
            text=said.text,
            model=self.name,
            finish=said.finish,
            usage=usage,
            usd=price(self.name, usage, self.base_url),
            seconds=time.monotonic() - started,
            request_sha256=sha256,
            blind=blind,
        )

    async def served(self) -> list[str]:
        """The names of the models that the endpoint serves; empty when it keeps no list.

        Raises Unavailable or TransientError when it cannot be reached or refuses the key.
        """
        try:
            return await self._tries(self._connected().models)
        except Unavailable as error:
            if error.data.get("status") in (404, 405, 501):
                return []
            raise

    async def try_rung(
        self, rung: Rung, messages: Sequence[Message], schema: Mapping[str, Any], max_tokens: int
    ) -> str:
        """What the server says when it is asked for data in one way and no other. Raises as `complete` does."""
        endpoint = self._connected()
        if not self.name:
            self.name = await self._only_model(endpoint)
        body = request(self.name, messages, schema, rung, self._limit(max_tokens))
        try:
            return (await self._tries(partial(self._chat, endpoint, body), 0)).text
        except WorkbenchError as error:
            raise await self._explained(endpoint, error) from None

    async def close(self) -> None:
        """Let go of the connections of the running event loop. The model can still be used afterwards."""
        endpoint = self._endpoints.pop(asyncio.get_running_loop(), None)
        if endpoint is not None:
            await endpoint.close()

    async def _seen(
        self,
        endpoint: Endpoint,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        limit: Mapping[str, int],
        heard: Heard | None,
    ) -> tuple[Said, str, Usage, bool]:
        """As `_ask`, and whether the words went without the pictures: a model that sees none refuses them in any way,
        so it is asked once more without, and that it answers then is remembered."""
        words = [replace(message, pictures=()) for message in messages]
        if words == list(messages) or not self._known.sees:
            return *await self._ask(endpoint, words, schema, limit, heard), words != list(messages)
        try:
            return *await self._ask(endpoint, messages, schema, limit, heard), False
        except (Unavailable, TransientError) as error:
            if not _may_be_the_form(error):
                raise
            answered = await self._ask(endpoint, words, schema, limit, heard)
            self._known.sees = False
            return *answered, True

    async def _ask(
        self,
        endpoint: Endpoint,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        limit: Mapping[str, int],
        heard: Heard | None,
    ) -> tuple[Said, str, Usage]:
        """The answer, the hash of the request that got it, and the tokens of all answers on the way to it."""
        rungs = LADDER[LADDER.index(self._known.rung) :] if schema is not None else LADDER[-1:]
        first: WorkbenchError | None = None
        used = Usage()
        for rung in rungs:
            body = request(self.name, messages, schema, rung, limit)
            try:
                said = await self._tries(partial(self._chat, endpoint, body, heard), 0 if first else None)
            except (Unavailable, TransientError) as error:
                if self._known.proven or schema is None or not _may_be_the_form(error):
                    raise
                first = first or error
                continue
            used = Usage(
                tokens_in=used.tokens_in + said.usage.tokens_in, tokens_out=used.tokens_out + said.usage.tokens_out
            )
            is_data = "{" in said.text or "[" in said.text
            if schema is None or is_data or self._known.proven or rung == LADDER[-1] or said.finish == "length":
                if schema is not None and is_data:
                    self._known.rung, self._known.proven = rung, True
                return said, digest(body), used
        raise first or Unavailable(f"{self.endpoint} gave no reply.")

    async def _chat(self, endpoint: Endpoint, body: dict[str, Any], heard: Heard | None = None) -> Said:
        slots = _slots.setdefault(asyncio.get_running_loop(), {})
        async with slots.setdefault(self.base_url, asyncio.Semaphore(AT_ONCE)):
            if heard is not None and self._known.streams:
                try:
                    raw = await endpoint.stream(body | STREAMED, heard)
                except Unavailable as error:
                    if error.data.get("status") not in (400, 415, 422) or "stream" not in error.data.get("said", ""):
                        raise
                    self._known.streams = False  # a server that knows no streams, or not how to count their tokens
                else:
                    return read(raw, endpoint.where, endpoint.clean)
            return read(await endpoint.chat(body), endpoint.where, endpoint.clean)

    def _connected(self) -> Endpoint:
        """The connection of the running event loop, made at the first call."""
        loop = asyncio.get_running_loop()
        if loop not in self._endpoints:
            key = usable_key(self.name, self.base_url, self._api_key)
            from workbench.models.endpoint import Endpoint

            self._endpoints[loop] = Endpoint(self.base_url, key, self._timeout, self._now)
        return self._endpoints[loop]

    async def _only_model(self, endpoint: Endpoint) -> str:
        return only_model(await self._tries(endpoint.models), endpoint.where)

    async def _explained(self, endpoint: Endpoint, error: WorkbenchError) -> WorkbenchError:
        """The error, or when it is about an unknown model, one that says which models there are."""
        if not is_about_the_model(error):
            return error
        try:
            served = await endpoint.models()
        except WorkbenchError:
            served = []
        return unknown_model(self.name, served, endpoint.where, error)

    def _limit(self, max_tokens: int | None) -> dict[str, int]:
        if max_tokens is None:
            return {}
        # OpenAI's newer models refuse the older name; most other servers know no other.
        newer = self.base_url == OPENAI or is_azure(self.base_url)
        return {"max_completion_tokens" if newer else "max_tokens": max_tokens}


@dataclass(slots=True)
class _Known:
    """What is found out about a server while it is asked: what serves there, how it can be held to JSON and whether
    that is proven, whether it streams, and whether it takes pictures."""

    name: str
    rung: Rung = LADDER[0]
    proven: bool = False
    streams: bool = True
    sees: bool = True


def _may_be_the_form(error: WorkbenchError) -> bool:
    """Whether the server may have minded the form that was asked for. Servers say so in any words, or in none."""
    about_length = "context" in f"{error.data.get('code')} {error.data.get('said')}".lower()
    status = error.data.get("status")
    return bool(error.data.get("empty")) or (status in (400, 415, 422, 500, 501) and not about_length)
