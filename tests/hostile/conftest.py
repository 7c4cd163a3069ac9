"""Plays what a run of the tests has asked for, many cases in one process, each once at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.hostile import room
from tests.hostile.case import Case, Outcome


class Stage:
    """`outcome` plays all collected cases of a level when the first of them is asked for."""

    def __init__(self, cases: Sequence[tuple[str, Case]]) -> None:
        self._cases = cases
        self._outcomes: dict[str, dict[str, Outcome]] = {}

    def outcome(self, level: str, case: Case) -> Outcome:
        if level not in self._outcomes:
            self._outcomes[level] = at_once(level, [one for wanted, one in self._cases if wanted == level])
        return self._outcomes[level][key(case)]

    def outcomes(self, level: str) -> list[tuple[Case, Outcome]]:
        """All that were played at a level."""
        wanted = [one for at, one in self._cases if at == level]
        return [(one, self.outcome(level, one)) for one in wanted]


def key(case: Case) -> str:
    """Sets may use the same short names."""
    return f"{case.category}/{case.id}"


def at_once(level: str, cases: Sequence[Case]) -> dict[str, Outcome]:
    """Play them with two users at the same time."""
    named = [Case(**{**case.to_json(), "id": key(case)}) for case in cases]
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda part: room.play(level, part), (named[::2], named[1::2]))
        return {name: outcome for half in halves for name, outcome in half.items()}


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Stage:
    """Where hostile code is played; skipped, or failed where CI=true, where nobody can become somebody else."""
    if why := room.missing():
        pytest.skip(why)
    found = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            wanted: Mapping[str, Any] = item.callspec.params
            if isinstance(case := wanted.get("case"), Case):
                for level in wanted.get("levels", ("kernel",)):
                    found[level, key(case)] = (level, case)
    return Stage(list(found.values()))


@pytest.fixture
def guest() -> room.Room:
    """A throwaway user."""
    if why := room.missing():
        pytest.skip(why)
    return room.Room()
