"""Reading a journal while its owner writes it: whole lines only, from where one stopped."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workbench.core.events import AnyEvent, loads

SUFFIX = ".jsonl"
VERSION = 1
"""Of the format. A journal of a later one says so in its first line, {"journal": 2}; one without such a line is of the
first."""

_CHUNK = 1 << 18
_LONGEST = 1 << 28
"""Bytes of one line beyond which it is not waited for any more: no event is that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Events read, the offset behind the last whole line, and how many lines were no events."""

    events: list[AnyEvent]
    offset: int
    skipped: int = 0


class Newer(ValueError):
    """The journal is of a later format, whose events this program cannot read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"journal of version {version}")
        self.version = version


def read(path: Path, offset: int = 0, *, max_events: int = 2_000) -> Tail:
    """The next events from `offset` (the start of a line), about 256 kB at most. A last line without its end is left
    for the next time; a line that is no event is counted and skipped. `offset` is unchanged when nothing is whole.

    Raises OSError when the file cannot be read, Newer when it is of a later format.
    """
    with path.open("rb") as file:
        file.seek(offset)
        lines = _whole_lines(file)
    events: list[AnyEvent] = []
    skipped = 0
    if not offset and lines and (version := _version(lines[0])) > VERSION:
        raise Newer(version)
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
    found = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    found[entry.name] = entry.stat().st_size
    return found


def _version(line: bytes) -> int:
    """The format that a first line says; 0 when it says nothing of that."""
    if not line.startswith(b'{"journal":'):
        return 0
    try:
        return int(json.loads(line)["journal"])
    except (ValueError, TypeError, RecursionError):
        return 0


def _whole_lines(file: BinaryIO) -> list[bytes]:
    data = file.read(_CHUNK)
    while b"\n" not in data and len(data) < _LONGEST:
        more = file.read(max(_CHUNK, len(data)))
        if not more:
            return []
        data += more
    end = data.rfind(b"\n")
    return data[:end].split(b"\n") if end >= 0 else []
