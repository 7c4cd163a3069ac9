"""What the user has read and trusted: pins of project, tool, hash and permissions in their own configuration folder.

A project's folder never holds its own trust. A file that changes by one byte is another file and asks again; what it
asks for beyond the version that was trusted is named. What a tool may do is also shown when it is first done:
`grants.json` remembers for which tools that was. `cells.json` remembers which functions the user has typed in a cell
and used, so that a run is gone on with after its kernel has ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import atomic
from workbench.core.errors import Unavailable
from workbench.core.tools import ToolSpec

_VERSION = 1
MAX_TYPED = 2_000
"""Functions of cells that are remembered; those used longest ago go first."""


class Trust:
    """The pins for one project. `config` is the user's configuration folder; nothing is read before it is asked for."""

    def __init__(self, config: Path, project: Path) -> None:
        self._path = config / "trust.json"
        self._shown = config / "grants.json"
        self._typed = config / "cells.json"
        self._project = os.path.realpath(project)

    def is_trusted(self, spec: ToolSpec) -> bool:
        """Whether this very file may run: shipped, the user's own, typed in a cell, or pinned. Raises Unavailable on a
        damaged file."""
        return spec.origin in ("shipped", "user", "cell") or self._pin(spec) in self._read()

    def trust(self, spec: ToolSpec) -> None:
        """Pin the tool as it is now, in place of what was pinned under its name. Raises Unavailable."""
        self._replace(self._path, self._pin(spec))

    def is_pinned(self, what: str, sha256: str) -> bool:
        """Whether what is no tool (`persona NAME`, `mcp NAME`) is trusted as it is now. Raises Unavailable."""
        return self.pinned(what).get("sha256") == sha256

    def pinned(self, what: str) -> Mapping[str, Any]:
        """What was pinned under that name in this project; empty when nothing was. Raises Unavailable."""
        place = {"project": self._project, "tool": what}
        return next((old for old in self._read() if _same_place(old, place)), {})

    def pin(self, what: str, sha256: str, **facts: Any) -> None:
        """Trust something that is no tool as it is now; `facts` are kept beside it. Raises Unavailable."""
        self._replace(self._path, {"project": self._project, "tool": what, "sha256": sha256, **facts})

    def grown(self, spec: ToolSpec) -> tuple[str, ...]:
        """What the tool asks for that the version trusted under its name did not; empty when none was trusted.

        Raises Unavailable on a damaged file.
        """
        pin = self._pin(spec)
        old = next((old for old in self._read() if _same_place(old, pin)), None)
        if old is None:
            return ()
        had = _grants(old.get("permissions"))
        return tuple(grant for grant in spec.grants if grant not in had)

    def first_use(self, spec: ToolSpec) -> tuple[str, ...]:
        """What the tool may do and has not been shown to do in this project before; from now on it has.

        A folder that cannot be written or read shows it again each time.
        """
        seen = {"project": self._project, "tool": spec.name, "grants": list(spec.grants)}
        try:
            old = next((old for old in self._read(self._shown) if _same_place(old, seen)), {})
            had = old.get("grants")
            new = tuple(grant for grant in spec.grants if not isinstance(had, list) or grant not in had)
            if new:
                self._replace(self._shown, seen)
        except Unavailable:
            return spec.grants
        return new

    def typed(self, spec: ToolSpec) -> None:
        """Remember that the user has typed this function in a cell of this project. Where that cannot be written, it is
        asked for again."""
        entry = {"project": self._project, "tool": spec.name, "sha256": spec.version}
        with suppress(Unavailable):
            if entry not in self._read(self._typed):
                self._put(self._typed, lambda kept: [*kept, entry][-MAX_TYPED:])

    def was_typed(self, spec: ToolSpec) -> bool:
        """Whether this very function was typed in a cell of this project before."""
        try:
            return {"project": self._project, "tool": spec.name, "sha256": spec.version} in self._read(self._typed)
        except Unavailable:
            return False

    def _replace(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Put an entry in place of that of its project and tool. Raises Unavailable."""
        self._put(path, lambda kept: [*(old for old in kept if not _same_place(old, entry)), entry])

    def _put(self, path: Path, changed: Callable[[list[Mapping[str, Any]]], list[Mapping[str, Any]]]) -> None:
        """Write a file anew with its entries changed. Raises Unavailable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(path.with_suffix(".lock")):
                _write(path, {"version": _VERSION, "pins": changed(self._read(path))})
        except OSError as error:
            raise Unavailable(
                f"Cannot write {path}: {error.strerror or error}.",
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

    def _read(self, path: Path | None = None) -> list[Mapping[str, Any]]:
        path = path or self._path
        try:
            found = json.loads(path.read_bytes())
            return [pin for pin in found["pins"] if isinstance(pin, dict)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"Cannot read {path}: {error.strerror or error}.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unavailable(
                f"{path} is damaged, so no tool of a project is trusted.", hint="Remove it and trust them again."
            ) from error


def _grants(permissions: Any) -> set[str]:
    """What a pin allows, in the words of `ToolSpec.grants`."""
    if not isinstance(permissions, dict):
        return set()
    lists = {kind: items for kind, items in permissions.items() if isinstance(items, list)}
    words = {"calls" if kind == "uses" else kind: items for kind, items in lists.items()}
    return {f"{word} {item}" for word, items in words.items() for item in items} | {
        f"effect {permissions.get('effect')}"
    }


def _same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one.get("project"), one.get("tool")) == (other["project"], other["tool"])


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file as a whole, readable by its owner only."""
    atomic.write(path, json.dumps(content, indent=1).encode(), mode=0o600)


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
