"""Who answers what a run asks: a table, and no way in which a question hangs where nobody can answer it."""

from __future__ import annotations

from itertools import product

import pytest

from workbench.notebook.asking import who


@pytest.mark.parametrize(
    ("watched", "panel", "clicks", "waits", "lines", "there"),
    [
        (True, True, True, True, True, "panel"),  # JupyterLab, Notebook 7
        (True, True, False, True, True, "background"),  # an ipykernel that routes clicks in another way
        (True, True, False, True, False, "background"),  # and a front end without a line of text
        (True, True, False, False, False, "panel"),  # where the run has gone to
        (True, True, True, False, True, "panel"),  # --bg
        (True, False, False, True, True, "line"),  # a terminal, or a notebook without widgets
        (True, False, False, True, False, "nobody"),
        (True, False, False, False, True, "nobody"),  # --bg in a terminal: its line is for other input
        (False, False, False, True, False, "nobody"),  # papermill, nbclient, nbval
    ],
)
def test_who_is_asked(watched: bool, panel: bool, clicks: bool, waits: bool, lines: bool, there: str) -> None:
    assert who(watched=watched, panel=panel, clicks=clicks, waits=waits, lines=lines) == there


def test_nobody_waits_for_a_click_that_cannot_come() -> None:
    for watched, panel, clicks, waits, lines in product([True, False], repeat=5):
        there = who(watched=watched, panel=panel, clicks=clicks, waits=waits, lines=lines)
        assert there != "panel" or (watched and panel and (clicks or not waits))
        assert there != "line" or (watched and lines and waits)
        assert watched or there == "nobody"
