"""A cell that ran before: its source, and what it showed as text, from IPython's own history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workbench.notebook.line import BadLine

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Cell:
    """`number` as in `In [3]`. `shown` is "" where it showed nothing, or this IPython does not keep it."""

    number: int
    source: str
    shown: str

    @property
    def said(self) -> str:
        """The cell in words."""
        count = len(self.source.splitlines())
        lines = "1 line" if count == 1 else f"{count} lines"
        return f"cell {self.number}, {lines}{', with what it showed' if self.shown else ''}"

    @property
    def text(self) -> str:
        source = f"In [{self.number}]:\n{self.source}"
        return f"{source}\n\nIt showed:\n{self.shown}" if self.shown else source


def find(number: int, shell: Any) -> Cell:
    """The cell of that number, or from the end for a negative one: -1 is the one before this. Raises BadLine."""
    history = getattr(shell, "history_manager", None)
    sources = list(getattr(history, "input_hist_raw", ()))
    now = len(sources) - 1  # the cell that runs is the last
    at = number if number > 0 else now + number
    if number == 0 or not 0 < at < now:
        there = f"There are 1 to {now - 1}" if now > 1 else "No cell ran before this one"
        raise BadLine(f"There is no cell {number}. {there}")
    return Cell(at, str(sources[at]).strip("\n"), _shown(history, at))


def _shown(history: Any, number: int) -> str:
    """What was printed, the text of results, and the error: as far as this IPython keeps them."""
    texts = []
    for output in getattr(history, "outputs", {}).get(number, ()):
        bundle = getattr(output, "bundle", {})
        stream = bundle.get("stream")
        texts.append("".join(stream) if isinstance(stream, list) else str(stream or bundle.get("text/plain", "")))
    if not hasattr(history, "outputs"):
        texts.append(str(getattr(history, "output_hist_reprs", {}).get(number, "")))
    error = getattr(history, "exceptions", {}).get(number)
    if error:
        trace = "\n".join(map(str, error.get("traceback", ())[-6:]))
        texts.append(_COLOURS.sub("", trace) or f"{error.get('ename')}: {error.get('evalue')}")
    return "\n".join(text.rstrip("\n") for text in texts if text.strip())
