"""Locks between processes, held on an open file and gone with it: by `close`, by exit, by `kill -9`.

A forked child inherits the open files of its parent, and with them the locks, which would then outlive the parent. So
every descriptor that may be locked is noted here, and closed in a child; closing it there leaves the parent's lock
alone.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_open: set[int] = set()
_pid = os.getpid()

fork_gate = threading.RLock()
"""Held while something goes on that a child must not find half done; a fork of this process waits for it."""

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Windows locks bytes and keeps readers off them: a place far behind any content.
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_file(path: Path, flags: int) -> int:
    """Open a file in order to lock it; a new one is private. Raises OSError."""
    # Behind the gate: a child that was forked between the two lines would keep our lock and never know of it.
    with fork_gate:
        descriptor = os.open(path, flags, PRIVATE_FILE)
        _open.add(descriptor)
    return descriptor


def lock(descriptor: int) -> bool:
    """Lock a file of `open_file`; False when another process (or another descriptor of this one) has it."""
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    return True


def close(descriptor: int) -> None:
    """Close a file of `open_file`, and with it its lock."""
    with fork_gate:
        _open.discard(descriptor)
        with suppress(OSError):
            os.close(descriptor)


def drop_inherited() -> None:
    """In a forked child: let go of the parent's locked files without unlocking them. Elsewhere: nothing."""
    global _pid
    if os.getpid() == _pid:
        return
    _pid = os.getpid()
    for descriptor in list(_open):
        close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on this file. False when there is no such file."""
    try:
        descriptor = open_file(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock(descriptor)
    finally:
        close(descriptor)


@contextmanager
def held(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock on `path`, waiting up to `seconds` for it; yields whether it was got. Creates the file, private.

    Raises OSError when the file can be neither opened nor created.
    """
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        yield _wait(descriptor, time.monotonic() + seconds)
    finally:
        close(descriptor)


def _wait(descriptor: int, deadline: float) -> bool:
    pause = 0.002
    while not lock(descriptor):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        # Jitter keeps processes that collided once from colliding in step; it guards nothing secret.
        time.sleep(min(left, random.uniform(pause / 2, pause)))  # noqa: S311
        pause = min(pause * 1.5, 0.05)
    return True


def _before_fork() -> None:
    fork_gate.acquire()


def _in_parent() -> None:
    fork_gate.release()


def _in_child() -> None:
    global fork_gate
    fork_gate = threading.RLock()
    drop_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
