"""A figure of one chart or several, as PNG, and what it shows in words."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from workbench.charts.axes import finish, is_lying
from workbench.charts.columns import Chart
from workbench.charts.draw import draw, edges
from workbench.charts.facets import columns
from workbench.charts.theme import THEMES, Name, Theme, settings
from workbench.charts.words import bare, counted, cut, rounded, unit, words


def titled(charts: Sequence[Chart], title: str, x_label: str, y_label: str, facet: str = "") -> None:
    """Give charts their texts, made from names and units where the caller gives none."""
    for chart in charts:
        names = list(chart.series)
        units = {unit(name) for name in names}
        shared = units.pop() if len(units) == 1 else ""
        chart.x_label = x_label or (f"{words(chart.x)} ({chart.zone})" if chart.zone else words(chart.x))
        usual = "Count" if chart.kind == "hist" else words(names[0]) if len(names) == 1 else chart.y_label or shared
        chart.y_label = y_label or usual
        chart.title = " ".join(title.split()) or _title(chart, names, x_label, facet)


def _title(chart: Chart, names: Sequence[str], x_label: str, facet: str) -> str:
    said = [bare(name).lower() for name in names]
    what = " and ".join(said) if len(names) <= 3 else "values"
    if chart.by:  # the series are values of a column, and the axis says of what
        what = chart.y_label.partition(" (")[0].lower()
    where = [x_label or bare(chart.x), *([bare(chart.by)] if chart.by else []), *([bare(facet)] if facet else [])]
    by = " and ".join(name.lower() for name in where)
    if chart.kind == "hist":
        what, by = f"distribution of {said[0]}", bare(facet).lower()
    text = f"{what} by {by}" if by else what
    return text[:1].upper() + text[1:]


def _note(charts: Sequence[Chart]) -> str:
    """What is left out of all charts together, and what else there is to say."""
    dropped, gaps = sum(chart.dropped for chart in charts), sum(chart.gaps for chart in charts)
    said = [charts[0].note] if charts[0].note else []
    said += [f"{counted(dropped, 'row')} without a value left out"] if dropped else []
    if gaps:
        said.append(
            f"{counted(gaps, 'combination')} without a value"
            if charts[0].by
            else f"{counted(gaps, 'missing value')} not drawn"
        )
    return "; ".join(said)


def png(charts: Sequence[Chart], theme: Name) -> bytes:
    """The figure. The same charts give the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    look = THEMES[theme]
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(settings(look))
        wide = columns(len(charts))
        high = -(-len(charts) // wide)
        figure = Figure(figsize=_size(charts, wide, high), dpi=110, layout="constrained")
        grid = figure.subplots(high, wide, squeeze=False, sharex=_shares_x(charts[0]), sharey=True).flatten()
        bounds = edges(charts) if charts[0].kind == "hist" else []
        extent = min(chart.extent[0] for chart in charts), max(chart.extent[1] for chart in charts)
        for axes, chart in zip(grid, charts, strict=False):
            draw(axes, chart, look, extent, bounds)
            finish(axes, chart, look, extent)
        _between(grid, charts, wide)
        _around(figure, grid[0 if len(charts) == 1 else wide - 1], charts, look)
        out = io.BytesIO()
        figure.savefig(out, format="png", facecolor=look.ground, metadata={"Software": None})
    return out.getvalue()


def _size(charts: Sequence[Chart], wide: int, high: int) -> tuple[float, float]:
    """In inches: bars that lie need room each."""
    one = 4.5 if len(charts) == 1 else 3.0
    if is_lying(charts[0]):
        one = max(one, 1.4 + len(charts[0].across) * (0.1 + 0.16 * len(charts[0].series)))
    return (8 if wide < 3 else 10, one if len(charts) == 1 else 0.5 + one * high)


def _shares_x(chart: Chart) -> bool:
    return chart.kind != "scatter" or chart.numbers or chart.dates


def _between(grid: Any, charts: Sequence[Chart], wide: int) -> None:
    """Say what the axes are only at the edge of a grid of panels, and take away panels that are not there."""
    for number, axes in enumerate(grid):
        if number >= len(charts):
            axes.set_visible(False)
            continue
        if number % wide:
            axes.set_ylabel("")
        if number + wide < len(charts) and _shares_x(charts[0]):
            axes.set_xlabel("")
        else:
            axes.tick_params(labelbottom=True)


def _around(figure: Any, last: Any, charts: Sequence[Chart], theme: Theme) -> None:
    """Title, legend and note."""
    figure.suptitle(cut(charts[0].title, 200), x=0.015, ha="left", fontsize=13, wrap=True)
    if len(charts[0].series) > 1:  # beside the data, never over it
        head = bare(charts[0].by) if charts[0].by else None
        last.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=head, alignment="left")
    if note := _note(charts):
        figure.supxlabel(note, fontsize=8, color=theme.quiet, x=0.985, ha="right")


def described(charts: Sequence[Chart]) -> str:
    """What the figure shows, for who cannot see it."""
    first = charts[0]
    shape = {"bar": "Bar chart", "line": "Line chart", "scatter": "Scatter chart", "hist": "Histogram"}[first.kind]
    if len(charts) > 1:
        shape = f"{len(charts)} {shape.lower()}s to one scale"
    said = [f"{shape}: {first.title}."]
    for chart in charts:
        ranges = [
            f"{(chart.by and name) or words(name)} {_range(values)}"
            for name, values in chart.series.items()
            if values.notna().any()
        ]
        said.append(f"{chart.name}: {'; '.join(ranges)}." if chart.name else f"{'; '.join(ranges)}.")
    said.append(_places(charts))
    return " ".join([*said, *([f"{note}."] if (note := _note(charts)) else [])])


def _range(values: Any) -> str:
    low, high = rounded(values.min()), rounded(values.max())
    return f"from {low} to {high}" if low != high else f"is {low}"


def _places(charts: Sequence[Chart]) -> str:
    first, count = charts[0], sum(len(chart.across) for chart in charts)
    if first.kind == "hist":
        return f"{counted(count, 'value')}."
    if first.kind == "scatter":
        return f"{first.x_label}: {count:,} points."
    labels = first.labels
    where = ", ".join(labels) if len(labels) <= 8 else f"{labels[0]} to {labels[-1]}, {len(labels):,} places"
    return f"{first.x_label}: {where}."
