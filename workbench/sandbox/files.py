"""Files that enter and leave a call, opened by the host: a worker only ever holds descriptors.

A result is written into a hidden part file beside its final place. When the worker is gone the host checks it, hashes
it, syncs it and gives it its name `<step>-<n>-<hash>.arrow`, `.png` or that of a kind of sound. What is not settled is
removed, and so is what a tool only hands to a host function.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench.core.artifacts import ARROW, FLAC, KINDS, MP3, OGG, PNG, WAV, Artifact, FileKind
from workbench.core.errors import ToolFailed, Unavailable
from workbench.sandbox import sounds
from workbench.sandbox.limits import Limits
from workbench.sandbox.scratch import unwritable
from workbench.sandbox.vetting import check_png

SUFFIX: Mapping[str, str] = {ARROW: ".arrow", PNG: ".png", WAV: ".wav", MP3: ".mp3", OGG: ".ogg", FLAC: ".flac"}
"""The end of a file's name, by mime."""
_NOUN: Mapping[FileKind, str] = {"frame": "table", "image": "picture", "sound": "sound"}


_durable: set[Path] = set()
"""Folders of runs whose own names this process has made durable."""


class Inputs:
    """The tables and pictures of one call's parameters and context, by number."""

    def __init__(self, artifacts: Path) -> None:
        self._folder = artifacts
        self._known: list[Artifact] = []

    def number(self, artifact: Artifact) -> dict[str, Any]:
        """What stands for an artifact in the call frame. Raises ToolFailed for a kind of file that no tool can read."""
        if artifact.mime not in KINDS:
            raise ToolFailed(f"a tool cannot read a file of type {artifact.mime}")
        if artifact not in self._known:
            self._known.append(artifact)
        return {
            "$artifact": self._known.index(artifact),
            "as": KINDS[artifact.mime],
            "title": artifact.title,
            "alt": artifact.alt,
        }

    def open(self, number: Any) -> int:
        """A descriptor that can only be read. Raises ToolFailed when there is no such file (any more)."""
        if not isinstance(number, int) or not 0 <= number < len(self._known):
            raise ToolFailed(f"the call has no file {number!r}")
        relative = Path(self._known[number].path)
        if relative.is_absolute() or ".." in relative.parts:
            raise ToolFailed(f"{relative} is not a file of a run")
        try:
            return _open_plain(self._folder / relative)
        except OSError as error:
            raise ToolFailed(
                f"the {self._known[number].noun} {relative.name} is gone ({error.strerror})",
                hint="Run the request again.",
            ) from error


@dataclass(slots=True)
class _Part:
    path: Path
    kind: FileKind
    title: str
    alt: str


