"""Charts of two groups: one lies below, the other is told apart by colour, and the tool that draws them agrees."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planners.offline import database, offered, plan, support
from workbench.charts.columns import prepare
from workbench.core.errors import Refused

FRAMES = support()
OFFER = offered(FRAMES)


def drawn(text: str) -> tuple[dict[str, Any], Any]:
    """The chart's parameters, and what the shipped tool makes of the table."""
    query, chart = plan(text, OFFER).plan.steps
    table = database({n: FRAMES[n] for n in query.params["tables"]}).execute(query.params["sql"]).df()
    params = {name: value for name, value in chart.params.items() if name != "data"}
    return params, prepare(table, params["kind"], params["x"], params["y"])


@pytest.mark.parametrize(
    ("text", "x", "series"),
    [
        ("plot tickets opened by month and channel", "month", {"email", "phone", "chat"}),
        ("plot tickets opened by channel and month", "month", {"email", "phone", "chat"}),
        ("bar chart of total cost by agent and channel", "agent", {"email", "phone", "chat"}),
    ],
)
def test_of_two_groups_time_lies_below_and_the_other_is_told_by_colour(text: str, x: str, series: set[str]) -> None:
    params, chart = drawn(text)
    assert params["x"] == x
    assert set(chart.series) == series
    assert not chart.across.duplicated().any()


@pytest.mark.parametrize(
    "text",
    [
        "bar chart of total cost and number of tickets by agent and channel",
        "line chart of total cost by agent and channel",
        "histogram of total cost by agent and channel",
    ],
)
def test_what_two_groups_cannot_show_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        plan(text, OFFER)
