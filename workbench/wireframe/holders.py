"""Elements beside, below and inside of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from workbench.wireframe.canvas import EDGE, FILL, INK, LIGHT, PAPER, QUIET, Canvas
from workbench.wireframe.kinds import IN_A_BAR, PLACED, Element
from workbench.wireframe.letters import drawable, width
from workbench.wireframe.parts import DRAWN, LINE, Draw, natural

GAP = 16
LEAST = 96
"""Pixels below which nothing can be drawn in a column."""
CARD = 210
TALL = 9_000
"""Pixels after which no further element is drawn."""

_ITEMS_BESIDE = frozenset({"nav", "tabs", "breadcrumbs"})
_MARKED = frozenset({"checkbox", "radio", "toggle"})
_IN_LINE = frozenset({"button", "link", "badge", "icon", "avatar", "logo"})


def flow(elements: Sequence[Element], c: Canvas, x: float, y: float, w: float) -> float:
    """Draw elements below each other, those of a kind beside each other where they fit; the height that they take."""
    top = y
    for group in _groups(elements):
        if w < LEAST or top > TALL:
            for element in group:
                c.left_out.append(f"{said_of(element)} (no room)")
            continue
        if top > y:
            top += GAP
        top += _group(group, c, x, top, w)
    return top - y


def _groups(elements: Sequence[Element]) -> Iterator[list[Element]]:
    def alike(element: Element) -> str:
        if element.side:
            return "sides"
        if element.kind in _IN_LINE:
            return "line"
        if element.kind in _MARKED and not element.items:
            return "marks"
        return element.kind if element.kind == "card" or element.kind in PLACED else ""

    for key, run in groupby(elements, key=alike):
        found = list(run)
        yield from [found] if key else ([one] for one in found)


def _group(group: list[Element], c: Canvas, x: float, y: float, w: float) -> float:
    first = group[0]
    if first.side:
        return _sides(group, c, x, y, w)
    if first.kind in _IN_LINE:
        return in_line(group, c, x, y, w)
    if first.kind in _MARKED:
        top = y
        for mark in group:
            top += one(mark, c, x, top, w)
        return top - y
    if len(group) > 1:
        return _grid([[one] for one in group], c, x, y, w, max(1, min(4, len(group), int((w + GAP) // (CARD + GAP)))))
    return one(first, c, x, y, w)


def one(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """Draw one element; the height that it takes."""
    return (HELD.get(e.kind) or DRAWN[e.kind])(e, c, x, y, w)


def _grid(cells: Sequence[Sequence[Element]], c: Canvas, x: float, y: float, w: float, count: int) -> float:
    wide, top = (w - GAP * (count - 1)) / count, y
    for start in range(0, len(cells), count):
        row = cells[start : start + count]
        if top > y:
            top += GAP
        top += max(flow(cell, c, x + at * (wide + GAP), top, wide) for at, cell in enumerate(row))
    return top - y


def _sides(group: list[Element], c: Canvas, x: float, y: float, w: float) -> float:
    left = [e for e in group if e.side == "left"]
    right = [e for e in group if e.side == "right"]
    if w < 2 * CARD:
        return flow([_unsided(e) for e in (*left, *right)], c, x, y, w)
    return _grid([[_unsided(e) for e in left], [_unsided(e) for e in right]], c, x, y, w, 2)


def _unsided(e: Element) -> Element:
    return replace(e, side="")


def in_line(elements: Sequence[Element], c: Canvas, x: float, y: float, w: float) -> float:
    """Draw elements beside each other, and on the next line where they do not fit."""
    left, top = x, y
    for element in elements:
        need = min(_wide(element), w)
        if left > x and left + need > x + w:
            left, top = x, top + LINE + 8
        _in_bar(element, c, left, top, need)
        left += need + GAP
    return top + LINE - y


def _wide(e: Element) -> float:
    if e.kind in ("nav", "tabs", "breadcrumbs"):
        return sum(_item_width(item) for item in e.items) + 20 * len(e.items) if e.items else 240
    if e.kind in ("input", "select"):
        return max(140, width(drawable(e.text)[0], 13) + 40)
    return natural(e)


def _item_width(item: str) -> float:
    return min(width(drawable(item)[0], 14), 220)


def _in_bar(e: Element, c: Canvas, x: float, y: float, w: float) -> None:
    """An element in the 32 pixels of a line: items that would stand below it have no place there."""
    if e.items and e.kind not in _ITEMS_BESIDE:
        c.left_out += [f"{e.kind}: {item} (no room in a bar)" for item in e.items]
        e = replace(e, items=())
    match e.kind:
        case "title" if e.text:
            c.text(x, y + 22, w, e.text, size=17, bold=True)
        case "text" if e.text:
            c.text(x, y + 21, w, e.text)
        case "title" | "text":
            c.bar(x, y + 11, w, 10)
        case "nav" | "tabs" | "breadcrumbs":
            if e.text:
                c.left_out.append(f"{e.kind}: {e.text} (no room in a bar)")
            _items(e, c, x, y, w)
        case "input" | "select":
            c.box(x, y, w, LINE)
            if e.text:
                c.text(x + 10, y + 21, w - 34, e.text, size=13, tone=QUIET)
            if e.kind == "select":
                c.path([(x + w - 20, y + 13), (x + w - 14, y + 19), (x + w - 8, y + 13)], tone=INK)
        case "image":
            c.box(x, y, w, LINE, fill=FILL)
            c.text(x + 6, y + 20, w - 12, e.text or "image", size=12, tone=QUIET, align="center")
        case "progress":
            c.bar(x, y + 13, w, 6)
        case _:
            DRAWN[e.kind](e, c, x, y, w)


def _items(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """Words beside each other, as in a navigation, on further lines where they do not fit; the height that they
    take."""
    left, top = x, y
    for at, item in enumerate(e.items):
        need = min(_item_width(item), w)
        if left > x and left + need > x + w:
            left, top = x, top + LINE
        taken = c.text(left, top + 21, need, item)
        if e.kind == "tabs":
            c.line(left, top + 29, left + taken, top + 29, tone=INK if at == 0 else LIGHT)
        left += need + 20
        if e.kind == "breadcrumbs" and at + 1 < len(e.items):
            c.path([(left - 13, top + 12), (left - 8, top + 16), (left - 13, top + 20)], tone=QUIET)
    if not e.items:
        for number in range(3):
            if number == 0 or (number + 1) * 80 <= w:
                c.bar(x + number * 80, y + 12, min(60, w))
    return top + LINE - y


def strip(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """A navigation, tabs or a path of its own."""
    high = c.paragraph(x, y, w, e.text, 1, size=13, tone=QUIET) + 2 if e.text else 0
    high += _items(e, c, x, y + high, w)
    if e.kind != "breadcrumbs":
        c.line(x, y + high, x + w, y + high, tone=LIGHT)
    return high


def pages(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    marks = ["‹", *(e.items or ("", "", "")), "›"]
    left, top = x, y
    for mark in marks:
        need = min(max(LINE, width(drawable(mark)[0], 13) + 20), w)
        if left > x and left + need > x + w:
            left, top = x, top + LINE + 6
        c.box(left, top, need, LINE)
        if mark:
            c.text(left + 6, top + 21, need - 12, mark, size=13, align="center")
        left += need + 6
    if e.text:
        return top + LINE - y + c.paragraph(x, top + LINE + 2, w, e.text, 1, size=13, tone=QUIET) + 2
    return top + LINE - y


def header(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """A bar over the whole width: its text, what it holds, its items."""
    inner: list[Element] = [Element(kind="title" if e.kind == "header" else "text", text=e.text)] if e.text else []
    inner += [Element(kind="link", text=item) for item in e.items]
    bars = [one for one in e.inside if one.kind in IN_A_BAR]
    others = [one for one in e.inside if one.kind not in IN_A_BAR]
    inner += bars
    with c.behind() as boxes:
        high = in_line(inner, c, x + 16, y + 12, w - 32) + 24 if inner else 32 if others else 56
        if others:
            high += flow(others, c, x + 16, y + high - 8, w - 32) + 8
        boxes.append((x, y, w, high, FILL, EDGE))
    return high


def panel(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """A box around what it holds, with its text on top."""
    if e.kind in ("form", "dialog"):
        most = 520
        x, w = (x + max(0, (w - most) / 2), min(w, most)) if e.kind == "dialog" else (x, min(w, most))
    pad = 14 if w < 260 else 18
    with c.behind() as boxes:
        high = float(pad)
        if e.text:
            high += c.paragraph(x + pad, y + high, w - 2 * pad, e.text, 3, size=16, bold=True) + 8
        rest = list(e.inside)
        if e.items:
            rest.insert(0, Element(kind="list", items=e.items))
        if rest:
            high += flow(rest, c, x + pad, y + high, w - 2 * pad)
        elif not e.text and e.kind == "card":
            c.bar(x + pad, y + high, min(120, w - 2 * pad), 12)
            c.bar(x + pad, y + high + 28, w - 2 * pad)
            high += 48
        elif not e.text:
            high += 60
        high += pad
        boxes.append((x, y, w, high, PAPER, INK if e.kind == "dialog" else EDGE))
    return high


def sidebar(e: Element, c: Canvas, x: float, y: float, w: float, least: float = 0) -> float:
    """A bar at the side, at least `least` pixels high."""
    with c.behind() as boxes:
        high = 14.0
        if e.text:
            high += c.paragraph(x + 14, y + high, w - 28, e.text, 2, size=15, bold=True) + 8
        for item in e.items or (() if e.inside or e.text else ("",) * 4):
            if item:
                high += c.paragraph(x + 14, y + high + 4, w - 28, item, 2) + 10
            else:
                c.bar(x + 14, y + high + 8, min(w - 28, 110))
                high += 30
        if e.inside:
            high += flow(e.inside, c, x + 14, y + high + 4, w - 28) + 4
        high = max(high + 14, least)
        boxes.append((x, y, w, high, FILL, EDGE))
    return high


def columns(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    high = c.paragraph(x, y, w, e.text, 2, size=16, bold=True) + 8 if e.text else 0.0
    cells: list[list[Element]] = [list(one.inside) if _is_plain(one) else [one] for one in e.inside]
    cells = cells or [[Element(kind="text", text=item)] for item in e.items] or [[Element(kind="text")]] * 2
    count = max(1, min(len(cells), int((w + GAP) // (140 + GAP))))
    return high + _grid(cells, c, x, y + high, w, count)


def _is_plain(e: Element) -> bool:
    return e.kind == "section" and not e.text and not e.items


HELD: Mapping[str, Draw] = {
    "header": header,
    "footer": header,
    "nav": strip,
    "tabs": strip,
    "breadcrumbs": strip,
    "pagination": pages,
    "section": panel,
    "card": panel,
    "form": panel,
    "dialog": panel,
    "sidebar": sidebar,
    "columns": columns,
}


def said_of(e: Element) -> str:
    """An element in words."""
    said = f"{e.kind} “{e.text}”" if e.text else e.kind
    if e.items:
        said += f" ({', '.join(e.items[:12])}{', …' if len(e.items) > 12 else ''})"
    if e.inside:
        said += f" with {', '.join(said_of(one) for one in e.inside[:12])}"
    return said
