"""How each plain element looks: drawn at a place, as wide as it may be, and as high as it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from workbench.wireframe.canvas import EDGE, FILL, INK, LIGHT, PAPER, QUIET, Canvas
from workbench.wireframe.kinds import Element
from workbench.wireframe.letters import drawable, width

Draw = Callable[[Element, Canvas, float, float, float], float]
"""`draw(element, canvas, x, y, w)`: draws it from its left top corner on; the height that it takes."""

FIELD = 460
"""Pixels that a field is wide at most."""
COLUMN = 76
"""Pixels that a column of a table takes at least."""
LINE = 32
"""Height of what stands in a line."""


def title(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    if not e.text:
        c.bar(x, y + 4, min(w, 260), 16)
        return 24
    return c.paragraph(x, y, w, e.text, 3, size=22, bold=True)


def text(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    if e.text:
        return c.paragraph(x, y, w, e.text, 8)
    for number, share in enumerate((1.0, 0.94, 0.6)):
        c.bar(x, y + 4 + number * 18, min(w, 620) * share)
    return 52


def field(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w, top = min(w, FIELD), y
    if e.text:
        c.text(x, y + 13, w, e.text, size=13)
        top += 20
    high = 84 if e.kind == "textarea" else 36
    c.box(x, top, w, high)
    return top + high - y


def search(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w = min(w, FIELD)
    c.box(x, y, w, LINE, radius=LINE / 2)
    c.circle(x + 18, y + 15, 5, line=QUIET)
    c.line(x + 21.5, y + 18.5, x + 26, y + 23, tone=QUIET)
    if e.text:
        c.text(x + 34, y + 21, w - 46, e.text, size=13, tone=QUIET)
    return LINE


def button(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w = min(w, natural(e))
    c.box(x, y, w, LINE, fill=INK if e.strong else FILL, line=INK)
    if e.text:
        c.text(x + 8, y + 21, w - 16, e.text, tone=PAPER if e.strong else INK, align="center")
    else:
        c.bar(x + w / 2 - 24, y + 12, 48, tone=EDGE)
    return LINE


def link(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    taken = c.text(x, y + 21, w, e.text) if e.text else 0
    if not e.text:
        taken = min(w, 64)
        c.bar(x, y + 12, taken)
    c.line(x, y + 24, x + taken, y + 24, tone=INK)
    return LINE


def marked(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """A check box, a switch, or choices of which one holds."""
    high = 0.0
    if e.items and e.text:
        high = c.paragraph(x, y, w, e.text, 2, size=13) + 4
    for said in e.items or (e.text,):
        top = y + high
        if e.kind == "toggle":
            c.box(x, top + 4, 34, 18, radius=9, fill=FILL)
            c.circle(x + 9, top + 13, 7)
        elif e.kind == "radio":
            c.circle(x + 9, top + 13, 8)
        else:
            c.box(x + 1, top + 5, 16, 16, radius=2)
        beside = 42 if e.kind == "toggle" else 26
        if said:
            c.text(x + beside, top + 18, w - beside, said)
        else:
            c.bar(x + beside, top + 9, min(80, w - beside))
        high += 28
    return high


def select(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w, top = min(w, FIELD), y
    if e.text:
        c.text(x, y + 13, w, e.text, size=13)
        top += 20
    c.box(x, top, w, 36)
    c.path([(x + w - 22, top + 15), (x + w - 16, top + 21), (x + w - 10, top + 15)], tone=INK)
    if e.items:  # shown open, so that all of them can be seen
        c.box(x, top + 38, w, len(e.items) * 26 + 8)
        for number, item in enumerate(e.items):
            c.text(x + 12, top + 60 + number * 26, w - 24, item, size=13)
        return top + 46 + len(e.items) * 26 - y
    return top + 36 - y


def slider(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w, top = min(w, FIELD), y
    if e.text:
        c.text(x, y + 13, w, e.text, size=13)
        top += 20
    c.bar(x, top + 12, w, 6)
    if e.kind == "slider":
        c.circle(x + w / 2, top + 15, 9, line=INK)
    return top + 30 - y


def placed(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    """What the sketch only keeps a place for: pictures, charts, maps, films."""
    high = min(max(w * 0.45, 72), 260)
    c.box(x, y, w, high, fill=FILL)
    said = e.text if e.text and e.kind in e.text.lower() else f"{e.kind}: {e.text}" if e.text else e.kind
    match e.kind:
        case "chart":
            c.path([(x + 24, y + 16), (x + 24, y + high - 20), (x + w - 16, y + high - 20)], tone=QUIET)
        case "video":
            mx, my = x + w / 2, y + high / 2 - 14
            c.path([(mx - 11, my - 13), (mx + 13, my), (mx - 11, my + 13)], closed=True, fill=EDGE)
        case _:
            c.line(x, y, x + w, y + high, tone=LIGHT)
            c.line(x, y + high, x + w, y, tone=LIGHT)
    room = w - 64
    shown, _ = drawable(said)
    wide = min(room, width(shown, 13)) + 16
    if e.kind != "video":
        c.box(x + (w - wide) / 2, y + high / 2 - 12, wide, 24, fill=FILL, line="")
    c.text(x + 32, y + high / 2 + (30 if e.kind == "video" else 5), room, said, size=13, tone=QUIET, align="center")
    return high


def listed(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    high = 0.0
    if e.text:
        high = c.paragraph(x, y, w, e.text, 2, bold=True) + 4
    for item in e.items or ("",) * 3:
        top = y + high
        c.circle(x + 6, top + 12, 3, fill=QUIET, line="")
        if item:
            taken = c.paragraph(x + 18, top + 3, w - 18, item, 3)
        else:
            c.bar(x + 18, top + 8, min(w - 18, 300))
            taken = 20
        c.line(x, top + taken + 8, x + w, top + taken + 8, tone=LIGHT)
        high += taken + 10
    return high


def table(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    high = 0.0
    if e.text:
        high = c.paragraph(x, y, w, e.text, 2, bold=True) + 6
    most = max(1, int(w // COLUMN))
    count = max(len(e.items), *(len(row) for row in e.rows), 0) if e.rows else len(e.items)
    shown = min(count or min(3, most), most)
    if count > shown:
        c.left_out.append(f"table: {count - shown} more columns (no room)")
    one, top = w / shown, y + high
    body: Sequence[Sequence[str]] = e.rows or (("",) * shown,) * 3
    for number in range(shown):
        said = e.items[number] if number < len(e.items) else ""
        if said:
            c.text(x + number * one + 10, top + 21, one - 20, said, size=13, bold=True)
        elif not e.items:
            c.bar(x + number * one + 10, top + 12, min(one - 20, 70), tone=EDGE)
    for line, row in enumerate(body, 1):
        c.line(x, top + line * 32, x + w, top + line * 32, tone=LIGHT)
        for number in range(shown):
            said = row[number] if number < len(row) else ""
            if said:
                c.text(x + number * one + 10, top + line * 32 + 21, one - 20, said, size=13)
            elif not e.rows:
                c.bar(x + number * one + 10, top + line * 32 + 12, min(one - 20, 110))
    frame = (1 + len(body)) * 32
    c.path([(x, top), (x + w, top), (x + w, top + frame), (x, top + frame)], closed=True)
    c.line(x, top + 32, x + w, top + 32, tone=INK)
    return high + frame


def divider(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    taken = c.text(x, y + 13, w * 0.6, e.text, size=13, tone=QUIET) + 10 if e.text else 0
    c.line(x + taken, y + 8, x + w, y + 8)
    return 17


def badge(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w = min(w, natural(e))
    c.box(x, y + 5, w, 22, radius=11, fill=FILL)
    if e.text:
        c.text(x + 10, y + 20, w - 20, e.text, size=12)
    return LINE


def alert(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    with c.behind() as boxes:
        c.circle(x + 22, y + 22, 9, line=INK)
        c.line(x + 22, y + 17, x + 22, y + 23, tone=INK)
        c.circle(x + 22, y + 26, 0.8, fill=INK, line=INK)
        taken = c.paragraph(x + 42, y + 10, w - 56, e.text, 3) if e.text else 0
        if not e.text:
            c.bar(x + 42, y + 18, min(w - 56, 240))
        boxes.append((x, y, w, max(44, taken + 22), FILL, EDGE))
    return max(44, taken + 22)


def avatar(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    c.circle(x + 16, y + 16, 15, fill=FILL)
    c.circle(x + 16, y + 12, 5, fill=EDGE, line="")
    c.path([(x + 7, y + 25), (x + 11, y + 20), (x + 21, y + 20), (x + 25, y + 25)], fill=EDGE, closed=True)
    if e.text:
        c.text(x + 40, y + 21, w - 40, e.text)
    return LINE


def logo(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    w = min(w, natural(e))
    c.box(x, y, w, LINE, fill=FILL)
    said = e.text if "logo" in e.text.lower() else f"{e.text} logo".strip()
    c.text(x + 10, y + 21, w - 20, said, size=13, bold=True, align="center")
    return LINE


def icon(e: Element, c: Canvas, x: float, y: float, w: float) -> float:
    c.box(x + 2, y + 4, 24, 24, fill=FILL)
    c.line(x + 2, y + 4, x + 26, y + 28)
    c.line(x + 2, y + 28, x + 26, y + 4)
    if e.text:
        c.text(x + 34, y + 21, w - 34, e.text, size=13)
    return LINE


def natural(e: Element) -> float:
    """Pixels that an element in a line is wide when there is room."""
    said, _ = drawable(e.text)
    long = width(said, 14)
    match e.kind:
        case "button":
            return max(88, long + 36) if said else 96
        case "link":
            return long or 64
        case "logo":
            return width(said if "logo" in said.lower() else f"{said} logo".strip(), 13, bold=True) + 28
        case "title":
            return width(said, 17, bold=True) or 140
        case "text":
            return long or 160
        case "avatar":
            return 40 + long if said else 32
        case "icon":
            return 34 + width(said, 13) if said else 28
        case "badge":
            return width(said, 12) + 24 if said else 48
        case "search":
            return max(200, width(said, 13) + 56)
        case "toggle":
            return 42 + (long or 80)
        case "image":
            return max(64, width(said, 12) + 20)
        case _:
            return 200


DRAWN: Mapping[str, Draw] = {
    "title": title,
    "text": text,
    "input": field,
    "textarea": field,
    "search": search,
    "button": button,
    "link": link,
    "checkbox": marked,
    "radio": marked,
    "toggle": marked,
    "select": select,
    "slider": slider,
    "progress": slider,
    "image": placed,
    "chart": placed,
    "map": placed,
    "video": placed,
    "list": listed,
    "table": table,
    "divider": divider,
    "badge": badge,
    "alert": alert,
    "avatar": avatar,
    "logo": logo,
    "icon": icon,
}
