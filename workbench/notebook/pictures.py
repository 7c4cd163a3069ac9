"""A picture of the user's namespace: as PNG for who can see, in words for who cannot.

matplotlib figures and axes, pictures of runs, IPython's `Image`, Pillow's images, and the bytes of a PNG.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from typing import Any

from workbench.core.errors import Refused

PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 4_000_000
"""Of a picture that is handed to a model."""
DPI = 110
"""Dots an inch that a figure is drawn with: its labels can be read, and it stays small."""
_TYPES = (
    ("matplotlib.figure", "Figure"),
    ("matplotlib.axes", "Axes"),
    ("workbench.run", "Picture"),
    ("IPython.display", "Image"),
    ("PIL.Image", "Image"),
)


def is_picture(value: Any) -> bool:
    """Whether a value can be handed to a model as a picture. Imports nothing."""
    if isinstance(value, bytes):
        return value.startswith(PNG)
    return any(_is(value, module, name) for module, name in _TYPES)


def png(value: Any, name: str) -> bytes:
    """The picture as PNG. Raises Refused, naming it, when it is none that can be read, or too large."""
    try:
        data = _png(value)
    except Exception as error:  # a figure of the user's may fail in any way when it is drawn
        raise Refused(f"{name} cannot be drawn: {type(error).__name__}: {error}") from error
    if not data.startswith(PNG):
        raise Refused(f"{name} is no PNG.", hint="Hand over a figure, or the picture as PNG.")
    if len(data) > MAX_BYTES:
        raise Refused(f"{name} has {len(data):,} bytes as PNG; at most {MAX_BYTES:,} are handed over.")
    return data


def in_words(value: Any, data: bytes) -> str:
    """What a picture shows, as far as it says so itself: size, titles, labels, what is drawn."""
    width, height = struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
    lines = [f"a picture, {width} × {height} pixels"]
    if _is(value, "matplotlib.axes", "Axes"):
        value = value.figure
    if _is(value, "matplotlib.figure", "Figure"):
        lines += _figure(value)
    elif alt := getattr(value, "alt", None):
        lines.append(f"described as: {alt}")
    return "\n".join(lines)


def _is(value: Any, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _png(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if _is(value, "workbench.run", "Picture"):
        return bytes(value.png)
    if _is(value, "IPython.display", "Image"):
        return bytes(value.data or b"")
    target = io.BytesIO()
    if _is(value, "PIL.Image", "Image"):
        value.save(target, format="PNG")
    else:
        figure = value.figure if _is(value, "matplotlib.axes", "Axes") else value
        figure.savefig(target, format="png", dpi=DPI)
    return target.getvalue()


def _figure(figure: Any) -> Iterator[str]:
    if title := figure.get_suptitle():
        yield f"title: {title}"
    for number, axes in enumerate(figure.axes, 1):
        said = {"title": axes.get_title(), "x": axes.get_xlabel(), "y": axes.get_ylabel()}
        legend = axes.get_legend()
        if legend is not None:
            said["legend"] = ", ".join(text.get_text() for text in legend.get_texts())
        drawn = {"lines": len(axes.lines), "patches": len(axes.patches), "collections": len(axes.collections)}
        said["drawn"] = ", ".join(f"{count} {what}" for what, count in drawn.items() if count)
        told = "; ".join(f"{name}: {text}" for name, text in said.items() if text)
        ticks = [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
        yield f"axes {number}: {told}" + (f"; at x: {', '.join(ticks[:20])}" if ticks else "")
