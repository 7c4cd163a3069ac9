"""A specification as JSON or words, read into elements. What cannot be drawn is kept, in words, never dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench import toolkit
from workbench.wireframe.kinds import (
    HOLDERS,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_ITEMS,
    MAX_TEXT,
    WITH_ITEMS,
    Asked,
    Element,
    Side,
    bounded,
    named,
    one_line,
)
from workbench.wireframe.words import read_words

MAX_CHARACTERS = 50_000
_KIND = ("type", "kind", "element", "component")
_TEXT = ("text", "label", "title", "name", "heading", "caption", "placeholder", "value", "alt", "content", "message")
_ITEMS = ("items", "options", "links", "tabs", "columns", "headers", "choices", "entries", "pages", "fields")
_INSIDE = ("children", "elements", "content", "contents", "body", "fields", "items", "inside", "components", "sections")
_ROWS = ("rows", "data")
_STRONG = ("primary", "strong")


def read(spec: Any) -> Asked:
    """What is asked for. Raises toolkit.Failed when there is nothing in it that can be drawn, or it is too large."""
    if isinstance(spec, str):
        if len(spec) > MAX_CHARACTERS:
            raise toolkit.Failed(
                f"The specification has {len(spec):,} characters; at most {MAX_CHARACTERS:,} are read.",
                hint="Ask for one screen at a time.",
            )
        spec = _json(spec)
    asked = Asked()
    try:
        _read(spec, asked)
    except RecursionError:
        raise toolkit.Failed("The specification is nested too deeply.", hint="Use fewer levels.") from None
    asked = bounded(asked)
    if not asked.elements:
        found = f" Not understood: {'; '.join(asked.left_out[:5])}." if asked.left_out else ""
        raise toolkit.Failed(
            f"There is nothing in this that a wireframe can show.{found}",
            hint='Name elements, as in "login page with a title, email and password fields and a Sign in button".',
        )
    return asked


def _json(text: str) -> Any:
    """The JSON that a text is, else the text itself: a person's words may begin with a bracket too."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise toolkit.Failed(
                "The specification begins as JSON does and is none.", hint="Mend it, or describe the screen in words."
            ) from None
    return text


def _read(spec: Any, asked: Asked) -> None:
    match spec:
        case str():
            read_words(spec, asked)
        case Mapping():
            body = next((spec[name] for name in _INSIDE if isinstance(spec.get(name), list | tuple)), None)
            if _kind_of(spec) or (body is None and any(map(named, spec))):
                asked.elements += _elements(spec, asked, 0)
                return
            asked.title = next((one_line(str(spec[key])) for key in ("title", "name") if _is_plain(spec.get(key))), "")
            used = {"title", "name", *(name for name in _INSIDE if spec.get(name) is body)}
            asked.elements += _many(body or (), asked, 0)
            for key in spec:
                if str(key) not in used:
                    asked.leave_out(key, "no element")
        case list() | tuple():
            asked.elements += _many(spec, asked, 0)
        case _:
            raise toolkit.Failed(
                f"A wireframe is made of words or JSON, and this is a {type(spec).__name__}.",
                hint='For example "dashboard with a header, three cards and a table".',
            )


def _many(items: Sequence[Any], asked: Asked, depth: int) -> list[Element]:
    found: list[Element] = []
    for item in items:
        if len(found) > MAX_ELEMENTS * 2:
            asked.leave_out(f"everything after {len(found)} elements", "too many")
            break
        found += _elements(item, asked, depth)
    return found


def _elements(item: Any, asked: Asked, depth: int) -> list[Element]:
    """The elements that one item of a list stands for: usually one; words may name several."""
    if depth > MAX_DEPTH:
        asked.leave_out("what is deeper inside", f"more than {MAX_DEPTH} levels")
        return []
    match item:
        case None:
            return []
        case str():
            if kind := named(item):
                return [Element(kind=kind)]
            inner = Asked()
            read_words(item, inner)
            asked.left_out += [line for line in inner.left_out if line not in asked.left_out]
            return inner.elements
        case Mapping():
            if kind := _kind_of(item):
                return [_element(kind, item, asked, depth)]
            found: list[Element] = []
            if any(key in item for key in _KIND):
                asked.leave_out(_said(item))
                return []
            for key, value in item.items():
                if not (kind := named(key)):
                    asked.leave_out(key if _is_plain(value) is False else f"{key}: {value}")
                    continue
                fields = value if isinstance(value, Mapping) else _given(kind, value)
                found.append(_element(kind, fields, asked, depth))
            return found
        case list() | tuple():
            return _many(item, asked, depth + 1)
        case _:
            asked.leave_out(item, "no element")
            return []


