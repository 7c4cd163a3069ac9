"""What of a table is drawn: its columns chosen where nobody named them, its gaps told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench import toolkit
from workbench.charts.words import bare, counted, cut, near, place_names, unit, words

MAX_SERIES = 8
MAX_BARS = 50
ROOM = 90
"""Characters that fit side by side under a chart of full width."""


@dataclass
class Chart:
    """What is drawn: `across` holds dates, numbers or text; `series` its numbers by name, and `errors` how far the
    truth may lie below and above them. `dropped` rows and `gaps` in the rest are not drawn; `by` is the column whose
    values the series are, "" when they are columns; `note` says more below the chart. `room` as ROOM, for this chart;
    `name` among others beside it; `zone` of its times."""

    kind: str
    x: str
    across: Any
    series: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    note: str = ""
    dropped: int = 0
    gaps: int = 0
    by: str = ""
    room: float = ROOM
    name: str = ""
    zone: str = ""

    @property
    def dates(self) -> bool:
        return str(self.across.dtype).startswith("datetime64")

    @property
    def numbers(self) -> bool:
        return self.across.dtype.kind in "iuf"

    @property
    def labels(self) -> list[str]:
        return place_names(self.across)

    def called(self, name: str) -> str:
        """A series as the legend names it: without the unit that stands at the axis already."""
        is_said = len(self.series) > 1 and {unit(other) for other in self.series} == {unit(name)}
        return name if self.by else bare(name) if is_said else words(name)

    @property
    def extent(self) -> tuple[float, float]:
        """The smallest and the largest number drawn, ends of error bars included."""
        found = [values for values in self.series.values() if values.notna().any()]
        ends = [self.series[name] - below for name, (below, _) in self.errors.items()]
        ends += [self.series[name] + above for name, (_, above) in self.errors.items()]
        found += [end for end in ends if end.notna().any()]
        return min(float(values.min()) for values in found), max(float(values.max()) for values in found)


def named(frame: Any) -> Any:
    """The table with its columns' names as text, and with rows. Raises Failed."""
    frame = frame.set_axis([str(label) for label in frame.columns], axis="columns").reset_index(drop=True)
    if not len(frame):
        raise toolkit.Failed("The table has no rows to draw.")
    return frame


def chosen(frame: Any, kind: str, x: str, names: Sequence[str], others: Sequence[str] = ()) -> tuple[str, list[str]]:
    """The columns to draw, filled in where the caller left them out. `others` are in use for something else. Raises
    Failed saying what does not fit."""
    columns = list(frame.columns)
    for name in [*([x] if x else []), *names, *others]:
        if name not in columns:
            raise toolkit.Failed(f"There is no column {name!r}{near(name, columns)}")
    free = [name for name in columns if name not in others or name in names]
    numeric = {name: numbers for name in free if (numbers := as_numbers(frame[name])) is not None}
    if kind == "hist":
        return _counted_column(numeric, columns, x, names)
    if not x:
        rest = [name for name in free if name not in names]
        x = next((name for name in rest if name not in numeric), (rest or columns)[0])
    ys = list(dict.fromkeys(names)) or alike({name: numeric[name] for name in numeric if name != x})
    if wrong := [name for name in ys if name not in numeric]:
        raise toolkit.Failed(f"The column {wrong[0]!r} holds no numbers.", hint=f"Numbers: {', '.join(numeric)}.")
    if not ys:
        raise toolkit.Failed("The table has no numbers to draw.", hint="Count or sum something first.")
    return x, ys


def prepare(frame: Any, kind: str, x: str, names: Sequence[str], error: Sequence[str] = (), facet: str = "") -> Chart:
    """The chart of a table. Raises Failed saying what does not fit."""
    frame = named(frame)
    return built(frame, kind, *chosen(frame, kind, x, names, [*error, *([facet] if facet else [])]), error, facet)


def built(frame: Any, kind: str, x: str, names: Sequence[str], error: Sequence[str] = (), facet: str = "") -> Chart:
    """The chart of chosen columns. Raises Failed when they cannot be drawn so."""
    if kind == "hist":
        values = as_numbers(frame[x])
        return without_gaps(Chart("hist", x, values, {x: values}))
    numeric = {name: as_numbers(frame[name]) for name in names}
    chart = Chart(kind, x, as_places(frame[x]), numeric, _errors(frame, numeric, error), zone=zone_of(frame[x]))
    taken = {x, facet, *error}
    others = [name for name in frame.columns if name not in taken and as_numbers(frame[name]) is None]
    if kind in ("bar", "line") and chart.across.duplicated().any():
        spread(chart, frame[others[0]] if len(others) == 1 and len(names) == 1 else None)
        chart.by = others[0] if chart.y_label else ""
    if len(chart.series) > MAX_SERIES:
        raise toolkit.Failed(f"{len(chart.series)} series are too many to tell apart.", hint="Draw at most 8.")
    if kind == "bar" and len(chart.across) > MAX_BARS:
        hint = "Draw a line." if chart.dates else f"Draw the top {MAX_BARS} at most."
        hint = f"Group by {x} first." if chart.across.duplicated().any() else hint
        raise toolkit.Failed(f"{len(chart.across):,} bars are too many to read.", hint=hint)
    return without_gaps(chart)


