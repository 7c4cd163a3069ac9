"""The kernel edge in real front ends: the panel while a run is on, Cancel, Stop, save, reopen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Notebook, everywhere, wait_for

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
waiting = workbench.Workbench(model=TestModel(lambda messages: slow))
bench = workbench.use(workbench.Workbench())
"""
WAIT = "workbench.use(waiting)\n%agent wait for it"
ASK = "workbench.use(bench)\n%agent total revenue by region of @sales"
CANCEL = ".jp-OutputArea .workbench-panel button"


def long_run(book: Notebook, number: int) -> None:
    """Start the long run and return when its second step runs."""
    book.start(number)
    book.panel(number).locator("tr[data-state=running]").filter(has_text="A long wait").wait_for(timeout=30_000)


@everywhere
def test_cancel_reaches_a_busy_cell_and_the_panel_freezes(book: Notebook, figure: Callable[[str, float], None]) -> None:
    warm = book.add(ASK)
    book.run(warm)  # what serves all workers is there from now on
    before = book.processes()
    number = book.add(WAIT)
    book.watch("keydown", CANCEL, cell=number)
    long_run(book, number)
    figure(f"ms from Run to Cancel, {book.lab.front}", book.seen())
    assert book.processes() - before, "the step that waits is a process"
    clock = book.panel(number).locator(".clock")
    wait_for(lambda: clock.inner_text() not in ("", "0 s"), 10, "the clock to go on")
    book.watch("click", cell=number)
    book.panel(number).get_by_role("button", name="Cancel").click()
    figure(f"ms from Cancel to the end of the cell, {book.lab.front}", book.seen())
    text = book.output(number).inner_text()
    assert "A short wait" in text
    assert "■ cancelled" in text.replace("\u00a0", " ")
    assert "Cancelled: Stopped. 1 of 2 steps finished and are kept." in text
    assert "Traceback" not in text
    assert book.controls(number).count() == 0
    wait_for(lambda: not book.processes() - before, 5, "the processes of the run to end")


@everywhere
def test_stop_ends_a_run_and_the_next_cell_works(book: Notebook) -> None:
    stopped, after = book.add(WAIT), book.add(ASK)
    long_run(book, stopped)
    book.command("notebook:interrupt-kernel")
    book.wait_done(stopped, 20)
    assert "Cancelled: Stopped." in book.output(stopped).inner_text()
    book.run(after)
    text = book.output(after).inner_text()
    assert "North" in text
    assert "query_data" in text


@everywhere
def test_a_click_reaches_a_cell_of_run_all_and_the_cells_after_one_that_failed_do_not_run(
    open_notebook: Callable[..., Notebook],
) -> None:
    book = open_notebook("all.ipynb", SETUP, ASK.replace("%agent", "%agent --ask"), WAIT, "after = 1")
    book.command("notebook:run-all-cells")
    book.panel(1).get_by_role("button", name="Approve").click(timeout=60_000)
    book.panel(2).locator("tr[data-state=running]").filter(has_text="A long wait").wait_for(timeout=60_000)
    book.panel(2).get_by_role("button", name="Cancel").click()
    book.wait_done(2, 20)
    wait_for(book.is_idle, 10, "the kernel to be idle")
    assert "North" in book.output(1).inner_text()
    assert "Cancelled: Stopped." in book.output(2).inner_text()
    assert book.number(3) == ""
    book.command("notebook:restart-run-all")
    book.page.locator(".jp-Dialog-button.jp-mod-accept").click()
    book.panel(1).get_by_role("button", name="Deny").click(timeout=60_000)
    book.wait_done(1, 20)
    wait_for(book.is_idle, 10, "the kernel to be idle")
    text = book.output(1).inner_text()
    assert "Denied: The steps were not approved." in text
    assert "✓" not in text
    assert [book.number(2), book.number(3)] == ["", ""]


@everywhere
def test_a_saved_notebook_holds_one_plain_display_and_reads_wherever_it_is_opened(
    open_notebook: Callable[..., Notebook],
) -> None:
    book = open_notebook("saved.ipynb", SETUP, "%agent total revenue by region as a bar chart of @sales", "_.df")
    for number in range(3):
        book.run(number)
    saved = book.save()
    outputs: list[Any] = saved.cells[1].outputs
    assert [output.output_type for output in outputs] == ["display_data"]
    assert sorted(outputs[0].data) == ["text/html", "text/plain"]
    assert "widget" not in book.path.read_text("utf-8")
    assert saved.cells[2].outputs[0].output_type == "execute_result"
    book.command("kernelmenu:shutdown")
    for opens in (book.open, book.open_untrusted):
        opens(kernel=False)
        book.output(1).locator("table").first.wait_for()
        text = book.output(1).inner_text().replace("\u00a0", " ")
        assert [word for word in ("✓ done", "query_data", "North", "Cost: $0") if word not in text] == []
        wait_for(lambda: book.output(1).locator("img").count() == 1, 10, "the chart")
        wait_for(lambda: book.panel(1).count() == 0, 10, "the panel to freeze")


def test_a_panel_whose_kernel_has_died_says_so_and_shows_no_dead_button(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("dies.ipynb", SETUP, WAIT)
    book.run(0)
    long_run(book, 1)
    os.kill(book.kernel(), signal.SIGKILL)
    panel = book.panel(1)
    panel.get_by_text("The kernel of this panel has ended.").wait_for()
    assert panel.get_by_role("button").locator("visible=true").count() == 0
    assert "Running" not in panel.inner_text()
    assert "✓ done" in panel.inner_text()
