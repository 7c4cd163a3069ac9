"""What stands under a cell can be read and reached by everybody: in three themes, by keyboard, and read aloud."""

from __future__ import annotations

import pytest

from tests.browser import access
from tests.browser.conftest import Notebook

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
telling = workbench.Workbench(model=TestModel(lambda messages: {"steps": [{"task": "teller", "params": {}}]}))
bench = workbench.Workbench()
code = '''```python
import math
# the area of a circle
print(f"{math.pi * 2 ** 2:.2f}", None, True)
```'''
drawn = {
    "mode": "graph",
    "steps": [
        {"id": "q", "title": "Revenue by region", "task": "query_data", "params": {
            "tables": {"sales": {"$ref": "@sales"}},
            "sql": "SELECT region, sum(revenue) AS revenue FROM sales GROUP BY region -- by region"}},
        {"id": "p", "title": "Draw it", "task": "plot", "params": {"data": {"$ref": "q"}, "kind": "bar"}},
    ],
}
said = f"**North** leads, see [the source](https://example.org/a) and `revenue`.\\n\\n> A quotation.\\n\\n{code}"
broken = {
    "mode": "graph",
    "steps": [
        {"id": "f", "title": "No such table", "task": "query_data", "params": {
            "tables": {"sales": {"$ref": "@sales"}}, "sql": "SELECT * FROM nowhere"}},
        {"id": "b", "title": "Needs it", "task": "plot", "params": {"data": {"$ref": "f"}, "kind": "bar"}},
    ],
}

def scripted(*replies):
    workbench.use(workbench.Workbench(model=TestModel(replies)))
"""


def finished(book: Notebook) -> dict[int, list[str]]:
    """Cells with finished runs, and words that must be seen there: SQL, a table, a chart, prose, code; what failed."""
    cells = {
        book.add("scripted(drawn, said)\n%agent draw it"): [
            "✓ done",
            "SELECT region",
            "North leads",
            "math.pi",
            "Cost",
        ],
        book.add("scripted(broken)\n%agent fail"): ["✗ failed", "– blocked", "nowhere", "not run: needs f"],
        book.add("%workbench tools"): ["query_data"],
    }
    for number in cells:
        book.run(number)
    return cells


def test_a_running_panel_is_readable_in_three_themes_and_by_keyboard(book: Notebook) -> None:
    number = book.add("workbench.use(waiting)\n%agent wait for it")
    book.start(number)
    panel = book.panel(number)
    panel.locator("tr[data-state=running]").filter(has_text="A long wait").wait_for(timeout=30_000)
    panel.get_by_label("Show what s1 tells").click()
    usable(book, number)
    assert access.spoken(panel.locator(".head")) == ["Running: 1 of 2 steps finished"]
    panel.get_by_role("button", name="Cancel").press("Enter")
    book.wait_done(number, 20)


def test_a_question_is_readable_in_three_themes_and_by_keyboard(book: Notebook) -> None:
    number = book.add("workbench.use(bench)\n%agent --ask total revenue by region as a bar chart of @sales")
    book.start(number)
    panel = book.panel(number)
    panel.get_by_role("button", name="Approve").wait_for(timeout=30_000)
    usable(book, number)
    panel.get_by_role("button", name="Edit").click()
    panel.get_by_label("tables", exact=True).first.fill('{"sales": {"$ref": "@sails"}}')
    panel.locator(".trouble").locator("visible=true").first.wait_for()
    usable(book, number)
    panel.get_by_role("button", name="Edit as JSON").click()
    panel.get_by_label("The plan as JSON").fill("[")
    usable(book, number)
    panel.get_by_role("button", name="Deny").press("Enter")
    book.wait_done(number)


def test_details_that_are_open_stay_open_and_the_focus_stays_while_a_run_goes_on(book: Notebook) -> None:
    number = book.add("workbench.use(telling)\n%agent tell me")
    book.start(number)
    panel = book.panel(number)
    shows = panel.locator("button.unfold").locator("visible=true").first
    shows.wait_for(timeout=30_000)
    shows.focus()
    shows.press("Enter")
    panel.locator(".log").get_by_text("line").first.wait_for()
    access.count_updates(panel)
    access.wait_updates(book.page, 20)
    assert shows.get_attribute("aria-expanded") == "true"
    assert shows.evaluate("node => node === document.activeElement")
    assert panel.locator(".log").locator("visible=true").count() == 1
    panel.get_by_role("button", name="Cancel").click()
    book.wait_done(number, 20)


def readable(book: Notebook, cells: dict[int, list[str]]) -> None:
    """Check that the cells show these words, in every theme so that they can be read."""
    for number, words in cells.items():
        text = book.output(number).inner_text().replace("\u00a0", " ")
        assert [word for word in words if word not in text] == [], text
    for theme in book.themes():
        for number in cells:
            assert (theme, number, access.dim(book.results(number))) == (theme, number, [])


def test_a_finished_run_is_readable_in_three_themes(book: Notebook) -> None:
    readable(book, finished(book))


def test_a_run_in_a_notebook_of_others_is_readable_in_three_themes(book: Notebook) -> None:
    cells = finished(book)
    book.save()
    book.open_untrusted()
    readable(book, cells)


def test_the_request_panel_is_readable_in_three_themes_and_by_keyboard(book: Notebook) -> None:
    number = book.add("scripted(drawn, said)\nworkbench.panel()")
    book.run(number)
    panel = book.panel(number)
    panel.get_by_role("textbox").first.fill("draw @sales")
    panel.get_by_role("button", name="Plan").click()
    panel.get_by_role("button", name="Approve").wait_for()
    usable(book, number)
    panel.get_by_role("button", name="Approve").click()
    panel.get_by_text("North leads").first.wait_for()
    usable(book, number)


def usable(book: Notebook, number: int) -> None:
    """Check that all of a live panel can be read in every theme, seen by the Tab key, hit, and named; that something
    is read aloud, and that nothing moves for who asked for that."""
    panel = book.panel(number)
    for theme in book.themes():
        assert (theme, access.dim(panel)) == (theme, [])
        assert (theme, access.unseen_focus(panel)) == (theme, [])
    assert access.small(panel) == []
    assert access.unnamed(panel) == []
    assert access.spoken(panel)
    book.page.emulate_media(reduced_motion="reduce")
    assert access.moving(panel) == []
