"""Draws a table as a bar, line, scatter or histogram chart.

Longer than a tool should be, because a tool is one file: choosing columns, the four kinds, and axes that can be read.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["plot monthly revenue as a line chart", "bar chart of units by product"]

# Okabe and Ito's colours: told apart with any colour vision; the palest comes last.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
MAX_BARS = 50
MAX_LABEL = 40
ROOM = 90
"""Characters that fit side by side under the chart."""
_UNITS = "mm cm m km mg g kg t ml l ms s min h eur usd gbp kw kwh mb gb pct percent"
UNITS = frozenset(_UNITS.split(" "))
# On top of matplotlib's own defaults and fonts, so that the same table gives the same bytes on every machine.
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a $ is a $
}


@dataclass
class Chart:
    """What is drawn: `across` holds dates, numbers or text; `series` its numbers by name; `note` what was left out."""

    kind: str
    x: str
    across: Any
    series: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    note: str = ""

    @property
    def dates(self) -> bool:
        return str(self.across.dtype).startswith("datetime64")

    @property
    def numbers(self) -> bool:
        return self.across.dtype.kind in "iuf"


def run(
    data: toolkit.Frame | None = None,
    kind: Literal["bar", "line", "scatter", "hist"] = "bar",
    x: str = "",
    y: list[str] | None = None,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
) -> toolkit.Image:
    """Draw one chart and return it as a picture.

    Args:
        data: the table; without it, the last table of the earlier steps.
        kind: bar, line, scatter or hist.
        x: column for the horizontal axis (for hist: the column to count); empty: the first that fits.
        y: columns to draw; empty: the numeric ones of like size.
        title: what the chart shows, in a few words; empty: made from the columns' names.
        x_label: text of the horizontal axis; empty: made from the column's name.
        y_label: text of the vertical axis; empty: made from the column's name.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    chart = prepare(data if data is not None else last_table(), kind, x, list(y or []))
    names = [words(name) for name in chart.series]
    chart.x_label = x_label or words(chart.x)
    usual = "Count" if kind == "hist" else names[0] if len(names) == 1 else chart.y_label
    chart.y_label = y_label or usual
    what = " and ".join(name.lower() for name in names[:3]) if len(names) <= 3 else chart.y_label or "values"
    what = f"Distribution of {names[0].lower()}" if kind == "hist" else f"{what} by {chart.x_label.lower()}"
    chart.title = " ".join(title.split()) or what[:1].upper() + what[1:]
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(8, height(chart)), dpi=110, layout="constrained")
        axes = figure.add_subplot()
        {"bar": bars, "line": lines, "scatter": points, "hist": histogram}[kind](axes, chart)
        finish(figure, axes, chart)
        png = io.BytesIO()
        figure.savefig(png, format="png", facecolor="white", metadata={"Software": None})
    return toolkit.Image(png.getvalue(), title=chart.title, alt=described(chart))


# What to draw


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


def prepare(frame: Any, kind: str, x: str, names: list[str]) -> Chart:
    """The columns to draw, filled in where the caller left them out. Raises Failed saying what does not fit."""
    columns = [str(label) for label in frame.columns]
    frame = frame.set_axis(columns, axis="columns").reset_index(drop=True)
    for name in [*([x] if x else []), *names]:
        if name not in columns:
            raise toolkit.Failed(f"There is no column {name!r}{near(name, columns)}")
    if not len(frame):
        raise toolkit.Failed("The table has no rows to draw.")
    numeric = {name: numbers for name in columns if (numbers := as_numbers(frame[name])) is not None}
    if kind == "hist":
        return prepare_histogram(numeric, columns, x, names)
    if not x:
        rest = [name for name in columns if name not in names]
        x = next((name for name in rest if name not in numeric), (rest or columns)[0])
    names = list(dict.fromkeys(names)) or alike({name: numeric[name] for name in numeric if name != x})
    if wrong := [name for name in names if name not in numeric]:
        raise toolkit.Failed(f"The column {wrong[0]!r} holds no numbers.", hint=f"Numbers: {', '.join(numeric)}.")
    if not names:
        raise toolkit.Failed("The table has no numbers to draw.", hint="Count or sum something first.")
    chart = Chart(kind, x, as_places(frame[x]), {name: numeric[name] for name in names})
    others = [name for name in columns if name not in numeric and name != x]
    if kind in ("bar", "line") and chart.across.duplicated().any():
        spread(chart, frame[others[0]] if len(others) == 1 and len(names) == 1 else None)
    if len(chart.series) > len(COLOURS):
        raise toolkit.Failed(f"{len(chart.series)} series are too many to tell apart.", hint="Draw at most 8.")
    if kind == "bar" and len(chart.across) > MAX_BARS:
        hint = "Draw a line." if chart.dates else f"Draw the top {MAX_BARS} at most."
        hint = f"Group by {x} first." if chart.across.duplicated().any() else hint
        raise toolkit.Failed(f"{len(chart.across):,} bars are too many to read.", hint=hint)
    return without_gaps(chart)


