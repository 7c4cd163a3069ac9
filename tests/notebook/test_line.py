"""What stands behind `%agent` is read as the user meant it, and every other character reaches the request untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.notebook.line import BadLine, expand, named, read


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: not t.lstrip().startswith("--")))
def test_a_request_without_options_is_taken_as_it_is(text: str) -> None:
    if "<<" in text:
        return
    assert read(text).text == text.strip(" \t")
    assert read("", text).text == text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--plan total of @x", {"plan": True, "text": "total of @x"}),
        ("--model gpt-4o --plan why?", {"model": "gpt-4o", "plan": True, "text": "why?"}),
        ("--model=m x -- y --plan", {"model": "m", "text": "x -- y --plan"}),
        ("growth << revenue by year", {"capture": "growth", "text": "revenue by year"}),
        ("--plan growth << x", {"plan": True, "capture": "growth", "text": "x"}),
        ("-5 degrees or less", {"text": "-5 degrees or less"}),
        ('say "unbalanced', {"text": 'say "unbalanced'}),
        ('{"a": {"b": 1}} $HOME %s', {"text": '{"a": {"b": 1}} $HOME %s'}),
        ("1 << 2 is what?", {"text": "1 << 2 is what?"}),
    ],
)
def test_options_and_captures_come_first(line: str, expected: dict[str, object]) -> None:
    found = read(line)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_cell_may_begin_its_request_on_the_first_line() -> None:
    assert read("which region", "is best?\n").text == "which region\nis best?\n"
    assert read("best <<", "is best?").capture == "best"


@pytest.mark.parametrize(
    ("line", "word"), [("--plna x", "--plan"), ("--model", "name"), ("--frobnicate x", "There are")]
)
def test_a_wrong_option_is_told_with_the_near_one(line: str, word: str) -> None:
    with pytest.raises(BadLine, match=word) as caught:
        read(line)
    assert "\n" not in str(caught.value)


def test_expressions_become_text_and_nothing_else_does() -> None:
    scope = {"n + 1": 4, "s": "{{n}}"}
    assert expand("top {{ n + 1 }} of {x} {y} $n", scope.__getitem__) == "top 4 of {x} {y} $n"
    assert expand("{{s}}", scope.__getitem__) == "{{n}}"
    with pytest.raises(BadLine, match="KeyError"):
        expand("{{nope}}", scope.__getitem__)


def test_tables_are_named_once_and_addresses_are_no_tables() -> None:
    assert named("join @sales and @sales with @customers", ["sales", "customers"]) == ["sales", "customers"]
    assert named("mail me@example.org", ["sales"]) == []
    with pytest.raises(BadLine, match="did you mean @sales"):
        named("total of @slaes", ["sales"])
    with pytest.raises(BadLine, match="not a DataFrame"):
        named("total of @number", ["sales"], ["number"])
