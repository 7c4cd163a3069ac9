"""Events as rows of a table, whichever engine keeps it, and rows as events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from workbench.core.events import AnyEvent, loads

Row = Sequence[Any]
"""id, run, attempt, seq, v, happened_at (ISO, UTC), kind, step, body, exact: the body as ASCII JSON where a database
does not take it as it is, else None."""

_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)
_ASCII = json.JSONEncoder(separators=(",", ":"), default=str)


def row(event: AnyEvent) -> Row:
    """The event as a row. Halves of surrogate pairs are replaced in all but `exact`."""
    as_it_is = None
    body = readable(event.body)
    if (cleaned := clean(body)) != body:
        as_it_is, body = exact(event.body), cleaned
    return (
        clean(event.id),
        clean(event.run),
        event.attempt,
        event.seq,
        event.v,
        _utc(event.at),
        clean(str(event.kind)),
        None if event.step is None else clean(event.step),
        body,
        as_it_is,
    )


def events(rows: Iterable[Row]) -> list[AnyEvent]:
    """The events of rows `run, attempt, seq, v, happened_at, kind, step, body`, the body as JSON text."""
    found = []
    for run, attempt, seq, v, at, kind, step, body in rows:
        moment = "" if at is None else at.replace(tzinfo=UTC).isoformat(timespec="microseconds")
        envelope = {"run": run, "attempt": attempt, "seq": seq, "v": v, "at": moment, "kind": kind, "step": step}
        found.append(loads(json.dumps(envelope)[:-1] + ', "body": ' + body + "}"))
    return found


def readable(body: Any) -> str:
    """A body as JSON with its characters as they are."""
    return _READABLE.encode(body)


def exact(body: Any) -> str:
    """A body as JSON that holds nothing but ASCII, every other character escaped."""
    return _ASCII.encode(body)


def clean(text: str) -> str:
    """The text with each half of a surrogate pair replaced: no database takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _utc(at: str) -> str | None:
    try:
        moment = datetime.fromisoformat(at)
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() if moment.tzinfo else moment.isoformat()
    except (ValueError, OverflowError):
        return None
