"""What every process on a home must know of an erasure that is under way: files that say which runs are to vanish.

    journal/<time>-<host>-<pid>.erased     {"version": 1, "runs": [ids]}: only ids, no content

The eraser writes one, durable, before anything else happens, and removes it when nothing of these runs is left. While
it is there,

- whoever takes journals over leaves these runs out, so that an erasure that was interrupted is never undone;
- the owner of a journal lets go of its file and goes on in a new one, so that the eraser may delete the old one.

A process that does not look (it is stopped, or of an older version) keeps its journal until it ends: the tombstone then
stays, and the next process that takes journals over finishes the work.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from workbench.memory import folder as folders
from workbench.memory import locks

SUFFIX = ".erased"
_VERSION = 1
_TICK = 50_000_000


class Tombstones:
    """The tombstones in the folder of the journals. Not for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen_at = 0
        self._names: frozenset[str] = frozenset()

    def names(self) -> frozenset[str]:
        """The tombstones that are there; costs a `stat` when nothing has changed in the folder."""
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            return self._names
        if changed != self._seen_at:
            with suppress(OSError):
                self._names = frozenset(path.name for path in self.folder.iterdir() if path.suffix == SUFFIX)
            # A second change within one tick of the clock leaves the same time: a folder that young is looked at again.
            self._seen_at = changed if time.time_ns() - changed > _TICK else 0
        return self._names

    def runs(self) -> frozenset[str]:
        """The runs that are to vanish, by all tombstones."""
        found: set[str] = set()
        for name in self.names():
            found |= _read(self.folder / name)
        return frozenset(found)

    def write(self, name: str, runs: Iterable[str]) -> Path:
        """A tombstone for these runs, durable. Raises OSError."""
        folders.make(self.folder)
        path = self.folder / (name + SUFFIX)
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, locks.PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({"version": _VERSION, "runs": sorted(runs)}).encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folders.sync(self.folder)
        return path

    def remove(self, names: Iterable[str]) -> None:
        """The erasures of these tombstones are complete."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
        folders.sync(self.folder)


def _read(path: Path) -> set[str]:
    try:
        return {str(run) for run in json.loads(path.read_bytes())["runs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
