"""memory.duckdb, shared: attached for moments, by whoever holds memory.lock.

DuckDB lets one process open a file. So nobody keeps it open: each process has its own database in memory and attaches
the file to it for one bounded piece of work, a *hold*:

    lock memory.lock → ATTACH → read how far each journal was taken over → read on, to the last whole line
    → insert what is not there yet, and the new offsets, in one transaction → (query) → DETACH → unlock

The journals are the truth and the file can be made again from them, which is what happens when it cannot be read. They
all stay: nothing here deletes a journal, because no verified snapshot covers them yet.

The file is never opened except by DuckDB. DuckDB's own lock on it is a POSIX one, which this process loses when it
closes *any* descriptor of the file, and then another process writes over our transaction. memory.lock is an own file,
locked by `flock`, which does not have that trap; so even a tool that reads the file cannot break a hold.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.memory import folder as folders
from workbench.memory import locks, tables, tail

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

T = TypeVar("T")

MAX_EVENTS = 2_000
MAX_SECONDS = 0.025
"""Events, and seconds of reading journals, in one hold; putting them in takes about as long again."""

_WAL_BYTES = 2 << 20
"""A log that long is written into the file: each attach replays it, in 2-3 ms a megabyte."""

_TABLES = "select table_name from duckdb_tables() where database_name = 'store' and table_name <> 'embeddings'"
_OUTSIDE = (
    "set lock",
    "permission denied",
    "no space left",
    "read-only",
    "input/output",
    "too many open",
    "disk quota",
    "version number",
)
"""Words of DuckDB's errors that blame the disk or another program and not the content of the file."""


class Busy(Unavailable):
    """Another process holds the memory."""


