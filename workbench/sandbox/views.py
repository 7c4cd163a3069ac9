"""Objects of the user's own types as they want to be seen: by the methods that IPython knows (`_repr_html_` and the
like), and figures of matplotlib. Standard library only. What goes wrong in a method never costs the result.

What stands for an object is described in `core.views`.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from workbench import toolkit
from workbench.core.png import dense

METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/png": "_repr_png_",
    "image/svg+xml": "_repr_svg_",
}
KEYS = {"text/html": "html", "text/markdown": "markdown", "image/png": "picture", "image/svg+xml": "picture"}
"""What a view has them under, best first."""
MAX_TEXT = 20_000
MAX_MARKUP = 200_000
"""Characters; longer HTML or Markdown is left out, as nobody could read it."""

MAX_DRAWING = 5_000_000
_REACHES = re.compile(r"<!DOCTYPE|<!ENTITY|href\s*=\s*[\"'](?!\s*(?:#|data:image/(?:png|jpeg|gif);))", re.IGNORECASE)
"""What could lead a drawing beyond itself: a reference that is no part of it, or words that another hides in."""


def of(value: Any) -> Any | None:
    """What stands for the object: a view or a picture. None when its type has no way to be seen."""
    kind = type(value)
    if kind.__module__.partition(".")[0] == "matplotlib" and hasattr(value, "savefig"):
        return _figure(value)
    ways: dict[str, Callable[[], Any]] = {
        mime: getattr(value, name) for mime, name in METHODS.items() if callable(getattr(kind, name, None))
    }
    if callable(getattr(kind, "_repr_mimebundle_", None)):
        bundle = _bundle(value)
        ways |= {mime: partial(bundle.get, mime) for mime in METHODS if bundle.get(mime)}
        return view(value, ways)
    return view(value, ways) if ways else None


def view(value: Any, ways: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """A view of the object by the first way, best first, that gives something; its text alone when none does."""
    kind = type(value)
    made: dict[str, Any] = {
        "type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
        "text": _text(value),
    }
    for mime, key in KEYS.items():
        found: Any = None
        with suppress(Exception):
            found = ways[mime]() if mime in ways else None
        if key == "picture":
            if png := _drawn(found) if mime == "image/svg+xml" else _png(found):
                return made | {key: toolkit.Image(png, title=kind.__qualname__, alt=made["text"][:1000])}
        elif isinstance(found, str) and 0 < len(found) <= MAX_MARKUP:
            return made | {key: found}
    return made


def _bundle(value: Any) -> Mapping[str, Any]:
    with suppress(Exception):
        found = value._repr_mimebundle_(include=None, exclude=None)
        found = found[0] if isinstance(found, tuple) else found
        if isinstance(found, Mapping):
            return found
    return {}


def _text(value: Any) -> str:
    with suppress(Exception):
        text = repr(value)
        return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return f"<{type(value).__qualname__}>"


def _png(found: Any) -> bytes:
    """The bytes of a PNG, which may also be written as text; empty when it is none."""
    if isinstance(found, tuple) and found:  # with the metadata of its size
        found = found[0]
    if isinstance(found, str):
        with suppress(binascii.Error, ValueError):
            found = base64.b64decode(found, validate=False)
    return bytes(found) if isinstance(found, bytes | bytearray) and found[:8] == b"\x89PNG\r\n\x1a\n" else b""


def _drawn(found: Any) -> bytes:
    """A drawing as a PNG; empty when it is none, or when it names a file or an address. An SVG never goes further: on a
    page it could load what it likes, and run what it holds."""
    if not isinstance(found, str) or len(found) > MAX_DRAWING or _REACHES.search(found):
        return b""
    with suppress(Exception):
        # By name: a worker needs neither unless something is drawn.
        resvg = importlib.import_module("resvg_py")
        fonts = importlib.import_module("matplotlib").get_data_path() + "/fonts/ttf/"
        drawn = resvg.svg_to_bytes(
            svg_string=found,
            zoom=2,
            skip_system_fonts=True,
            font_files=[f"{fonts}DejaVuSans.ttf", f"{fonts}DejaVuSans-Bold.ttf", f"{fonts}DejaVuSansMono.ttf"],
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
            serif_family="DejaVu Sans",
            monospace_family="DejaVu Sans Mono",
        )
        return dense(bytes(drawn), 2)
    return b""


def _figure(figure: Any) -> Any | None:
    with suppress(Exception):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
        titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
        title = next((" ".join(text.split()) for text in titles if text.strip()), "Figure")
        return toolkit.Image(buffer.getvalue(), title=title, alt=title)
    return None
