"""How often a user may ask and tools may be called, on the `limits` library, in this process's memory."""

from __future__ import annotations

import math
import time
from typing import Any

from workbench.core.errors import BudgetExceeded


class RateLimiter:
    """Admits so many requests and tool calls of a user in any minute."""

    def __init__(self, requests_per_minute: int, calls_per_minute: int) -> None:
        self._most = {"requests": requests_per_minute, "tool calls": calls_per_minute}
        self._window: Any = None
        self._rates: dict[str, Any] = {}

    def admit_request(self, user: str) -> None:
        """Count a request. Raises BudgetExceeded, saying how long to wait, when there were too many."""
        self._admit("requests", user)

    def admit_call(self, user: str) -> None:
        """Count a tool call. Raises BudgetExceeded as above."""
        self._admit("tool calls", user)

    def _admit(self, what: str, user: str) -> None:
        if self._window is None:
            from limits import RateLimitItemPerMinute
            from limits.storage import MemoryStorage
            from limits.strategies import MovingWindowRateLimiter

            self._window = MovingWindowRateLimiter(MemoryStorage())
            self._rates = {name: RateLimitItemPerMinute(most) for name, most in self._most.items()}
        rate = self._rates[what]
        if not self._window.hit(rate, what, user):
            seconds = max(1, math.ceil(self._window.get_window_stats(rate, what, user).reset_time - time.time()))
            setting = f"WORKBENCH_{'REQUESTS' if what == 'requests' else 'CALLS'}_PER_MINUTE"
            raise BudgetExceeded(
                f"More than {self._most[what]} {what} in a minute.",
                hint=f"Wait {seconds} s, or raise {setting}.",
                seconds=seconds,
            )