class Store:
    """The shared file of one WORKBENCH_HOME. Thread-safe; blocks, so it is called from worker threads.

    `wait`: seconds to wait for other processes. `notices`: what the user should hear about, one line each.
    """

    def __init__(self, home: Path, *, wait: float = 5.0, notices: list[str] | None = None) -> None:
        self.home = home
        self.path = home / "memory.duckdb"
        self.notices = [] if notices is None else notices
        self._wait = wait
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._set_aside_at: float | None = None
        self._unreadable: set[str] = set()

    def sizes(self) -> Mapping[str, int]:
        """The journals and their sizes: who sees the same sizes again has missed nothing."""
        return tail.sizes(self.home / "journal")

    def merge(self, *, wait: float = 0.0) -> bool:
        """Take over what the journals hold, one bounded hold; True when nothing was left. Raises Busy, Unavailable."""
        return self._with_file(wait, lambda connection: self._take_over(connection, self.sizes()))

    def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` says about a store that holds all that was in the journals at the time of the call."""
        sizes, answer = self.sizes(), []

        def hold(connection: Connection) -> bool:
            if not self._take_over(connection, sizes):
                return False
            answer.append(query(connection))
            return True

        while not self._with_file(self._wait, hold):
            time.sleep(0)  # between two holds the others get their turn
        return answer[-1]

    def change(self, work: Callable[[Connection], object]) -> None:
        """Do something to the file besides taking over journals, in a hold of its own."""
        self._with_file(self._wait, work)

    def snapshot(self, path: Path) -> None:
        """A private copy of the whole store at `path`, one file without a log, put there in one move. Vectors are left
        out: nobody reads them in SQL."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")

        def copy(connection: Connection) -> None:
            part.unlink(missing_ok=True)
            connection.execute(f"attach '{_quoted(part)}' as snapshot (type duckdb)")
            try:
                connection.execute("copy from database store to snapshot (schema)")
                for (table,) in connection.execute(_TABLES).fetchall():
                    connection.execute(f'insert into snapshot."{table}" select * from store."{table}"')  # noqa: S608 - ours
                connection.execute("checkpoint snapshot")
            finally:
                connection.execute("detach snapshot")
            part.with_name(part.name + ".wal").unlink(missing_ok=True)
            part.chmod(locks.PRIVATE_FILE)
            part.replace(path)

        try:
            self.read(copy)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Write the log into the file when that can be done at once, and let go."""
        if self._connection is not None:
            with suppress(Unavailable):
                self._with_file(0.0, lambda connection: bool(connection.execute("checkpoint")))
        with self._mutex:
            self._drop()

    def _with_file(self, wait: float, work: Callable[[Connection], T]) -> T:
        """The result of one hold. A broken file is set aside and the work done once more, on a new one."""
        import duckdb

        for last in (False, True):
            try:
                with self._hold(wait) as connection:
                    return work(connection)
            except duckdb.Error as error:
                if last or not self._is_broken(error):
                    raise self._explained(error) from error
                self._set_aside(wait, error)
            except OSError as error:
                raise folders.cannot(self.home, error) from error
        raise AssertionError("unreachable")

    @contextmanager
    def _hold(self, wait: float) -> Iterator[Connection]:
        with self._locked(wait), locks.fork_gate:
            connection = self._connect()
            try:
                connection.execute(f"attach '{_quoted(self.path)}' as store (type duckdb)")
                connection.execute("use store")
                self._keep_private()
                tables.prepare(connection)
                yield connection
                wal = self._wal()
                if wal.exists() and wal.stat().st_size > _WAL_BYTES:
                    connection.execute("checkpoint")
                connection.execute("use memory")
                connection.execute("detach store")
            except BaseException:
                # Whatever state it is in: closing it gives up the transaction and the file, and the lock is still ours.
                self._drop()
                raise

    @contextmanager
    def _locked(self, wait: float) -> Iterator[None]:
        deadline = time.monotonic() + wait
        if not self._mutex.acquire(timeout=max(wait, 0.0)):
            raise Busy("The memory is busy in this process.", hint="Try again in a moment.")
        try:
            folders.make(self.home)
            with locks.held(self.home / "memory.lock", deadline - time.monotonic()) as got:
                if not got:
                    raise Busy(
                        f"{self.path} is busy: another process has held it for {wait:g} s.",
                        hint="Try again in a moment.",
                    )
                yield
        finally:
            self._mutex.release()

    def _connect(self) -> Connection:
        if self._connection is None:
            import duckdb

            config: dict[str, str | bool | int | float | list[str]] = {
                "threads": 1,
                "memory_limit": "256MB",
                "temp_directory": str(self.home / "cache" / "spill"),
                "autoinstall_known_extensions": False,
            }
            self._connection = duckdb.connect(":memory:", config=config)
            # Else each DETACH rewrites the file: 52 ms in place of 4.
            self._connection.execute("set checkpoint_on_detach = 'DISABLED'")
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _take_over(self, connection: Connection, sizes: Mapping[str, int]) -> bool:
        """Insert what the journals hold up to these sizes; False when the bounds of a hold came first."""
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
                try:
                    piece = tail.read(self.home / "journal" / name, offset, max_events=MAX_EVENTS - len(events))
                except OSError as error:
                    self._tell_once(name, f"journal/{name} cannot be read: {error.strerror}")
                    break
                if piece.skipped:
                    self._tell_once(name, f"journal/{name} holds lines that are no events; they were skipped")
                if piece.offset == offset:
                    break  # a last line without its end: its owner is writing it, or died doing so
                events += piece.events
                offset = moved[name] = piece.offset
        if moved:
            connection.execute("begin")
            tables.insert(connection, events)
            connection.execute("delete from journal_offsets where list_contains($1::varchar[], journal)", [[*moved]])
            connection.execute(
                "insert into journal_offsets select unnest($1::varchar[]), unnest($2::bigint[]), $3::timestamp",
                [[*moved], [*moved.values()], datetime.now(UTC).replace(tzinfo=None)],
            )
            connection.execute("commit")
            self._keep_private()
        return complete

    def _is_broken(self, error: Exception) -> bool:
        """Whether the content of the file is to blame, so that making it again from the journals helps."""
        import duckdb

        words = str(error).lower()
        if any(outside in words for outside in _OUTSIDE):
            return False
        content = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
        # Broken again so soon after it was made new: then it is not the file.
        again = self._set_aside_at is not None and time.monotonic() - self._set_aside_at < 60
        return not again and (isinstance(error, content) or "corrupt" in words)

    def _set_aside(self, wait: float, error: Exception) -> None:
        with self._locked(max(wait, 1.0)):
            self._drop()
            stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
            aside = self.path.with_name(f"{self.path.name}.broken-{stamp}")
            with suppress(FileNotFoundError):
                self._wal().rename(aside.with_name(aside.name + ".wal"))
            with suppress(FileNotFoundError):
                self.path.rename(aside)
            self._set_aside_at = time.monotonic()
        first = str(error).splitlines()[0]
        self.notices.append(
            f"memory.duckdb could not be read ({first}); it is kept as {aside.name} and made again from the journals"
        )

    def _explained(self, error: Exception) -> Unavailable:
        first = str(error).splitlines()[0]
        words = first.lower()
        hint = "Set WORKBENCH_HOME to another folder; the journals keep what happened."
        if "set lock" in words:
            hint = "Close the program that has it open, and look at a copy there (`workbench sql` does)."
        elif "no space left" in words or "disk quota" in words:
            hint = "Free some space there; the journals keep what happened."
        return Unavailable(f"{self.path} cannot be used: {first}", hint=hint)

    def _wal(self) -> Path:
        return self.path.with_name(self.path.name + ".wal")

    def _keep_private(self) -> None:
        # By name, never by a descriptor: see the module's docstring.
        for path in (self.path, self._wal()):
            with suppress(FileNotFoundError):
                path.chmod(locks.PRIVATE_FILE)

    def _tell_once(self, name: str, notice: str) -> None:
        if name not in self._unreadable:
            self._unreadable.add(name)
            self.notices.append(notice)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