def prepare_histogram(numeric: dict[str, Any], columns: list[str], x: str, names: list[str]) -> Chart:
    wanted = list(dict.fromkeys([*([x] if x else []), *names])) or list(numeric)[:1]
    if len(wanted) > 1:
        raise toolkit.Failed("A histogram shows one column.", hint=f"Choose one of: {', '.join(wanted)}.")
    if not wanted or wanted[0] not in numeric:
        raise toolkit.Failed("A histogram needs a column of numbers.", hint=f"There are: {', '.join(columns)}.")
    values = numeric[wanted[0]]
    return without_gaps(Chart("hist", wanted[0], values, {wanted[0]: values}))


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
        return values.dt.tz_localize(None) if values.dt.tz is not None else values
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
        long = pd.DataFrame({"x": chart.across, "by": by.astype("str"), "y": chart.series[name]})
        wide = long.pivot(index="x", columns="by", values="y")
        wide = wide.reindex(index=chart.across.unique(), columns=long["by"].unique())
        chart.across = pd.Series(wide.index)
        chart.series = {cut(str(label)): wide[label].reset_index(drop=True) for label in wide.columns}
        chart.y_label = words(name)
    elif chart.kind == "line":
        raise toolkit.Failed(f"Several rows share one {chart.x}.", hint=f"Group by {chart.x} first, or draw a scatter.")


def without_gaps(chart: Chart) -> Chart:
    """The chart without rows that have no place or no number at all, and a note of how many those were."""
    import pandas as pd

    numbers = pd.DataFrame(chart.series).notna()
    # A line keeps the place of what is missing: it breaks there, and does not bridge the gap.
    kept = chart.across.notna() & (numbers.any(axis="columns") | (chart.kind == "line"))
    if not numbers[kept].any(axis=None):
        raise toolkit.Failed("There is no number to draw: every value is missing.")
    gaps = int((~numbers[kept]).sum().sum())
    dropped = int((~kept).sum())
    said = [f"{dropped:,} {'row' if dropped == 1 else 'rows'} without a value left out"] if dropped else []
    said += [f"{gaps:,} missing {'value' if gaps == 1 else 'values'} not drawn"] if gaps else []
    chart.note = "; ".join(said)
    chart.across = chart.across[kept].reset_index(drop=True)
    chart.series = {name: values[kept].reset_index(drop=True) for name, values in chart.series.items()}
    if chart.kind == "line" and (chart.dates or chart.numbers):
        order = chart.across.argsort(kind="stable")
        chart.across = chart.across.iloc[order]
        chart.series = {name: values.iloc[order] for name, values in chart.series.items()}
    return chart


# Drawing


def bars(axes: Any, chart: Chart) -> None:
    labels, width = place_names(chart), 0.8 / len(chart.series)
    for number, (name, values) in enumerate(chart.series.items()):
        places = [index + (number - (len(chart.series) - 1) / 2) * width for index in range(len(labels))]
        draw = axes.barh if is_lying(chart) else axes.bar
        draw(places, values, width, color=COLOURS[number], label=words(name))
    if is_lying(chart):
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.axvline(0, color="black", lw=0.8)
    else:
        name_places(axes, labels)
        spare = max(0.0, (4 - len(labels)) / 2)  # one or two bars do not fill the whole width
        axes.set_xlim(-0.6 - spare, len(labels) - 0.4 + spare)
        axes.axhline(0, color="black", lw=0.8)