def _errors(frame: Any, numeric: dict[str, Any], error: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """How far the truth may lie below and above each series: one column for each of them holds both; two for one
    series are its ends."""
    if not error:
        return {}
    columns = [as_numbers(frame[name]) for name in error]
    if missing := [name for name, values in zip(error, columns, strict=True) if values is None]:
        raise toolkit.Failed(f"The column {missing[0]!r} holds no numbers.", hint="Errors are numbers.")
    if len(error) == 2 and len(numeric) == 1:
        [(name, values)] = numeric.items()
        found = {name: (values - columns[0], columns[1] - values)}
    elif len(error) == len(numeric):
        found = {name: (values, values) for name, values in zip(numeric, columns, strict=True)}
    else:
        raise toolkit.Failed(
            f"{counted(len(error), 'column')} of errors for {len(numeric)} of values.",
            hint="Give one for each, or the lower and the upper end of one.",
        )
    if any((side < 0).any() for sides in found.values() for side in sides):
        raise toolkit.Failed(f"An error bar of {', '.join(error)} has a negative length.", hint="Are the ends swapped?")
    return found


def _counted_column(numeric: dict[str, Any], columns: list[str], x: str, names: Sequence[str]) -> tuple[str, list[str]]:
    wanted = list(dict.fromkeys([*([x] if x else []), *names])) or list(numeric)[:1]
    if len(wanted) > 1:
        raise toolkit.Failed("A histogram shows one column.", hint=f"Choose one of: {', '.join(wanted)}.")
    if not wanted or wanted[0] not in numeric:
        raise toolkit.Failed("A histogram needs a column of numbers.", hint=f"There are: {', '.join(columns)}.")
    return wanted[0], wanted


def as_numbers(values: Any) -> Any | None:
    """A column as floating point with NaN for gaps and infinities; None when it holds something else."""
    import pandas as pd

    decimals = values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "decimal"
    if not decimals and (values.dtype == bool or not pd.api.types.is_numeric_dtype(values)):
        return None
    found = values.astype("float64")
    return found.where(found.abs() < math.inf)


def as_places(values: Any) -> Any:
    """A column for the horizontal axis: dates (also ISO dates in text), numbers, or text."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_convert(zone_of(values)).dt.tz_localize(None) if values.dt.tz is not None else values
    if (found := as_numbers(values)) is not None:
        return values if values.dtype.kind in "iu" else found
    kind = pd.api.types.infer_dtype(values, skipna=True)
    text = values.astype("str")
    iso = kind == "string" and text[values.notna()].str.fullmatch(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?)?)?").all()
    if kind in ("date", "datetime") or iso:
        try:
            return pd.to_datetime(values, format="ISO8601" if iso else None)
        except ValueError:
            pass
    return text.where(values.notna(), "missing").map(cut)


def zone_of(values: Any) -> str:
    """The time zone in which times are shown: their own, but UTC where a change of clocks lies between them, which
    would draw an hour twice or not at all; "" for times without one."""
    if not str(values.dtype).startswith("datetime64[") or values.dt.tz is None:
        return ""
    known = values.dropna()
    offsets = {time.utcoffset() for time in (known.min(), known.max())} if len(known) else set()
    return str(values.dt.tz) if len(offsets) == 1 else "UTC"


def alike(numeric: dict[str, Any]) -> list[str]:
    """The first column of numbers, and up to three more of like size: others would lie flat beside it."""
    sizes = {name: float(values.abs().max()) for name, values in numeric.items()}
    real = [name for name in sizes if name.lower() != "id" and not name.lower().endswith("_id")] or list(sizes)
    return [name for name in real if sizes[real[0]] / 10 <= sizes[name] <= sizes[real[0]] * 10][:4] or real[:1]


def spread(chart: Chart, by: Any | None) -> None:
    """Rows that share a place become one series for each value of `by`. Raises Failed when they cannot."""
    import pandas as pd

    [name] = list(chart.series)[:1]
    if by is not None and not pd.DataFrame({"x": chart.across, "by": by}).duplicated().any():
        places = chart.across.unique()

        def wide(values: Any) -> dict[str, Any]:
            long = pd.DataFrame({"x": chart.across, "by": by.astype("str"), "y": values})
            table = long.pivot(index="x", columns="by", values="y")
            table = table.reindex(index=places, columns=long["by"].unique())
            return {cut(str(label)): table[label].reset_index(drop=True) for label in table.columns}

        series = wide(chart.series[name])
        if chart.errors:
            below, above = (wide(side) for side in chart.errors[name])
            chart.errors = {label: (below[label], above[label]) for label in series}
        chart.series = series
        chart.across = pd.Series(places, dtype=chart.across.dtype)
        chart.y_label = words(name)
    elif chart.kind == "line":
        raise toolkit.Failed(f"Several rows share one {chart.x}.", hint=f"Group by {chart.x} first, or draw a scatter.")


def without_gaps(chart: Chart) -> Chart:
    """The chart without rows that have no place or no number at all; it knows how many those were."""
    import pandas as pd

    numbers = pd.DataFrame(chart.series).notna()
    # A line keeps the place of what is missing: it breaks there, and does not bridge the gap.
    kept = chart.across.notna() & (numbers.any(axis="columns") | (chart.kind == "line"))
    if not numbers[kept].any(axis=None):
        raise toolkit.Failed("There is no number to draw: every value is missing.")
    chart.gaps, chart.dropped = int((~numbers[kept]).sum().sum()), int((~kept).sum())
    order = chart.across[kept].index
    if chart.kind == "line" and (chart.dates or chart.numbers):
        order = chart.across[kept].sort_values(kind="stable").index

    def taken(values: Any) -> Any:
        return values.loc[order].reset_index(drop=True)

    chart.across = taken(chart.across)
    chart.series = {name: taken(values) for name, values in chart.series.items()}
    chart.errors = {name: (taken(below), taken(above)) for name, (below, above) in chart.errors.items()}
    return chart
