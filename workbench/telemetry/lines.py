"""A file of lines that many processes append to at once, kept small by rotation.

Each line is one `write` to a descriptor opened with O_APPEND, so lines never mix. Whoever finds the file full renames
it under a lock; the others notice by the inode that the name leads elsewhere, and open it again. A line that was on its
way meanwhile lands in the renamed file: nothing is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one process rotates at a time by luck alone, and lines are still whole
    fcntl = None  # type: ignore[assignment]  # the absence is what the name then says


class LineFile:
    """Appends lines to `path`, private to the user. Beyond `max_bytes` the file becomes `path.1`, that one `path.2`, up
    to `keep` of them. Not for several threads at once."""

    def __init__(self, path: Path, *, max_bytes: int = 5_000_000, keep: int = 3) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append one line; the line end is added. Raises OSError when it cannot be written."""
        data = b"\n" * self._torn + line + b"\n"
        fd = self._open()
        if (size := os.fstat(fd).st_size) and size + len(data) > self._max_bytes:
            self._rotate(fd)
            fd = self._open()
        self._torn = os.write(fd, data) < len(data)  # a full disk takes half a line; the next starts on a new one

    def drop(self, gone: Callable[[bytes], bool]) -> int:
        """Take lines out of this file and of those that it became, for good; how many they were. A line that somebody
        writes meanwhile stays. Raises OSError."""
        dropped = 0
        with self._locked():
            for path in (self._path, *(self._numbered(number) for number in range(1, self._keep + 1))):
                with suppress(FileNotFoundError):
                    dropped += _without(path, gone)
        return dropped

    def close(self) -> None:
        """Let go of the file. Idempotent; the next line opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        """The descriptor of the file that has the name now."""
        if self._fd >= 0 and not self._is_current(self._fd):
            self.close()
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
            self._fd = os.open(self._path, flags, 0o600)
        return self._fd

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.lstat())
        except FileNotFoundError:
            return False

    def _rotate(self, fd: int) -> None:
        """Give the full file away, unless another process has done so or is doing it."""
        with self._locked():
            if self._is_current(fd):
                for number in range(self._keep - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        self._numbered(number).replace(self._numbered(number + 1))
                self._path.replace(self._numbered(1))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._numbered("lock"), os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _numbered(self, suffix: int | str) -> Path:
        return self._path.with_name(f"{self._path.name}.{suffix}")


def _without(path: Path, gone: Callable[[bytes], bool]) -> int:
    """Write a file anew without some lines; how many they were. Others may append to it meanwhile."""
    part = path.with_name(f"{path.name}.part")
    dropped = 0
    with path.open("rb") as old, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
        for last in (False, True):
            for line in old:
                if line.strip() and not gone(line):
                    new.write(line)
                else:
                    dropped += bool(line.strip())
            new.flush()
            if not last:  # once more, for lines that came until the name led elsewhere
                part.replace(path)
    return dropped
