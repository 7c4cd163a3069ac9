"""Sketches a user interface from words or JSON, as a wireframe. No AI model: it draws only what is named."""

from __future__ import annotations

import json
from typing import Any, Literal

from workbench import toolkit
from workbench.wireframe.picture import LABEL, sketch
from workbench.wireframe.spec import read

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["draw a wireframe of {spec}", "wireframe of {spec}", "sketch a wireframe for {spec}"]


def run(spec: Any, size: Literal["desktop", "tablet", "phone"] = "desktop") -> dict[str, Any]:
    """Draw one screen; what cannot be drawn is listed.

    Args:
        spec: the elements in words, or JSON as {"title", "elements": [{"type": "button", "text": "Save"}]}.
        size: of the screen.
    """
    asked = read(spec)
    try:
        said = spec if isinstance(spec, str) else json.dumps(spec, ensure_ascii=False, sort_keys=True)
    except RecursionError:
        raise toolkit.Failed("The specification is nested too deeply.", hint="Use fewer levels.") from None
    made = sketch(asked, size, said)
    left = f" Not drawn: {'; '.join(made.left_out)}." if made.left_out else ""
    return {
        "image": toolkit.Image(made.png, title=f"{asked.title or 'Wireframe'} ({LABEL})", alt=made.alt[:4000]),
        "drawn": list(made.drawn),
        "not_drawn": list(made.left_out),
        "formatted": f"A {LABEL}.{left}",
    }
