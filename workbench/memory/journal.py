"""This process's own journal: appended to by nobody else, durable before anything is acknowledged.

    append(event)  →  queue  →  writer thread: one write, one fdatasync for all that waits  →  barrier() returns

Nothing is shared with other processes, so nobody waits for a lock: a thousand events cost one sync. The file is made at
the first event, and its lock is held as long as its owner lives. What a power cut or a full disk leaves half written is
a last line without an end, which readers ignore (see `tail`). A file that has grown large, or that an erasure
wants to go (see `tombstones`), is given up for a new one.

When the disk fails, what was not made durable is kept, and the next `append` or `barrier` tries it again first; only
then does `append` take more. After a failed sync the file is given up for a new one: the kernel may have dropped the
pages it could not write, and a second sync would call that success. An event that is then there twice has one id.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import secrets
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from weakref import WeakSet

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.memory import folder as folders
from workbench.memory import locks, tail
from workbench.memory.payloads import Payloads
from workbench.memory.tombstones import Tombstones

_MAX_EVENTS = 1_000
_MAX_BYTES = 1 << 20
MAX_FILE = 32 << 20
"""Bytes after which a journal goes on in a new file."""

_LOOK = 1.0
"""Seconds after which a journal with nothing to write looks whether it should let go of its file."""

_PATIENCE = 5.0
"""Seconds that a call which cannot await (append after a failure, the end of the process) waits for the writer."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_journals: WeakSet[Journal] = WeakSet()


