"""The payloads of events as files: `artifacts/<run>/payload-<sha256>.json`, synced before the event that names them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable
from pathlib import Path

from workbench import atomic
from workbench.core import payloads
from workbench.core.events import AnyEvent, dumps
from workbench.memory import folder as folders
from workbench.memory import locks

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Payloads:
    """The payloads below `folder`, which is WORKBENCH_HOME/artifacts. Thread-safe.

    `line` is called by whoever appends, `flush` by the journal's writer: what waits stays until it is on disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.afresh()

    def afresh(self) -> None:
        """Begin anew, as a forked child does: what waits here is its parent's to write."""
        self._guard = threading.Lock()
        self._waiting: dict[tuple[str, str], bytes] = {}

    def line(self, event: AnyEvent) -> tuple[bytes, int]:
        """The event as its line without the end, its payloads taken out, and how many bytes it had with them."""
        whole = dumps(event)
        if len(whole) <= payloads.LIMIT:
            return whole, len(whole)
        small, parts = payloads.part(event)
        with self._guard:
            self._waiting |= {(event.run, sha256): data for sha256, data in parts.items()}
        return dumps(small), len(whole)

    def flush(self) -> None:
        """Bring what waits to the disk. Raises OSError; what could not be written waits on."""
        with self._guard:
            waiting = list(self._waiting.items())
        for (run, sha256), data in waiting:
            _write(self.path(run, sha256), data)
            with self._guard:
                del self._waiting[run, sha256]

    def load(self, run: str, sha256: str) -> bytes | None:
        """A payload, None when it is gone. What it holds is checked by `core.payloads.join`."""
        with self._guard:
            waiting = self._waiting.get((run, sha256))
        if waiting is not None:
            return waiting
        try:
            return self.path(run, sha256).read_bytes()
        except OSError:
            return None

    def joined(self, events: Iterable[AnyEvent]) -> list[AnyEvent]:
        """The events with their payloads."""
        return [payloads.join(event, self.load) for event in events]

    def forget(self, run: str) -> None:
        """Remove every payload of a run. Raises OSError."""
        folder = self.path(run, "").parent
        for path in list(folder.glob("payload-*.json")) if folder.is_dir() else []:
            path.unlink(missing_ok=True)

    def path(self, run: str, sha256: str) -> Path:
        """Where a payload lies. An id that is no safe name of a folder (of a run that was brought in) is hashed."""
        safe = run if _SAFE.fullmatch(run) else f"run-{hashlib.sha256(run.encode(errors='replace')).hexdigest()}"
        name = sha256 if _SAFE.fullmatch(sha256) else ""
        return self.folder / safe / f"payload-{name}.json"


def _write(path: Path, data: bytes) -> None:
    """Put the file there whole or not at all, synced with its name. One that is there already is the same."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    atomic.write(path, data, mode=locks.PRIVATE_FILE)
    folders.sync(path.parent)
