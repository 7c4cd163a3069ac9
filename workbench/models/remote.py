"""A named model behind an OpenAI-compatible endpoint, for what is no chat: pictures, speech, transcripts.

The same manners as with chats: one connection for each event loop, one owner of retries, at most so many calls at once,
and every failure one of our errors that says which setting to look at.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from workbench.core.errors import Unavailable, WorkbenchError
from workbench.core.retries import Retries
from workbench.models.address import CHAT, Names, host, usable_key
from workbench.models.base import Usage
from workbench.models.prices import OPENAI
from workbench.models.served import is_about_the_model
from workbench.models.tries import Tries

if TYPE_CHECKING:
    from workbench.models.endpoint import Endpoint

T = TypeVar("T")

AT_ONCE = 4
"""Calls of this process that are under way at one endpoint: each takes long, and many bytes."""


def counted(raw: Any) -> Usage:
    """The tokens that an answer says it took, 0 where it says nothing sane."""
    said = raw.get("usage") if isinstance(raw, Mapping) else None

    def count(name: str) -> int:
        value = said.get(name) if isinstance(said, Mapping) else None
        return value if type(value) is int and 0 <= value < 10**9 else 0

    return Usage(tokens_in=count("input_tokens"), tokens_out=count("output_tokens"))


class Remote:
    """The model `name` at `base_url` (empty: OpenAI), which the setting `model` names; `names`: the others.

    `timeout`: seconds for a try; `retries`: tries after the first. Building one opens nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str = "",
        api_key: SecretStr | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        model: str,
        names: Names = CHAT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.base_url = base_url or OPENAI
        self.endpoint = host(self.base_url)
        self._setting = model
        self._names = names
        self._key = api_key
        self._timeout = timeout
        self._tries = Tries(most=retries, sleep=sleep, uniform=uniform)
        self._now = now
        self._endpoints: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Endpoint, asyncio.Semaphore]] = (
            WeakKeyDictionary()
        )

    @property
    def is_openai(self) -> bool:
        return self.base_url == OPENAI

    def within(self, retries: Retries) -> Remote:
        """The same model with the tries that a run has left."""
        inner = copy.copy(self)  # the connections stay shared
        inner._tries = self._tries.within(retries)
        return inner

    async def ask(self, call: Callable[[Endpoint], Awaitable[T]]) -> T:
        """What the call gives. Raises TransientError, Unavailable or Refused, as the endpoint has failed."""
        endpoint, slots = self._connected()

        async def one() -> T:
            async with slots:
                return await call(endpoint)

        try:
            return await self._tries(one)
        except WorkbenchError as error:
            if not is_about_the_model(error):
                raise
            raise Unavailable(
                f"{endpoint.where} has no model {self.name} for this, or no such service ({error.data.get('status')}).",
                hint=f"Check {self._setting} and {self._names.base_url}.",
                **error.data,
            ) from None

    async def close(self) -> None:
        """Let go of the connections of the running event loop."""
        found = self._endpoints.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[0].close()

    def _connected(self) -> tuple[Endpoint, asyncio.Semaphore]:
        loop = asyncio.get_running_loop()
        if loop not in self._endpoints:
            key = usable_key(self.name, self.base_url, self._key, self._names)
            from workbench.models.endpoint import Endpoint

            endpoint = Endpoint(self.base_url, key, self._timeout, self._now, self._names)
            self._endpoints[loop] = endpoint, asyncio.Semaphore(AT_ONCE)
        return self._endpoints[loop]
