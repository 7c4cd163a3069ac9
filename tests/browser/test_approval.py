"""A person is asked in the panel of a busy cell: yes, no, another plan, by mouse and by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Notebook, everywhere, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import pandas as pd, workbench
%load_ext workbench
workbench.use(workbench.Workbench())  # whatever another module of tests has left in this kernel
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
"""
PLAN = [
    {
        "id": "totals",
        "title": "Revenue by region",
        "task": "query_data",
        "params": {
            "sql": "select region, sum(revenue) as total from sales group by region order by region",
            "tables": {"sales": {"$ref": "@sales"}},
        },
    },
    {"id": "rest", "title": "A short rest", "task": "slow", "params": {"seconds": 0.1}, "needs": ["totals"]},
    {"id": "again", "title": "Another rest", "task": "slow", "params": {"seconds": 0.2}, "needs": ["totals"]},
]
ASK = f"%%agent --ask\n{json.dumps(PLAN)}"
WAITING = "Waiting for your approval"


def asked(book: Notebook, code: str = ASK) -> int:
    """A cell that waits for its answer."""
    number = book.add(code)
    book.start(number)
    book.panel(number).get_by_text(WAITING).wait_for(timeout=30_000)
    return number


def button(book: Notebook, number: int, name: str) -> Any:
    return book.panel(number).get_by_role("button", name=name, exact=True)


def frozen(book: Notebook, number: int) -> str:
    """What stands there when the cell is done: no widget, no button, no field."""
    book.wait_done(number)
    wait_for(lambda: book.panel(number).count() == 0, 10, "the panel to freeze")
    assert book.controls(number).count() == 0
    return str(book.results(number).all_inner_texts())


@everywhere
def test_the_steps_are_shown_and_approved(book: Notebook, figure: Callable[[str, float], None]) -> None:
    number = asked(book)
    text = book.panel(number).inner_text()
    assert "select region, sum(revenue)" in text
    assert "Running" not in text
    book.watch("click", ".workbench-panel tr[data-state=running], .workbench-panel tr[data-state=done]", cell=number)
    button(book, number, "Approve").click()
    figure(f"ms from Approve to running, {book.lab.front}", book.seen())
    text = frozen(book, number)
    assert "North" in text
    assert "Changed" not in text


@everywhere
def test_a_plan_is_changed_and_then_approved(book: Notebook) -> None:
    number = asked(book)
    panel = book.panel(number)
    button(book, number, "Edit").click()
    panel.get_by_label("sql", exact=True).fill("select 'mine' as whose from sales limit 1")
    panel.get_by_label("Run rest slow").uncheck()
    button(book, number, "Move again up").click()
    approve = button(book, number, "Approve")
    wait_for(approve.is_enabled, 10, "Approve to be enabled")
    approve.click()
    text = frozen(book, number)
    assert "mine" in text
    assert "A short rest" not in text
    assert "Changed before it ran: without rest; totals: sql; in another order." not in text  # only two are left
    assert "Changed before it ran: without rest; totals: sql." in text


@everywhere
def test_a_plan_is_changed_by_keyboard_alone(book: Notebook) -> None:
    number = asked(book)
    keys = book.page.keyboard
    focus = "document.activeElement"

    def name() -> str:
        return str(
            book.page.evaluate(
                f"{focus}.getAttribute('aria-label') || {focus}.labels?.[0]?.textContent || {focus}.textContent"
            )
        )

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            if name() == wanted:
                return
            keys.press("Tab")
        pytest.fail(f"no way to {wanted!r} by Tab; the focus is at {name()!r}")

    wait_for(lambda: name() == "Run these steps?", 10, "the focus to come to the question")
    tab_to("Edit")
    keys.press("Enter")
    tab_to("Discard the changes")
    book.page.evaluate("document.querySelector('.workbench-panel .asked h4').focus()")
    tab_to("Run rest slow")
    keys.press("Space")
    tab_to("Remove again")
    keys.press("Enter")
    tab_to("Tool of the new step")
    keys.type("slow")
    tab_to("Add a step")
    keys.press("Enter")
    wait_for(lambda: name() == "seconds", 10, "the focus to come to the new step")
    keys.type("0.3")
    approve = button(book, number, "Approve")
    wait_for(approve.is_enabled, 10, "Approve to be enabled")
    tab_to("Approve")
    keys.press("Enter")
    text = frozen(book, number)
    assert "Changed before it ran: without rest, again; s3 added." in text
    assert "✓" in text


