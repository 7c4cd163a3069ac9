"""What a model was sent, as the record keeps it: message by message and part by part, each text once in a run.

    {"role": "user", "parts": [{"name": "request", "sha256": "…", "text": "…"}], "pictures": [{"name", "sha256"}]}

A part without a text is one that an earlier call of the run holds under that hash. What is large lies in a payload
beside the journal, as of every event; keys are taken out as from every event; to erase the run is to erase it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workbench.core.events import AnyEvent, Kind
from workbench.core.fingerprint import short
from workbench.models.base import Message


def told(messages: Sequence[Message], before: Iterable[AnyEvent] = ()) -> list[dict[str, Any]]:
    """The messages as JSON. `before`: the run's events so far."""
    known = set(texts(before))
    return [_message(message, known) for message in messages]


def texts(events: Iterable[AnyEvent]) -> dict[str, str]:
    """Every text that calls of models were sent, by its hash."""
    found: dict[str, str] = {}
    for event in events:
        if event.kind == Kind.MODEL_CALLED:
            found |= {part["sha256"]: part["text"] for part in _parts(event.body) if "text" in part}
    return found


def _parts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for message in body.get("messages", ()):
        yield from message.get("parts", ())


def _message(message: Message, known: set[str]) -> dict[str, Any]:
    parts = []
    for name, text in message.parts or (("", message.content),):
        sha256 = short(text)
        parts.append({"name": name, "sha256": sha256} | ({} if sha256 in known else {"text": text}))
        known.add(sha256)
    pictures = [{"name": one.name, "sha256": hashlib.sha256(one.png).hexdigest()} for one in message.pictures]
    return {"role": message.role, "parts": parts} | ({"pictures": pictures} if pictures else {})
