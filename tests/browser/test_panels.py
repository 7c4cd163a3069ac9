"""The panels that stand by themselves, in real front ends: asked, planned, changed, run, stopped; looked around in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Notebook, everywhere, wait_for
from tests.browser.test_access import usable

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import pandas as pd, workbench
from workbench.models.testing import TestModel
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
short = {"title": "A short wait", "task": "slow", "params": {"seconds": 0}}
long = {"title": "A long wait", "task": "slow", "params": {"seconds": 100}}
query = {"title": "Rows of North", "task": "query_data", "params": {
    "tables": {"sales": {"$ref": "@sales"}}, "sql": "select * from sales where region = 'North'"}}

def says(messages):
    known, _, wanted = messages[-1].content.rpartition("# request\\n")
    if "# result" in known:
        return "These are they."
    return {"mode": "sequential", "steps": [query] if "rows" in wanted else [short, long]}

bench = workbench.use(workbench.Workbench(model=TestModel(says)))
"""


def shown(book: Notebook, code: str) -> tuple[Any, int]:
    """The panel that a new cell shows, and the cell's number."""
    number = book.add(code)
    book.run(number)
    panel = book.panel(number)
    panel.wait_for(timeout=20_000)
    return panel, number


def button(panel: Any, name: str) -> Any:
    return panel.get_by_role("button", name=name, exact=True)


@everywhere
def test_a_request_is_typed_planned_changed_run_and_its_result_looked_at(book: Notebook) -> None:
    panel, _ = shown(book, "p = workbench.panel(); p")
    box = panel.get_by_label("Request")
    box.press_sequentially("rows of @sal")
    option = panel.get_by_role("option", name="@sales")
    option.wait_for(timeout=10_000)
    box.press("Enter")
    expect(box).to_have_value("rows of @sales")
    box.press("Control+Enter")
    panel.get_by_text("Run these steps?").wait_for(timeout=30_000)
    expect(panel.get_by_role("listbox", name="Tables")).to_be_hidden()
    button(panel, "Edit").click()
    panel.get_by_label("sql", exact=True).fill("select revenue from sales where region = 'South'")
    expect(button(panel, "Approve")).to_be_enabled(timeout=10_000)
    button(panel, "Approve").click()
    table = panel.locator(".results table")
    table.wait_for(timeout=30_000)
    expect(table).to_contain_text("2")
    expect(table).not_to_contain_text("North")
    expect(panel.get_by_text("✓ done,")).to_be_visible()
    check = book.add("p.state, list(p.run.df.revenue), p.plan.steps[0].params['sql']")
    book.run(check)
    said = book.output(check).inner_text()
    assert "'done'" in said
    assert "[2.0]" in said
    assert "South" in said


@everywhere
def test_cancel_reaches_a_run_of_a_panel_also_while_a_cell_is_busy(book: Notebook) -> None:
    panel, _ = shown(book, "workbench.panel()")
    panel.get_by_label("Request").fill("wait for it")
    button(panel, "Run").click()
    running = panel.locator("tr[data-state=running]").filter(has_text="A long wait")
    running.wait_for(timeout=30_000)
    routed = (
        panel.get_by_text("clicks in this panel wait for its end").count() == 0
        or not panel.get_by_text("clicks in this panel wait for its end").is_visible()
    )
    busy = book.add("import time; time.sleep(3)")
    book.start(busy)
    button(panel, "Cancel").click()
    stopped = panel.get_by_text("1 of 2 steps finished and are kept")
    stopped.wait_for(timeout=20_000)
    assert (book.number(busy) == "*") is routed
    book.wait_done(busy, 20)
    expect(panel.get_by_text("■ cancelled,")).to_be_visible()
    assert "A short wait" in panel.inner_text()


def test_earlier_requests_come_back_and_errors_are_lines_with_what_to_do(book: Notebook) -> None:
    panel, number = shown(book, "workbench.panel()")
    box = panel.get_by_label("Request")
    button(panel, "Run").click()
    expect(panel.get_by_role("alert").filter(has_text="The request is empty. → Write what you want")).to_be_visible()
    box.fill("rows of @sails")
    box.press("Control+Shift+Enter")
    expect(panel.get_by_role("alert").filter(has_text="did you mean @sales?")).to_be_visible()
    box.fill("rows of @sales")
    box.press("Control+Shift+Enter")
    panel.get_by_text("✓ done,").wait_for(timeout=30_000)
    box.fill("")
    box.press("ArrowUp")
    expect(box).to_have_value("rows of @sales")
    box.press("ArrowDown")
    expect(box).to_have_value("")
    button(panel, "Plan").focus()
    cells = book.page.locator(".jp-Notebook .jp-CodeCell").count()
    for key in ("d", "d", "a", "x"):  # commands of the notebook, were they heard
        book.page.keyboard.press(key)
    assert book.page.locator(".jp-Notebook .jp-CodeCell").count() == cells
    usable(book, number)


def test_a_question_in_a_panel_is_readable_and_answered_by_keyboard(book: Notebook) -> None:
    panel, number = shown(book, "workbench.panel()")
    panel.get_by_label("Request").fill("rows of @sales")
    panel.get_by_label("Request").press("Control+Enter")
    panel.get_by_text("Run these steps?").wait_for(timeout=30_000)
    usable(book, number)
    deny = button(panel, "Deny")
    deny.focus()
    deny.press("Enter")
    expect(
        panel.get_by_role("alert").filter(has_text="The steps were not approved. → Nothing was run.")
    ).to_be_visible()


