"""What a wireframe is made of: each kind of element, the words for it, and what may stand inside of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Side = Literal["", "left", "right"]

MAX_TEXT = 2_000
"""Characters of one text."""
MAX_ELEMENTS = 200
MAX_ITEMS = 40
MAX_DEPTH = 4
"""Of elements inside of each other."""

_WORDS: Mapping[str, str] = {
    "header": "header, top bar, app bar, page header, toolbar",
    "nav": "nav, navigation, navigation bar, nav bar, navbar, menu, menu bar",
    "tabs": "tabs, tab bar",
    "breadcrumbs": "breadcrumbs, breadcrumb",
    "sidebar": "sidebar, side bar, side menu, side panel",
    "footer": "footer, bottom bar",
    "section": "section, panel, hero, hero section, group, box, area",
    "card": "card, tile",
    "form": "form",
    "dialog": "dialog, modal, popup, pop-up, dialogue",
    "title": "title, heading, headline",
    "text": "text, paragraph, description, caption, copy, blurb",
    "link": "link, hyperlink",
    "button": "button, cta, call to action",
    "input": "input, field, text field, text box, textbox, input field, input box, entry field",
    "textarea": "text area, textarea, message box, comment box, message field, comment field",
    "search": "search, search bar, search box, search field, search input",
    "checkbox": "checkbox, check box, tick box, tickbox",
    "radio": "radio, radio button, radio group",
    "toggle": "toggle, switch, toggle switch",
    "select": "select, dropdown, drop-down, drop down, dropdown menu, combo box, combobox, picker, select box",
    "slider": "slider, range slider",
    "list": "list, bullet list, bulleted list",
    "table": "table, grid, data table, data grid",
    "image": "image, picture, photo, illustration, hero image, thumbnail",
    "avatar": "avatar, profile picture",
    "logo": "logo",
    "icon": "icon",
    "chart": "chart, graph, bar chart, line chart, pie chart, plot",
    "map": "map",
    "video": "video, video player",
    "divider": "divider, separator, horizontal line",
    "badge": "badge, tag, chip, label, pill",
    "alert": "alert, notification, banner, toast, notice, error message",
    "progress": "progress bar, progress",
    "pagination": "pagination, pager",
    "columns": "columns, row",
}

_PLURALS = {"tabs", "breadcrumbs", "columns", "progress"}


def _forms(word: str) -> tuple[str, ...]:
    if word in _PLURALS or word.endswith("s"):
        return (word,)
    return (
        word,
        f"{word}{'es' if word.endswith(('x', 'ch', 'sh')) else 's'}",
        *((f"{word[:-1]}ies",) if word.endswith("y") else ()),
    )


NAMED: Mapping[str, str] = {
    form: kind for kind, words in _WORDS.items() for word in words.split(", ") for form in _forms(word)
}
"""Each word for an element, also in the plural → its kind."""

NOUN = re.compile(
    rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, NAMED), key=len, reverse=True))})(?![\w-])", re.IGNORECASE
)

KINDS = frozenset(_WORDS)
HOLDERS = frozenset({"header", "footer", "sidebar", "section", "card", "form", "dialog"})
"""Elements that hold others."""
SECTIONS = HOLDERS | {"nav", "columns", "breadcrumbs"}
"""Elements that in words end what the one before them holds."""
IN_A_BAR = frozenset(
    {"logo", "search", "button", "link", "avatar", "text", "title", "nav", "icon", "input", "select", "badge", "image"}
    | {"tabs", "toggle", "progress", "breadcrumbs"}
)
"""What stands in a header or a footer."""
LISTED = frozenset(
    {"nav", "tabs", "breadcrumbs", "list", "table", "select", "radio", "sidebar", "footer", "header", "pagination"}
)
"""Elements that have items: words without an element of their own."""
WITH_ITEMS = LISTED | HOLDERS | {"checkbox", "toggle", "columns"}
"""Elements of which items can be drawn, as JSON may give them to any."""
PLACED = frozenset({"image", "chart", "map", "video"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element as it was asked for. `items`: of a list, the columns of a table, the options of a choice; `rows` of a
    table; `inside`: what it holds, of columns an element for each; `strong`: the button that stands out."""

    kind: str
    text: str = ""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    inside: tuple[Element, ...] = ()
    side: Side = ""
    strong: bool = False


@dataclass(slots=True)
class Asked:
    """All that was asked for: what can be drawn, and in words what cannot."""

    title: str = ""
    elements: list[Element] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, what: Any, why: str = "") -> None:
        said = one_line(str(what))[:120]
        if said:
            line = f"{said} ({why})" if why else said
            if line not in self.left_out:
                self.left_out.append(line)


def named(word: Any) -> str:
    """The kind that a word stands for, "" when it is none."""
    said = one_line(str(word)).lower().replace("_", " ") if isinstance(word, str) else ""
    return NAMED.get(said) or NAMED.get(said.replace("-", " ")) or (said if said in KINDS else "")


def one_line(text: str) -> str:
    """The text on one line, as it can be drawn: without control characters, halves of characters, and long stacks of
    accents, which would reach into the lines above."""
    import unicodedata

    kept: list[str] = []
    marks = 0
    for letter in text[: MAX_TEXT * 2]:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > 2 or kind in ("Cf", "Cs", "Co", "Cn"):
            continue
        kept.append(" " if kind in ("Cc", "Zl", "Zp", "Zs") else letter)
    return " ".join("".join(kept).split())[:MAX_TEXT]


def bounded(asked: Asked) -> Asked:
    """No more elements than can be drawn; the rest is left out by number."""
    count = 0

    def keep(element: Element) -> Element | None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS:
            return None
        return replace(element, inside=tuple(kept for one in element.inside if (kept := keep(one)) is not None))

    elements = [kept for one in asked.elements if (kept := keep(one)) is not None]
    more = count - MAX_ELEMENTS
    if more > 0:
        asked.leave_out(f"{more} more element{'s' if more != 1 else ''}", f"at most {MAX_ELEMENTS} are drawn")
    return Asked(asked.title, elements, asked.left_out)
