"""Boxes, lines and texts at their places, and the SVG that shows them. Every text is cut to its room when it is put."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from workbench.wireframe.letters import drawable, fitted, lines, width

INK, QUIET, EDGE, LIGHT, FILL, PAPER = "#1f2933", "#52606d", "#9aa5b1", "#d3dae1", "#eef1f4", "#ffffff"
"""Of text, of small text, of outlines, of bars in the place of text, of grounds, and of paper."""

Align = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A text at its place: left edge, baseline and width in pixels. `whole`: what it is a part of."""

    x: float
    y: float
    width: float
    text: str
    size: float
    bold: bool
    tone: str
    whole: str


class Canvas:
    """What is drawn, from back to front. `left_out`: what found no room, in words; `lacking`: letters that the font
    does not have."""

    def __init__(self) -> None:
        self.texts: list[Put] = []
        self.left_out: list[str] = []
        self.lacking = ""
        self._shapes: list[str] = []

    def mark(self) -> int:
        """A place in the order, for a box that goes behind what is drawn from now on."""
        return len(self._shapes)

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        fill: str = PAPER,
        line: str = EDGE,
        radius: float = 4,
        at: int | None = None,
    ) -> None:
        stroke = f' stroke="{line}"' if line else ""
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(w, 0))}" height="{_n(max(h, 0))}"'
        shape = f'<rect {size} rx="{_n(radius)}" fill="{fill}"{stroke}/>'
        self._shapes.insert(len(self._shapes) if at is None else at, shape)

    def bar(self, x: float, y: float, w: float, h: float = 8, *, tone: str = LIGHT) -> None:
        """A bar that stands for words which nobody has given."""
        self.box(x, y, w, h, fill=tone, line="", radius=h / 2)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, tone: str = EDGE) -> None:
        at = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        self._shapes.append(f'<line {at} stroke="{tone}"/>')

    def path(
        self, d: Sequence[tuple[float, float]], *, fill: str = "none", tone: str = EDGE, closed: bool = False
    ) -> None:
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in d)
        kind = "polygon" if closed else "polyline"
        self._shapes.append(f'<{kind} points="{points}" fill="{fill}" stroke="{tone}"/>')

    def circle(self, x: float, y: float, r: float, *, fill: str = PAPER, line: str = EDGE) -> None:
        stroke = f' stroke="{line}"' if line else ""
        self._shapes.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" fill="{fill}"{stroke}/>')

    def text(
        self,
        x: float,
        y: float,
        room: float,
        text: str,
        *,
        size: float = 14,
        bold: bool = False,
        tone: str = INK,
        align: Align = "left",
        whole: str = "",
    ) -> float:
        """Put a text with its baseline at `y` into `room` pixels from `x` on; the width that it takes."""
        known, lacking = drawable(text)
        self.lacking += lacking
        shown = fitted(known, room, size, bold=bold)
        taken = width(shown, size, bold=bold)
        if not shown:
            if text:
                self.left_out.append(f"“{text[:60]}” (no room)")
            return 0.0
        left = x + {"left": 0.0, "center": (room - taken) / 2, "right": room - taken}[align]
        put = Put(x=left, y=y, width=taken, text=shown, size=size, bold=bold, tone=tone, whole=whole or text)
        self.texts.append(put)
        weight = ' font-weight="bold"' if bold else ""
        self._shapes.append(
            f'<text x="{_n(left)}" y="{_n(y)}" font-size="{_n(size)}" fill="{tone}"{weight}>{escape(shown)}</text>'
        )
        return taken

    def paragraph(
        self,
        x: float,
        y: float,
        room: float,
        text: str,
        most: int,
        *,
        size: float = 14,
        bold: bool = False,
        tone: str = INK,
        align: Align = "left",
    ) -> float:
        """Put a text on at most `most` lines below `y`; the height that they take."""
        known, lacking = drawable(text)
        self.lacking += lacking
        step = size * 1.4
        found = lines(known, room, size, most, bold=bold)
        for number, line in enumerate(found):
            top = y + size + number * step
            self.text(x, top, room, line, size=size, bold=bold, tone=tone, align=align, whole=text)
        return len(found) * step

    def svg(self, w: float, h: float) -> str:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(w)}" height="{_n(h)}" font-family="DejaVu Sans">'
        return f"{head}{''.join(self._shapes)}</svg>"

    @contextmanager
    def behind(self) -> Iterator[list[tuple[float, float, float, float, str, str]]]:
        """Boxes that are appended to the list go behind all that is drawn inside of the block."""
        at = self.mark()
        boxes: list[tuple[float, float, float, float, str, str]] = []
        yield boxes
        for x, y, w, h, fill, line in reversed(boxes):
            self.box(x, y, w, h, fill=fill, line=line, radius=0 if fill == FILL else 4, at=at)


def _n(number: float) -> str:
    """A coordinate, always written the same."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