def _given(kind: str, value: Any) -> Mapping[str, Any]:
    """The fields of an element that is written as `{"nav": ["Home"]}` or `{"button": "Save"}`."""
    if isinstance(value, list | tuple):
        holds = kind in HOLDERS and any(not isinstance(one, str) or named(one) for one in value)
        return {"inside" if holds or kind == "columns" else "items": value}
    return {} if value is True or value is None else {"text": value}


def _element(kind: str, fields: Mapping[Any, Any], asked: Asked, depth: int) -> Element:
    used = set(_KIND)
    text, side, strong = "", "", False
    for key in _TEXT:
        if _is_plain(fields.get(key)):
            if text:
                asked.leave_out(f"{kind}: {key} {fields[key]}", "one text each")
            else:
                text = one_line(str(fields[key]))
            used.add(key)
    if fields.get("side") in ("left", "right"):
        side = str(fields["side"])
        used.add("side")
    for key in _STRONG:
        if isinstance(fields.get(key), bool) and kind == "button":
            strong = strong or fields[key]
            used.add(key)
    inside: list[Element] = []
    if kind == "columns":
        inside = _columns(fields, asked, depth, used)
    elif kind in HOLDERS:
        for key in _INSIDE:
            value = fields.get(key)
            if key not in used and isinstance(value, list | tuple | Mapping):
                wanted = value if isinstance(value, list | tuple) else [value]
                if all(isinstance(one, str) and not named(one) for one in wanted) and kind in (
                    "header",
                    "footer",
                    "sidebar",
                ):
                    continue
                used.add(key)
                inside += _many(wanted, asked, depth + 1)
    items = _texts(fields, _ITEMS, used, asked, kind)
    if items and (kind not in WITH_ITEMS or (kind == "columns" and inside)):
        for item in items:
            asked.leave_out(f"{kind}: {item}")
        items = ()
    rows = _rows(fields, used, asked, kind)
    for key in fields:
        if key not in used:
            asked.leave_out(f"{kind}: {key}")
    return Element(
        kind=kind,
        text=text,
        items=items,
        rows=rows,
        inside=tuple(inside),
        side=_SIDES.get(side, ""),
        strong=strong,
    )


_SIDES: Mapping[str, Side] = {"left": "left", "right": "right"}


def _columns(fields: Mapping[Any, Any], asked: Asked, depth: int, used: set[str]) -> list[Element]:
    for key in ("columns", *_INSIDE):
        value = fields.get(key)
        if not isinstance(value, list | tuple):
            continue
        used.add(key)
        found = []
        for one in value[:6]:
            held = _many(one if isinstance(one, list | tuple) else [one], asked, depth + 1)
            if len(held) == 1:
                found.append(held[0])
            elif held:
                found.append(Element(kind="section", inside=tuple(held)))
        if len(value) > 6:
            asked.leave_out(f"{len(value) - 6} more columns", "at most 6 stand side by side")
        return found
    return []


def _texts(fields: Mapping[Any, Any], keys: Sequence[str], used: set[str], asked: Asked, kind: str) -> tuple[str, ...]:
    for key in keys:
        value = fields.get(key)
        if key in used or not isinstance(value, list | tuple):
            continue
        used.add(key)
        found = []
        for one in value:
            said = one
            if isinstance(one, Mapping):
                said = next((one[name] for name in _TEXT if _is_plain(one.get(name))), None)
            if not _is_plain(said) or not one_line(str(said)):
                asked.leave_out(f"{kind}: an item that is no text")
                continue
            found.append(one_line(str(said)))
        if len(found) > MAX_ITEMS:
            asked.leave_out(f"{kind}: {len(found) - MAX_ITEMS} more items", f"at most {MAX_ITEMS}")
        return tuple(found[:MAX_ITEMS])
    return ()


def _rows(fields: Mapping[Any, Any], used: set[str], asked: Asked, kind: str) -> tuple[tuple[str, ...], ...]:
    for key in _ROWS:
        value = fields.get(key)
        if kind != "table" or not isinstance(value, list | tuple):
            continue
        used.add(key)
        rows = []
        for row in value[:MAX_ITEMS]:
            cells = list(row.values()) if isinstance(row, Mapping) else row if isinstance(row, list | tuple) else [row]
            rows.append(tuple(one_line("" if cell is None else str(cell))[:200] for cell in cells[:12]))
        if len(value) > MAX_ITEMS:
            asked.leave_out(f"table: {len(value) - MAX_ITEMS} more rows", f"at most {MAX_ITEMS}")
        return tuple(rows)
    return ()


def _kind_of(item: Mapping[Any, Any]) -> str:
    return next((kind for key in _KIND if (kind := named(item.get(key)))), "")


def _said(item: Mapping[Any, Any]) -> str:
    """An element of a kind that nobody knows, in words."""
    kind = next(str(item[key]) for key in _KIND if key in item)
    text = next((f" {item[key]}" for key in _TEXT if _is_plain(item.get(key))), "")
    return f"{kind}{text}"[:MAX_TEXT]


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