def lines(axes: Any, chart: Chart) -> None:
    named = not (chart.dates or chart.numbers)
    across = range(len(chart.across)) if named else chart.across
    # A point between two gaps has no line to show it.
    mark = "o" if len(chart.across) <= 40 or (chart.note and len(chart.across) <= 400) else ""
    for number, (name, values) in enumerate(chart.series.items()):
        axes.plot(across, values, marker=mark, ms=4, lw=1.6, color=COLOURS[number], label=words(name))
    if named:
        name_places(axes, place_names(chart), turn=not chart.dates)
    low, high = extent(chart)
    axes.margins(y=0.08)
    if 0 <= low <= high * 0.9:  # the axis starts at zero unless that would flatten the line
        axes.set_ylim(0, high * 1.08 or 1)


def points(axes: Any, chart: Chart) -> None:
    across = chart.across
    if not (chart.dates or chart.numbers):
        labels = list(dict.fromkeys(across))
        if len(labels) > MAX_BARS:
            raise toolkit.Failed(f"{chart.x!r} has {len(labels):,} different names.", hint="Choose another x.")
        across = across.map({label: at for at, label in enumerate(labels)})
        name_places(axes, labels, turn=True)
        axes.margins(x=0.1)
    faint = 0.6 if len(across) <= 1000 else 0.35
    for number, (name, values) in enumerate(chart.series.items()):
        colour = COLOURS[number]
        axes.scatter(across, values, s=18, alpha=faint, linewidths=0, color=colour, label=words(name))


def histogram(axes: Any, chart: Chart) -> None:
    values = chart.across
    low, high = float(values.min()), float(values.max())
    whole = bool((values == values.round()).all())
    step = round_step((high - low) / min(40.0, max(5.0, math.sqrt(len(values))))) if high > low else 1.0
    if whole:
        step = 1.0 if high - low <= 30 else max(1.0, round(step))
    start = low - 0.5 if whole and step == 1 else math.floor(low / step) * step if high > low else low - 0.5
    edges = [start + step * at for at in range(int((high - start) / step) + 2)]
    axes.hist(values, bins=edges, color=COLOURS[0], edgecolor="white", linewidth=0.6)


def round_step(size: float) -> float:
    """The next larger of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if step >= size / power - 1e-9)


def finish(figure: Any, axes: Any, chart: Chart) -> None:
    """Title, axis texts, and ticks that can be read."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lying = chart.kind == "bar" and is_lying(chart)
    axes.set_xlabel(chart.y_label if lying else chart.x_label)
    axes.set_ylabel(chart.x_label if lying else chart.y_label)
    figure.suptitle(cut(chart.title, 200), x=0.015, ha="left", fontsize=13, wrap=True)
    measures, high = (axes.xaxis if lying else axes.yaxis), max(map(abs, extent(chart)))
    whole = chart.kind == "hist" or all((values.dropna() % 1 == 0).all() for values in chart.series.values())
    measures.set_major_locator(MaxNLocator(nbins=8, integer=whole, steps=[1, 2, 2.5, 5, 10]))
    measures.set_major_formatter(FuncFormatter(lambda value, _: number(value, 0 if chart.kind == "hist" else high)))
    axes.grid(axis="x" if lying else "y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if chart.kind in ("line", "scatter") and chart.dates:
        date_ticks(axes, chart)
    elif chart.kind != "bar" and chart.numbers:
        largest = float(chart.across.abs().max())
        # Years are numbers that nobody writes with a comma.
        years = chart.across.dtype.kind in "iu" and bool(chart.across.between(1500, 2500).all())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=chart.across.dtype.kind in "iu", steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.0f}" if years else number(at, largest)))
    if len(chart.series) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the data, never over it
    if chart.note:
        figure.supxlabel(chart.note, fontsize=8, color="#555555", x=0.985, ha="right")


def date_ticks(axes: Any, chart: Chart) -> None:
    """A time axis whose labels say the month with its year, or the year, the day or the hour."""
    from datetime import timedelta

    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    if chart.across.nunique() == 1:
        only = chart.across.iloc[0]
        axes.set_xlim(only - timedelta(days=1), only + timedelta(days=1))
        axes.set_xticks([only])
    else:
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8))  # type: ignore[no-untyped-call]  # matplotlib is half typed
    formats = AutoDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]  # as above
    # Keys are days, and a little more than those of the spacing that they are for.
    formats.scaled = {0.01: "%H:%M:%S", 0.1: "%d %b %H:%M", 1.5: "%d %b %Y", 31: "%b %Y", 366: "%Y"}
    axes.xaxis.set_major_formatter(formats)


