"""A folder of its own for one call, gone afterwards."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.core.errors import Unavailable


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
    """Remove a folder whatever a tool did to the rights inside; what still cannot go is left behind."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    for place, _, _ in os.walk(folder):  # top down, links not followed: each folder is opened before it is entered
        with suppress(OSError):
            os.chmod(place, 0o700)  # noqa: PTH101 - os.walk hands over text
        for name in _folders(place):
            with suppress(OSError):
                os.chmod(name, 0o700)  # noqa: PTH101
    shutil.rmtree(folder, ignore_errors=True)


def _folders(place: str) -> list[str]:
    with suppress(OSError), os.scandir(place) as listing:
        return [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
    return []


def used(folder: Path, at_most: int) -> int:
    """Bytes on disk below a folder; stops counting once there are more than `at_most`, or far too many files."""
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
        except OSError:
            continue  # gone or closed meanwhile: the tool is still at work
        if entries > 200_000:
            return at_most + 1
    return total
