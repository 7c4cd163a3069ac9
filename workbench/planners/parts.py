"""The pieces that prompts are made of.

A prompt is a list of parts, sorted by kind and name, each with its source and whether that source is trusted. The same
parts render to the same bytes: no ids, clock or paths go in, and the user's words come last, byte for byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.models.base import Message
from workbench.policy.sanitize import defused

_ORDER = (
    *("instructions", "persona", "tool", "tools", "databases", "memories", "conversation", "today"),
    *("table", "rows", "quoted", "result", "sources", "request"),
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_SYSTEM = frozenset({"instructions", "persona", "tool", "tools"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of a prompt. `name` begins with its kind ("tool query_data"); `source` says who wrote the text."""

    name: str
    source: str
    text: str
    trusted: bool = True

    @property
    def kind(self) -> str:
        return self.name.partition(" ")[0]


def persona_parts(persona: str | Mapping[str, str]) -> list[Part]:
    """A part for each text that says in whose manner to work; a mapping says where each comes from."""
    texts = {"persona": persona} if isinstance(persona, str) else persona
    kept = {source: text.strip() for source, text in texts.items() if text.strip()}
    if len(kept) == 1:
        return [Part(name="persona", source=source, text=text) for source, text in kept.items()]
    return [Part(name=f"persona of {source}", source=source, text=text) for source, text in kept.items()]


def in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts sorted by kind and name, whatever order they were made in."""
    return sorted(parts, key=lambda part: (_ORDER.index(part.kind), part.name))


def messages(parts: Sequence[Part]) -> list[Message]:
    """The parts as a chat: what the workbench says as the system, what the user brings as the user."""
    system = [part for part in parts if part.kind in _SYSTEM]
    user = [part for part in parts if part.kind not in _SYSTEM]
    return [_message("system", system), _message("user", user)]


def _message(role: Literal["system", "user"], parts: Sequence[Part]) -> Message:
    texts = [_render(part) for part in parts]
    named = tuple((part.name, text) for part, text in zip(parts, texts, strict=True))
    return Message(role=role, content="\n\n".join(texts), parts=named)


def _render(part: Part) -> str:
    if part.kind == "request":
        return f"# {part.name}\n{part.text}"
    # Names of columns and tools are data too: what a person does not see in them the model is shown as an escape.
    text = defused(part.text.replace("\r\n", "\n"))
    if not part.trusted:
        # Every line of a text that others wrote is marked, so that none of them can pass for a heading of ours.
        text = "\n".join(f"| {line}" for line in text.split("\n"))
    return f"# {defused(part.name)}\n{text}"


def as_json(value: Any) -> str:
    """JSON on one line, with letters of all languages as they are."""
    if type(value) is int:  # most of what tables hold; the encoder takes much longer
        return str(value)
    if type(value) is float and math.isfinite(value):
        return repr(value)
    return _ENCODER.encode(value)


def short(value: Any) -> str:
    """A value of a table as JSON of at most 80 characters."""
    text = as_json(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def one_line(text: str, most: int) -> str:
    """The text on one line of at most `most` characters, without control characters."""
    return cut(" ".join("".join(c if c.isprintable() else " " for c in text).split()), most)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and a word that says so."""
    return text if len(text) <= most else f"{text[: max(0, most - 6)]} (cut)"