def test_memories_are_added_found_pinned_and_forgotten(book: Notebook) -> None:
    panel, number = shown(book, "workbench.panel('memory')")
    panel.get_by_text("Add a memory").click()
    for text in ("the fiscal year starts in May", "charts are blue"):
        panel.get_by_label("Something to remember").fill(text)
        button(panel, "Remember").click()
        panel.get_by_role("row").filter(has_text=text).wait_for(timeout=20_000)
    panel.get_by_label("Search").press_sequentially("when does the fiscal year start")
    found = panel.get_by_role("row").filter(has_text="fiscal year starts")
    expect(found).to_contain_text("fiscal", timeout=10_000)
    expect(found.locator(".score")).not_to_have_text("–")
    found.get_by_role("button", name="Pin:").click()
    expect(found.get_by_role("button", name="Unpin:")).to_be_visible()
    usable(book, number)
    found.get_by_role("button", name="Forget").click()
    found.get_by_role("button", name="Yes").click()
    expect(panel.get_by_text("✓ Forgotten: the fiscal year starts in May")).to_be_visible()
    expect(found).to_have_count(0)


def test_a_tool_is_found_read_and_tried_in_a_form(book: Notebook) -> None:
    panel, number = shown(book, "workbench.panel('tools')")
    panel.get_by_label("Search").press_sequentially("slow")
    expect(panel.locator("ul.items > li")).to_have_count(1, timeout=10_000)
    panel.locator("summary").filter(has_text="slow").click()
    field = panel.get_by_label("seconds")
    field.fill("soon")
    button(panel, "Try it").click()
    expect(panel.locator(".value .trouble")).to_be_visible()
    field.fill("0")
    button(panel, "Try it").click()
    panel.get_by_text("✓ done,").wait_for(timeout=30_000)
    expect(panel.locator(".results")).to_contain_text("waited")
    usable(book, number)


def test_runs_are_filtered_opened_and_run_again(book: Notebook) -> None:
    book.run(book.add("%agent rows of @sales please"))
    panel, number = shown(book, "workbench.panel('runs')")
    panel.get_by_label("Search").press_sequentially("please")
    rows = panel.locator("table.rows tbody tr")
    first = rows.filter(has_text="rows of @sales please")
    first.wait_for(timeout=10_000)
    panel.get_by_label("Status").select_option("done")
    wait_for(lambda: first.count() == 1, 10, "the filters to be obeyed")
    first.get_by_role("button", name="Open").click()
    opened = panel.get_by_role("region", name="The run that is open")
    expect(opened.locator(".results table")).to_contain_text("North")
    usable(book, number)
    button(opened, "Run again").click()
    goes_on = panel.get_by_role("region", name="The run that goes on")
    goes_on.get_by_text("✓ done,").wait_for(timeout=30_000)
    wait_for(lambda: first.count() == 2, 10, "the new run to be listed")


def test_settings_are_changed_for_this_kernel_only(book: Notebook) -> None:
    panel, number = shown(book, "workbench.panel('settings')")
    budget = panel.get_by_label("budget")
    budget.fill("much")
    budget.press("Enter")
    expect(panel.get_by_role("alert").filter(has_text="'much' is no part of a budget")).to_be_visible()
    budget.fill("calls=30")
    budget.press("Enter")
    expect(panel.get_by_text("✓ budget is calls=30, for this kernel only.")).to_be_visible()
    panel.get_by_label("for calls with").fill("tool:slow")
    button(panel, "Add the rule").click()
    rule = panel.get_by_role("row").filter(has_text="tool:slow")
    expect(rule).to_contain_text("this kernel")
    usable(book, number)
    book.run(book.add("%config Workbench.budget"))
    assert "calls=30" in book.output(book.page.locator(".jp-Notebook .jp-CodeCell").count() - 1).inner_text()
    rule.get_by_role("button", name="Take back").click()
    expect(rule).to_have_count(0)
    budget.fill("")
    budget.press("Enter")
    expect(panel.get_by_text("✓ budget is as your settings say, for this kernel only.")).to_be_visible()


def test_when_its_kernel_is_gone_no_panel_looks_alive(open_notebook: Callable[..., Notebook]) -> None:
    kinds = ("request", "memory", "tools", "runs", "settings")
    book = open_notebook("gone.ipynb", SETUP, *(f"workbench.panel({kind!r})" for kind in kinds))
    for number in range(len(kinds) + 1):
        book.run(number)
    for number in range(1, len(kinds) + 1):
        book.panel(number).locator("button:visible, input:visible").first.wait_for(timeout=20_000)
    book.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:restart-kernel') }")
    book.page.locator(".jp-Dialog button").last.click()
    for number in range(1, len(kinds) + 1):
        panel = book.panel(number)
        panel.get_by_text("The kernel of this panel has ended.").wait_for(timeout=30_000)
        expect(panel.locator("button:visible, input:visible, textarea:visible, select:visible")).to_have_count(0)
    saved = book.save()
    for number in range(1, len(kinds) + 1):
        (output,) = saved.cells[number].outputs
        assert "workbench.panel(" in output.data["text/html"]
        assert "<button" not in output.data["text/html"]
