"""The bridge: results and errors come back, an interrupt cancels and hears the work's own end, forks start afresh."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench import bridge
from workbench.core.errors import Cancelled


async def twice(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


def test_results_and_errors_come_back() -> None:
    async def fails() -> None:
        raise LookupError("no")

    assert bridge.wait(twice(2)) == 4
    with pytest.raises(LookupError, match="no"):
        bridge.wait(fails())


def test_it_works_while_the_caller_has_a_running_loop_of_its_own() -> None:
    async def cell() -> int:
        return bridge.wait(twice(3))

    assert asyncio.run(cell()) == 6


def test_waiting_on_the_loops_own_thread_is_refused() -> None:
    async def inner() -> int:
        return bridge.wait(twice(1))

    with pytest.raises(RuntimeError, match="await"):
        bridge.wait(inner())


def test_many_at_once_share_one_thread() -> None:
    async def name() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    with ThreadPoolExecutor(16) as pool:
        names = set(pool.map(lambda _: bridge.wait(name()), range(100)))
    assert names == {"workbench-loop"}


def test_the_work_sees_the_callers_context() -> None:
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where")

    async def look() -> str:
        return where.get()

    where.set("cell 7")
    assert bridge.wait(look()) == "cell 7"


def interrupt_soon(started: threading.Event) -> None:
    def send() -> None:
        started.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def test_an_interrupt_cancels_the_work_and_gives_its_own_last_word() -> None:
    started = threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Cancelled("Stopped. 2 of 3 steps finished.") from None

    interrupt_soon(started)
    with pytest.raises(Cancelled, match="2 of 3"):
        bridge.wait(work())


def test_an_interrupt_before_the_work_has_begun_still_gives_its_last_word() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Cancelled("Stopped. Nothing was run.") from None

    held, release = threading.Event(), threading.Event()

    async def hold() -> None:
        held.set()
        release.wait(10)  # holds the loop, so that the work cannot begin

    bridge.submit(hold())
    held.wait(10)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    threading.Timer(0.3, release.set).start()
    with pytest.raises(Cancelled, match="Nothing was run"):
        bridge.wait(work())


def test_an_interrupt_of_work_without_a_last_word_stays_an_interrupt() -> None:
    started = threading.Event()
    ended = threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    interrupt_soon(started)
    with pytest.raises(KeyboardInterrupt):
        bridge.wait(work())
    assert ended.is_set()


def test_work_that_raises_a_programs_end_does_not_take_the_loop_along() -> None:
    async def leaves() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        bridge.wait(leaves())
    assert bridge.wait(twice(4)) == 8


def test_work_that_will_not_end_does_not_hold_the_cell() -> None:
    started, release = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.to_thread(release.wait, 10)
        while not release.is_set():
            try:
                await asyncio.to_thread(release.wait, 10)
            except asyncio.CancelledError:
                continue

    interrupt_soon(started)
    with pytest.raises(KeyboardInterrupt):
        bridge.wait(work(), patience=0.05)
    release.set()


def test_a_second_interrupt_does_not_wait_for_the_last_word() -> None:
    started, release = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            await asyncio.to_thread(release.wait, 10)

    interrupt_soon(started)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        bridge.wait(work(), patience=30)
    assert time.monotonic() - began < 5
    release.set()


def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    code = """
import os, sys
from workbench import bridge
async def two(): return 2
assert bridge.wait(two()) == 2
pid = os.fork()
if pid == 0:
    os._exit(0 if bridge.wait(two()) == 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
