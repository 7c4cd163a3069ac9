"""A page that is loaded anew while a cell waits for an answer: a person can still give one, and finds the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Notebook, everywhere, wait_for
from tests.browser.test_approval import ASK, SETUP, WAITING, button

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def outputs(book: Notebook, number: int) -> list[Any]:
    return list(book.save().cells[number].outputs)


@everywhere
def test_a_question_is_answered_on_a_page_that_was_loaded_anew(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("again.ipynb", SETUP, ASK)
    book.run(0)
    book.start(1)
    book.panel(1).get_by_text(WAITING).wait_for(timeout=30_000)
    book.save()
    book.open()  # returns when the kernel is idle: no cell is kept waiting
    panel = book.panel(1)
    panel.get_by_text(WAITING).wait_for(timeout=30_000)
    assert "select region, sum(revenue)" in panel.inner_text()
    button(book, 1, "Approve").click()
    wait_for(lambda: book.panel(1).count() == 0, 30, "the panel to freeze")
    text = str(book.results(1).all_inner_texts())
    assert "North" in text
    assert "A short rest" in text
    assert book.controls(1).count() == 0
    assert "widget-view" not in json.dumps(outputs(book, 1))
