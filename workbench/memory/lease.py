"""Who runs a run: one process at a time, by a lock on a file of its own, `leases/<run>` below WORKBENCH_HOME.

The file is made when a run begins and removed when it has ended in whatever way. So a file that nobody holds is a run
whose process died, and needs no clean-up before the next process takes it: the lock went with its holder. Locks work
between processes of one machine; a memory on a server has to fence attempts by itself.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from workbench.core.errors import Refused
from workbench.memory import folder as folders
from workbench.memory import locks
from workbench.memory.base import Holder, Lease

FOLDER = "leases"
_SIZE = 4096
"""Bytes of a lease file; what says less is filled up."""


class FileLeases:
    """`Leases` by files below `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def claim(self, holder: Holder) -> Lease:
        """See `Leases`. Quick enough not to leave the event loop."""
        return take(self._home, holder)

    async def left(self) -> Sequence[Holder]:
        """See `Leases`."""
        return list(left(self._home))

    async def drop(self, run: str) -> None:
        """See `Leases`."""
        drop(self._home, run)


class FileLease:
    """A run that this process holds until `release`, or until it ends. `attempt`: 0, the events know."""

    attempt = 0

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.descriptor: int | None = descriptor
        self._pid = os.getpid()

    async def release(self) -> None:
        """Let go of the run, which has ended. Idempotent."""
        self.let_go()

    def let_go(self) -> None:
        """`release` for a caller without an event loop."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is None or self._pid != os.getpid():  # a forked child has let go of its copies already
            return
        with suppress(OSError):
            self._path.unlink()  # under the lock: who opened the file before us sees that it has gone
        locks.close(descriptor)


def take(home: Path, holder: Holder) -> FileLease:
    """The lease of a run. Raises Refused naming the process that has it, Unavailable when no file can be made."""
    path = home / FOLDER / _named(holder.run)
    try:
        folders.make(home)
        folders.make(path.parent)
        while True:
            descriptor = locks.open_file(path, os.O_RDWR | os.O_CREAT)
            if not _locked(descriptor):
                locks.close(descriptor)
                raise Refused(
                    f"{holder.run} is being run by {_read(path, holder.run)}.",
                    hint="Wait until it has ended, or stop it there.",
                )
            if _is_there(path, descriptor):
                break
            locks.close(descriptor)  # its holder has just ended and removed it
        # Over the old text in one piece: killed in between, nobody could tell any more who has left the run.
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode().ljust(_SIZE), 0)
    except OSError as error:
        raise folders.cannot(home, error) from error
    return FileLease(path, descriptor)


def left(home: Path) -> Iterator[Holder]:
    """The runs whose process has died before they ended, oldest first; of a damaged file no more than the run."""
    try:
        paths = sorted((home / FOLDER).iterdir())
    except OSError:
        return
    for path in paths:
        if not locks.is_held(path) and path.exists():
            yield _read(path, path.name)


def drop(home: Path, run: str) -> None:
    """Forget that a run was left unfinished; one that is held stays."""
    path = home / FOLDER / _named(run)
    try:
        descriptor = locks.open_file(path, os.O_RDWR)
    except OSError:
        return
    if locks.lock(descriptor) and _is_there(path, descriptor):
        with suppress(OSError):
            path.unlink()  # under the lock, as in `let_go`
    locks.close(descriptor)


def _named(run: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in run).lstrip(".")[:200] or "_"


def _locked(descriptor: int) -> bool:
    """Lock the file; one that somebody only looks at, for a moment, is waited for."""
    for _ in range(5):
        if locks.lock(descriptor):
            return True
        time.sleep(0.01)
    return locks.lock(descriptor)


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether the file that was opened still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(path: Path, run: str) -> Holder:
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raw = {}
    known = raw if isinstance(raw, Mapping) else {}
    return Holder(**{"run": run} | {name: known[name] for name in Holder.__slots__ if name in known})
