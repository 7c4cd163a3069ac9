"""Which journals may go: those of owners that are dead, of which a verified snapshot holds every event.

The snapshot is asked for each event by its id; how far the journal was taken over is not enough. A journal with lines
that are no events stays: somebody may want to mend it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.memory import engine, locks, tail

_MISSING = "select count(*) from (select unnest($1::varchar[]) as id) where id not in (select id from events)"

MAX_FILES = 2_000
"""Journals that are deleted in one go."""


def collect(folder: Path, covered: Mapping[str, int], snapshot: Path, erased: Collection[str]) -> list[str]:
    """Delete the journals that the snapshot wholly covers; their names. Raises OSError.

    `covered`: how far the snapshot holds each journal. `erased`: runs whose events are not wanted any more.
    """
    gone = []
    with engine.connect(snapshot, read_only=True) as connection:
        for name in sorted(tail.sizes(folder))[:MAX_FILES]:
            with _dead(folder / name) as size:
                if size is None or not _is_covered(folder / name, covered.get(name, 0), size):
                    continue
                ids = _ids(folder / name, erased)
                if ids is None:
                    continue
                if connection.execute(_MISSING, [ids]).fetchall()[0][0] == 0:
                    (folder / name).unlink(missing_ok=True)
                    gone.append(name)
    return gone


def purge(folder: Path, covered: Mapping[str, int], erased: Collection[str]) -> list[str]:
    """Delete every journal of a dead owner that was taken over, whatever stands in it; the names of those that hold an
    erased run and stay, because their owner lives or because nobody here can read them."""
    left = []
    for name, size in tail.sizes(folder).items():
        with _dead(folder / name) as there:
            if there is not None and _is_covered(folder / name, covered.get(name, 0), there):
                (folder / name).unlink(missing_ok=True)
            elif size and (_ids(folder / name, ()) is None or runs_in(folder / name) & set(erased)):
                left.append(name)
    return left


def runs_in(path: Path) -> set[str]:
    """The runs of which a journal holds an event, as far as it can be read."""
    found: set[str] = set()
    with suppress(OSError, tail.Newer):
        for piece in _pieces(path):
            found |= {event.run for event in piece.events}
    return found


def living(folder: Path) -> list[str]:
    """The journals whose owners live."""
    return [name for name in tail.sizes(folder) if locks.is_held(folder / name)]


@contextmanager
def _dead(path: Path) -> Iterator[int | None]:
    """The size of a journal whose owner is gone; None when its owner lives. Nobody else judges it meanwhile."""
    descriptor = -1
    try:
        with suppress(OSError):
            descriptor = locks.open_file(path, os.O_RDWR)
        if descriptor < 0 or not locks.lock(descriptor):
            yield None
        else:
            yield os.fstat(descriptor).st_size
    finally:
        if descriptor >= 0:
            locks.close(descriptor)


def _is_covered(path: Path, taken: int, size: int) -> bool:
    """Whether nothing whole stands behind what was taken over: half a line of a dead owner was never acknowledged."""
    if taken >= size:
        return True
    with path.open("rb") as file:
        file.seek(taken)
        while data := file.read(1 << 20):
            if b"\n" in data:
                return False
    return True


def _ids(path: Path, erased: Collection[str]) -> list[str] | None:
    """The ids of all events in a journal except of erased runs; None when some line of it cannot be read."""
    from workbench.memory.rows import clean

    found: list[str] = []
    try:
        for piece in _pieces(path):
            if piece.skipped:
                return None
            found += [clean(event.id) for event in piece.events if event.run not in erased]
    except (OSError, tail.Newer):
        return None
    return found


def _pieces(path: Path) -> Iterator[tail.Tail]:
    offset = 0
    while (piece := tail.read(path, offset)).offset > offset:
        yield piece
        offset = piece.offset
