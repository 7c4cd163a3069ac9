"""Draws a table as a bar, line, scatter or histogram chart."""

from __future__ import annotations

import io
from typing import Any, Literal

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["plot monthly revenue as a line chart", "bar chart of units by product"]

# Okabe and Ito's colours: told apart with any colour vision, and on light and dark pages.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MAX_BARS = 50


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
        y: columns to draw; empty: the numeric ones.
        title: what the chart shows, in a few words.
        x_label: text of the horizontal axis; empty: made from the column's name.
        y_label: text of the vertical axis; empty: made from the column's name.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "workbench"
    from matplotlib.figure import Figure

    frame = data if data is not None else last_table()
    if not len(frame):
        raise toolkit.Failed("The table has no rows to draw.")
    x, names = choose(frame, kind, x, list(y or []))
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    DRAW[kind](axes, frame, x, names)
    finish(axes, kind, frame, x, names, title, x_label, y_label)
    png = io.BytesIO()
    figure.savefig(png, format="png", facecolor="white", metadata={"Software": None})
    return toolkit.Image(png.getvalue(), title=title or words(x), alt=described(kind, frame, x, names, title))


def last_table() -> Any:
    """The last table that an earlier step gave."""
    import pandas as pd

    for step in reversed(toolkit.context()):
        found = [value for value in walk(step["value"]) if isinstance(value, pd.DataFrame)]
        if found:
            return found[-1]
    raise toolkit.Failed("There is no table to draw.", hint='Give `data`, for example {"$ref": "s1"}.')


def walk(value: Any) -> list[Any]:
    """A value and everything inside it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for item in inner for found in walk(item))]


def choose(frame: Any, kind: str, x: str, names: list[str]) -> tuple[str, list[str]]:
    """The columns to draw, filled in where the caller left them out. Raises Failed for names that are not there."""
    import pandas as pd

    columns = [str(label) for label in frame.columns]
    for name in [*([x] if x else []), *names]:
        if name not in columns:
            raise toolkit.Failed(f"There is no column {name!r}{near(name, columns)}")
    numeric = [c for c in columns if pd.api.types.is_numeric_dtype(frame[c]) and frame[c].dtype != bool]
    if kind == "hist":
        chosen = x or (names or numeric or [""])[0]
        if chosen not in numeric:
            raise toolkit.Failed("A histogram needs a column of numbers.", hint=f"There are: {', '.join(columns)}.")
        return chosen, [chosen]
    if not x:
        x = next((c for c in columns if c not in numeric and c not in names), "")
        x = x or next((c for c in columns if c not in names), columns[0])
    names = names or [c for c in numeric if c != x][:4]
    wrong = [name for name in names if name not in numeric]
    if wrong or not names:
        raise toolkit.Failed(f"{wrong[0] if wrong else 'The table'} has no numbers to draw.")
    if kind == "bar" and len(frame) > MAX_BARS:
        raise toolkit.Failed(f"{len(frame):,} bars are too many to read.", hint=f"Draw the top {MAX_BARS} at most.")
    return x, names


def bars(axes: Any, frame: Any, x: str, names: list[str]) -> None:
    labels = [text(value) for value in frame[x]]
    # Many or long names are read more easily beside lying bars than turned on their side.
    lying = len(labels) > 8 or max(map(len, labels)) > 14
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        places = [index + (number - (len(names) - 1) / 2) * width for index in range(len(labels))]
        draw = axes.barh if lying else axes.bar
        draw(places, frame[name].fillna(0), width, color=COLOURS[number % len(COLOURS)], label=words(name))
    if lying:
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
    else:
        axes.set_xticks(range(len(labels)), labels)


def lines(axes: Any, frame: Any, x: str, names: list[str]) -> None:
    import pandas as pd

    across = as_dates(frame[x])
    if pd.api.types.is_numeric_dtype(across) or pd.api.types.is_datetime64_any_dtype(across):
        order = across.argsort(kind="stable")
        across, frame = across.iloc[order], frame.iloc[order]
    else:
        across = across.astype(str)
    mark = "o" if len(frame) <= 40 else ""
    for number, name in enumerate(names):
        axes.plot(across, frame[name], marker=mark, ms=4, color=COLOURS[number % len(COLOURS)], label=words(name))
    low = min(frame[name].min() for name in names)
    if low >= 0:
        axes.set_ylim(bottom=0)


def points(axes: Any, frame: Any, x: str, names: list[str]) -> None:
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        axes.scatter(as_dates(frame[x]), frame[name], s=16, alpha=0.6, color=colour, label=words(name))


def histogram(axes: Any, frame: Any, x: str, names: list[str]) -> None:
    values = frame[x].dropna()
    whole = (values == values.round()).all() and values.max() - values.min() <= 30
    edges = [low - 0.5 for low in range(int(values.min()), int(values.max()) + 2)] if whole else 30
    axes.hist(values, bins=edges, color=COLOURS[0], edgecolor="white", linewidth=0.5)


DRAW = {"bar": bars, "line": lines, "scatter": points, "hist": histogram}


def finish(axes: Any, kind: str, frame: Any, x: str, names: list[str], title: str, x_label: str, y_label: str) -> None:
    """Title, axis texts and ticks that can be read."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lying = kind == "bar" and axes.yaxis_inverted()
    down = "Count" if kind == "hist" else words(names[0]) if len(names) == 1 else ""
    across_text, down_text = x_label or words(x), y_label or down
    axes.set_xlabel(down_text if lying else across_text)
    axes.set_ylabel(across_text if lying else down_text)
    axes.set_title(title, loc="left", fontsize=13, wrap=True)
    measures = axes.xaxis if lying else axes.yaxis
    measures.set_major_formatter(FuncFormatter(number))
    axes.grid(axis="x" if lying else "y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if kind in ("line", "scatter") and str(as_dates(frame[x]).dtype).startswith("datetime"):
        places = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]  # matplotlib is half typed
        axes.xaxis.set_major_locator(places)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(places))  # type: ignore[no-untyped-call]  # as above
    elif kind in ("scatter", "hist"):
        axes.xaxis.set_major_formatter(FuncFormatter(number))
    elif kind == "line" and str(frame[x].dtype).startswith(("int", "Int")):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(names) > 1:
        axes.legend(frameon=False)


