"""Runs in the background, and cells in a row: `--bg`, Run All then cancel, Restart & Run All then deny, Stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Notebook, everywhere, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import time
import pandas as pd
import workbench
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
from ipykernel.comm.comm import BaseComm
route = BaseComm._reply_subshell_for
"""
STEPS = [
    {"id": "first", "title": "A short wait", "task": "slow", "params": {"seconds": 0}},
    {"id": "long", "title": "A long wait", "task": "slow", "params": {"seconds": 100}, "needs": ["first"]},
]
LONG = json.dumps(STEPS)
SHORT = LONG.replace("100", "1")
RUNNING = ".workbench-panel tr[data-state=running]"
BUSY = "while h.state == 'running': time.sleep(0.05)\nprint(h.state)"


def running(book: Notebook, number: int) -> None:
    """Wait for the second step of a cell's run to be at work."""
    book.panel(number).locator("tr[data-state=running]").filter(has_text="A long wait").wait_for(timeout=30_000)


def button(book: Notebook, number: int, name: str) -> Any:
    return book.panel(number).get_by_role("button", name=name, exact=True)


def text(book: Notebook, number: int) -> str:
    return "\n".join(book.results(number).all_inner_texts()).replace("\u00a0", " ").strip()


def cancelled(book: Notebook, number: int) -> None:
    """Cancel a run in the background, and wait for what stays of it."""
    button(book, number, "Cancel").click()
    wait_for(lambda: "■ cancelled" in text(book, number), 10, "the result to stand in its cell")


@everywhere
def test_a_run_in_the_background_lands_in_its_own_cell(book: Notebook, figure: Callable[[str, float], None]) -> None:
    asked, busy = book.add(f"%%agent --bg h <<\n{SHORT}"), book.add(BUSY)
    book.watch("keydown", RUNNING, cell=asked)
    book.run(asked)
    figure(f"ms from Run to running in the background, {book.lab.front}", book.seen())
    assert book.panel(asked).count() == 1
    book.run(busy)
    assert text(book, busy) == "done"
    wait_for(lambda: book.panel(asked).count() == 0, 10, "the panel to freeze")
    assert text(book, asked).count("✓ done") == 2
    value = book.add("await h")
    book.run(value)
    assert "✓ done" in text(book, value)


@everywhere
def test_cancel_stops_a_run_in_the_background_while_another_cell_is_busy(
    book: Notebook, figure: Callable[[str, float], None]
) -> None:
    warm = book.add(f"%%agent\n{json.dumps(STEPS[:1])}")
    book.run(warm)  # what serves all workers is there from now on
    before = book.processes()
    asked, busy = book.add(f"%%agent --bg h <<\n{LONG}"), book.add(BUSY)
    book.run(asked)
    running(book, asked)
    book.start(busy)
    book.watch("click", cell=busy)
    button(book, asked, "Cancel").click()
    figure(f"ms from Cancel to the end of a background run, {book.lab.front}", book.seen())
    assert text(book, busy) == "cancelled"
    wait_for(lambda: "■ cancelled" in text(book, asked), 10, "the result to stand in its cell")
    assert "Cancelled: Stopped. 1 of 2 steps finished and are kept." in text(book, asked)
    wait_for(lambda: not book.processes() - before, 5, "the processes of the run to end")


@everywhere
def test_stop_ends_the_busy_cell_and_not_the_run_in_the_background(book: Notebook) -> None:
    asked, waits = book.add(f"%%agent --bg h <<\n{LONG}"), book.add("print('waiting')\nh.result()")
    book.run(asked)
    running(book, asked)
    book.start(waits)
    book.results(waits).get_by_text("waiting").wait_for()
    book.command("notebook:interrupt-kernel")
    book.wait_done(waits)
    assert "KeyboardInterrupt" in text(book, waits)
    state = book.add("h.state")
    book.run(state)
    assert text(book, state) == "'running'"
    cancelled(book, asked)


@everywhere
def test_where_a_click_does_not_reach_a_busy_cell_the_answer_is_given_in_the_background(
    book: Notebook, figure: Callable[[str, float], None]
) -> None:
    book.run(book.add("del BaseComm._reply_subshell_for  # as in an ipykernel that routes in another way"))
    asked = book.add(f"%%agent --ask h <<\n{SHORT}")
    book.run(asked)
    assert "the run goes on in the background and asks above" in text(book, asked)
    book.panel(asked).get_by_text("Waiting for your approval").wait_for()
    book.watch("click", f"{RUNNING}, .workbench-panel tr[data-state=done]", cell=asked)
    button(book, asked, "Approve").click()
    figure(f"ms from Approve to running in the background, {book.lab.front}", book.seen())
    value = book.add("h.result().status")
    book.run(value)
    assert text(book, value) == "'done'"
    book.run(book.add("BaseComm._reply_subshell_for = route"))
