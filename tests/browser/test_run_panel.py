"""The panel of a run in a page: rows that unfold and stay as the reader has left them while the run goes on."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import Notebook, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import pandas as pd, workbench
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})

@workbench.tool
def counts(lines: int) -> str:
    '''Counts, and says so.'''
    import time
    from workbench import toolkit
    for number in range(lines):
        toolkit.progress(f"line {number} of {lines}")
        time.sleep(0.05)
    return "counted"
"""
PLAN = [
    {
        "id": "totals",
        "title": "Revenue by region",
        "task": "query_data",
        "params": {"sql": "select region, revenue from sales", "tables": {"sales": {"$ref": "@sales"}}},
    },
    {"id": "chart", "task": "plot", "params": {"data": {"$ref": "totals"}, "kind": "bar"}},
    {"id": "count", "title": "Counting", "task": "counts", "params": {"lines": 2000}, "needs": ["totals"]},
]


def test_what_a_reader_has_opened_stays_open_and_grows(book: Notebook) -> None:
    number = book.add(f"%%agent\n{json.dumps(PLAN)}")
    book.start(number)
    panel = book.panel(number)
    panel.get_by_label("Show what totals tells").click(timeout=30_000)
    panel.get_by_role("cell", name="North").first.wait_for()
    count = panel.get_by_label("Show what count tells")
    count.click(timeout=30_000)
    log = panel.locator("pre.log:visible")
    log.first.wait_for()
    book.page.evaluate("document.querySelector('.workbench-panel').marked = true")
    panel.get_by_label("Hide what count tells").focus()
    seen = set()

    def moved_on() -> bool:
        seen.add(log.inner_text())
        return len(seen) > 20

    wait_for(moved_on, 20, "twenty updates")
    assert book.page.evaluate("document.querySelector('.workbench-panel').marked")
    assert book.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Hide what count tells"
    assert panel.get_by_role("cell", name="North").first.is_visible()
    assert len(log.inner_text().splitlines()) <= 50
    chart = panel.get_by_label("Show what chart tells")
    chart.click(timeout=30_000)
    panel.locator("tr.detail img").wait_for()
    circles = panel.locator("td.lanes circle")
    assert circles.count() == 3
    panel.get_by_role("button", name="Cancel").click()
    book.wait_done(number)