def as_dates(values: Any) -> Any:
    """The values as dates where they are texts that spell ISO dates, else as they are."""
    import pandas as pd

    if pd.api.types.is_string_dtype(values) or values.dtype == object:
        try:
            return pd.to_datetime(values, format="ISO8601")
        except (ValueError, TypeError):
            return values
    return values


def number(value: float, _: Any = None) -> str:
    """A tick's number: 1,250; 3.5M; 0.25."""
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:,.10g}{letter}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def text(value: Any) -> str:
    """A category's name; dates without their midnight."""
    if hasattr(value, "strftime"):
        return str(value.date() if hasattr(value, "date") else value)
    said = "missing" if value is None or value != value else str(value)
    return said if len(said) <= 40 else said[:39] + "…"


def words(name: str) -> str:
    """`unit_price` as `Unit price`."""
    said = name.replace("_", " ").strip()
    return said[:1].upper() + said[1:]


def described(kind: str, frame: Any, x: str, names: list[str], title: str) -> str:
    """What the chart shows, for who cannot see it."""
    shape = {"bar": "Bar chart", "line": "Line chart", "scatter": "Scatter chart", "hist": "Histogram"}[kind]
    parts = [f"{shape}: {title}." if title else f"{shape}."]
    for name in names:
        low, high = frame[name].min(), frame[name].max()
        parts.append(f"{words(name)} from {number(round(float(low), 2))} to {number(round(float(high), 2))}")
    if kind != "hist":
        parts[-1] += f" by {words(x).lower()}, {len(frame):,} {'points' if kind == 'scatter' else 'values'}"
    return f"{parts[0]} {'; '.join(parts[1:])}."


def near(name: str, columns: list[str]) -> str:
    """The end of a message about a wrong name: close ones, or all."""
    import difflib

    close = difflib.get_close_matches(name, columns, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(columns[:20])}."
