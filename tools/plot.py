"""Draws a table as a bar, line, scatter or histogram chart, with error bars and panels, on a light or a dark page."""

from __future__ import annotations

from typing import Any, Literal

from workbench import toolkit
from workbench.charts.facets import prepare_all
from workbench.charts.picture import described, png, titled

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["plot monthly revenue as a line chart", "bar chart of units by product"]


def run(
    data: toolkit.Frame | None = None,
    kind: Literal["bar", "line", "scatter", "hist"] = "bar",
    x: str = "",
    y: list[str] | None = None,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    error: list[str] | None = None,
    facet: str = "",
    theme: Literal["light", "dark"] = "light",
) -> toolkit.Image:
    """Draw one chart and return it as a picture.

    Args:
        data: the table; without it, the last table of the earlier steps.
        kind: bar, line, scatter or hist.
        x: column for the horizontal axis (for hist: the column to count); empty: the first that fits.
        y: columns to draw; empty: the numeric ones of like size.
        title: what the chart shows, in a few words; empty: made from the columns' names.
        x_label: text of the horizontal axis; empty: made from the column's name and unit.
        y_label: text of the vertical axis; empty: made from the column's name and unit.
        error: columns of error bars, one for each of y, such as a standard error; or the two ends for one y.
        facet: column by whose values the chart is split into panels of one scale, at most 9.
        theme: light, or dark for dark pages.
    """
    ends = list(error or [])
    charts = prepare_all(data if data is not None else last_table(), kind, x, list(y or []), ends, facet)
    titled(charts, title, x_label, y_label, facet)
    if ends:
        said = [name.replace("_", " ") for name in ends]
        of_one = len(ends) == 2 and (bool(charts[0].by) or len(charts[0].series) == 1)
        charts[0].note = f"error bars: from {said[0]} to {said[1]}" if of_one else f"error bars: {', '.join(said)}"
    return toolkit.Image(png(charts, theme), title=charts[0].title, alt=described(charts))


def last_table() -> Any:
    """The last table that an earlier step gave."""
    import pandas as pd

    for step in reversed(toolkit.context()):
        if found := [value for value in walk(step["value"]) if isinstance(value, pd.DataFrame)]:
            return found[-1]
    raise toolkit.Failed("There is no table to draw.", hint='Give `data`, for example {"$ref": "s1"}.')


def walk(value: Any) -> list[Any]:
    """A value and everything inside it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for item in inner for found in walk(item))]
