"""`logs/agent.log`: one JSON line for each event, for who operates the workbench. Never values, tables or keys."""

from __future__ import annotations

import fcntl
import json
import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from workbench.core.events import AnyEvent

MAX_BYTES = 10_000_000
KEEP = 3
_SHOWN = frozenset(
    {"tool", "try", "status", "error", "wait", "seconds", "planner", "model", "purpose", "finish", "tokens_in"}
    | {"tokens_out", "usd", "isolation", "by", "reason", "user", "session", "effect", "version"}
)


class SharedFile:
    """A log file that many processes append to: one write per record, rotated by whoever finds it full.

    A record that cannot be written is lost: a log never costs a run.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1

    def write(self, text: str) -> None:
        """Append one record; loguru calls this with a whole line."""
        with suppress(OSError):
            self._open()
            if os.fstat(self._fd).st_size > self._max_bytes:
                self._rotate()
                self._open()
            os.write(self._fd, text.encode("utf-8", "backslashreplace"))

    def _open(self) -> None:
        """Hold the file that has the name now: another process may have rotated ours away."""
        if self._fd >= 0:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                    return
            os.close(self._fd)
            self._fd = -1
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _rotate(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            if not os.path.samestat(os.fstat(self._fd), self._path.stat()):
                return  # somebody was faster
            for number in range(self._keep - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class EventLog:
    """Writes events and our own bugs as JSON lines; a listener of every run. Opens nothing before the first record."""

    def __init__(self, path: Path, redact: Callable[[str], str] = str) -> None:
        self._path = path
        self._redact = redact
        self._logger: Any = None

    def __call__(self, event: AnyEvent) -> None:
        """Write down an event: which run and step, what kind, and the short facts of it."""
        body: Mapping[str, Any] = event.body
        facts = {name: value for name, value in body.items() if name in _SHOWN and value is not None}
        level = "WARNING" if str(event.kind) in ("step.failed", "step.retried") else "INFO"
        self._record(level, {"run": event.run, "seq": event.seq, "step": event.step, "event": str(event.kind), **facts})

    def bug(self, error: BaseException) -> None:
        """Write down an error of ours with its whole traceback."""
        trace = "".join(traceback.format_exception(error))
        self._record("ERROR", {"event": "bug", "error": f"{type(error).__name__}: {error}", "traceback": trace})

    def _record(self, level: str, facts: Mapping[str, Any]) -> None:
        if self._logger is None:
            self._logger = self._make()
        self._logger.bind(facts=facts).log(level, "")

    def _make(self) -> Any:
        # A logger of our own, made as loguru makes its global one: that one is the user's, and prints to stderr.
        from loguru._logger import Core, Logger

        file = SharedFile(self._path)

        def sink(message: Any) -> None:
            record = message.record
            line = {"time": record["time"].isoformat(), "level": record["level"].name, "pid": os.getpid()}
            file.write(self._redact(json.dumps(line | record["extra"]["facts"], default=str)) + "\n")

        logger: Any = cast("Any", Logger)(cast("Any", Core)(), None, 0, False, False, False, False, True, [], {})
        # `diagnose` would print the values of variables, keys among them, into the file.
        logger.add(sink, level="INFO", format=lambda record: "", diagnose=False, backtrace=False, catch=True)
        return logger
