"""What a model has said so far, for those who watch: the steps of a plan that are whole already, or the answer's words.

The text so far is half a JSON object. Of its `steps` those that are closed are read, in order; the one that is being
written, and everything when the text is not what was asked for, is left alone. Nothing of it is ever run: the plan that
runs is read from the whole reply.
"""

from __future__ import annotations

import json
import re
from typing import Any

from workbench.core.events import Draft, DraftStep

MAX_STEPS = 100
_STEPS = re.compile(r'"steps"\s*:\s*\[')
_GAP = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class Drafting:
    """Turns the text of one reply, as it grows, into drafts. Each step is read once, whatever the number of pieces."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._begin()

    def _begin(self) -> None:
        self._seen = 0
        self._at: int | None = None
        self._steps: list[DraftStep] = []

    def after(self, text: str) -> Draft:
        """The draft after the reply has grown to `text`; a shorter one is a new try, which begins anew."""
        if len(text) < self._seen:
            self._begin()
        self._seen = len(text)
        if self._purpose != "answer":
            self._read(text)
            return Draft(purpose=self._purpose, characters=len(text), steps=tuple(self._steps))
        return Draft(purpose=self._purpose, characters=len(text), text=text)

    def _read(self, text: str) -> None:
        if self._at is None:
            found = _STEPS.search(text)
            if found is None:
                return
            self._at = found.end()
        while len(self._steps) < MAX_STEPS:
            gap = _GAP.match(text, self._at)
            start = gap.end() if gap else self._at
            # A step that is not closed yet is not decoded again and again: its end is a brace.
            if not text.startswith("{", start) or "}" not in text[start:]:
                return
            try:
                step, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                return
            self._at = end
            self._steps.append(_step(step, len(self._steps) + 1))


def _step(raw: dict[str, Any], number: int) -> DraftStep:
    said = {name: raw.get(name) for name in ("id", "task", "title")}
    text = {name: value if isinstance(value, str) else "" for name, value in said.items()}
    return DraftStep(id=text["id"] or f"s{number}", task=text["task"], title=text["title"])
