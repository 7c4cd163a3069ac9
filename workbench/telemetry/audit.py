"""The audit trail: one record for each thing that was done, decided or sent, chained so that no change goes unseen.

    ┌ seq 0: what, who, when, hashes ─┐   ┌ seq 1 ─────────┐         in audit/trail.jsonl
    └ hash ───────────────────────────┴──▶│ prev    · hash ├──▶ …
                                          └────────────────┘
    head: seq and hash of the last record, and the salt               in the user's own folder: the anchor

Each record holds the hash of the one before it. It says what happened, never what was asked or found: of contents only
hashes are there, made with a salt that lies with the anchor, so that nobody can guess a short text by trying. Erasing a
memory therefore leaves the chain as it is.

All processes write one file, one after the other under its lock. A record is written in three moves: the anchor notes
the line that is about to come, the line goes into the file, the anchor takes it as its head. A process that is killed
between them leaves the line noted, and whoever comes next completes it; so a torn last line is known from a tampered
one.

The anchor shows every change to the trail by someone who cannot write the user's folder: a tool in its worker, a shared
or copied project, a backup put back. It does not stop the user, or a program with all of the user's rights, from
writing both anew: for that, note the head (`workbench audit head`) somewhere else, and verify against it.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent, Kind
from workbench.telemetry.anchor import Anchor, read_anchor, write_anchor

try:
    import fcntl
except ImportError:  # Windows: records of two processes that come in the same instant can break the chain
    fcntl = None  # type: ignore[assignment]  # the absence is what the name then says

MAX_TEXT = 200
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_WRITES = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PATIENCE = 5.0
"""Seconds to wait for another process that is writing: it takes far less than a millisecond."""

_DONE: Mapping[str, str] = {
    Kind.STEP_INTENT: "intent",
    Kind.TOOL_CALLED: "tool",
    Kind.MODEL_CALLED: "model",
    Kind.APPROVAL: "approval",
    Kind.BUDGET: "budget",
    Kind.SERVICE_CALLED: "egress",
    Kind.EDIT_APPLIED: "edit",
    Kind.EDIT_UNDONE: "undo",
}
"""What is recorded, and as what. intent: a step is about to be tried. tool: one try of it has ended.
edit: code that a run has written is about to go into the project; undo: it is about to be taken back."""
_SAID = (
    "tool",
    "version",
    "try",
    "status",
    "service",
    "host",
    "method",
    "model",
    "endpoint",
    "purpose",
    "finish",
    "by",
    "of",
)


class Trail:
    """The trail at `path`, with its anchor at `anchor`. Hears events; may be used by many threads and processes at
    once.

    No file is kept open between two records, so a forked child may go on with it.
    """

    def __init__(self, path: Path, anchor: Path) -> None:
        self.path = path
        self.anchor = anchor
        self._lock_path = anchor.with_suffix(".lock")
        self._runs: dict[str, tuple[str, str]] = {}

    def __call__(self, event: AnyEvent) -> None:
        """Record the event if it is one that counts. Raises Unavailable when it cannot be recorded: then what would
        follow must not happen."""
        body = event.body
        if event.kind == Kind.RUN_STARTED:
            self._runs[event.run] = (str(body.get("user", "")), str(body.get("isolation", "")))
        user, level = self._runs.get(event.run, ("", ""))
        if event.kind == Kind.RUN_DONE:
            self._runs.pop(event.run, None)
        if (kind := _DONE.get(event.kind)) is None or (kind == "budget" and "limit" not in body):
            return
        facts = {name: _short(body[name]) for name in _SAID if body.get(name) not in (None, "")}
        self.append(
            at=event.at,
            user=_short(user),
            run=event.run,
            step=event.step,
            kind=kind,
            level=_short(body.get("isolation") or level),
            decision=_decision(kind, body),
            facts=facts,
            request=str(body.get("request_sha256") or body.get("params_sha256") or ""),
            response=str(body.get("response_sha256") or ""),
        )

    def append(self, *, request: str, response: str, **fields: Any) -> None:
        """Add one record. `request` and `response` are hashes of contents, "" for none; they are salted here."""
        try:
            with self._locked():
                anchor = self._completed(self._anchor() or self._begun())
                record = fields | {
                    "seq": anchor.count,
                    "prev": anchor.head,
                    "request": _salted(anchor, request),
                    "response": _salted(anchor, response),
                }
                self._completed(write_anchor(self.anchor, replace(anchor, noted=_line(record))))
        except OSError as error:
            raise Unavailable(
                f"The audit trail cannot be written: {error.strerror or error}.",
                hint="Nothing is done that leaves no record. Free some space, or set WORKBENCH_HOME to another folder.",
            ) from None

    def head(self) -> Anchor | None:
        """The anchor, after what a killed process left undone is done; None when nothing was ever recorded."""
        if self._anchor() is None:
            return None
        with self._locked():
            found = self._anchor()
            return self._completed(found) if found is not None else None

    def opened(self) -> tuple[Anchor | None, BinaryIO | None]:
        """The anchor and the trail as they were at one moment, for reading; None for what is not there."""
        with self._locked():
            anchor = self._anchor()
            try:
                data = self.path.read_bytes()
            except FileNotFoundError:
                data = b""
        return anchor, io.BytesIO(data) if data else None

    def _begun(self) -> Anchor:
        # A trail that is there without its anchor is not gone on with as if nothing were wrong: `verify` will say so.
        return Anchor(trail=secrets.token_hex(16), salt=secrets.token_hex(32))

    def _completed(self, anchor: Anchor) -> Anchor:
        """The anchor with its noted line in the file, which a killed process may have left out or cut short."""
        if not anchor.noted:
            return anchor
        line = anchor.noted.encode("ascii") + b"\n"
        try:
            descriptor = os.open(self.path, _WRITES, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, _WRITES, 0o600)
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            os.lseek(descriptor, max(0, size - len(line) * 2), os.SEEK_SET)
            end = os.read(descriptor, len(line) * 2)
            if not end.endswith(line):
                torn = end[end.rfind(b"\n") + 1 :]
                os.lseek(descriptor, size - len(torn) if line.startswith(torn) else size, os.SEEK_SET)
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        done = replace(anchor, count=anchor.count + 1, head=_hash_of(anchor.noted), noted="")
        return write_anchor(self.anchor, done)

    def _anchor(self) -> Anchor | None:
        return read_anchor(self.anchor)

    def sync(self) -> None:
        """Bring the trail and then its anchor to the disk, so that a power cut takes neither. Raises Unavailable."""
        try:
            for path in (self.path, self.anchor):
                if path.exists():
                    descriptor = os.open(path, os.O_RDONLY)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
        except OSError as error:
            raise Unavailable(f"The audit trail cannot be made durable: {error.strerror or error}.") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._lock_path, _WRITES, 0o600)
        except FileNotFoundError:
            self.anchor.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, _WRITES, 0o600)
        try:
            if fcntl is not None:
                _lock(descriptor)
            yield
        finally:
            if fcntl is not None:
                # Said aloud, because a child that was forked meanwhile holds the same open file.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def trail_of(home: Path, config: Path) -> Trail:
    """The trail of a home folder; its anchor lies in the user's folder, under a name made from the home's path."""
    name = hashlib.sha256(str(home.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return Trail(home / "audit" / "trail.jsonl", config / "audit" / f"{name}.json")


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(f"another process has held it for {_PATIENCE:g} s") from None
            time.sleep(0.0005)
        else:
            return


def _line(record: Mapping[str, Any]) -> str:
    """A record as its line: canonical JSON, with the hash of all the rest."""
    return canonical({**record, "hash": digest(record)})


def canonical(record: Mapping[str, Any]) -> str:
    """JSON in the one form that is hashed."""
    return _CANONICAL.encode(record)


def digest(record: Mapping[str, Any]) -> str:
    """The hash of a record without its own field `hash`; the hash of the record before is in it."""
    return hashlib.sha256(canonical({k: v for k, v in record.items() if k != "hash"}).encode("ascii")).hexdigest()


def _hash_of(line: str) -> str:
    return str(json.loads(line)["hash"])


def _salted(anchor: Anchor, sha256: str) -> str:
    return hmac.new(bytes.fromhex(anchor.salt), sha256.encode(), hashlib.sha256).hexdigest() if sha256 else ""


def _decision(kind: str, body: Mapping[str, Any]) -> Any:
    if kind == "approval":
        return _short(body.get("decision", ""))
    if kind == "budget":
        return "deny"
    return "deny" if body.get("status") in ("denied", "exceeded") else ""


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return value if isinstance(value, int) else str(value)[:MAX_TEXT]
