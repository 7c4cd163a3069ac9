"""The scripts and styles of the panels. A widget's script is one text, so what panels share is put in front of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_STATIC = Path(__file__).parent / "static"


@cache
def script(*names: str) -> str:
    """The text of a widget's script: of `static/NAME.js` for each name, the last of which exports the widget. `dom`,
    which all stand on, comes first by itself."""
    return "\n".join((_STATIC / f"{name}.js").read_text("utf-8") for name in ("dom", *names))


@cache
def style(*names: str) -> str:
    """The text of a widget's style: `static/base.css`, then `static/NAME.css` for each name."""
    return "\n".join((_STATIC / f"{name}.css").read_text("utf-8") for name in ("base", *names))
