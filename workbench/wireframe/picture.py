"""The whole sketch: its frame, its label, the PNG, and what it shows in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.core.png import dense, saying
from workbench.wireframe.canvas import INK, PAPER, QUIET, Canvas
from workbench.wireframe.holders import GAP, flow, one, said_of, sidebar
from workbench.wireframe.kinds import Asked, Element
from workbench.wireframe.letters import font

Size = Literal["desktop", "tablet", "phone"]
LABEL = "wireframe, no AI model"
WIDTHS: Mapping[Size, int] = {"desktop": 1120, "tablet": 768, "phone": 375}
"""Pixels of the screen."""
_EDGE = 20
_SIDEBAR = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A drawn wireframe. `drawn`: the elements in words; `left_out`: all else that was asked for."""

    png: bytes
    alt: str
    drawn: tuple[str, ...]
    left_out: tuple[str, ...]


def sketch(asked: Asked, size: Size, said: str) -> Sketch:
    """Draw what is asked for; the same gives the same bytes. `said`: the words that the picture's metadata keeps."""
    import resvg_py

    canvas = Canvas()
    wide, high = compose(asked, size, canvas)
    zoom = 2 if size == "phone" and high < 4_000 else 1
    png = resvg_py.svg_to_bytes(
        svg_string=canvas.svg(wide, high),
        skip_system_fonts=True,
        font_files=[font(bold=False).path, font(bold=True).path],
        font_family="DejaVu Sans",
        sans_serif_family="DejaVu Sans",
        zoom=zoom,
    )
    drawn, left_out = tuple(map(said_of, asked.elements)), tuple(_left_out(asked, canvas))
    alt = described(asked, size, drawn, left_out)
    texts = {
        "Title": asked.title or "Wireframe",
        "Description": alt,
        "Software": "agent-workbench",
        "prompt": said,
        "model": LABEL,
        "seed": "none: the same text gives the same picture",
    }
    return Sketch(png=saying(dense(png, zoom) if zoom > 1 else png, texts), alt=alt, drawn=drawn, left_out=left_out)


def compose(asked: Asked, size: Size, c: Canvas) -> tuple[float, float]:
    """Draw everything on a canvas; its width and height."""
    wide = WIDTHS[size]
    x = y = float(_EDGE)
    top = y
    if asked.title:
        c.text(x + 16, y + 22, wide - 32, asked.title, size=13, bold=True, tone=QUIET)
        c.line(x, y + 34, x + wide, y + 34)
        top += 34
    top += _screen(asked.elements, c, x, top, wide)
    c.box(x, y, wide, top - y, fill=PAPER, line="", radius=0, at=0)
    c.box(x, y, wide, top - y, fill="none", line=INK, radius=0)
    high = top + 10
    high += _label(asked, c, x, high, wide)
    c.box(0, 0, wide + 2 * _EDGE, high + _EDGE, fill="#f7f8fa", line="", radius=0, at=0)
    return wide + 2 * _EDGE, high + _EDGE


def _screen(elements: Sequence[Element], c: Canvas, x: float, y: float, w: float) -> float:
    """Bars over the whole width at the top and at the bottom, a side bar beside the rest."""
    first = next((at for at, e in enumerate(elements) if e.kind not in ("header", "nav")), len(elements))
    last = next((at + 1 for at in range(len(elements) - 1, first - 1, -1) if elements[at].kind != "footer"), first)
    top = y
    for e in elements[:first]:
        top += one(e, c, *((x, top, w) if e.kind == "header" else (x + GAP, top, w - 2 * GAP)))
    body = elements[first:last]
    at = next((at for at, e in enumerate(body) if e.kind == "sidebar"), None)
    before, rest = (body, []) if at is None else (body[:at], body[at + 1 :])
    if at is not None and not rest:  # it was named last, and stands beside what was named before it
        before, rest = [], before
    if before:
        top += GAP + flow(before, c, x + GAP, top + GAP, w - 2 * GAP) + GAP
    if at is not None:
        top += _beside(body[at], rest, c, x, top, w)
    if not body:
        top += 120
    for e in elements[last:]:
        top += one(e, c, x, top, w)
    return top - y


def _beside(bar: Element, rest: Sequence[Element], c: Canvas, x: float, y: float, w: float) -> float:
    if w < 600 or not rest:
        wide = w if w < 600 else _SIDEBAR
        high = one(bar, c, x, y, wide)
        return high + (GAP + flow(rest, c, x + GAP, y + high + GAP, w - 2 * GAP) + GAP if rest else 0)
    left = x + _SIDEBAR if bar.side != "right" else x
    main = flow(rest, c, left + GAP, y + GAP, w - _SIDEBAR - 2 * GAP) + 2 * GAP
    at = x if bar.side != "right" else x + w - _SIDEBAR
    return max(main, sidebar(bar, c, at, y, _SIDEBAR, least=main))


def _label(asked: Asked, c: Canvas, x: float, y: float, w: float) -> float:
    """The lines below the screen: what this is, and what is not in it."""
    c.text(x, y + 12, w, LABEL, size=12, bold=True, tone=QUIET)
    high = 18.0
    if left_out := _left_out(asked, c):
        high += c.paragraph(x, y + high, w, f"not drawn: {'; '.join(left_out)}", 3, size=12, tone=QUIET)
    return high


def _left_out(asked: Asked, c: Canvas) -> list[str]:
    lacking = "".join(dict.fromkeys(c.lacking))
    letters = "letters" if len(lacking) > 1 else "letter"
    more = [f"{len(lacking)} {letters} that the font does not have ({lacking[:40]})"] if lacking else []
    return list(dict.fromkeys([*asked.left_out, *c.left_out, *more]))


def described(asked: Asked, size: Size, drawn: Sequence[str], left_out: Sequence[str]) -> str:
    """What the sketch shows, for who cannot see it."""
    of = f" of “{asked.title}”" if asked.title else ""
    said = f"Wireframe for a {size}{of}, drawn by rules and no AI model: {'; '.join(drawn)}."
    return said + (f" Not drawn: {'; '.join(left_out)}." if left_out else "")
