"""A model's answer is held to the results: what cannot be found there is taken out or marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.artifacts import ARROW, Artifact, Column
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.planners.checked import checked


def outcome(*values: object, request: str = "revenue in 2025", sources: int = 0) -> Outcome:
    frame = Artifact(
        path="r/t.arrow",
        mime=ARROW,
        bytes=1,
        sha256="0",
        rows=24,
        columns=(Column(name="region", type="text"), Column(name="revenue", type="number")),
        preview=(("North", 77196.08), ("South", 0.1234), ("West", -5.0), ("East", None)),
    )
    steps = tuple(
        StepOutcome(
            id=f"s{at}",
            task="t",
            title="",
            params={},
            state=State.DONE,
            value=value,
            sources=tuple({"title": str(n), "url": ""} for n in range(sources)) if at == 1 else (),
        )
        for at, value in enumerate([frame, *values], 1)
    )
    return Outcome(run="r", request=request, steps=steps)


@pytest.mark.parametrize(
    "text",
    [
        "North made 77,196.08 in 2025.",
        "North made 77196, about 77.2k or 77 thousand.",
        "South has 12.34 % or 12%, West fell by 5; 24 rows in all.",
        "1. North\n2. South",
        "See `x = 99` and https://example.org/99 from 2024-01-31.",
        "```\n12345\n```",
        "No numbers at all.",
    ],
)
def test_what_stands_in_the_results_is_left_alone(text: str) -> None:
    assert checked(text, outcome()) == text


@pytest.mark.parametrize("number", ["77,197", "99", "12.35 %", "78k", "0.5", "4,000,000"])
def test_a_number_from_nowhere_is_marked_and_told(number: str) -> None:
    said = checked(f"It is {number}, they say.", outcome())
    assert f"It is {number} (?), they say." in said
    assert said.endswith(f"Marked (?), because they stand in no result: {number}.")


def test_numbers_in_texts_and_nested_values_count() -> None:
    assert "(?)" not in checked("42 and 1,234.5", outcome({"a": [{"b": "about 42 things"}]}, "1,234.5 was measured"))


def test_citations_resolve_or_go() -> None:
    said = checked("As shown [1][2], and [1, 9] or [7]. A [link](https://x.example) stays.", outcome(sources=2))
    assert "As shown [1][2], and [1] or. A [link](https://x.example) stays." in said
    assert "no such source: [9], [7]." in said


def test_without_sources_nothing_can_be_cited() -> None:
    assert "[1]" not in checked("It is so [1].", outcome()).split("\n\n")[0]


@given(st.text(), st.lists(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans())))
def test_any_answer_to_anything_can_be_checked(text: str, values: list[object]) -> None:
    checked(text, outcome(values, sources=1))


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_a_number_of_the_results_rounded_is_not_marked(number: int, decimals: int) -> None:
    value = number / 10**4
    assert "(?)" not in checked(f"It is {value:,.{decimals}f} now.", outcome(value))