# Words and sizes


def height(chart: Chart) -> float:
    """The figure's height in inches: bars that lie need room each."""
    if chart.kind != "bar" or not is_lying(chart):
        return 4.5
    return max(4.5, 1.4 + len(chart.across) * (0.1 + 0.16 * len(chart.series)))


def is_lying(chart: Chart) -> bool:
    """Whether bars lie: names that do not fit side by side are read more easily below each other. Time never does."""
    return not chart.dates and not fit(place_names(chart))


def place_names(chart: Chart) -> list[str]:
    """The labels of the horizontal axis: months and years without what they do not need."""
    if not chart.dates:
        return [str(value) if isinstance(value, str) else f"{value:.10g}" for value in chart.across]
    days, form = chart.across.dt, "%d %b %Y %H:%M"
    if (days.normalize() == chart.across).all():
        months, years = (days.day == 1).all(), ((days.day == 1) & (days.month == 1)).all()
        form = "%Y" if years else "%b %Y" if months else "%d %b %Y"
    return [str(label) for label in days.strftime(form)]


def name_places(axes: Any, labels: list[str], *, turn: bool = False) -> None:
    """Name the places 0, 1, 2, …. Names that do not fit are turned; of dates, and of very many, only some are shown."""
    if turn and not fit(labels) and len(labels) <= 30:
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        return
    every = next(step for step in range(1, len(labels) + 1) if fit(labels[::step]))
    axes.set_xticks(range(0, len(labels), every), labels[::every])


def fit(labels: list[str]) -> bool:
    """Whether labels at even distances have room side by side."""
    pairs = itertools.pairwise(labels)
    return all((len(left) + len(right)) / 2 + 1.5 <= ROOM / len(labels) for left, right in pairs)


def extent(chart: Chart) -> tuple[float, float]:
    """The smallest and the largest number drawn."""
    found = chart.series.values()
    return min(float(values.min()) for values in found), max(float(values.max()) for values in found)


def number(value: float, largest: float = 0.0) -> str:
    """A number as ticks show it: 1,250; 0.25; and 1.2M where the largest on the axis has millions."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if max(abs(value), largest) >= size:
            return f"{value / size:,.4g}{letter}" if value else "0"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def cut(text: str, most: int = MAX_LABEL) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def words(name: str) -> str:
    """`unit_price` as `Unit price`, `body_mass_g` as `Body mass (g)`."""
    parts = name.replace("_", " ").split()
    if len(parts) > 1 and parts[-1].lower() in UNITS:
        parts[-1] = f"({parts[-1]})"
    said = " ".join(parts) or name
    return said[:1].upper() + said[1:]


def described(chart: Chart) -> str:
    """What the chart shows, for who cannot see it."""
    shape = {"bar": "Bar chart", "line": "Line chart", "scatter": "Scatter chart", "hist": "Histogram"}[chart.kind]
    ranges = [
        f"{words(name)} from {rounded(values.min())} to {rounded(values.max())}"
        for name, values in chart.series.items()
    ]
    parts = [f"{shape}: {chart.title}.", f"{'; '.join(ranges)}."]
    count = len(chart.across)
    if chart.kind == "hist":
        parts.append(f"{count:,} {'value' if count == 1 else 'values'}.")
    else:
        labels = place_names(chart)
        where = ", ".join(labels) if count <= 8 else f"{labels[0]} to {labels[-1]}, {count:,} places"
        where = f"{count:,} points" if chart.kind == "scatter" else where
        parts.append(f"{chart.x_label}: {where}.")
    return " ".join([*parts, *([f"{chart.note}."] if chart.note else [])])


def rounded(value: float) -> str:
    return number(round(value, 2) if abs(value) >= 1 else float(f"{value:.4g}"))


def near(name: str, columns: list[str]) -> str:
    """The end of a message about a wrong name: close ones, or all."""
    close = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(columns[:20])}."
