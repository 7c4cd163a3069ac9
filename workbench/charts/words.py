"""Names, units and numbers as people read them."""

from __future__ import annotations

import difflib
from typing import Any

MAX_LABEL = 40
UNITS = {
    **{name: name for name in ["mm", "cm", "m", "km", "mg", "g", "kg", "t", "ml", "l", "ms", "s", "min", "h"]},
    "eur": "EUR",
    "usd": "USD",
    "gbp": "GBP",
    "kw": "kW",
    "kwh": "kWh",
    "mb": "MB",
    "gb": "GB",
    "hz": "Hz",
    "pct": "%",
    "percent": "%",
    "celsius": "°C",
    "degc": "°C",
    "kmh": "km/h",
}
"""A unit at the end of a column's name, and how it is written."""


def words(name: str) -> str:
    """`unit_price` as `Unit price`, `body_mass_g` as `Body mass (g)`."""
    said, measured = bare(name), unit(name)
    return f"{said} ({measured})" if measured else said


def bare(name: str) -> str:
    """A column's name as words, without its unit."""
    parts = name.replace("_", " ").split()
    parts = parts[:-1] if unit(name) else parts
    said = " ".join(parts) or name
    return said[:1].upper() + said[1:]


def unit(name: str) -> str:
    """The unit in a column's name, "" when there is none."""
    parts = name.replace("_", " ").split()
    return UNITS.get(parts[-1].lower(), "") if len(parts) > 1 else ""


def number(value: float, largest: float = 0.0) -> str:
    """A number as ticks show it: 1,250; 0.25; and 1.2M where the largest on the axis has millions."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if max(abs(value), largest) >= size:
            return f"{value / size:,.4g}{letter}" if value else "0"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def rounded(value: float) -> str:
    return number(round(value, 2) if abs(value) >= 1 else float(f"{value:.4g}"))


def cut(text: str, most: int = MAX_LABEL) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def near(name: str, columns: list[str]) -> str:
    """The end of a message about a wrong name: close ones, or all."""
    close = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(columns[:20])}."


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def place_names(across: Any) -> list[str]:
    """The labels of a horizontal axis: months and years without what they do not need."""
    if not str(across.dtype).startswith("datetime64"):
        return [str(value) if isinstance(value, str) else f"{value:.10g}" for value in across]
    days, form = across.dt, "%d %b %Y %H:%M"
    if (days.normalize() == across).all():
        months, years = (days.day == 1).all(), ((days.day == 1) & (days.month == 1)).all()
        form = "%Y" if years else "%b %Y" if months else "%d %b %Y"
    return [str(label) for label in days.strftime(form)]
