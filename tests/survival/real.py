"""The record of the house itself, on real files: journals, merges, snapshots, collections and erasures as they are,
with a crash wherever the test wants one.

    process          a `Journal` over a disk that notes what was synced, and from the crash on does nothing any more
    crash, kill -9   what was handed to the system is there; the last write may stop in the middle of a line
    power cut        of each journal what was synced is there, and of what came after it a beginning of any length

Other processes may take journals over at any moment (`merge`, between two lives and in the middle of one). What DuckDB
writes is left whole here: `test_points` kills in the middle of it, and when it is lost it is made again (`lose`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.survival.disk import Crash, Fuel
from workbench.core.events import AnyEvent, Event, dumps
from workbench.memory import tables
from workbench.memory.journal import Disk, Journal
from workbench.memory.store import Store

_NEVER = 3600.0
RAM = Path("/dev/shm")
"""What is lost is decided here, so the files need no slower disk under them."""
_MERGES = 4
"""Every so many barriers another process takes over what is there."""


class LossyDisk(Disk):
    """What was written, and how much of it was synced, by file. `fuel`: burnt by each call; when it is used up, nothing
    that is called reaches the disk."""

    def __init__(self, fuel: Fuel) -> None:
        self.fuel = fuel
        self.is_dead = False
        self.torn: float | None = None
        self.synced: dict[int, int] = {}

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.torn is not None and not self.is_dead:
            super().write(descriptor, data[: int(len(data) * self.torn)])
            self.is_dead = True
        elif self._burns():
            return super().write(descriptor, data)
        return len(data)

    def sync(self, descriptor: int) -> None:
        if self._burns():
            super().sync(descriptor)
            facts = os.fstat(descriptor)
            self.synced[facts.st_ino] = facts.st_size

    def truncate(self, descriptor: int, size: int) -> None:
        if self._burns():
            super().truncate(descriptor, size)

    def _burns(self) -> bool:
        try:
            self.fuel.burn()
        except Crash:
            self.is_dead = True
        return not self.is_dead


class RealLog:
    """A `Log` on files of its own, gone with `close`."""

    disk = LossyDisk

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="workbench-survival-", dir=RAM if RAM.is_dir() else None))
        self._store = Store(self.home, wait=20.0)
        self._fuel = Fuel(None)
        self._journal: Journal | None = None
        self._disk = self.disk(self._fuel)
        self._barriers = 0
        self._known: dict[str, list[AnyEvent]] = {}

    def open(self, fuel: Fuel) -> None:
        self._fuel = fuel
        self._disk = self.disk(fuel)
        self._journal = Journal(self.home / "journal", disk=self._disk, linger=_NEVER)
        self._known.clear()

    def append(self, event: AnyEvent) -> None:
        self._fuel.burn()
        assert self._journal is not None
        self._journal.append(event)

    async def barrier(self) -> None:
        self._fuel.burn()
        assert self._journal is not None
        await self._journal.barrier()
        if self._disk.is_dead:
            raise Crash
        self._barriers += 1
        if self._barriers % _MERGES == 0:
            self._store.merge(wait=20.0)

    def is_durable(self, event: Event) -> bool:
        line = dumps(event) + b"\n"
        return any(line in path.read_bytes()[: self._synced(path)] for path in self._journals())

    def crash(self, cut: float | None) -> None:
        assert self._journal is not None
        # What still waited for the writer: a kill may come before, after, or in the middle of its write.
        self._disk.torn = 1.0 if cut is None else cut
        self._journal.close()
        self._disk.is_dead = True
        if cut is not None:
            for path in self._journals():
                if (synced := self._synced(path)) is not None:
                    size = path.stat().st_size
                    os.truncate(path, synced + int((size - synced) * cut))
        self._journal = None
        self._known.clear()

    def merge(self) -> None:
        self._known.clear()
        while not self._store.merge(wait=20.0):
            continue

    def read(self, run: str) -> Sequence[AnyEvent]:
        if run not in self._known:
            self._known[run] = self._store.read(lambda connection: tables.events_of(connection, run))
        return self._known[run]

    def erase(self, run: str) -> None:
        self._known.clear()
        assert self._store.erase([run]) == []
        there = [path for path in self.home.rglob("*") if path.is_file() and path.name != "erased"]
        assert not [path for path in there if path.suffix == ".jsonl" and f'"{run}"'.encode() in path.read_bytes()]

    def compact(self) -> None:
        self._known.clear()
        self._store.compact()

    def lose(self) -> None:
        self._known.clear()
        self._store.close()
        for path in self.home.glob("memory.duckdb*"):
            path.unlink()
        self._store = Store(self.home, wait=20.0)

    def close(self) -> None:
        if self._journal is not None:
            self._disk.is_dead = True
            self._journal.close()
        self._store.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _journals(self) -> list[Path]:
        return sorted((self.home / "journal").glob("*.jsonl"))

    def _synced(self, path: Path) -> int | None:
        """How much of a journal of this life is durable; None for one of an earlier life, which is whole as it is."""
        assert self._journal is not None
        if path.name not in self._journal.names:
            return None
        return self._disk.synced.get(path.stat().st_ino, 0)
