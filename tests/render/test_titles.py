"""A step says what it does, also where nobody gave it a title: the same in text, in HTML and in a panel."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.plan import load
from workbench.notebook.panels.run import picture
from workbench.render import as_html, as_text, what_it_does
from workbench.render.titles import MAX_SAID

SALES = {"$ref": "@sales"}


@pytest.mark.parametrize(
    ("title", "params", "said"),
    [
        ("Find prices", {"query": "pens"}, "Find prices"),
        ("any", {"query": "pens"}, "query: pens"),
        ("", {"count": 3, "query": "price of\npens"}, "query: price of pens"),
        ("", {"kind": "", "table": SALES}, "table: @sales"),
        ("", {"sql": "select 1", "tables": {"sales": SALES}}, "tables: @sales"),
        ("", {"sql": "select\n  1"}, "sql: select 1"),
        ("", {"seconds": 0.5}, "seconds: 0.5"),
        ("", {"seconds": 0}, "seconds: 0"),
        ("", {"on": False, "rows": [1, 2]}, "on: false"),
        ("", {}, ""),
        ("", {"query": "\u202epens"}, "query: \\u{202e}pens"),
    ],
)
def test_a_step_without_a_title_says_its_main_parameter(title: str, params: dict[str, Any], said: str) -> None:
    assert what_it_does("any", title, params) == said


@given(st.text(), st.dictionaries(st.text(), json_values, max_size=4))
def test_it_is_one_short_line_whatever_the_parameters_are(title: str, params: dict[str, Any]) -> None:
    said = what_it_does("any", "", params)
    assert len(said) <= MAX_SAID
    assert len(said.splitlines()) <= 1
    assert what_it_does("any", title, params) != "any"


def test_text_html_and_panel_say_the_same() -> None:
    plan = load([{"id": "s1", "task": "web_search", "params": {"query": "price of pens"}}])
    step = StepOutcome(id="s1", task="web_search", title="web_search", params=plan.steps[0].params)
    outcome = Outcome(run="r", plan=plan, steps=(step,))
    assert "web_search  query: price of pens" in as_text(outcome)
    assert ">query: price of pens</td>" in as_html(outcome, lambda artifact: None)
    assert picture(outcome)["steps"][0]["title"] == "query: price of pens"
