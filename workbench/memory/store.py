"""The merged store of one WORKBENCH_HOME: journals go in, answers, copies and snapshots come out.

    journals ──takeover──▶ memory.duckdb ──copy, verified──▶ snapshots/ ──▶ journals that it covers are deleted
                                │
                                └──erase: rows deleted, file written anew, new snapshot, every dead journal deleted

The journals, with the newest snapshot, are the truth: the file can be made again from them, which is what happens when
it cannot be read. No journal is deleted while its owner lives, nor before a verified, synced snapshot holds all of it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from workbench.core.errors import Unavailable
from workbench.memory import collection, copies, locks, rows, tables, tail
from workbench.memory import folder as folders
from workbench.memory.embed import content_hash
from workbench.memory.journal import new_name
from workbench.memory.pieces import Moved, Pieces
from workbench.memory.shared import Busy, SharedFile
from workbench.memory.snapshots import Snapshot
from workbench.memory.takeover import Takeover
from workbench.memory.tombstones import Tombstones

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

T = TypeVar("T")

MAX_BYTES = 64 << 20
MAX_JOURNALS = 500
"""Bytes, and files, of journals beyond which they are compacted without being asked."""

_TRIES = 5
"""How often a copy is begun anew because something was erased meanwhile."""

_PATIENCE = 5.0
"""Seconds to wait until the owners of journals have let go of what is to be erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction did: the snapshot it made, and the journals that it covers and that are gone."""

    snapshot: Snapshot
    deleted: tuple[str, ...]
    bytes: int


class Store:
    """The store in `home`. Thread-safe; blocks, so it is called from worker threads.

    `wait`: seconds to wait for other processes. `notices`: what the user should hear about, one line each. `network`:
    whether a home on a network file system is accepted.
    """

    def __init__(
        self, home: Path, *, wait: float = 5.0, notices: list[str] | None = None, network: bool = False
    ) -> None:
        self.home = home
        self.notices = [] if notices is None else notices
        self.file = SharedFile(home, wait=wait, notices=self.notices, network=network, restored=self._forget_again)
        self._wait = wait
        self._journals = home / "journal"
        self._takeover = Takeover(self._journals, self.notices)
        self._tombstones = Tombstones(self._journals)
        self._compacted_at = (0, 0)

    def sizes(self) -> Mapping[str, int]:
        """The journals and their sizes: who sees the same sizes again has missed nothing."""
        return tail.sizes(self._journals)

    def merge(self, *, wait: float = 0.0) -> bool:
        """Take over what the journals hold, one bounded hold; True when nothing was left. Raises Busy, Unavailable."""
        return self.file.work(wait, lambda connection: self._step(connection, self.sizes()))

    def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` says about a store that holds all that was in the journals at the time of the call."""
        sizes, answer = self.sizes(), []

        def hold(connection: Connection) -> bool:
            if not self._step(connection, sizes):
                return False
            answer.append(query(connection))
            return True

        while not self.file.work(self._wait, hold):
            time.sleep(0)  # between two holds the others get their turn
        return answer[-1]

    def change(self, work: Callable[[Connection], object]) -> None:
        """Do something to the file besides taking over journals, in a hold of its own."""
        self.file.work(self._wait, work)

    def snapshot(self, path: Path, user: str | None = None) -> None:
        """A private copy of the store at `path`, one file without a log, put there in one move; with `user` only what
        is theirs. Vectors are left out: nobody reads them in SQL."""
        part = path.with_name(f"{path.name}.{new_name()}.part")
        try:
            self._copied(part, user=user)
            part.replace(path)
        finally:
            copies.remove(part)

    def compact(self) -> Compacted:
        """Make a verified snapshot, then delete the journals of dead owners that it wholly covers. Raises Busy,
        Unavailable: then nothing was deleted that is not in a snapshot."""
        with self._alone(self._wait):
            before = self.sizes()
            snapshot, erased = self._kept()
            with self.file.locked(self._wait):
                gone = collection.collect(self._journals, snapshot.covered, snapshot.path, erased)
            self._forget_offsets()
            left = self.sizes()
            self._compacted_at = (sum(left.values()), len(left))
        return Compacted(snapshot=snapshot, deleted=tuple(gone), bytes=sum(before.get(name, 0) for name in gone))

    def is_loose(self) -> bool:
        """Whether the journals have grown enough since the last compaction that another is worth it."""
        sizes = self.sizes()
        size, count = self._compacted_at
        return sum(sizes.values()) > size + MAX_BYTES or len(sizes) > count + MAX_JOURNALS

    def erase(
        self, runs: Collection[str], let_go: Callable[[], object] = lambda: None, *, patience: float = _PATIENCE
    ) -> list[str]:
        """Remove the events of these runs for good: from the file, the journals, the snapshots and the files that were
        set aside. `let_go` makes this process's own journal look for tombstones; `patience`: seconds to wait for those
        of others. The lines say what could not go yet,
        empty when all is gone. Idempotent. Raises Busy, Unavailable; then the next process on this home goes on."""
        with self._alone(self._wait):
            live = self._running(runs)
            gone = sorted(set(runs) - set(live))
            left = [f"run {run} is still running: stop it, and erase it then" for run in live]
            if gone:
                try:
                    self._tombstones.write(new_name(), gone)
                except OSError as error:
                    raise folders.cannot(self._journals, error) from error
                let_go()
                self._wait_for_owners(gone, patience)
                left += self._finish()
        return left

    def finish_erasures(self) -> list[str]:
        """Go on with erasures that were interrupted, or had to wait for a process; what could still not go. Costs a
        look at a folder when there are none."""
        if not self._tombstones.names() or self._living_with(self._tombstones.runs()):
            return []
        try:
            with self._alone(0.0):
                return self._finish()
        except Busy:  # somebody else is at it
            return []

    def close(self) -> None:
        """Write the log into the file when that can be done at once, and let go."""
        self.file.close()

    def _forget_again(self, connection: Connection) -> None:
        """Of a file that comes from a snapshot: without the runs of erasures that are not complete yet."""
        if runs := self._tombstones.runs():
            tables.erase(connection, runs, _hashes)

    def _step(self, connection: Connection, sizes: Mapping[str, int]) -> bool:
        complete = self._takeover.step(connection, sizes, self._tombstones.runs())
        self.file.keep_private()
        return complete

    @contextmanager
    def _alone(self, wait: float) -> Iterator[None]:
        """No other process compacts or erases meanwhile."""
        folders.make(self.home)
        with locks.held(self.home / "compact.lock", wait) as got:
            if not got:
                raise Busy("Another process compacts or erases.", hint="Try again in a moment.")
            yield

    def _copied(self, part: Path, *, user: str | None = None, vectors: bool = False) -> Pieces:
        """A copy of all that was in the journals at the time of the call, made in bounded holds."""
        for _ in range(_TRIES):
            made = Pieces(part, user=user, vectors=vectors)
            self.read(made.begin)
            with suppress(Moved):
                while not self.file.work(self._wait, made.step):
                    time.sleep(0)  # between two holds the others get their turn
                return made
        raise Busy("The memory changes all the time.", hint="Try again in a moment.")

    def _kept(self, kept: int = 2) -> tuple[Snapshot, frozenset[str]]:
        """A new snapshot that was read back and is durable, and the runs that were erased."""
        import duckdb

        snapshots = self.file.snapshots
        try:
            part = snapshots.part()
            try:
                made = self._copied(part, vectors=True)
                if copies.signature_of(part) != made.signature:
                    raise Unavailable("A snapshot does not hold what it should.", hint="Is the disk sound?")
                return snapshots.keep(part, made.taken, kept=kept), made.erased
            finally:
                copies.remove(part)
        except OSError as error:
            raise folders.cannot(self.home, error) from error
        except duckdb.Error as error:
            raise Unavailable(f"A snapshot cannot be read back: {str(error).splitlines()[0]}") from error

    def _finish(self) -> list[str]:
        names, runs = self._tombstones.names(), self._tombstones.runs()
        while not self.merge(wait=self._wait):
            continue
        self.change(lambda connection: tables.erase(connection, runs, _hashes))
        self.file.rewrite(self._wait)
        snapshot, _ = self._kept(kept=1)
        with self.file.locked(self._wait):
            for path in self.home.glob("memory.duckdb.broken-*"):
                path.unlink(missing_ok=True)
            for cache in ("index", "cache/spill"):
                shutil.rmtree(self.home / cache, ignore_errors=True)
            left = collection.purge(self._journals, snapshot.covered, runs)
        self._forget_offsets()
        if not left:
            self._tombstones.remove(names)
        return [f"journal/{name} goes when the process that writes it lets go of it, or ends" for name in left]

    def _forget_offsets(self) -> None:
        there = list(self.sizes())
        self.change(
            lambda connection: connection.execute(
                "delete from journal_offsets where not list_contains($1::varchar[], journal)", [there]
            )
        )

    def _running(self, runs: Collection[str]) -> list[str]:
        """Those of the runs that have not ended and whose process lives."""
        query = "select run from runs where status = 'running' and run in (select unnest($1::varchar[]))"
        names = list(map(rows.clean, runs))
        open_ = {row[0] for row in self.read(lambda connection: connection.execute(query, [names]).fetchall())}
        return sorted(open_ & self._living_with(open_)) if open_ else []

    def _living_with(self, runs: Collection[str]) -> set[str]:
        """Those of the runs of which the journal of a living process holds an event."""
        found: set[str] = set()
        for name in collection.living(self._journals):
            found |= collection.runs_in(self._journals / name) & set(runs)
        return found

    def _wait_for_owners(self, runs: Collection[str], patience: float) -> None:
        deadline = time.monotonic() + patience
        while self._living_with(runs) and time.monotonic() < deadline:
            time.sleep(0.05)


def _hashes(texts: Iterable[str]) -> set[str]:
    return set(map(content_hash, texts))
