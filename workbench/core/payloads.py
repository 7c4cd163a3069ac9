"""What is too large for an event: taken out of its body, named there by hash, and put back when the event is read.

    {"value": […100 MB…], "text": "…"}  ⇄  {"text": "…", "payloads": {"value": {"sha256": "…", "bytes": …}}}

Only whole fields of a body are taken out, the largest first. Their names are ours and never a tool's, so nothing that a
tool gives can pass for a reference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from workbench.core.events import AnyEvent

LIMIT = 64_000
"""Bytes of an event as its line. Beyond that its largest fields are kept beside it."""

FIELD = "payloads"

Load = Callable[[str, str], bytes | None]
"""The payload of a run by its sha256; None when it is gone, or is not what was written."""


def part(event: AnyEvent, limit: int = LIMIT) -> tuple[AnyEvent, Mapping[str, bytes]]:
    """The event without the fields that make it too large, and those by sha256, as JSON. For who has seen that the
    event is too large: its fields are encoded to be measured."""
    packed = {name: _pack(value) for name, value in event.body.items()}
    size = sum(map(len, packed.values()))
    taken: dict[str, bytes] = {}
    for name in sorted(packed, key=lambda name: len(packed[name]), reverse=True):
        if size <= limit // 2:  # the half of it: names and envelope need room too
            break
        taken[name] = packed[name]
        size -= len(packed[name])
    named = {name: {"sha256": sha256(data), "bytes": len(data)} for name, data in taken.items()}
    body = {name: value for name, value in event.body.items() if name not in taken}
    return replace(event, body={**body, FIELD: named}), {sha256(data): data for data in taken.values()}


def join(event: AnyEvent, load: Load) -> AnyEvent:
    """The event with its payloads back in place. What cannot be loaded is left out and stays named: see `lost`."""
    named = event.body.get(FIELD)
    if not isinstance(named, Mapping):
        return event
    body = {name: value for name, value in event.body.items() if name != FIELD}
    gone = {}
    for name, said in named.items():
        wanted = str(said.get("sha256", "")) if isinstance(said, Mapping) else ""
        data = load(event.run, wanted)
        if data is None or sha256(data) != wanted:
            gone[name] = said
            continue
        body[name] = json.loads(data)
    return replace(event, body={**body, FIELD: gone} if gone else body)


def lost(event: AnyEvent) -> tuple[str, ...]:
    """The fields of a body that are gone: removed, or not what was written any more."""
    named = event.body.get(FIELD)
    return tuple(named) if isinstance(named, Mapping) else ()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _pack(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str).encode("ascii")
