"""How often an endpoint is asked: the one owner of retries of a model, whatever the model is for.

Full jitter between the tries. Within a run they are those that the run has left, and a server that says when to come
back is asked as often as these allow.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from workbench.core.errors import TransientError, Unavailable
from workbench.core.retries import Retries

T = TypeVar("T")

MAX_RETRY_AFTER = 120.0
"""Seconds. A server that asks for more is not waited for: the error says how long it asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """`most`: tries after the first. `left`: those that a run has left, None outside of one. `sleep` and `uniform` are
    parameters so that tests need no time and no luck."""

    most: int = 2
    left: Retries | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def within(self, left: Retries) -> Tries:
        return replace(self, left=left)

    async def __call__(self, call: Callable[[], Awaitable[T]], most: int | None = None) -> T:
        """The first success, or the last error. `most`: in place of the usual number."""
        most = self.most if most is None else most
        tried, left = 0, self.left
        if left is not None:
            left.begin()
        while True:
            try:
                result = await call()
            except (TransientError, Unavailable) as error:
                asked = getattr(error, "retry_after", None)
                again = isinstance(error, TransientError) or error.data.get("again")
                is_up = left is not None and most > 0 and asked is not None
                if not again or (tried >= most and not is_up) or (asked or 0.0) > MAX_RETRY_AFTER:
                    raise
                if left is not None and not left.take():
                    raise
            else:
                if left is not None:
                    left.back(tried)
                return result
            wait = self.uniform(0.0, min(8.0, 0.5 * 2**tried))
            tried += 1
            await self.sleep(wait + (asked or 0.0))
