"""One process at a time changes a file: it is read anew, changed and put in its place while the lock is held.

The lock is on the file itself, so that no second one lies in the user's folder. A file is replaced and never written
over: who has waited for one that was replaced meanwhile locks the one that has its name now.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.memory import locks

WAIT = 10.0
"""Seconds for which others are waited for."""
_PAUSE = 0.005


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Be the one who changes `path`, which need not be there yet. Blocks. Raises Unavailable when somebody else is at
    it all the time, OSError when the file can be neither opened nor made."""
    if os.name == "nt":  # a file that is open cannot be replaced there: the last one wins
        yield
        return
    deadline = time.monotonic() + WAIT
    descriptor = _locked(path)
    while descriptor is None:
        if time.monotonic() > deadline:
            raise Unavailable(f"{path.name} is being written by another process.", hint="Try it again.")
        time.sleep(_PAUSE)
        descriptor = _locked(path)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.stat().st_size == 0:  # made for the lock, and nothing came of it
                path.unlink()
        locks.close(descriptor)


def _locked(path: Path) -> int | None:
    """The file, locked, under the name that it still has; None when somebody else has it or has replaced it."""
    descriptor = locks.open_file(path, os.O_RDONLY | os.O_CREAT)
    try:
        is_ours = locks.lock(descriptor)
    except OSError:  # a file system without locks
        return descriptor
    with suppress(FileNotFoundError):
        if is_ours and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    locks.close(descriptor)
    return None
