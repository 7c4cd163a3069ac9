"""The four kinds of chart, drawn on axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from workbench import toolkit
from workbench.charts.axes import is_lying, name_places
from workbench.charts.columns import MAX_BARS, Chart
from workbench.charts.theme import MARKS, Theme

_WHISKERS = {"capsize": 2.5, "capthick": 1.0, "elinewidth": 1.0, "fmt": "none"}


def draw(axes: Any, chart: Chart, theme: Theme, extent: tuple[float, float], bounds: list[float]) -> None:
    """Draw a chart. `extent`: the smallest and largest number of all charts beside it; `bounds`: where the bars of
    their histograms meet."""
    match chart.kind:
        case "bar":
            bars(axes, chart, theme)
        case "line":
            lines(axes, chart, theme, extent)
        case "scatter":
            points(axes, chart, theme)
        case _:
            histogram(axes, chart, theme, bounds)


def bars(axes: Any, chart: Chart, theme: Theme) -> None:
    labels, width, lying = chart.labels, 0.8 / len(chart.series), is_lying(chart)
    for number, (name, values) in enumerate(chart.series.items()):
        places = [index + (number - (len(chart.series) - 1) / 2) * width for index in range(len(labels))]
        draw_bars = axes.barh if lying else axes.bar
        draw_bars(places, values, width, color=theme.colours[number], label=chart.called(name))
        if name in chart.errors:
            sides = [side.fillna(0) for side in chart.errors[name]]
            known = values.notna() & chart.errors[name][0].notna()
            at = [place for place, there in zip(places, known, strict=True) if there]
            ends = {"xerr" if lying else "yerr": [side[known] for side in sides]}
            across, along = (values[known], at) if lying else (at, values[known])
            axes.errorbar(across, along, **ends, **_WHISKERS, ecolor=theme.ink)
    if lying:
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.axvline(0, color=theme.ink, lw=0.8)
    else:
        name_places(axes, labels, chart.room)
        spare = 0.0 if chart.name else max(0.0, (4 - len(labels)) / 2)  # two bars do not fill the whole width
        axes.set_xlim(-0.6 - spare, len(labels) - 0.4 + spare)
        axes.axhline(0, color=theme.ink, lw=0.8)


def lines(axes: Any, chart: Chart, theme: Theme, extent: tuple[float, float]) -> None:
    named = not (chart.dates or chart.numbers)
    across = range(len(chart.across)) if named else chart.across
    # A point between two gaps has no line to show it.
    is_marked = len(chart.across) <= 40 or (chart.gaps and len(chart.across) <= 400)
    for number, (name, values) in enumerate(chart.series.items()):
        mark, colour = MARKS[number] if is_marked else "", theme.colours[number]
        axes.plot(across, values, marker=mark, ms=4, lw=1.6, color=colour, label=chart.called(name))
        if name in chart.errors:
            below, above = chart.errors[name]
            if len(chart.across) > 40:  # so many whiskers would be a thicket
                axes.fill_between(across, values - below, values + above, color=colour, alpha=0.2, lw=0)
            else:
                axes.errorbar(across, values, yerr=[below.fillna(0), above.fillna(0)], **_WHISKERS, ecolor=colour)
    if named:
        name_places(axes, chart.labels, chart.room, turn=not chart.dates)
    low, high = extent
    axes.margins(y=0.08)
    if 0 <= low <= high * 0.9:  # the axis starts at zero unless that would flatten the line
        axes.set_ylim(0, high * 1.08 or 1)


def points(axes: Any, chart: Chart, theme: Theme) -> None:
    across = chart.across
    if not (chart.dates or chart.numbers):
        labels = list(dict.fromkeys(across))
        if len(labels) > MAX_BARS:
            raise toolkit.Failed(f"{chart.x!r} has {len(labels):,} different names.", hint="Choose another x.")
        across = across.map({label: at for at, label in enumerate(labels)})
        name_places(axes, labels, chart.room, turn=True)
        axes.margins(x=0.1)
    faint = 0.6 if len(across) <= 1000 else 0.35
    for number, (name, values) in enumerate(chart.series.items()):
        look = {"color": theme.colours[number], "alpha": faint}
        if name in chart.errors:
            below, above = chart.errors[name]
            axes.errorbar(
                across, values, yerr=[below.fillna(0), above.fillna(0)], **_WHISKERS, ecolor=look["color"], alpha=faint
            )
        axes.scatter(across, values, s=18, linewidths=0, marker=MARKS[number], label=chart.called(name), **look)


def histogram(axes: Any, chart: Chart, theme: Theme, bounds: list[float]) -> None:
    axes.hist(chart.across, bins=bounds, color=theme.colours[0], edgecolor=theme.ground, linewidth=0.6)


def edges(charts: Sequence[Chart]) -> list[float]:
    """Where the bars of a histogram meet, the same for charts beside each other: round numbers, and one bar for each
    whole number where these are few."""
    every = [chart.across for chart in charts]
    low, high = min(float(values.min()) for values in every), max(float(values.max()) for values in every)
    whole = all(bool((values == values.round()).all()) for values in every)
    most = max(len(values) for values in every)
    step = round_step((high - low) / min(40.0, max(5.0, math.sqrt(most)))) if high > low else 1.0
    if whole:
        step = 1.0 if high - low <= 30 else max(1.0, round(step))
    start = low - 0.5 if whole and step == 1 else math.floor(low / step) * step if high > low else low - 0.5
    return [start + step * at for at in range(int((high - start) / step) + 2)]


def round_step(size: float) -> float:
    """The next larger of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if step >= size / power - 1e-9)
