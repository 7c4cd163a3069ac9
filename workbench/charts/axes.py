"""Axes that can be read: what stands on them, how dense, and which way round."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from workbench.charts.columns import Chart
from workbench.charts.theme import Theme
from workbench.charts.words import number


def finish(axes: Any, chart: Chart, theme: Theme, extent: tuple[float, float]) -> None:
    """Axis texts, and ticks that can be read. `extent`: the smallest and largest number of all charts beside it."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lying = is_lying(chart)
    axes.set_xlabel(chart.y_label if lying else chart.x_label)
    axes.set_ylabel(chart.x_label if lying else chart.y_label)
    if chart.name:
        axes.set_title(chart.name, color=theme.ink)
    measures, high = (axes.xaxis if lying else axes.yaxis), max(map(abs, extent))
    whole = chart.kind == "hist" or all((values.dropna() % 1 == 0).all() for values in chart.series.values())
    dense = max(3, round(8 * min(1.0, chart.room / 60))) if lying else 8
    measures.set_major_locator(MaxNLocator(nbins=dense, integer=whole, steps=[1, 2, 2.5, 5, 10]))
    measures.set_major_formatter(FuncFormatter(lambda value, _: number(value, 0 if chart.kind == "hist" else high)))
    axes.grid(axis="x" if lying else "y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if chart.kind in ("line", "scatter") and chart.dates:
        date_ticks(axes, chart)
    elif chart.kind != "bar" and chart.numbers:
        _number_ticks(axes, chart)


def _number_ticks(axes: Any, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    largest, whole = float(chart.across.abs().max()), chart.across.dtype.kind in "iu"
    # Years are numbers that nobody writes with a comma.
    years = whole and bool(chart.across.between(1500, 2500).all())
    dense = max(4, round(chart.room / 10))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=dense, integer=whole, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.0f}" if years else number(at, largest)))


def date_ticks(axes: Any, chart: Chart) -> None:
    """A time axis whose labels say the month with its year, or the year, the day or the hour."""
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    if chart.across.nunique() == 1:
        only = chart.across.iloc[0]
        axes.set_xlim(only - timedelta(days=1), only + timedelta(days=1))
        axes.set_xticks([only])
    else:
        most = 8 if chart.room >= 80 else 4
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=min(3, most), maxticks=most))  # type: ignore[no-untyped-call]  # matplotlib is half typed
    formats = AutoDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]  # as above
    # Keys are days, and a little more than those of the spacing that they are for.
    formats.scaled = {0.01: "%H:%M:%S", 0.1: "%d %b %H:%M", 1.5: "%d %b %Y", 31: "%b %Y", 366: "%Y"}
    axes.xaxis.set_major_formatter(formats)


def is_lying(chart: Chart) -> bool:
    """Whether bars lie: names that do not fit side by side are read more easily below each other. Time never does."""
    return chart.kind == "bar" and not chart.dates and not fit(chart.labels, chart.room)


def name_places(axes: Any, labels: list[str], room: float, *, turn: bool = False) -> None:
    """Name the places 0, 1, 2, …. Names that do not fit are turned; of dates, and of very many, only some are shown."""
    if turn and not fit(labels, room) and len(labels) <= 30:
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        return
    every = next((step for step in range(1, len(labels) + 1) if fit(labels[::step], room)), len(labels))
    axes.set_xticks(range(0, len(labels), every), labels[::every])


def fit(labels: list[str], room: float) -> bool:
    """Whether labels at even distances have room side by side."""
    pairs = itertools.pairwise(labels)
    return all((len(left) + len(right)) / 2 + 1.5 <= room / len(labels) for left, right in pairs)
