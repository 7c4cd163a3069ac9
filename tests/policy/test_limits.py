import re

import pytest

from workbench.core.errors import BudgetExceeded
from workbench.policy.limits import RateLimiter


def test_beyond_the_number_of_a_minute_the_line_says_how_long_to_wait():
    limits = RateLimiter(2, 100)
    limits.admit_request("ann")
    limits.admit_request("ann")
    with pytest.raises(BudgetExceeded) as caught:
        limits.admit_request("ann")
    seconds = re.search(r"in (\d+) s", str(caught.value))
    assert seconds is not None
    assert 1 <= int(seconds[1]) <= 60
    assert caught.value.data["limit"] == 2


def test_users_and_kinds_are_counted_apart():
    limits = RateLimiter(1, 1)
    limits.admit_request("ann")
    limits.admit_request("bob")
    limits.admit_call("ann")
    with pytest.raises(BudgetExceeded, match="tool calls"):
        limits.admit_call("ann")


def test_a_minute_later_there_is_room_again(monkeypatch):
    import time

    now = time.time()
    limits = RateLimiter(1, 1)
    limits.admit_request("ann")
    with pytest.raises(BudgetExceeded):
        limits.admit_request("ann")
    monkeypatch.setattr(time, "time", lambda: now + 61)
    limits.admit_request("ann")
