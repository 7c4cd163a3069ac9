"""The kernel edge in a real JupyterLab: the panel while a run is on, Cancel, Stop, save, reopen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Notebook, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import pandas as pd, workbench
from workbench.models.testing import TestModel
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
slow = {"mode": "sequential", "steps": [
    {"title": "A short wait", "task": "slow", "params": {"seconds": 0}},
    {"title": "A long wait", "task": "slow", "params": {"seconds": 100}},
]}
bench = workbench.use(workbench.Workbench(model=TestModel(lambda messages: slow)))
"""
GRAMMAR = "bench = workbench.use(workbench.Workbench())"


def long_run(book: Notebook, number: int) -> None:
    """Start the long run and return when its second step runs."""
    book.start(number)
    book.output(number).locator(".workbench-panel tr[data-state=running]").filter(has_text="A long wait").wait_for(
        timeout=30_000
    )


def test_cancel_reaches_a_busy_cell_and_the_panel_freezes(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("cancel.ipynb", SETUP, "%agent wait for it")
    book.run(0)
    long_run(book, 1)
    book.page.screenshot(path="/tmp/wb-running.png")
    clock = book.output(1).locator(".workbench-panel .clock")
    wait_for(lambda: clock.inner_text() not in ("", "0 s"), 10, "the clock to go on")
    clicked = time.monotonic()
    book.output(1).get_by_role("button", name="Cancel").click()
    book.wait_done(1, 20)
    assert time.monotonic() - clicked < 10
    text = book.output(1).inner_text()
    assert "A short wait" in text
    assert "■ cancelled" in text.replace("\u00a0", " ")
    assert "Cancelled: Stopped. 1 of 2 steps finished and are kept." in text
    assert "Traceback" not in text
    assert book.output(1).locator("button").count() == 0
    book.page.screenshot(path="/tmp/wb-cancelled.png")


def test_stop_ends_a_run_and_the_next_cell_works(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("stop.ipynb", SETUP, "%agent wait for it", GRAMMAR, "%agent total revenue by region of @sales")
    book.run(0)
    long_run(book, 1)
    book.command("notebook:interrupt-kernel")
    book.wait_done(1, 20)
    assert "Cancelled: Stopped." in book.output(1).inner_text()
    book.run(2)
    book.run(3)
    text = book.output(3).inner_text()
    assert "North" in text
    assert "query_data" in text


def test_a_saved_notebook_holds_one_plain_display_and_reads_after_reopening(
    open_notebook: Callable[..., Notebook],
) -> None:
    book = open_notebook(
        "saved.ipynb", SETUP, GRAMMAR, "%agent total revenue by region as a bar chart of @sales", "_.df"
    )
    for number in range(4):
        book.run(number)
    saved = book.save()
    outputs: list[Any] = saved.cells[2].outputs
    assert [output.output_type for output in outputs] == ["display_data"]
    assert sorted(outputs[0].data) == ["text/html", "text/plain"]
    assert "widget" not in book.path.read_text("utf-8")
    assert saved.cells[3].outputs[0].output_type == "execute_result"
    assert not [line for line in book.console if "workbench" in line.lower()]
    book.command("kernelmenu:shutdown")
    book.open()
    book.page.wait_for_selector(".workbench table")
    text = book.output(2).inner_text()
    assert "North" in text
    assert "query_data" in text
    wait_for(lambda: book.output(2).locator("img").count() == 1, 10, "the chart")
    book.page.screenshot(path="/tmp/wb-reopened.png")


def test_a_person_approves_the_steps_in_the_cell(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("ask.ipynb", SETUP, GRAMMAR, "%agent --ask total revenue by region of @sales")
    book.run(0)
    book.run(1)
    book.start(2)
    line = book.output(2).locator("input.jp-Stdin-input")
    line.wait_for(timeout=30_000)
    book.page.screenshot(path="/tmp/wb-ask.png")
    line.fill("y")
    line.press("Enter")
    book.wait_done(2)
    text = book.output(2).inner_text()
    assert "✓" in text
    assert "North" in text
    assert "Not approved" not in text
