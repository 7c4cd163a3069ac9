"""How many tries after a failure a run has: one budget for all that it calls."""

from __future__ import annotations

RETRIES = 8
CALLS_FOR_A_RETRY = 10


class Retries:
    """Eight tries after failures, and one more for every ten calls of the run. A try that succeeds is given back, so
    that only failures without a success use the budget up: a server that is gone costs a run so many requests and not
    one more, and one that turns away every third costs no run its end."""

    def __init__(self) -> None:
        self.calls = 0
        self.taken = 0

    def begin(self) -> None:
        """Count a call that is made for the first time."""
        self.calls += 1

    def take(self) -> bool:
        """Whether a further try is left; then it is taken."""
        if self.taken >= RETRIES + self.calls // CALLS_FOR_A_RETRY:
            return False
        self.taken += 1
        return True

    def back(self, tries: int) -> None:
        """Give back the tries of a call that has succeeded."""
        self.taken -= tries
