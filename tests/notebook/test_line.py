"""What stands behind `%agent` is read as the user meant it, and every other character reaches the request untouched."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.notebook.line import BadLine, expand, named, read


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: not t.lstrip().startswith("--")))
def test_a_request_without_options_is_taken_as_it_is(text: str) -> None:
    if "<<" in text or text.rstrip(" \t\n").endswith(";"):
        return
    assert read(text).text == text.strip(" \t")
    assert read("", text).text == text


@pytest.mark.parametrize(
    ("line", "cell", "text", "silent"),
    [
        ("total of @x;", None, "total of @x", True),
        ("total of @x ;  ", None, "total of @x", True),
        ("a; b", None, "a; b", False),
        ("", "total\n;\n", "total\n", True),
        ("", "explain\nint x = 1;", "explain\nint x = 1;", False),
    ],
)
def test_a_semicolon_at_the_end_silences_and_pasted_code_does_not(
    line: str, cell: str | None, text: str, silent: bool
) -> None:
    found = read(line, cell)
    assert (found.text, found.silent) == (text, silent)


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
        ("class << what is this?", {"text": "class << what is this?", "capture": ""}),
    ],
)
def test_options_and_captures_come_first(line: str, expected: dict[str, object]) -> None:
    found = read(line)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_cell_may_begin_its_request_on_the_first_line() -> None:
    assert read("which region", "is best?\n").text == "which region\nis best?\n"
    assert read("best <<", "is best?").capture == "best"


@pytest.mark.parametrize(
    ("line", "word"),
    [("--plna x", "--plan"), ("--model", "name"), ("--frobnicate x", "There are"), ("--plan=later x", "no value")],
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


def test_an_expression_may_hold_braces_itself() -> None:
    assert expand('{{ {"a": {"b": 1}}["a"] }} and {{len({"c": 2})}}', eval) == "{'b': 1} and 1"


@given(st.text("{}a1+", max_size=60))
def test_text_without_a_pair_of_double_braces_is_left_as_it_is(text: str) -> None:
    if "}}" not in text.partition("{{")[2]:
        assert expand(text, eval) == text


@pytest.mark.parametrize("text", ["{{" * 50_000, "{{a}" * 25_000, "}}" * 50_000, "@" * 100_000, "@a(" * 30_000])
def test_100_kb_of_marks_take_no_time(text: str) -> None:
    started = time.process_time()
    assert expand(text, eval) == text
    assert named(text, ["a"]) in ([], ["a"])
    assert time.process_time() - started < 1.0


def test_an_expression_that_fails_is_one_short_line_with_a_way_out() -> None:
    with pytest.raises(BadLine) as caught:
        expand("{{" + "\n\\frac" * 5_000 + "}}", eval)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "put the text in a variable" in str(caught.value)


def test_tables_are_named_once_and_addresses_are_no_tables() -> None:
    assert named("join @sales and @sales with @customers", ["sales", "customers"]) == ["sales", "customers"]
    assert named("mail me@example.org, see https://example.org/@me", ["sales"]) == []
    assert named("npm install @jupyterlab/services", ["sales"]) == []
    assert named("ratio @sales/2", ["sales"]) == ["sales"]
    with pytest.raises(BadLine, match="did you mean @sales"):
        named("total of @slaes", ["sales"])
    with pytest.raises(BadLine, match="not a DataFrame"):
        named("total of @number", ["sales"], ["number"])


def test_decorators_in_pasted_code_are_no_tables_and_tables_on_lines_of_their_own_are() -> None:
    code = "explain @sales\n@dataclass(frozen=True)\n@final\nclass Sale:\n    @property\n    def tax(self): ..."
    assert named(code, ["sales"]) == ["sales"]
    assert named("join\n@sales\n@customers", ["sales", "customers"]) == ["sales", "customers"]
    with pytest.raises(BadLine, match="@slaes"):
        named("join\n@slaes\nby region", ["customers"])
