"""What a step does, in a line for people: its title, else what its tool is called with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core.refs import is_ref
from workbench.render.clean import clean_text

MAX_SAID = 80
"""Characters of what a tool is called with."""
_CODE = frozenset({"sql", "code"})


def what_it_does(task: str, title: str, params: Mapping[str, Any]) -> str:
    """The title of a step, clean and in one line. One that has none says its main parameter, `query: pen prices`: the
    tool stands beside it. "" where it has no parameters."""
    if title not in ("", task):
        return clean_text(title)
    said = clean_text(next(_main(params), ""))
    return said if len(said) <= MAX_SAID else f"{said[: MAX_SAID - 1].rstrip()}…"


def _main(params: Mapping[str, Any]) -> Iterator[str]:
    """The parameters that say most of a call, the best first: words, what is referred to, code, the rest."""
    given = {name: value for name, value in params.items() if value not in (None, "", [], {})}
    yield from (_line(name, value) for name, value in given.items() if isinstance(value, str) and name not in _CODE)
    yield from (_line(name, value["$ref"]) for name, value in given.items() if is_ref(value))
    yield from (_line(name, ", ".join(parts)) for name, value in given.items() if (parts := _named(value)))
    yield from (_line(name, value) for name, value in given.items() if name in _CODE and isinstance(value, str))
    yield from (_line(name, json.dumps(value, ensure_ascii=False, default=str)) for name, value in given.items())


def _named(value: Any) -> list[str]:
    """What an object of nothing but references refers to."""
    parts = list(value.values()) if isinstance(value, Mapping) else []
    return [str(part["$ref"]) for part in parts] if parts and all(map(is_ref, parts)) else []


def _line(name: str, value: Any) -> str:
    return f"{name}: {' '.join(str(value)[:1000].split())}"
