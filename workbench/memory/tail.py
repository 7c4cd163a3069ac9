"""Reading a journal while its owner writes it: whole lines only, from where one stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workbench.core.events import AnyEvent, loads

SUFFIX = ".jsonl"
_CHUNK = 1 << 18
_LONGEST = 1 << 28
"""Bytes of one line beyond which it is not waited for any more: no event is that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Events read, the offset behind the last whole line, and how many lines were no events."""

    events: list[AnyEvent]
    offset: int
    skipped: int = 0


def read(path: Path, offset: int = 0, *, max_events: int = 2_000) -> Tail:
    """The next events from `offset` (the start of a line), about 256 kB at most. A last line without its end is left
    for the next time; a line that is no event is counted and skipped. `offset` is unchanged when nothing is whole.

    Raises OSError when the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        lines = _whole_lines(file)
    events: list[AnyEvent] = []
    skipped = 0
    for line in lines:
        if len(events) >= max_events:
            break
        offset += len(line) + 1
        try:
            events.append(loads(line))
        except (ValueError, RecursionError):
            skipped += 1
    return Tail(events=events, offset=offset, skipped=skipped)


def sizes(folder: Path) -> dict[str, int]:
    """The journals in a folder and their sizes in bytes; empty when there is no such folder."""
    try:
        return {path.name: path.stat().st_size for path in folder.iterdir() if path.name.endswith(SUFFIX)}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _whole_lines(file: BinaryIO) -> list[bytes]:
    data = file.read(_CHUNK)
    while b"\n" not in data and len(data) < _LONGEST:
        more = file.read(max(_CHUNK, len(data)))
        if not more:
            return []
        data += more
    end = data.rfind(b"\n")
    return data[:end].split(b"\n") if end >= 0 else []
