"""Thousands of random system calls by confined workers: nothing leaks, nothing changes, and the next call works.

`HOSTILE_FUZZ` sets the number of workers (`make soak`: more), `HOSTILE_SEED` where the seeds begin.
"""

from __future__ import annotations

import os

import pytest

from tests.hostile import room
from tests.hostile.conftest import at_once
from tests.hostile.fuzz import counted, fuzzing

WORKERS = int(os.environ.get("HOSTILE_FUZZ", "24"))
FIRST = int(os.environ.get("HOSTILE_SEED", "1"))


@pytest.mark.timeout(120 + 8 * WORKERS)
def test_random_system_calls_reach_nothing_outside(capsys: pytest.CaptureFixture[str]):
    if why := room.missing():
        pytest.skip(why)
    outcomes = at_once("kernel", [fuzzing(seed) for seed in range(FIRST, FIRST + WORKERS)])
    calls = sum(counted(outcome.text) for outcome in outcomes.values())
    with capsys.disabled():
        print(f"\n{calls:,} random system calls in {len(outcomes)} workers")  # noqa: T201 - the figure
    assert {name: outcome.harms for name, outcome in outcomes.items() if outcome.harms} == {}
    assert calls > 100 * WORKERS  # else the workers end too soon to have tried anything
