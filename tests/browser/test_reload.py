"""A page is loaded anew while a cell waits for an answer: the cell waits no longer, the answer is still asked for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.browser.conftest import Notebook, everywhere
from tests.browser.test_approval import ASK, SETUP, WAITING, button

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def asked(book: Notebook) -> None:
    """Have the second cell wait for its answer; the third waits for the second."""
    book.page.on("dialog", lambda dialog: dialog.accept())  # "changes may not be saved"
    book.run(0)
    book.command("notebook:run-all-cells")
    book.panel(1).get_by_text(WAITING).wait_for(timeout=30_000)


@everywhere
def test_a_page_loaded_anew_asks_again_where_it_asked_before(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("anew.ipynb", SETUP, ASK, "after = 1", "'after' in dir()")
    asked(book)
    book.save()
    book.open()  # which waits until the kernel is free
    button(book, 1, "Approve").click()
    book.results(1).get_by_text("North").first.wait_for(timeout=30_000)
    assert "✓ done" in book.output(1).inner_text().replace("\u00a0", " ")
    assert book.controls(1).count() == 0
    assert "widget-view" not in json.dumps(book.save().cells[1].outputs), "the result took the panel's place"
    book.run(3)
    assert "False" in book.output(3).inner_text(), "what came after the cell did not run without its result"


@everywhere
def test_what_a_page_asked_that_was_never_saved_is_shown_in_another_cell(
    open_notebook: Callable[..., Notebook],
) -> None:
    book = open_notebook("unsaved.ipynb", SETUP, ASK, "%agent total revenue of @sales")
    asked(book)
    book.open()
    book.run(2)
    offer = book.output(2).get_by_text("A run waits for your answer: ")
    shown = book.add(offer.inner_text().split(": ")[1].splitlines()[0])
    book.run(shown)
    button(book, shown, "Approve").click()
    book.results(shown).get_by_text("North").first.wait_for(timeout=30_000)
    assert book.controls(shown).count() == 0


def test_a_second_tab_takes_nothing_from_the_first_and_asks_when_that_is_closed(
    open_notebook: Callable[..., Notebook],
) -> None:
    first = open_notebook("tabs.ipynb", SETUP, ASK, "after = 1")
    asked(first)
    first.save()
    second = Notebook.__new__(Notebook)
    second.lab, second.page, second.path = first.lab, first.page.context.new_page(), first.path
    second.open(kernel=False)
    second.output(1).get_by_text("Loading widget...").wait_for()
    assert button(first, 1, "Approve").is_enabled()
    first.page.goto("about:blank")
    button(second, 1, "Approve").click(timeout=90_000)  # what a page says when it goes may be lost
    second.results(1).get_by_text("North").first.wait_for(timeout=30_000)
    second.page.close()
