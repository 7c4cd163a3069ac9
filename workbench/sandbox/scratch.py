"""A folder of its own for one call, gone afterwards."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.core.errors import Unavailable

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """A new empty folder below `home/scratch`, removed with everything in it on the way out.

    Raises Unavailable when it cannot be made: a full disk, a read-only home.
    """
    parent = home / "scratch"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="call-", dir=parent))
    except OSError as error:
        raise unwritable(home, error) from error
    try:
        yield folder
    finally:
        remove(folder)


def unwritable(folder: Path, error: OSError) -> Unavailable:
    """The one line for a folder of ours that cannot be written."""
    return Unavailable(
        f"Cannot write below {folder}: {error.strerror or error}.",
        hint="Free some space there, or set WORKBENCH_HOME to a folder that you can write to.",
    )


def remove(folder: Path) -> None:
    """Remove a folder whatever a tool did in it; what still cannot go is left behind. Never raises."""
    with suppress(RecursionError):  # so deep are the folders that only attackers make
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        if folder.exists():
            _flatten(folder)
            folder.rmdir()


def _flatten(folder: Path) -> None:
    """Empty a folder of any depth: what is in its folders is moved up into it first, so no path ever grows."""
    folder.chmod(0o700)
    top = os.open(folder, _FOLDER)
    numbers = itertools.count()
    try:
        while any([_lifted(top, name, numbers) for name in _emptied(top)]):  # noqa: C419 - all of them, each round
            pass
    finally:
        os.close(top)


def _emptied(fd: int) -> list[str]:
    """The folders in a folder; all else in it is gone."""
    folders = []
    with os.scandir(fd) as listing:
        entries = list(listing)
    for entry in entries:
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.name, 0o700, dir_fd=fd)
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    return folders


def _lifted(top: int, name: str, numbers: Iterator[int]) -> bool:
    """Move the folders of a folder up beside it and remove it; False when it cannot go."""
    try:
        fd = os.open(name, _FOLDER, dir_fd=top)
        try:
            for inner in _emptied(fd):
                os.rename(inner, f".{next(numbers)}", src_dir_fd=fd, dst_dir_fd=top)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top)
    except OSError:
        return False
    return True


def used(folder: Path, at_most: int) -> int:
    """Bytes on disk below a folder; stops counting once there are more than `at_most`, or far too many files.

    A place that we cannot look into, closed or too deep, counts as too much: else it would be where to hide files.
    """
    total, pending, entries = 0, [os.fspath(folder)], 0
    while pending and total <= at_most:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    entries += 1
                    facts = entry.stat(follow_symlinks=False)
                    total += facts.st_blocks * 512
                    if stat.S_ISDIR(facts.st_mode):
                        pending.append(entry.path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENAMETOOLONG):
                return at_most + 1
            continue  # gone meanwhile: the tool is still at work
        if entries > 200_000:
            return at_most + 1
    return total
