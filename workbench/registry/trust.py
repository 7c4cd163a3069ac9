"""What the user has read and trusted: pins of project, tool, hash and permissions in their own configuration folder.

A project's folder never holds its own trust. A file that changes by one byte is another file and asks again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.core.errors import Unavailable
from workbench.core.tools import ToolSpec

_VERSION = 1


class Trust:
    """The pins for one project. `config` is the user's configuration folder; nothing is read before it is asked for."""

    def __init__(self, config: Path, project: Path) -> None:
        self._path = config / "trust.json"
        self._project = os.path.realpath(project)

    def is_trusted(self, spec: ToolSpec) -> bool:
        """Whether this very file may run: shipped, the user's own, or pinned. Raises Unavailable on a damaged file."""
        return spec.origin in ("shipped", "user") or self._pin(spec) in self._read()

    def trust(self, spec: ToolSpec) -> None:
        """Pin the tool as it is now, in place of what was pinned under its name. Raises Unavailable."""
        pin = self._pin(spec)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(self._path.with_suffix(".lock")):
                kept = [old for old in self._read() if not _same_place(old, pin)]
                _write(self._path, {"version": _VERSION, "pins": [*kept, pin]})
        except OSError as error:
            raise Unavailable(
                f"Cannot write {self._path}: {error.strerror or error}.",
                hint="Set WORKBENCH_CONFIG to a folder that you can write to.",
            ) from error

    def _pin(self, spec: ToolSpec) -> dict[str, Any]:
        permissions = {name: list(items) for name, items in asdict(spec.permissions).items()}
        return {
            "project": self._project,
            "tool": spec.name,
            "sha256": spec.version,
            "permissions": permissions | {"uses": list(spec.uses), "effect": spec.effect},
        }

    def _read(self) -> list[Mapping[str, Any]]:
        try:
            found = json.loads(self._path.read_bytes())
            return [pin for pin in found["pins"] if isinstance(pin, dict)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"Cannot read {self._path}: {error.strerror or error}.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unavailable(
                f"{self._path} is damaged, so no tool of a project is trusted.", hint="Remove it and trust them again."
            ) from error


def _same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one.get("project"), one.get("tool")) == (other["project"], other["tool"])


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file as a whole, readable by its owner only."""
    part = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes, so that two that trust at once both count."""
    try:
        import fcntl
    except ImportError:  # Windows: the last one wins
        yield
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