@everywhere
def test_a_plan_that_cannot_run_cannot_be_approved(book: Notebook) -> None:
    number = asked(book)
    panel, approve = book.panel(number), button(book, number, "Approve")
    button(book, number, "Edit").click()
    field = panel.get_by_label("seconds", exact=True).first
    field.fill("soon")
    wait_for(approve.is_disabled, 5, "Approve to be disabled")
    panel.get_by_text("this is not a number").wait_for()
    field.fill("0.1")
    wait_for(approve.is_enabled, 5, "Approve to be enabled")
    # what only the kernel knows
    panel.get_by_label("tables", exact=True).fill('{"sales": {"$ref": "@sails"}}')
    panel.get_by_text("no such variable is offered; did you mean sales?").wait_for()
    assert approve.is_disabled()
    button(book, number, "Discard the changes").click()
    wait_for(approve.is_enabled, 5, "Approve to be enabled")
    panel.get_by_label("Run totals query_data").wait_for(state="hidden")
    button(book, number, "Edit").click()
    panel.get_by_label("Run totals query_data").uncheck()
    panel.get_by_text("needs totals, which is switched off").first.wait_for()
    assert approve.is_disabled()
    button(book, number, "Edit as JSON").click()
    panel.get_by_label("The plan as JSON").fill("[")
    panel.get_by_text("this is not JSON").wait_for()
    assert approve.is_disabled()
    panel.get_by_label("The plan as JSON").fill(json.dumps({"steps": [{"task": "slow", "params": {"seconds": 0}}]}))
    wait_for(approve.is_enabled, 5, "Approve to be enabled")
    approve.click()
    assert "s1" in frozen(book, number)


def test_what_a_step_does_beside_its_call_is_changed_by_keyboard(book: Notebook) -> None:
    number = asked(book)
    panel, keys, approve = book.panel(number), book.page.keyboard, button(book, number, "Approve")
    button(book, number, "Edit").click()
    panel.get_by_label("what it does", exact=True).nth(1).fill("A nap")
    more = panel.get_by_label("More of rest")
    details = panel.locator("details:has(> [aria-label='More of rest'])")
    more.focus()
    keys.press("Enter")
    details.get_by_label("if", exact=True).fill("totals#/nothing/here")
    retries = details.get_by_label("tries again", exact=True)
    retries.fill("11")
    details.get_by_text("at most 10").wait_for()
    assert approve.is_disabled()
    retries.fill("1")
    details.get_by_label("timeout (s)", exact=True).fill("9")
    details.get_by_label("runs after", exact=True).fill("total")
    panel.get_by_text("needs 'total', and there is no such step").wait_for()
    details.get_by_label("runs after", exact=True).fill("totals")
    details.get_by_label("foreach", exact=True).fill("[0.1, 0.2]")
    details.get_by_label("on error", exact=True).select_option("default")
    details.get_by_text("no default is given").wait_for()
    assert approve.is_disabled()
    assert details.get_attribute("open") is not None  # over all that the kernel has said meanwhile
    more.focus()
    keys.press("Enter")
    panel.get_by_text("on_error: on_error is default").wait_for()  # what is not seen any more is said below the step
    more.focus()
    keys.press("Enter")
    details.get_by_label("default", exact=True).fill("0")
    details.get_by_label("if", exact=True).fill("totals")
    wait_for(approve.is_enabled, 10, "Approve to be enabled")
    approve.click()
    text = frozen(book, number)
    assert "A nap" in text
    assert "for each of" in text
    assert "Changed before it ran: rest: " in text


@everywhere
def test_a_no_runs_nothing(book: Notebook) -> None:
    number = asked(book)
    button(book, number, "Deny").click()
    text = frozen(book, number)
    assert "Denied: The steps were not approved." in text
    assert "✓" not in text


@everywhere
def test_a_question_that_waits_too_long_is_a_no_and_leaves_no_field(book: Notebook) -> None:
    number = asked(book, ASK.replace("--ask", "--ask --timeout 2"))
    text = frozen(book, number)
    assert "No answer within 2 seconds." in text


@everywhere
def test_a_run_is_cancelled_while_it_asks(book: Notebook) -> None:
    number = asked(book)
    button(book, number, "Cancel").click()
    text = frozen(book, number)
    assert "Cancelled: Stopped." in text
    assert "✓" not in text


def test_who_types_elsewhere_is_left_in_peace(book: Notebook) -> None:
    elsewhere = book.add("words = ''")
    number = book.add(ASK)
    book.start(number)
    book.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").nth(elsewhere).click()
    book.panel(number).get_by_text(WAITING).wait_for(timeout=30_000)
    book.page.keyboard.type("# mine")
    assert "# mine" in book.cell(elsewhere).inner_text()
    button(book, number, "Deny").click()
    book.wait_done(number)


NO_WIDGETS = "import sys\nsys.modules['anywidget'] = None"


def test_without_widgets_a_line_of_text_is_asked_for_and_no_field_stays(open_notebook: Callable[..., Notebook]) -> None:
    late = ASK.replace("--ask", "--ask --timeout 1")
    book = open_notebook("lines.ipynb", SETUP, NO_WIDGETS, ASK, late)
    book.run(0)
    book.run(1)
    book.start(2)
    line = book.output(2).locator("input.jp-Stdin-input")
    line.wait_for(timeout=30_000)
    line.fill("y")
    line.press("Enter")
    assert "North" in frozen(book, 2)
    book.start(3)
    book.output(3).locator("input.jp-Stdin-input").wait_for(timeout=30_000)
    assert "No answer within 1 seconds." in frozen(book, 3)
