"""Wireframes: whatever is asked for is drawn or said to be left out, and no text lies over another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.conftest import load
from workbench import toolkit
from workbench.core.png import bare, shown_width, words
from workbench.sandbox.vetting import check_png
from workbench.wireframe.canvas import Canvas
from workbench.wireframe.holders import said_of
from workbench.wireframe.kinds import KINDS, NAMED, Asked, Element
from workbench.wireframe.letters import fitted, lines, width
from workbench.wireframe.picture import LABEL, Size, compose, sketch
from workbench.wireframe.spec import read

T = TypeVar("T")

wireframe = load("wireframe")

SIZES = st.sampled_from(["desktop", "tablet", "phone"])
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cn", "Zl", "Zp")), max_size=90)
NEST = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(sorted(KINDS))},
        optional={
            "text": LABELS,
            "items": st.lists(LABELS, max_size=14),
            "rows": st.lists(st.lists(LABELS, max_size=9), max_size=5),
            "side": st.sampled_from(["left", "right"]),
            "primary": st.booleans(),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["card", "form", "header", "footer", "section", "columns", "dialog", "sidebar"])},
        optional={"text": LABELS, "children": st.lists(inner, max_size=5)},
    ),
    max_leaves=12,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(sorted(NAMED)),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=12) | st.sampled_from(sorted(NAMED)), inner, max_size=6)
    ),
    max_leaves=25,
)


def drawn(spec: Any, size: Size = "desktop") -> tuple[Asked, Canvas]:
    asked, canvas = read(spec), Canvas()
    compose(asked, size, canvas)
    return asked, canvas


def tried(make: Callable[[], T]) -> T | toolkit.Failed:
    try:
        return make()
    except toolkit.Failed as error:
        return error


def overlaps(canvas: Canvas) -> list[tuple[str, str]]:
    """Pairs of texts whose letters lie over each other: from the height of a capital to below the line."""
    boxes = [(p.x, p.y - p.size * 0.74, p.x + p.width, p.y + p.size * 0.2, p.text) for p in canvas.texts]
    return [
        (one[4], other[4])
        for at, one in enumerate(boxes)
        for other in boxes[:at]
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]


@given(st.lists(NEST, min_size=1, max_size=8), SIZES)
@settings(max_examples=60, deadline=None)
def test_no_text_lies_over_another_or_beyond_the_picture(elements, size):
    _, canvas = drawn({"title": "T", "elements": elements}, size)
    assert overlaps(canvas) == []
    wide = {"desktop": 1160, "tablet": 808, "phone": 415}[size]
    assert all(p.x >= 0 and p.x + p.width <= wide for p in canvas.texts)


@given(st.lists(NEST, min_size=1, max_size=6), SIZES)
@settings(max_examples=50, deadline=None)
def test_every_text_is_drawn_whole_or_with_an_ellipsis_or_is_said_to_be_left_out(elements, size):
    asked, canvas = drawn({"elements": elements}, size)
    left = "\n".join([*asked.left_out, *canvas.left_out])
    shown = {p.whole for p in canvas.texts}

    def texts(element: Element) -> Iterator[str]:
        yield element.text
        yield from element.items
        yield from (cell for row in element.rows for cell in row)
        for one in element.inside:
            yield from texts(one)

    for element in asked.elements:
        for text in filter(None, texts(element)):
            assert (
                text in shown
                or any(text in whole for whole in shown)
                or any(part in left for part in (text[:50], said_of(element)[:60]))
                or "more columns" in left
                or "(no room" in left
            ), text


@given(ANYTHING, SIZES)
@settings(max_examples=60, deadline=None)
def test_any_specification_gives_a_picture_or_one_clear_error(spec, size):
    made = tried(lambda: sketch(read(spec), size, "x"))
    if isinstance(made, toolkit.Failed):
        assert str(made)
        assert made.hint
    else:
        check_png(made.png)
        assert made.drawn
        assert words(made.png)["model"] == LABEL


@given(st.text(max_size=300))
@settings(max_examples=80, deadline=None)
def test_any_text_gives_a_picture_or_one_clear_error(text):
    made = tried(lambda: drawn(text))
    assert made.hint if isinstance(made, toolkit.Failed) else overlaps(made[1]) == []


_PIECES = st.sampled_from(
    [
        "a {w} button",
        "{w} field",
        "a table with columns {w} and {x}",
        "nav: {w}, {x}",
        "a card titled {w}",
        "an image of {w}",
        "two {w} cards",
        "a {w}",
        "a list with {w}, {x}",
        "a {w} checkbox that {x}",
    ]
)


@given(st.lists(_PIECES, min_size=1, max_size=8), st.sampled_from([", ", " and ", "; ", ". ", "\n"]))
@settings(max_examples=80, deadline=None)
def test_each_word_of_a_request_is_in_the_picture_or_among_what_is_left_out(pieces, joined):
    said = [piece.format(w=f"quux{at}", x=f"zork{at}") for at, piece in enumerate(pieces)]
    made = tried(lambda: drawn(f"page with {joined.join(said)}"))
    if isinstance(made, toolkit.Failed):
        assert "quux0" in str(made)
        return
    asked, canvas = made
    known = " ".join([asked.title, *map(said_of, asked.elements), *asked.left_out, *canvas.left_out]).lower()
    for at, piece in enumerate(pieces):
        assert f"quux{at}" in known
        assert "{x}" not in piece or f"zork{at}" in known


@given(LABELS, st.floats(4, 400), st.sampled_from([12.0, 14.0, 22.0]), st.booleans())
@settings(deadline=None)
def test_a_fitted_text_is_never_wider_than_its_room_and_what_is_cut_ends_with_an_ellipsis(text, room, size, bold):
    shown = fitted(text, room, size, bold=bold)
    assert width(shown, size, bold=bold) <= room
    assert shown == text or shown == "" or shown.endswith("…")
    for line in lines(text, room + 30, size, 3, bold=bold):
        assert width(line, size, bold=bold) <= room + 30 or len(line) == 1


def test_what_the_renderer_draws_is_no_wider_than_what_was_measured(tmp_path: Path):
    from io import BytesIO

    import numpy as np
    from PIL import Image

    for text in ("Office fjord AVAWA", "WWWW Tomorrow", "Привет, мир", "مرحبا بالعالم", "¿Qué? — “so”"):
        canvas = Canvas()
        room = canvas.text(10, 40, 500, text, size=22)
        import resvg_py

        from workbench.wireframe.letters import font

        png = resvg_py.svg_to_bytes(
            svg_string=canvas.svg(520, 60), skip_system_fonts=True, font_files=[font().path], background="#ffffff"
        )
        ink = np.asarray(Image.open(BytesIO(png)).convert("L")) < 200
        right = int(np.flatnonzero(ink.any(axis=0))[-1])
        assert 10 + room * 0.5 < right <= 10 + room + 1, text


SPEC = {
    "title": "Checkout",
    "elements": [
        {"type": "header", "text": "Shop", "items": ["Home", "Cart"]},
        {"type": "form", "text": "Address", "fields": [{"type": "input", "label": "Name"}, {"button": "Pay"}]},
        {"type": "hologram", "text": "of the parcel"},
        {"type": "footer", "text": "© Shop", "colour": "blue"},
    ],
}


def test_the_same_specification_has_the_same_sha256_and_its_metadata_can_be_read_by_others():
    from io import BytesIO

    from PIL import Image

    first, second = (wireframe.run(spec=json.loads(json.dumps(SPEC))) for _ in range(2))
    hashes = {hashlib.sha256(made["image"].png).hexdigest() for made in (first, second)}
    assert len(hashes) == 1
    other = wireframe.run(spec={**SPEC, "title": "Check-out"})
    assert hashlib.sha256(other["image"].png).hexdigest() not in hashes
    with Image.open(BytesIO(first["image"].png)) as image:
        image.load()
        said = image.info
    assert said["model"] == "wireframe, no AI model"
    assert json.loads(said["prompt"]) == SPEC
    assert said["seed"].startswith("none")
    assert said == words(first["image"].png) | {key: said[key] for key in said if key not in words(first["image"].png)}
    assert len(bare(first["image"].png)) < len(first["image"].png)
    check_png(bare(first["image"].png))


def test_a_phone_is_drawn_fine_and_shown_as_narrow_as_it_is():
    phone, desktop = (wireframe.run(spec=SPEC, size=size)["image"].png for size in ("phone", "desktop"))
    assert shown_width(phone) == int.from_bytes(phone[16:20], "big") / 2 < 450
    assert shown_width(desktop) is None


def test_what_cannot_be_drawn_is_listed_in_the_result_the_picture_and_its_alternative_text():
    made = wireframe.run(spec=SPEC)
    assert made["not_drawn"] == ["hologram of the parcel", "footer: colour"]
    assert made["formatted"] == "A wireframe, no AI model. Not drawn: hologram of the parcel; footer: colour."
    assert "Not drawn: hologram of the parcel; footer: colour." in made["image"].alt
    assert "no AI model" in made["image"].title
    _, canvas = drawn(SPEC)
    said = [put.text for put in canvas.texts]
    assert LABEL in said
    assert "not drawn: hologram of the parcel; footer: colour" in said
    # Nothing that nobody asked for.
    assert set(said) == {"Checkout", "Shop", "Home", "Cart", "Address", "Name", "Pay", "© Shop", LABEL, said[-1]}


@pytest.mark.parametrize(
    ("text", "elements", "left_out"),
    [
        ("login page with email and password fields, a Remember me checkbox and a big blue Sign in button",
         ["input “Email”", "input “Password”", "checkbox “Remember me”", "button “Sign in”"],
         ["big (style)", "blue (style)"]),
        ("a wireframe of a dashboard with three cards: Revenue, Orders, Returns",
         ["card “Revenue”", "card “Orders”", "card “Returns”"], []),
        ("nav with Home, Search and Cart; a search bar",
         ["nav (Home, Search, Cart)", "search"], []),
        ("header with a logo and a search field, a table with columns Name and Price, a footer",
         ["header with logo, search", "table (Name, Price)", "footer"], []),
        ("a “Save all, now” button that opens a rocket",
         ["button “Save all, now”"], ["that opens a rocket"]),
        ("a card with an image and a Buy button. A chart of rain per day",
         ["card with image, button “Buy”", "chart “Rain per day”"], []),
        ("a form on the left and an image of a boat on the right",
         ["form", "image “A boat”"], []),
        ("a button, a unicorn",
         ["button"], ["unicorn"]),
        ("a list with Ana and Bruno, tabs: Chats, Calls",
         ["list (Ana, Bruno)", "tabs (Chats, Calls)"], []),
        ("300 buttons", ["button"] * 24, ["276 more of “buttons” (at most 24)"]),
    ],
)  # fmt: skip
def test_words_are_read_as_they_are_meant_or_left_out(text, elements, left_out):
    asked = read(text)
    assert [said_of(element) for element in asked.elements] == elements
    assert asked.left_out == left_out


@pytest.mark.parametrize(
    "spec",
    ["", "   ", "a unicorn over the sea", "{", '["button"', 7, None, True, [], {}, {"elements": []}, "x" * 60_000,
     {"type": "hologram"}, b"\x89PNG".decode("latin-1")],
)  # fmt: skip
def test_what_is_no_specification_is_one_line_with_a_hint(spec):
    with pytest.raises(toolkit.Failed) as caught:
        wireframe.run(spec=spec)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_huge_specification_is_bounded_and_says_so():
    made = wireframe.run(spec={"elements": [{"button": f"b{n}"} for n in range(5_000)]})
    assert any("more elements" in line or "everything after" in line for line in made["not_drawn"])
    deep: Any = {"type": "card", "children": []}
    for _ in range(3_000):
        deep = {"type": "card", "children": [deep]}
    found = tried(lambda: wireframe.run(spec=deep))
    assert "nested" in str(found) if isinstance(found, toolkit.Failed) else "levels" in found["formatted"]


def test_letters_without_a_form_are_counted_and_never_silently_dropped():
    made = wireframe.run(spec={"button": "日本語 OK"})
    assert made["not_drawn"] == ["3 letters that the font does not have (日本語)"]
