"""Many jobs on one loop: none knows of another, and a stop loses nothing that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import Cancelled
from workbench.scheduler.local import Local


def returning(value: object) -> Callable[[], Coroutine[Any, Any, object]]:
    async def job() -> object:
        await asyncio.sleep(0)
        return value

    return job


def raising(error: Exception) -> Callable[[], Coroutine[Any, Any, object]]:
    async def job() -> object:
        await asyncio.sleep(0)
        raise error

    return job


@given(fails=st.lists(st.booleans(), max_size=20), concurrency=st.integers(1, 6))
def test_every_job_ends_once_and_no_failure_costs_another(fails, concurrency):
    heard: dict[int, object] = {}
    errors = [ValueError(str(number)) for number in range(len(fails))]
    jobs = [raising(errors[n]) if fail else returning(n) for n, fail in enumerate(fails)]

    def ended(number: int, result: object) -> None:
        assert number not in heard
        heard[number] = result

    asyncio.run(Local(concurrency).run(jobs, ended))
    assert heard == {n: errors[n] if fail else n for n, fail in enumerate(fails)}


@given(count=st.integers(0, 30), concurrency=st.integers(1, 8))
def test_as_many_run_at_once_as_may_and_no_more(count, concurrency):
    inside = most = 0

    async def job() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    asyncio.run(Local(concurrency).run([job] * count, lambda number, result: None))
    assert most == min(count, concurrency)


class Work:
    """Jobs that wait until they are told to go on, and say of themselves how they ended."""

    def __init__(self, words: bool = True) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.words = words
        self.started = 0
        self.heard: dict[int, Any] = {}

    async def job(self) -> str:
        self.started += 1
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            if self.words:
                raise Cancelled("Stopped. Nothing was run.") from None
            raise
        return "done"

    def ended(self, number: int, result: Any) -> None:
        self.heard[number] = result


@pytest.mark.parametrize("words", [True, False])
async def test_a_stop_ends_what_runs_and_starts_nothing_more(words):
    work, scheduler = Work(words), Local(2)
    running = asyncio.create_task(scheduler.run([work.job] * 5, work.ended))
    await work.begun.wait()
    scheduler.stop()
    await scheduler.over()
    await running
    assert work.started == 2
    assert sorted(work.heard) == [0, 1]
    assert all(isinstance(r, Cancelled if words else asyncio.CancelledError) for r in work.heard.values())


async def test_a_stop_that_waits_lets_what_runs_finish_and_starts_nothing_more():
    work, scheduler = Work(), Local(2)
    running = asyncio.create_task(scheduler.run([work.job] * 5, work.ended))
    await work.begun.wait()
    scheduler.stop(60.0)
    work.go.set()
    await running
    assert work.heard == {0: "done", 1: "done"}
    scheduler.stop()  # nothing is left that could be stopped
    await scheduler.over()


async def test_when_the_list_is_cancelled_every_job_has_ended_before_the_caller_hears_it():
    work, scheduler = Work(), Local(3)
    running = asyncio.create_task(scheduler.run([work.job] * 9, work.ended))
    await work.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(work.heard) == [0, 1, 2]
    assert work.started == 3


async def test_a_stop_before_the_start_starts_nothing():
    work, scheduler = Work(), Local(2)
    scheduler.stop()
    await scheduler.over()
    await scheduler.run([work.job], work.ended)
    assert work.started == 0
