"""Verified copies of memory.duckdb: what the journals may be deleted for, and what a lost file is made again from.

    snapshots/000007.duckdb    a copy that was read back and found to hold what the store held
    snapshots/000007.json      its hash, and how far it covers each journal; written last: without it there is none

They are numbered, not dated: a clock may go back. The two newest are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from workbench.memory import copies, engine, locks
from workbench.memory import folder as folders

KEPT = 2
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One verified copy. `covered`: bytes of each journal, by its name, whose events it holds."""

    number: int
    path: Path
    sha256: str
    covered: Mapping[str, int]
    made_at: str


class Snapshots:
    """The snapshots in `folder`. They are made by one process at a time (compact.lock). Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Snapshot]:
        """Those that have been made whole, newest first; nothing is said of what became of their files since."""
        found = []
        with suppress(FileNotFoundError):
            found = [snapshot for path in self.folder.glob("*.json") if (snapshot := _read(path)) is not None]
        return sorted(found, key=lambda snapshot: snapshot.number, reverse=True)

    def part(self) -> Path:
        """Where the next copy is to be made before it is kept."""
        folders.make(self.folder)
        return self.folder / "copy.part"

    def keep(self, part: Path, covered: Mapping[str, int], *, kept: int = KEPT) -> Snapshot:
        """Make a copy that has been verified the newest snapshot, durable before this returns, and let all but the
        newest `kept` go."""
        numbers = [int(path.stem) for path in self.folder.iterdir() if path.stem.isdigit()]
        number = max(numbers, default=0) + 1
        path = self.folder / f"{number:06}.duckdb"
        folders.sync_file(part)
        sha256 = _sha256(part)
        part.replace(path)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"version": _VERSION, "sha256": sha256, "covered": dict(covered), "made_at": made_at}
        _write(path.with_suffix(".json"), json.dumps(told).encode())
        folders.sync(self.folder)
        folders.sync(self.folder.parent)
        self.tidy(kept)
        return Snapshot(number=number, path=path, sha256=sha256, covered=covered, made_at=made_at)

    def newest_whole(self, tell: Callable[[str], object] = lambda notice: None) -> Snapshot | None:
        """The newest whose file is still what it was; `tell` hears of those that are not."""
        for snapshot in self.all():
            with suppress(OSError):
                if _sha256(snapshot.path) == snapshot.sha256:
                    return snapshot
            tell(f"snapshots/{snapshot.path.name} is damaged: what was in it alone is lost")
        return None

    def put(self, snapshot: Snapshot, path: Path) -> None:
        """A copy of a snapshot at `path`, in one move, under a name of its own: its events may come to stand in another
        order than they stood in the file that is lost."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with snapshot.path.open("rb") as source, _private(part) as target:
                while data := source.read(1 << 20):
                    target.write(data)
            with engine.connect(part) as connection:
                connection.execute("update meta set value = ? where key = 'store'", [uuid.uuid4().hex])
                connection.execute("checkpoint")
            folders.sync_file(part)
            part.replace(path)
            folders.sync(path.parent)
        finally:
            copies.remove(part)

    def tidy(self, kept: int = KEPT) -> None:
        """Remove all but the newest `kept`, and what was left half made."""
        stay = {name for s in self.all()[:kept] for name in (s.path.name, s.path.with_suffix(".json").name)}
        with suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if path.name not in stay:
                    path.unlink(missing_ok=True)


def _read(path: Path) -> Snapshot | None:
    try:
        told = json.loads(path.read_text("ascii"))
        if told["version"] != _VERSION:
            return None
        covered = {str(name): int(size) for name, size in told["covered"].items()}
        return Snapshot(
            number=int(path.stem),
            path=path.with_suffix(".duckdb"),
            sha256=str(told["sha256"]),
            covered=covered,
            made_at=str(told["made_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, locks.PRIVATE_FILE), "wb")


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    with _private(part) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