class Disk:
    """The system calls of a journal, in one place so that a test can hand in a disk that fails."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has no fdatasync

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)


class Journal:
    """The journal of this process in `folder`. Thread-safe. `names` are the files it has made so far. `payloads`: where
    what is too large for a line goes; None: beside the folder, into `artifacts`. `max_file`: bytes beyond which it goes
    on in a new file."""

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk | None = None,
        payloads: Payloads | None = None,
        max_file: int = MAX_FILE,
    ) -> None:
        self.folder = folder
        self._max_file = max_file
        self._disk = disk or Disk()
        self._payloads = payloads or Payloads(folder.parent / "artifacts")
        self._afresh()
        _journals.add(self)

    def _afresh(self) -> None:
        self.names: set[str] = set()
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._batch: list[bytes] = []  # taken from the queue and not yet durable; the writer's own
        self._appended = 0
        self._durable = 0
        self._waiters: list[tuple[int, Future[None]]] = []
        self._failure: OSError | None = None
        self._retry = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._tombstones = Tombstones(self.folder)
        self._obeyed: frozenset[str] = frozenset()
        self._payloads.afresh()

    def append(self, event: AnyEvent) -> int:
        """Take an event, which is acknowledged once a later `barrier` or `wait` returns; gives its size in bytes, with
        what is kept beside the journal because it is large.

        Raises Unavailable when the journal can take none, ValueError or TypeError when the body is not JSON.
        """
        self._own()
        line, size = self._payloads.line(event)
        if self._failure is not None:
            self.wait(_PATIENCE)
        with self._changed:
            if self._closed:
                raise Unavailable("The memory is closed.", hint="Open a new workbench.")
            if self._thread is None:
                self._start()
            self._queue.append(line + b"\n")
            self._appended += 1
            self._changed.notify_all()
        return size

    async def barrier(self) -> None:
        """Return when everything appended before is durable. Raises Unavailable when it cannot be made so."""
        await asyncio.wrap_future(self._promise())

    def wait(self, seconds: float | None = None) -> None:
        """`barrier` for a caller without an event loop; Unavailable also when it takes longer than `seconds`."""
        try:
            self._promise().result(seconds)
        except TimeoutError as error:
            raise Unavailable(f"{self.folder} took nothing for {seconds} s.", hint="Is its disk stuck?") from error

    def look(self) -> None:
        """Look at once whether an erasure wants the file, and not only in a second."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Make everything durable and let go of the file. Idempotent. Raises Unavailable when events are lost."""
        self._own()
        with self._changed:
            self._closed = True
            self._retry = self._failure is not None
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)
        if self._durable < self._appended:
            lost = self._appended - self._durable
            reason = self._failure or OSError(f"no answer in {_PATIENCE} s")
            error = folders.cannot(self.folder, reason)
            raise Unavailable(f"{error.message}; {lost} events were not kept", hint=error.hint, lost=lost)

    def _own(self) -> None:
        # A forked child has the parent's journal in its hands but not its writer: it starts one of its own.
        if os.getpid() != self._pid:
            locks.drop_inherited()
            self._afresh()

    def _promise(self) -> Future[None]:
        self._own()
        promise: Future[None] = Future()
        with self._changed:
            if self._durable >= self._appended:
                promise.set_result(None)
            elif self._closed:
                promise.set_exception(Unavailable("The memory is closed.", hint="Open a new workbench."))
            else:
                self._waiters.append((self._appended, promise))
                self._retry = self._failure is not None
                self._changed.notify_all()
        return promise

    def _start(self) -> None:
        try:
            self._create()
        except OSError as error:
            raise folders.cannot(self.folder, error) from error
        # A daemon, so that a script which forgets to close still ends; `_at_exit` waits for it.
        self._thread = threading.Thread(target=self._drain, name="workbench-journal", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        """The writer: takes what waits, makes it durable, tells those who wait for it."""
        while self._take():
            failure: OSError | None = None
            try:
                self._write(memoryview(b"".join(self._batch)))
            except OSError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - nobody may wait for ever on a bug of ours
                failure = OSError(f"{type(error).__name__}: {error}")
            self._tell(failure)
        if self._descriptor is not None:
            self._give_up()

    def _take(self) -> bool:
        """Wait for work and fill the batch. False when the journal is closed and nothing more can be done."""
        with self._changed:
            while True:
                self._obey()
                if self._retry or (self._failure is None and self._queue):
                    self._retry = False
                    break
                if self._closed:
                    return False
                self._changed.wait(_LOOK)
            size = sum(map(len, self._batch))
            while self._queue and len(self._batch) < _MAX_EVENTS:
                size += len(self._queue[0])
                if self._batch and size > _MAX_BYTES:
                    break
                self._batch.append(self._queue.popleft())
            return True

    def _write(self, blob: memoryview) -> None:
        if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
            self._give_up()  # the folder was deleted under us
        if self._descriptor is None:
            self._create()
        self._payloads.flush()  # first: no line names what is not there
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101 - `_create` has set it
        written = 0
        try:
            while written < len(blob):
                written += self._disk.write(descriptor, blob[written:])
        except OSError:
            try:
                self._disk.truncate(descriptor, self._size)
            except OSError:
                self._give_up()
            raise
        try:
            self._disk.sync(descriptor)
        except OSError:
            self._give_up()
            raise
        self._size += len(blob)
        if self._size >= self._max_file:
            self._give_up()  # what is in it can then go, once a snapshot holds it

    def _obey(self) -> None:
        """Let go of a file that an erasure wants to go: what comes next goes into a new one."""
        if self._descriptor is not None and not self._tombstones.names() <= self._obeyed:
            self._give_up()

    def _tell(self, failure: OSError | None) -> None:
        with self._changed:
            self._failure = failure
            if failure is None:
                self._durable += len(self._batch)
                self._batch = []
            waiters, self._waiters = self._waiters, []
            for ticket, promise in waiters:
                if failure is None and ticket > self._durable:
                    self._waiters.append((ticket, promise))
                elif promise.set_running_or_notify_cancel():
                    if failure is None:
                        promise.set_result(None)
                    else:
                        promise.set_exception(folders.cannot(self.folder, failure))

    def _create(self) -> None:
        folders.make(self.folder.parent)
        folders.make(self.folder)
        name = new_name() + tail.SUFFIX
        part = self.folder / f"{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = locks.open_file(part, flags)
        # Named only once it is locked: whoever finds a journal that is not takes its owner for dead.
        locks.lock(descriptor)
        part.rename(self.folder / name)
        self._descriptor, self._size = descriptor, 0
        self._obeyed = self._tombstones.names()
        self.names.add(name)
        for made in (self.folder, self.folder.parent):
            folders.sync(made)

    def _give_up(self) -> None:
        if self._descriptor is not None:
            locks.close(self._descriptor)
        self._descriptor = None


def new_name() -> str:
    """A name for a file that nobody else gives one: by time, machine and process."""
    return f"{_time_id()}-{_host()}-{os.getpid()}"


def _time_id() -> str:
    """26 letters and digits that sort by the millisecond in which they were made."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", socket.gethostname())[:40] or "host"


@atexit.register
def _at_exit() -> None:
    for journal in list(_journals):
        try:
            journal.close()
        except Unavailable:
            continue  # nobody is left to hear it; what was acknowledged is on disk
