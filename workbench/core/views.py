"""Values of types that are no JSON, as they want to be seen: what a step gives in place of an object of the user's.

    {"type": "geometry.Shape", "text": "Shape(5 points)", "html": "<table>…", "picture": …}

`text` is always there; one of `html`, `markdown` and `picture` (a PNG) may be. Who shows them cleans them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

KEYS = frozenset({"type", "text", "html", "markdown", "picture"})


def is_view(value: Any) -> bool:
    """Whether a value is what stands for an object."""
    return (
        isinstance(value, Mapping)
        and {"type", "text"} <= value.keys() <= KEYS
        and all(isinstance(value[key], str) for key in value if key != "picture")
    )


def find(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every view inside a value, in its order."""
    if is_view(value):
        yield value
        return
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for item in items:
        yield from find(item)
