"""Objects of the user's own types: seen as they want to be, never at the price of the result."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.notebook.test_results import PIXEL
from workbench import toolkit
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.core.views import find, is_view
from workbench.render import as_html, as_text
from workbench.sandbox.values import NotPlain, plain
from workbench.sandbox.vetting import check_png


class Html:
    def _repr_html_(self) -> str:
        return "<table><tr><td>five</td></tr></table>"

    def __repr__(self) -> str:
        return "Html(5)"


class Picture:
    def _repr_png_(self) -> bytes:
        return PIXEL


class Bundled:
    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": "b", "image/png": base64.b64encode(PIXEL).decode(), "application/x": 1}, {}


class Marked:
    def _repr_markdown_(self) -> str:
        return "**five**"


class Broken:
    def _repr_html_(self) -> str:
        raise RuntimeError("no HTML today")

    def __repr__(self) -> str:
        raise RuntimeError("no text either")


class Lying(Html):
    def _repr_html_(self) -> Any:
        return 5

    def _repr_png_(self) -> bytes:
        return b"GIF89a"


class Script(Html):
    def _repr_html_(self) -> str:
        return "<script>alert(1)</script><div style='color:red' onclick='x()'><img src=http://a.example/x></div>"


def pictures(value: Any) -> Any | None:
    """Stands for what keeps a picture."""
    return {"$artifact": value.title} if isinstance(value, toolkit.Image) and value.png == PIXEL else None


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (Html(), {"html": "<table><tr><td>five</td></tr></table>"}),
        (Marked(), {"markdown": "**five**"}),
        (Picture(), {"picture": {"$artifact": "Picture"}}),
        (Bundled(), {"picture": {"$artifact": "Bundled"}}),
        (Broken(), {}),
        (Lying(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_that_says_how_it_is_seen_is_a_view(value: Any, more: dict[str, Any]) -> None:
    found = plain({"made": [value]}, pictures)
    (view,) = find(found)
    assert {key: view[key] for key in view if key not in ("type", "text")} == more
    assert view["type"].endswith(type(value).__name__)
    assert view["text"]
    json.dumps(found)


def test_an_object_that_does_not_is_refused_and_told_how_it_could() -> None:
    with pytest.raises(NotPlain, match="_repr_html_"):
        plain(object(), pictures)


def test_a_figure_of_matplotlib_is_a_picture() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().set_title("Tides")
    found: list[toolkit.Image] = []

    def keep(value: Any) -> Any | None:
        if not isinstance(value, toolkit.Image):
            return None
        found.append(value)
        return {"$artifact": 0}

    assert plain([figure], keep) == [{"$artifact": 0}]
    assert found[0].title == "Tides"
    assert found[0].png.startswith(b"\x89PNG")


class Drawing:
    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return "Drawing"


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:q="http://www.w3.org/1999/xlink" width="40" height="20">%s</svg>'


def drawn(svg: str) -> toolkit.Image | None:
    found: list[toolkit.Image] = []

    def keep(value: Any) -> Any | None:
        if not isinstance(value, toolkit.Image):
            return None
        found.append(value)
        return {"$artifact": 0}

    view = plain(Drawing(svg), keep)
    assert view["text"] == "Drawing"
    assert "<svg" not in json.dumps(view), "a drawing never goes further as a drawing"
    return found[0] if found else None


def test_a_drawing_is_seen_as_a_picture_also_its_words() -> None:
    picture = drawn(SVG % '<rect width="40" height="20" fill="red"/><text y="15">Hi</text>')
    empty = drawn(SVG % '<rect width="40" height="20" fill="red"/>')
    assert picture is not None
    assert empty is not None
    check_png(picture.png)
    assert picture.png != empty.png
    assert picture.alt == "Drawing"


@pytest.mark.parametrize(
    "svg",
    [
        SVG % '<image q:href="/etc/passwd" width="9" height="9"/>',
        SVG % '<image href = "file:///etc/passwd"/>',
        SVG % "<image href='https://a.example/x.png'/>",
        SVG % '<image href="&#47;etc/passwd"/>',
        SVG % '<image href="data:image/svg+xml;base64,AAAA"/>',
        "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + SVG % "<text>&x;</text>",
        "<svg",
        "no drawing",
        "",
    ],
)
def test_a_drawing_that_reaches_beyond_itself_or_is_none_is_its_text(svg: str) -> None:
    assert drawn(svg) is None


def test_a_script_in_a_drawing_does_not_come_along() -> None:
    picture = drawn(SVG % "<script>alert(1)</script><rect onclick='alert(1)' width='40' height='20'/>")
    assert picture is not None
    assert b"alert" not in picture.png


def shown(value: Any) -> tuple[str, str]:
    step = StepOutcome(id="s1", task="t", title="", params={}, state=State.DONE, value=plain(value, pictures))
    outcome = Outcome(run="r1", steps=(step,))
    return as_text(outcome), as_html(outcome, lambda artifact: None)


def test_what_is_seen_of_an_object_is_clean() -> None:
    text, html = shown(Html())
    assert "Html(5)" in text
    assert "<td>five</td>" in html
    text, html = shown(Script())
    assert "Html(5)" in html, "nothing of it is left, so its text is shown"
    for trace in ("alert", "onclick", "a.example", "color:red"):
        assert trace not in html
    text, html = shown(Marked())
    assert "<strong>five</strong>" in html


@pytest.mark.parametrize(
    "value",
    [None, 3, {}, {"type": "x"}, {"type": "x", "text": 3}, {"type": "x", "text": "y", "else": 1}, ["type", "text"]],
    ids=str,
)
def test_what_merely_looks_like_a_view_is_none(value: Any) -> None:
    assert not is_view(value)
