"""What cannot be told apart is refused, with the word or the two readings in the message; what was assumed is said."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.planners.offline import TOOLS, offered, plan, run, support
from workbench.core.errors import Refused
from workbench.planners.base import Planned

SHOP = {
    "sales": pd.DataFrame(
        {
            "sale_id": range(1, 9),
            "region": ["North", "South", "North", "West"] * 2,
            "shipped_to": ["West", "North", "East", "South"] * 2,
            "order_date": ["2024-01-05", "2024-02-05", "2025-01-05", "2025-03-05"] * 2,
            "revenue": [10.0, 20.0, 30.0, 40.0] * 2,
            "unit_price": [1.0, 2.0, 3.0, 4.0] * 2,
            "status": ["shipped", "cancelled"] * 4,
            "note": [None, "gift", None, "late"] * 2,
        }
    ),
    "returns": pd.DataFrame({"return_id": [1, 2, 3], "region": ["North", "South", "East"], "amount": [1.0, 2.0, 3.0]}),
}
OFFER = offered(SHOP)


def refused(text: str) -> str:
    with pytest.raises(Refused) as caught:
        plan(text, OFFER)
    assert "OPENAI_API_KEY" in caught.value.hint or caught.value.hint
    return caught.value.message


def sql(planned: Planned) -> str:
    return " ".join(planned.plan.steps[0].params["sql"].split())


def test_an_unknown_word_is_named_with_the_way_to_a_model() -> None:
    with pytest.raises(Refused) as caught:
        plan("total revenue by warehouse", OFFER)
    assert "warehouse" in caught.value.message
    assert "OPENAI_API_KEY" in caught.value.hint
    assert "OPENAI_BASE_URL" in caught.value.hint


def test_a_misspelt_name_is_read_as_the_one_that_is_near_and_said() -> None:
    planned = plan("total revenu by regoin", OFFER)
    assert sql(planned) == sql(plan("total revenue by region", OFFER))
    assert list(planned.notes[:2]) == ["“revenu” is read as revenue.", "“regoin” is read as region."]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("total revenue of Nroth", "North"),  # a value: nobody knows whether there is another of almost that name
        ("revenue by status and reagion", "region"),  # two letters put in would be one too many to be sure: one is
        ("revenue by reigning", None),
        ("revenue by revenge", None),  # a word of its own
        ("revenue by note and stats", "status"),
        ("total revenue by regions and xyzzy", None),
    ],
)
def test_what_may_be_another_word_is_not_mended(text: str, near: str | None) -> None:
    if near == "region":
        assert "region" in sql(plan(text, OFFER))
        return
    message = refused(text)
    assert "I do not know" in message
    assert near is None or near in message


def test_a_refusal_shows_the_columns_and_speaks_plainly() -> None:
    with pytest.raises(Refused) as caught:
        plan("total revenue by warehouse", OFFER)
    assert "unit_price" in caught.value.hint
    for text in ("second highest revenue", "revenue by region which", "the region the revenue", "open sesame"):
        with pytest.raises(Refused) as caught:
            plan(text, OFFER)
        assert "role" not in caught.value.message + caught.value.hint


def test_a_known_word_without_a_role_is_named() -> None:
    assert "second" in refused("second highest revenue")


def test_a_value_in_two_columns_is_refused_unless_the_column_is_named() -> None:
    message = refused("total revenue of West")
    assert "region is West" in message
    assert "shipped_to is West" in message
    assert sql(plan("total revenue where region is West", OFFER)).endswith("WHERE region = 'West'")
    assert sql(plan("total revenue for the West region", OFFER)).endswith("WHERE region = 'West'")


def test_a_column_in_two_tables_is_refused_unless_the_table_is_named() -> None:
    message = refused("how many regions are there?")
    assert "sales" in message
    assert "returns" in message
    assert "FROM returns" in sql(plan("how many regions are there in @returns?", OFFER))
    assert "FROM sales" in sql(plan("total revenue by region", OFFER))


def test_an_unknown_table_is_named_and_the_offered_ones_are_listed() -> None:
    with pytest.raises(Refused) as caught:
        plan("describe @orders", OFFER)
    assert "@orders" in caught.value.message
    assert "@sales" in caught.value.hint


def test_without_a_table_the_request_is_refused() -> None:
    with pytest.raises(Refused):
        plan("total revenue", [])


def test_sales_as_rows_or_as_money_is_asked_back() -> None:
    assert "counted" in refused("sales by region")
    for text in (
        "total sales by region",
        "which region has the most sales?",
        "sales in 2025",
        "share of sales by region",
    ):
        refused(text)
    assert "count(*)" in sql(plan("how many sales by region", OFFER))


def test_a_measure_that_adds_up_is_summed_and_said() -> None:
    planned = plan("revenue by region", OFFER)
    assert "sum(revenue)" in sql(planned)
    assert planned.notes[0] == "Read as: sum of revenue for each region, from sales."
    assert any("summed" in note for note in planned.notes)


def test_a_measure_that_does_not_add_up_is_asked_back() -> None:
    message = refused("unit price by region")
    assert "average" in message
    assert "unit_price" in message


def test_shipped_in_2025_is_no_question_about_the_order_date() -> None:
    refused("orders shipped in 2025")
    refused("how many sales were cancelled in 2025?")
    assert "status = 'shipped'" in sql(plan("how many shipped sales are there?", OFFER))


def test_a_negation_over_missing_values_is_asked_back() -> None:
    assert "missing" in refused("total revenue where note is not gift")


def test_a_condition_on_single_rows_is_told_from_one_on_groups() -> None:
    refused("regions with revenue over 15")
    refused("revenue by region with revenue over 15")
    assert run(plan("revenue by region where revenue over 15", OFFER), SHOP) == [
        ("West", 80.0),
        ("North", 60.0),
        ("South", 40.0),
    ]


def test_readings_of_a_model_are_never_offered() -> None:
    planned = plan("revenue by region", OFFER)
    assert (planned.planner, planned.model) == ("grammar", "")


@pytest.mark.parametrize("missing", ["query_data", "plot"])
def test_a_missing_tool_is_named(missing: str) -> None:
    tools = {name: tool for name, tool in TOOLS.items() if name != missing}
    with pytest.raises(Refused) as caught:
        plan("revenue by region as a bar chart", OFFER, tools)
    assert missing in caught.value.message


def test_a_join_is_said_and_only_on_one_shared_key() -> None:
    frames = support()
    planned = plan("number of tickets by plan", offered(frames))
    assert set(planned.plan.steps[0].params["tables"]) == {"tickets", "clients"}
    assert any("joined on customer_id" in note for note in planned.notes)
    # Seats of clients would be counted once for each ticket.
    with pytest.raises(Refused):
        plan("total seats by agent", offered(frames))


def test_names_that_are_sql_words_or_hold_anything_are_quoted() -> None:
    frame = pd.DataFrame({'weird "name"': [1.5, 2.5], "order": ["a", "b"], "Straße": ["x", "y"], "select": [1, 2]})
    offer = offered({"group": frame})
    for text in ("average weird name by order", "average weird name by straße", "maximum select by order"):
        assert run(plan(text, offer), {"group": frame})


def test_the_chart_names_columns_that_the_query_gives() -> None:
    planned = plan("average unit price and total revenue by region as a bar chart of @sales", OFFER)
    query, chart = planned.plan.steps
    assert chart.params["data"] == {"$ref": query.id}
    assert (chart.params["x"], chart.params["y"]) == ("region", ["average unit price", "total revenue"])
    assert chart.params["title"] == "Average unit price and total revenue by region"


@pytest.mark.parametrize(
    "text",
    [
        "total revenue\nby region\n\nand for each of these the reasons",
        "```sql\nselect sum(revenue) from sales\n```",
        "| region | revenue |\n|---|---|\n| North | 10 |\n\nwhat is missing here?",
        "region\trevenue\nNorth\t10",
        "gesamter Umsatz nach Region",
        "各地区的总收入",
        "ingresos totales por región",
        "total revenue by region 🙂 and a poem",
        "Please look at the table. Then find what is odd about it. Write three paragraphs.",
        "total revenue by region " + "very " * 100,
    ],
)
def test_many_words_pasted_text_and_other_languages_are_refused_with_a_reason(text: str) -> None:
    assert refused(text)


def test_line_breaks_are_spaces() -> None:
    assert sql(plan("total revenue\n   by region\n", OFFER)) == sql(plan("total revenue by region", OFFER))