class Outputs:
    """The files that one call makes. As a context manager it removes on the way out what was not settled. `sync` makes
    what a descriptor holds durable."""

    def __init__(
        self,
        artifacts: Path,
        run: str,
        step: str,
        limits: Limits | None = None,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._artifacts = artifacts
        self._sync = sync
        self._folder = artifacts / _safe(run)
        self._step = _safe(step)
        self._limits = limits or Limits()
        self._parts: list[_Part] = []
        self._settled: dict[int, Artifact] = {}

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._parts:
            with suppress(OSError):
                part.path.unlink(missing_ok=True)

    def open(self, kind: FileKind, *, title: str = "", alt: str = "") -> tuple[int, int]:
        """A new empty file: its number and a descriptor to write it. Raises Unavailable, ToolFailed over the limit."""
        if len(self._parts) >= self._limits.files:
            raise ToolFailed(f"a call may return at most {self._limits.files} tables, pictures and sounds")
        path = self._folder / f".part-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        self._parts.append(_Part(path, kind, title, alt))
        return len(self._parts) - 1, fd

    def size(self) -> int:
        """Bytes of all files so far."""
        total = 0
        for part in self._parts:
            with suppress(OSError):
                total += part.path.stat().st_size
        return total

    def settle(self, number: Any) -> Artifact:
        """The finished file as an artifact. Raises ToolFailed when its content is not what it should be."""
        if not isinstance(number, int) or not 0 <= number < len(self._parts):
            raise ToolFailed(f"the tool returned a file {number!r} that it never made")
        if number not in self._settled:
            self._settled[number] = self._settle(number, self._parts[number])
        return self._settled[number]

    def handed(self, number: Any) -> Artifact:
        """A picture or sound that the tool hands to a host function, looked at like a result. It stays a part file, and
        goes with the call. Raises ToolFailed."""
        if not isinstance(number, int) or not 0 <= number < len(self._parts) or self._parts[number].kind == "frame":
            raise ToolFailed("a host function takes pictures and sounds, and no other files")
        part = self._parts[number]
        data, described = self._looked_at(part)
        path = part.path.relative_to(self._artifacts).as_posix()
        digest = hashlib.sha256(data).hexdigest()
        return Artifact(path=path, bytes=len(data), sha256=digest, title=part.title, alt=part.alt, **described)

    def _settle(self, number: int, part: _Part) -> Artifact:
        return self._place(number, self._looked_at(part)[1])

    def _looked_at(self, part: _Part) -> tuple[bytes, dict[str, Any]]:
        """The bytes of a file and what it holds. Raises ToolFailed."""
        most = self._limits.file if part.kind == "frame" else self._limits.picture
        try:
            with os.fdopen(_open_plain(part.path), "rb") as file:
                if (size := os.fstat(file.fileno()).st_size) > most:
                    raise ToolFailed(f"a {_NOUN[part.kind]} of {size:,} bytes; the limit is {most:,}")
                data = file.read(most)
        except OSError as error:
            raise Unavailable(f"Cannot read a result back: {error.strerror}.") from error
        try:
            return data, vetted(part.kind, data)
        except ValueError as error:
            raise ToolFailed(f"the tool wrote a broken {_NOUN[part.kind]}: {error}") from error

    def keep(self, number: int, described: Mapping[str, Any]) -> Artifact:
        """The file as an artifact with these facts, unread: for what the host wrote itself."""
        self._settled[number] = self._place(number, described)
        return self._settled[number]

    def _place(self, number: int, described: Mapping[str, Any]) -> Artifact:
        part = self._parts[number]
        try:
            with part.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
                self._sync(file.fileno())
            name = f"{self._step}-{number + 1}-{digest[:12]}{SUFFIX[described['mime']]}"
            part.path.replace(self._folder / name)
            self._sync_folders()
        except OSError as error:
            raise unwritable(self._folder, error) from error
        path = f"{self._folder.relative_to(self._artifacts).as_posix()}/{name}"
        return Artifact(path=path, bytes=size, sha256=digest, title=part.title, alt=part.alt, **described)

    def _sync_folders(self) -> None:
        """Make the file's name durable, and with a run's first file those of the folders that it lies in."""
        above = () if self._folder in _durable else (self._artifacts, self._artifacts.parent)
        for folder in (self._folder, *above):
            fd = os.open(folder, os.O_RDONLY)
            try:
                self._sync(fd)
            finally:
                os.close(fd)
        _durable.add(self._folder)


def vetted(kind: FileKind, data: bytes) -> dict[str, Any]:
    """What a file holds. Raises ValueError when it is not what it should be."""
    if kind == "image":
        check_png(data)
        return {"mime": PNG}
    if kind == "sound":
        return sounds.described(data)
    from workbench.sandbox import frames

    return frames.described(frames.check_table(data))


def _open_plain(path: Path) -> int:
    """A descriptor to read a plain file; a link, a pipe or a device, which could hold us up, is an OSError."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file")
    return fd


def _safe(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".")[:100] or "_"


def close(fds: Iterable[int]) -> None:
    """Close descriptors, whatever state they are in."""
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
