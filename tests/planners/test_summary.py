"""Answers put together from the numbers: what a table, a text or a failure is said as."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.core.artifacts import ARROW, PNG, PREVIEW_ROWS, Artifact, Column
from workbench.core.outcome import Outcome, Problem, StepOutcome
from workbench.core.progress import State
from workbench.planners.answer import MAX_TEXT, number, summarise

TYPES = {str: "text", int: "integer", float: "number", bool: "boolean"}


def frame(title: str, names: list[str], rows: list[tuple[Any, ...]], count: int | None = None) -> Artifact:
    kinds = [next((TYPES[type(row[at])] for row in rows if row[at] is not None), "other") for at in range(len(names))]
    return Artifact(
        path="r/a.arrow",
        mime=ARROW,
        bytes=1,
        sha256="0",
        title=title,
        rows=len(rows) if count is None else count,
        columns=tuple(Column(name=name, type=kind) for name, kind in zip(names, kinds, strict=True)),
        preview=tuple(rows[:PREVIEW_ROWS]),
    )


def step(
    value: Any = None, *, state: State = State.DONE, title: str = "Look", sql: str = "", **rest: Any
) -> StepOutcome:
    return StepOutcome(id="s1", task="t", title=title, params={"sql": sql}, state=state, value=value, **rest)


def said(*steps: StepOutcome) -> str:
    answer = summarise(Outcome(run="r", steps=steps))
    assert answer.planner == "summary"
    return answer.text


def test_one_value_is_one_sentence() -> None:
    table = frame("Total revenue, 2025", ["total revenue"], [(1234567.0,)])
    assert said(step(table)) == "Total revenue, 2025: 1,234,567."


def test_no_value_is_said_as_missing() -> None:
    assert said(step(frame("Average rating", ["average rating"], [(None,)]))) == "Average rating: missing."


def test_a_table_without_rows_is_said() -> None:
    assert said(step(frame("Rows of sales", ["region"], [], 0))) == "Rows of sales: no rows."


def test_groups_are_said_by_their_highest_and_lowest() -> None:
    rows = [("West", 4000.5), ("North", 3000.0), ("South", 20.25)]
    text = said(step(frame("Total revenue by region", ["region", "total revenue"], rows)))
    assert text == "West has the highest total revenue (4,000.5), South the lowest (20.25); 3 rows."


def test_of_a_long_table_only_what_the_order_tells_is_said() -> None:
    rows = [(f"P{n}", 100 - n) for n in range(10)]
    table = frame("Total units by product", ["product", "total units"], rows, 57)
    ordered = said(step(table, sql='SELECT … ORDER BY "total units" DESC, 1'))
    assert ordered == "P0 has the highest total units (100); 57 rows."
    assert said(step(table)) == "Total units by product: 57 rows, the first P0 (100)."


def test_a_top_list_is_listed() -> None:
    rows = [("Laptop", 50.0), ("Desk", 40.0)]
    text = said(step(frame("Top 2", ["product", "revenue"], rows), sql="… ORDER BY revenue DESC, 1\nLIMIT 2"))
    assert text == "Top 2: 1. Laptop (50); 2. Desk (40)."


def test_a_single_group_is_named_with_its_numbers() -> None:
    text = said(step(frame("Top 1", ["region", "total revenue"], [("West", 12.5)])))
    assert text == "West: total revenue 12.5."


def test_a_trend_is_said_by_its_ends_and_extremes() -> None:
    rows = [("2025-01-01", 10.0), ("2025-02-01", 30.0), ("2025-03-01", 20.0)]
    text = said(step(frame("Revenue by month", ["month", "total revenue"], rows)))
    assert text == (
        "Revenue by month: from January 2025 (10) to March 2025 (20)."
        " The highest is February 2025 (30), the lowest January 2025 (10)."
    )


def test_a_trend_longer_than_its_preview_says_nothing_of_its_end() -> None:
    rows = [(f"2024-{n:02}-01", float(n)) for n in range(1, 11)]
    text = said(step(frame("Revenue by month", ["month", "total revenue"], rows, 24)))
    assert text == "Revenue by month: 24 rows, the first January 2024 (1)."


def test_years_and_quarters_are_written_as_such() -> None:
    years = frame("Passengers by year", ["year", "total passengers"], [(2022, 1500), (2023, 2500)])
    assert "from 2022 (1,500) to 2023 (2,500)" in said(step(years))
    quarters = frame("Cost by quarter", ["quarter", "total cost"], [("2024-01-01", 1.0), ("2024-04-01", 2.0)])
    assert "from Q1 2024 (1) to Q2 2024 (2)" in said(step(quarters))


def test_shares_are_in_percent() -> None:
    table = frame("Share of cost by ward", ["ward", "share of cost (%)"], [("A", 61.25), ("B", 38.75)])
    assert said(step(table)) == "A has the highest share of cost (%) (61.25 %), B the lowest (38.75 %); 2 rows."
    assert said(step(frame("Percentage with x", ["percent"], [(12.5,)]))) == "Percentage with x: 12.5 %."


def test_two_groups_are_said_by_the_highest() -> None:
    rows = [("N", "web", 5), ("N", "shop", 9), ("S", "web", 1)]
    text = said(step(frame("Units", ["region", "channel", "total units"], rows)))
    assert text == "Units: 3 rows; the highest total units is 9 (N, shop)."


def test_rows_as_they_are_are_counted() -> None:
    table = frame("Rows of sales", ["a", "b", "c", "d", "e", "f", "g"], [(1, 2, 3, 4, 5, 6, 7)], 1200)
    assert said(step(table)) == "Rows of sales: 1,200 rows of 7 columns (a, b, c, d, e, …)."


def test_the_rows_at_one_end_are_named_with_their_value() -> None:
    names = ["model", "maker", "price", "weight", "year", "colour", "doors"]
    sql = "SELECT *\nFROM cars\nWHERE price = (SELECT min(price) FROM cars)"
    one, two = ("Polo", "VW", 5033, 900, 1970, "red", 3), ("Golf", "VW", 5033, 990, 1971, "red", 5)
    assert said(step(frame("Lowest price in cars", names, [one]), sql=sql)) == (
        "Lowest price in cars: model Polo (price 5,033)."
    )
    assert said(step(frame("Lowest price in cars", names, [one, two]), sql=sql)).endswith(
        "model Polo and Golf (price 5,033)."
    )


def test_steps_of_a_number_are_groups_and_not_measured() -> None:
    rows = [(20, 7), (30, 9)]
    assert said(step(frame("Number by age", ["age from", "count"], rows))) == (
        "30 has the highest count (9), 20 the lowest (7); 2 rows."
    )


def test_a_chart_needs_no_words() -> None:
    picture = Artifact(path="r/a.png", mime=PNG, bytes=1, sha256="0", alt="bars")
    table = frame("Total", ["total"], [(1,)])
    assert said(step(table), step(picture)) == "Total: 1."


def test_short_lists_in_a_result_are_said_and_deep_ones_are_not() -> None:
    assert said(step({"harbour": "Porto", "times": ["03:55", "16:25"]})) == "harbour: Porto; times: 03:55, 16:25"
    assert said(step({"many": list(range(9))})) == "many: 0, 1, 2, 3, 4, …"
    assert said(step({"name": "x", "parts": [{"a": 1}], "none": []})) == "name: x"


def test_what_a_tool_formatted_is_shown_as_it_is_up_to_a_cap() -> None:
    assert said(step({"formatted": "1. One\n2. Two", "results": []})) == "1. One\n2. Two"
    long = said(step({"formatted": "x" * 9000}))
    assert len(long) < MAX_TEXT + 60
    assert "9,000 characters" in long


def test_texts_numbers_and_lists_are_said() -> None:
    assert said(step("Done.")) == "Done."
    assert said(step(1234.5, title="Count")) == "Count: 1,234.5."
    assert said(step(["a", "b"], title="Found")) == "Found: 2 results: a, b."
    assert said(step({"city": "Oslo", "days": 3})) == "city: Oslo; days: 3"
    assert said(step(None, text="printed")) == "printed"


def test_steps_that_did_not_end_well_are_named() -> None:
    failed = step(state=State.FAILED, title="Search", problem=Problem(kind="ToolFailed", message="no key"))
    blocked = step(state=State.BLOCKED, title="Plot", blocked_by=("s1",))
    assert said(failed, blocked) == ("The step “Search” failed.\n\nThe step “Plot” was not run, because it needs s1.")
    assert "cancelled" in said(step(state=State.CANCELLED))
    assert "not certain" in said(step(state=State.UNCERTAIN))


def test_a_run_without_steps_says_so() -> None:
    assert said() == "The run gave no result."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (12345.678, "12,345.68"),
        (1234.5, "1,234.5"),
        (3.14159, "3.14"),
        (0.000123456, "0.000123"),
        (-0.5, "-0.5"),
        (2.0, "2"),
        (float("nan"), "not a number"),
        (float("inf"), "inf"),
        (True, "True"),
    ],
)
def test_numbers_have_separators_and_decimals_that_say_something(value: float, text: str) -> None:
    assert number(value) == text
