"""How often a user may ask and call, over the last minute, in the memory of this process."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from workbench.core.errors import BudgetExceeded

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter


class RateLimiter:
    """Admits each user's requests and tool calls up to a number in any 60 seconds. Safe from several threads."""

    def __init__(self, requests_per_minute: int, calls_per_minute: int) -> None:
        self._per_minute = {"requests": requests_per_minute, "tool calls": calls_per_minute}
        self._lock = threading.Lock()
        self._window: MovingWindowRateLimiter | None = None

    def admit_request(self, user: str) -> None:
        """Count one request. Raises BudgetExceeded, saying how many seconds to wait."""
        self._admit("requests", user)

    def admit_call(self, user: str) -> None:
        """Count one tool call. Raises BudgetExceeded, saying how many seconds to wait."""
        self._admit("tool calls", user)

    def _admit(self, what: str, user: str) -> None:
        from limits import RateLimitItemPerMinute

        item = RateLimitItemPerMinute(self._per_minute[what])
        window = self._limiter()
        if window.hit(item, what, user):
            return
        seconds = self._wait(window, item, what, user)
        raise BudgetExceeded(
            f"{user} has used up {self._per_minute[what]} {what} a minute; the next is possible in {seconds} s.",
            hint=f"Wait, or raise {what.split()[-1]}_per_minute in your settings.",
            limit=self._per_minute[what],
            seconds=seconds,
        )

    def _limiter(self) -> MovingWindowRateLimiter:
        with self._lock:
            if self._window is None:
                from limits.storage import MemoryStorage
                from limits.strategies import MovingWindowRateLimiter

                self._window = MovingWindowRateLimiter(MemoryStorage())
            return self._window

    def _wait(self, window: MovingWindowRateLimiter, item: RateLimitItem, what: str, user: str) -> int:
        return max(1, math.ceil(window.get_window_stats(item, what, user).reset_time - time.time()))
