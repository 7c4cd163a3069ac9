"""Rows as text and as HTML tables."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from workbench.render.clean import clean_text, escape

MAX_CELL = 200
TEXT = ' style="text-align:left"'
"""For a cell of text: JupyterLab sets all cells to the right, and takes sheets of styles from untrusted notebooks."""


LEAST_WRAPPED = 28
"""Characters of a column that is not narrowed further: the id of a run stays whole."""


def table_text(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, most: int | None = None, width: int | None = None
) -> str:
    """Rows as aligned text under their columns; numbers to the right. `most`: rows at most, all when None. `width`:
    characters of a line, to which texts are wrapped, the longest first; as long as they are when None."""
    cells = [[cell(value) for value in row] for row in rows]
    dropped = 0
    if most is not None and len(cells) > most:
        dropped, cells = len(cells) - most, cells[:most]
    names = [clean_text(str(name)) for name in columns]
    right = [bool(cells) and all(_is_number(row[i]) or not row[i] for row in cells) for i in range(len(names))]
    if width is not None:
        fitting = _fitting(
            [max([_width(name), *(_width(row[i]) for row in cells)]) for i, name in enumerate(names)], width
        )
        cells = [line for row in cells for line in _wrapped(row, fitting)]
    widths = [max([_width(name), *(_width(row[i]) for row in cells)]) for i, name in enumerate(names)]

    def line(values: Sequence[str]) -> str:
        padded = []
        for value, width, to_right in zip(values, widths, right, strict=True):
            space = " " * (width - _width(value))
            padded.append(space + value if to_right else value + space)
        return "  ".join(padded).rstrip()

    lines = [line(names), line(["-" * width for width in widths]), *map(line, cells)]
    return "\n".join(lines) + (f"\n… {dropped:,} more" if dropped else "")


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """Widths of columns that fit into a line, the widest narrowed first, none below `LEAST_WRAPPED`."""
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > width and max(fitting) > LEAST_WRAPPED:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """A row as as many lines as its longest text takes."""
    parts = [
        textwrap.wrap(text, width, break_on_hyphens=False) if text else [""]
        for text, width in zip(row, widths, strict=True)
    ]
    return [[part[at] if at < len(part) else "" for part in parts] for at in range(max(map(len, parts), default=0))]


def table_html(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as an HTML table; columns of numbers to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    right = [bool(cells) and all(_is_number(row[i]) or not row[i] for row in cells) for i in range(len(columns))]
    kinds = [' class="number"' if to_right else TEXT for to_right in right]
    head = "".join(f"<th{kind}>{escape(str(name))}</th>" for name, kind in zip(columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{html.escape(value)}</td>" for value, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in cells
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell(value: Any) -> str:
    """One value as a reader sees it: numbers with thousands separated and at most 6 digits behind the point."""
    if _is_missing(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{value:,.0f}"
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:,.6g}"
    text = clean_text(str(value))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas' NA: whether it is itself nobody knows
        return True
    except ValueError:  # an array
        return False


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?", text) is not None


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
