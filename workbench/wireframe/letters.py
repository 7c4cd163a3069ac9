"""How wide letters are, so that a text is cut with an ellipsis, or goes on to the next line, before it can overlap.

The font is DejaVu Sans, which matplotlib carries with its licence. A letter that it does not have is drawn as □.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ELLIPSIS = "…"
MISSING = "□"


@dataclass(frozen=True, slots=True)
class Font:
    """Widths of a font's letters, in `units` to the size of the font. `path`: its file."""

    path: str
    widths: dict[int, int]
    units: int


@cache
def font(bold: bool = False) -> Font:
    """The font in one of its two weights."""
    from fontTools.ttLib import TTFont

    found = importlib.util.find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        raise ImportError("matplotlib, which carries the font, is not installed")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(next(iter(found.submodule_search_locations))) / "mpl-data" / "fonts" / "ttf" / name
    with TTFont(path, lazy=True) as read:
        advances = read["hmtx"].metrics
        widths = {code: advances[glyph][0] for code, glyph in read.getBestCmap().items()}
        return Font(str(path), widths, read["head"].unitsPerEm)


def drawable(text: str) -> tuple[str, str]:
    """The text with □ for each letter that the font lacks, and those letters."""
    known = font().widths
    lacking = dict.fromkeys(letter for letter in text if ord(letter) not in known and not letter.isspace())
    if not lacking:
        return text, ""
    marks = {letter for letter in lacking if unicodedata.category(letter) in ("Mn", "Me", "Mc")}
    shown = "".join(
        MISSING if letter in lacking and letter not in marks else letter for letter in text if letter not in marks
    )
    return shown, "".join(lacking)


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Pixels that a text takes at most: letters are measured one by one, and drawn together they never take more."""
    used = font(bold)
    wide = max(used.widths.get(ord("W"), used.units), used.units)
    return sum(used.widths.get(ord(letter), wide) for letter in text) * size / used.units * 1.01


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """The text, or its beginning and an ellipsis, no wider than `room`; "" where not even that fits."""
    if width(text, size, bold=bold) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + ELLIPSIS, size, bold=bold) <= room:
            low = middle
        else:
            high = middle - 1
    while low and low < len(text) and unicodedata.combining(text[low]):
        low -= 1
    cut = text[:low].rstrip() + ELLIPSIS
    return cut if width(cut, size, bold=bold) <= room else ""


def lines(text: str, room: float, size: float, most: int, *, bold: bool = False) -> list[str]:
    """The text on at most `most` lines, each no wider than `room`; what is left over is an ellipsis."""
    found: list[str] = []
    words = _words(text, room, size, bold)
    line = next(words, "")
    for word in words:
        longer = f"{line} {word}"
        if width(longer, size, bold=bold) <= room:
            line = longer
            continue
        found.append(line)
        if len(found) == most:
            found[-1] = fitted(f"{line} {word}{ELLIPSIS}", room, size, bold=bold)
            return found
        line = word
    return [*found, line] if line else found


def _words(text: str, room: float, size: float, bold: bool) -> Iterator[str]:
    """The words, those that are wider than a line in pieces."""
    for word in text.split():
        while width(word, size, bold=bold) > room and len(word) > 1:
            end = len(word)
            while end > 1 and width(word[:end], size, bold=bold) > room:
                end = max(1, int(end * 0.8))
            yield word[:end]
            word = word[end:]
        yield word
