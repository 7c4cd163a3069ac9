"""Files that enter and leave a call, opened by the host: a worker only ever holds descriptors.

A result is written into a hidden part file beside its final place. When the worker is gone the host checks it, hashes
it, syncs it and gives it its name `<step>-<n>-<hash>.arrow` or `.png`; whatever was not settled is removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from workbench.core.artifacts import ARROW, PNG, Artifact
from workbench.core.errors import ToolFailed, Unavailable
from workbench.sandbox.limits import Limits
from workbench.sandbox.scratch import unwritable

FileKind = Literal["frame", "image"]
_SUFFIX: dict[FileKind, str] = {"frame": ".arrow", "image": ".png"}


class Inputs:
    """The tables and pictures of one call's parameters and context, by number."""

    def __init__(self, artifacts: Path) -> None:
        self._folder = artifacts
        self._known: list[Artifact] = []

    def number(self, artifact: Artifact) -> dict[str, Any]:
        """What stands for an artifact in the call frame. Raises ToolFailed for a kind of file that no tool can read."""
        if not (artifact.is_frame or artifact.is_image):
            raise ToolFailed(f"a tool cannot read a file of type {artifact.mime}")
        if artifact not in self._known:
            self._known.append(artifact)
        kind: FileKind = "frame" if artifact.is_frame else "image"
        return {"$artifact": self._known.index(artifact), "as": kind, "title": artifact.title, "alt": artifact.alt}

    def open(self, number: Any) -> int:
        """A descriptor that can only be read. Raises ToolFailed when there is no such file (any more)."""
        if not isinstance(number, int) or not 0 <= number < len(self._known):
            raise ToolFailed(f"the call has no file {number!r}")
        relative = Path(self._known[number].path)
        if relative.is_absolute() or ".." in relative.parts:
            raise ToolFailed(f"{relative} is not a file of a run")
        try:
            return os.open(self._folder / relative, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise ToolFailed(
                f"the table or picture {relative.name} is gone ({error.strerror})", hint="Run the request again."
            ) from error


@dataclass(slots=True)
class _Part:
    path: Path
    kind: FileKind
    title: str
    alt: str


class Outputs:
    """The files that one call makes. As a context manager it removes on the way out what was not settled."""

    def __init__(self, artifacts: Path, run: str, step: str, limits: Limits | None = None) -> None:
        self._artifacts = artifacts
        self._folder = artifacts / _safe(run)
        self._step = _safe(step)
        self._limits = limits or Limits(file=1 << 50)
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
            raise ToolFailed(f"a call may return at most {self._limits.files} tables and pictures")
        path = self._folder / f".part-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        self._parts.append(_Part(path, kind, title, alt))
        return len(self._parts) - 1, fd

    def settle(self, number: Any) -> Artifact:
        """The finished file as an artifact. Raises ToolFailed when its content is not what it should be."""
        if not isinstance(number, int) or not 0 <= number < len(self._parts):
            raise ToolFailed(f"the tool returned a file {number!r} that it never made")
        if number not in self._settled:
            self._settled[number] = self._settle(number, self._parts[number])
        return self._settled[number]

    def _settle(self, number: int, part: _Part) -> Artifact:
        data = self._read(part)
        digest = hashlib.sha256(data).hexdigest()
        described = _described(part, data)
        name = f"{self._step}-{number + 1}-{digest[:12]}{_SUFFIX[part.kind]}"
        try:
            _sync(part.path)
            part.path.replace(self._folder / name)
            _sync(self._folder)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        path = f"{self._folder.relative_to(self._artifacts).as_posix()}/{name}"
        return Artifact(path=path, bytes=len(data), sha256=digest, title=part.title, **described)

    def _read(self, part: _Part) -> bytes:
        most = self._limits.file if part.kind == "frame" else self._limits.picture
        try:
            if part.path.stat().st_size > most:
                raise ToolFailed(f"a {part.kind} of {part.path.stat().st_size:,} bytes; the limit is {most:,}")
            return part.path.read_bytes()
        except OSError as error:
            raise Unavailable(f"Cannot read a result back: {error.strerror}.") from error


def _described(part: _Part, data: bytes) -> dict[str, Any]:
    try:
        if part.kind == "image":
            from workbench.sandbox.vetting import check_png

            check_png(data)
            return {"mime": PNG, "alt": part.alt}
        from workbench.sandbox import frames

        table = frames.check_table(data)
        return {
            "mime": ARROW,
            "rows": len(table),
            "columns": frames.columns(table.schema),
            "preview": frames.preview(table),
        }
    except ValueError as error:
        noun = "table" if part.kind == "frame" else "picture"
        raise ToolFailed(f"the tool wrote a broken {noun}: {error}") from error


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _safe(name: str) -> str:
    """A name as one part of a path."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".")[:100] or "_"


def close(fds: Iterable[int]) -> None:
    """Close descriptors, whatever state they are in."""
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
