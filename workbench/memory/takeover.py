"""Taking over what the journals hold into the tables: bounded, in order, each event once.

How far each journal was taken over stands in the same transaction as its events; so a process that is killed in between
has taken over both or neither, and the next one goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.events import AnyEvent
from workbench.memory import tables, tail

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

MAX_EVENTS = 2_000
MAX_SECONDS = 0.025
"""Events, and seconds of reading journals, in one hold; putting them in takes about as long again."""


class Takeover:
    """Takes over the journals in `folder`. `notices`: what the user should hear about, each once."""

    def __init__(self, folder: Path, notices: list[str]) -> None:
        self._folder = folder
        self._notices = notices
        self._told: set[str] = set()

    def step(self, connection: Connection, sizes: Mapping[str, int], vanishing: Collection[str]) -> bool:
        """Insert what the journals hold up to these sizes, except of runs that were or shall be erased (`vanishing`);
        False when the bounds of a hold came first. Raises duckdb.Error."""
        taken = dict(connection.execute("select journal, taken from journal_offsets").fetchall())
        deadline = time.monotonic() + MAX_SECONDS
        events: list[AnyEvent] = []
        moved: dict[str, int] = {}
        complete = True
        for name, size in sorted(sizes.items()):
            offset = taken.get(name, 0)
            while offset < size and complete:
                if len(events) >= MAX_EVENTS or (moved and time.monotonic() > deadline):
                    complete = False
                    break
                piece = self._read(name, offset, MAX_EVENTS - len(events))
                if piece is None or piece.offset == offset:
                    break  # a last line without its end: its owner is writing it, or died doing so
                events += piece.events
                offset = moved[name] = piece.offset
        if moved:
            gone = tables.erased(connection) | frozenset(vanishing)
            connection.execute("begin")
            tables.insert(connection, (event for event in events if event.run not in gone))
            tables.move(connection, moved, datetime.now(UTC))
            connection.execute("commit")
        return complete

    def _read(self, name: str, offset: int, max_events: int) -> tail.Tail | None:
        """The next events of a journal, None when nobody here can read them."""
        try:
            piece = tail.read(self._folder / name, offset, max_events=max_events)
        except FileNotFoundError:
            return None  # another process has deleted it meanwhile: a snapshot holds all of it
        except tail.Newer as error:
            self._tell(name, f"journal/{name} is of version {error.version}; upgrade agent-workbench to see its events")
            return None
        except OSError as error:
            self._tell(name, f"journal/{name} cannot be read: {error.strerror}")
            return None
        if piece.skipped:
            self._tell(name, f"journal/{name} holds lines that are no events; they were skipped")
        return piece

    def _tell(self, name: str, notice: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._notices.append(notice)
