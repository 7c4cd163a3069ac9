"""memory.duckdb, shared: attached for moments, by whoever holds memory.lock.

DuckDB lets one process open a file. So nobody keeps it open: each process has its own database in memory and attaches
the file to it for one bounded piece of work, a *hold*:

    lock memory.lock → ATTACH → the work, in one transaction or more → DETACH → unlock

The file is never opened except by DuckDB. DuckDB's own lock on it is a POSIX one, which this process loses when it
closes *any* descriptor of the file, and then another process writes over our transaction. memory.lock is an own file,
locked by `flock`, which does not have that trap; so even a tool that reads the file cannot break a hold.

A file that cannot be read is set aside under another name. A missing one is made again: from the newest snapshot that
is whole, and without one empty; either way the journals then bring what it lacks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from workbench.core.errors import Unavailable
from workbench.memory import copies, engine, locks, tables
from workbench.memory import folder as folders
from workbench.memory.snapshots import Snapshots

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

T = TypeVar("T")

_WAL_BYTES = 2 << 20
"""A log that long is written into the file: each attach replays it, in 2-3 ms a megabyte."""

_OUTSIDE = (
    "set lock",
    "permission denied",
    "no space left",
    "read-only",
    "input/output",
    "too many open",
    "disk quota",
    "version number",
    "file too large",
)
"""Words of DuckDB's errors that blame the disk or another program and not the content of the file."""


class Busy(Unavailable):
    """Another process holds the memory."""


class SharedFile:
    """The shared file of one WORKBENCH_HOME. Thread-safe; blocks, so it is used from worker threads.

    `wait`: seconds to wait for other processes. `notices`: what the user should hear about, one line each. `network`:
    whether a home on a network file system is accepted. `restored`: called with a file that was made again from a
    snapshot, before anybody reads it.
    """

    def __init__(
        self,
        home: Path,
        *,
        wait: float,
        notices: list[str],
        network: bool = False,
        restored: Callable[[Connection], object] = lambda connection: None,
    ) -> None:
        self.home = home
        self.path = home / "memory.duckdb"
        self.notices = notices
        self.snapshots = Snapshots(home / "snapshots")
        self.wait = wait
        self._network = network
        self._restored = restored
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._set_aside_at: float | None = None

    def work(self, wait: float, work: Callable[[Connection], T]) -> T:
        """The result of one hold. A broken file is set aside and the work done once more, on a new one.

        Raises Busy when others hold the file for longer than `wait` seconds, Unavailable.
        """
        import duckdb

        for last in (False, True):
            try:
                with self.hold(wait) as connection:
                    return work(connection)
            except duckdb.Error as error:
                if last or not self._is_broken(error):
                    raise self._explained(error) from error
                self._set_aside(wait, error)
            except OSError as error:
                raise folders.cannot(self.home, error) from error
        raise AssertionError("unreachable")

    @contextmanager
    def hold(self, wait: float) -> Iterator[Connection]:
        """A connection whose current database is the file, with its tables as this version knows them."""
        with self.locked(wait), locks.fork_gate:
            connection = self._connect()
            try:
                restored = self._restore()
                connection.execute(f"attach '{copies.quoted(self.path)}' as store (type duckdb)")
                connection.execute("use store")
                self.keep_private()
                tables.prepare(connection)
                if restored:
                    self._restored(connection)
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
    def locked(self, wait: float) -> Iterator[None]:
        """Nobody else attaches the file meanwhile."""
        deadline = time.monotonic() + wait
        folders.check_local(self.home, self._network)
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

    def rewrite(self, wait: float) -> None:
        """Write the file anew, without the rows that were deleted: DuckDB leaves their bytes where they were."""
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        import duckdb

        with self.locked(wait), locks.fork_gate:
            connection = self._connect()
            try:
                connection.execute(f"attach '{copies.quoted(self.path)}' as store (type duckdb)")
                connection.execute("use store")
                copies.copy(connection, part, vectors=True)
                wanted = copies.signature(connection)
                connection.execute("checkpoint")
                connection.execute("use memory")
                connection.execute("detach store")
                if copies.signature_of(part) != wanted:
                    raise Unavailable(f"{self.path} could not be written anew.", hint="Is its disk sound?")
                folders.sync_file(part)
                # The log holds nothing that the file does not, and it must never meet the new one.
                self._wal().unlink(missing_ok=True)
                part.replace(self.path)
                folders.sync(self.home)
            except duckdb.Error as error:
                raise self._explained(error) from error
            except OSError as error:
                raise folders.cannot(self.home, error) from error
            finally:
                self._drop()
                copies.remove(part)

    def close(self) -> None:
        """Write the log into the file when that can be done at once, and let go."""
        if self._connection is not None:
            with suppress(Unavailable):
                self.work(0.0, lambda connection: bool(connection.execute("checkpoint")))
        with self._mutex:
            self._drop()

    def keep_private(self) -> None:
        # By name, never by a descriptor: see the module's docstring.
        for path in (self.path, self._wal()):
            with suppress(FileNotFoundError):
                path.chmod(locks.PRIVATE_FILE)

    def _connect(self) -> Connection:
        if self._connection is None:
            spill = str(self.home / "cache" / "spill")
            self._connection = engine.connect(temp_directory=spill, autoinstall_known_extensions=False)
            # Else each DETACH rewrites the file: 52 ms in place of 4.
            self._connection.execute("set checkpoint_on_detach = 'DISABLED'")
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _restore(self) -> bool:
        """Put the newest whole snapshot in the place of a file that is not there; whether there was one."""
        if self.path.exists() or not self.snapshots.folder.exists():
            return False
        self._wal().unlink(missing_ok=True)  # of a file that is gone: it belongs to no other
        found = self.snapshots.newest_whole(self.notices.append)
        if found is not None:
            self.snapshots.put(found, self.path)
            self.notices.append(f"memory.duckdb was made again from snapshots/{found.path.name} and the journals")
        return found is not None

    def _is_broken(self, error: Exception) -> bool:
        """Whether the content of the file is to blame, so that making it again helps."""
        import duckdb

        words = str(error).lower()
        if any(outside in words for outside in _OUTSIDE):
            return False
        content = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
        # Broken again so soon after it was made new: then it is not the file.
        again = self._set_aside_at is not None and time.monotonic() - self._set_aside_at < 60
        return not again and (isinstance(error, content) or "corrupt" in words)

    def _set_aside(self, wait: float, error: Exception) -> None:
        with self.locked(max(wait, 1.0)):
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
        elif any(full in words for full in ("no space left", "disk quota", "file too large")):
            hint = "Free some space there; the journals keep what happened."
        return Unavailable(f"{self.path} cannot be used: {first}", hint=hint)

    def _wal(self) -> Path:
        return self.path.with_name(self.path.name + ".wal")
