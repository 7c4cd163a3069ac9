"""The log: one line of JSON for each event and each bug, in `logs/agent.log`.

It says what happened when, never what was asked or found: no request, no parameters, no values, no tables. Those are in
the journal. A log that cannot be written costs nothing but the log.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.events import AnyEvent, Kind
from workbench.telemetry.lines import LineFile

if TYPE_CHECKING:
    from loguru import Logger, Message

MAX_TEXT = 300
MAX_TRACE = 200_000

# What a line says of each kind, beyond the envelope.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    Kind.RUN_STARTED: ("session", "workspace", "isolation", "notebook"),
    Kind.PLAN_MADE: ("planner", "model", "isolation"),
    Kind.PLAN_EDITED: ("by", "round"),
    Kind.MODEL_CALLED: (
        "purpose",
        "model",
        "endpoint",
        "tokens_in",
        "tokens_out",
        "usd",
        "finish",
        "seconds",
        "error",
        "request_sha256",
        "response_sha256",
    ),
    Kind.STEP_INTENT: ("tool", "version", "effect", "params_sha256", "items"),
    Kind.STEP_STARTED: ("try", "item"),
    Kind.STEP_RETRIED: ("try", "item", "error", "wait"),
    Kind.STEP_DONE: ("seconds",),
    Kind.STEP_FAILED: ("error", "seconds"),
    Kind.STEP_SKIPPED: ("reason", "seconds"),
    Kind.STEP_BLOCKED: ("by",),
    Kind.STEP_UNCERTAIN: ("reason",),
    Kind.STEP_CANCELLED: ("reason",),
    Kind.ITEM_INTENT: ("item", "tool", "version", "effect", "params_sha256"),
    Kind.ITEM_DONE: ("item",),
    Kind.ITEM_FAILED: ("item", "error"),
    Kind.ITEM_UNCERTAIN: ("item", "reason"),
    Kind.TOOL_CALLED: (
        "item",
        "tool",
        "version",
        "try",
        "status",
        "request_sha256",
        "response_sha256",
        "seconds",
        "isolation",
    ),
    Kind.SERVICE_CALLED: ("service", "host", "method", "status", "bytes_out", "bytes_in", "seconds", "error"),
    Kind.ARTIFACT_MADE: ("path", "mime", "bytes", "sha256", "rows"),
    Kind.MEMORY_WRITTEN: ("id", "memory_kind"),
    Kind.MEMORY_FORGOTTEN: ("id",),
    Kind.MEMORY_PINNED: ("id", "pinned"),
    Kind.APPROVAL: ("decision", "by", "reason"),
    Kind.CANCELLED: ("reason",),
    Kind.BUDGET: ("what", "period", "limit", "used", "use", "settled"),
    Kind.RUN_DONE: ("status", "error", "seconds"),
}
_LEVELS: Mapping[str, str] = {
    Kind.STEP_FAILED: "WARNING",
    Kind.STEP_RETRIED: "WARNING",
    Kind.STEP_UNCERTAIN: "WARNING",
    Kind.ITEM_FAILED: "WARNING",
    Kind.ITEM_UNCERTAIN: "WARNING",
    Kind.BUDGET: "WARNING",
}


class EventLog:
    """Hears events and writes a line for each. `redact` takes secrets out of every text."""

    def __init__(self, path: Path, redact: Callable[[str], str] = lambda text: text) -> None:
        self._file = LineFile(path)
        self._redact = redact
        self._users: dict[str, str] = {}
        self._logger: Logger | None = None

    def __call__(self, event: AnyEvent) -> None:
        """Write the event's line; what cannot be written is dropped."""
        user = self._user(event)
        line = {"at": event.at, "kind": str(event.kind), "run": event.run, "seq": event.seq, "step": event.step}
        body = {name: event.body[name] for name in _FIELDS.get(event.kind, ()) if name in event.body}
        self._log(_level(event), line | {"user": user} | body)

    def bug(self, error: BaseException) -> None:
        """Write an error that is our fault, with its whole traceback. Never raises."""
        line = {"at": _now(), "kind": "bug", "error": f"{type(error).__name__}: {error}"}
        self._log("ERROR", line, error)

    def _log(self, level: str, line: Mapping[str, Any], error: BaseException | None = None) -> None:
        with suppress(Exception):  # a full disk, a read-only folder, a text that no encoder takes
            logger = self._logger = self._logger or _private_logger(self._write)
            logger.bind(line=line).opt(exception=error).log(level, "")

    def _write(self, message: Message) -> None:
        line: dict[str, Any] = message.record["extra"]["line"]
        said = {"at": line["at"], "level": message.record["level"].name, **_short(line, self._redact)}
        if message.record["exception"] is not None:
            said["trace"] = self._redact(str(message))[-MAX_TRACE:]
        self._file.write(json.dumps(said, separators=(",", ":"), default=str).encode("ascii"))

    def _user(self, event: AnyEvent) -> str:
        """Who asked: told once, when a run starts, and kept until it ends."""
        if event.kind == Kind.RUN_STARTED:
            self._users[event.run] = str(event.body.get("user", ""))
        if event.kind == Kind.RUN_DONE:
            return self._users.pop(event.run, "")
        return self._users.get(event.run, "")


def _private_logger(write: Callable[[Message], None]) -> Logger:
    """A loguru logger with one sink of ours.

    loguru has a single set of sinks in a process. Ours must not print into the user's cells through theirs, and their
    messages must not land in our file, so this one has a set of its own. loguru's documentation gets there by a deep
    copy, which fails once a sink is a stream.
    """
    inside: Any = importlib.import_module("loguru._logger")  # has no types
    logger: Logger = inside.Logger(inside.Core(), None, 0, False, False, False, False, True, [], {})
    # diagnose=True, the default, would write the values of local variables, keys among them.
    logger.add(write, level=0, format=lambda _: "{exception}", diagnose=False, backtrace=False, catch=False)
    return logger


def _level(event: AnyEvent) -> str:
    if event.kind == Kind.BUDGET and "limit" not in event.body:
        return "DEBUG"
    if event.kind == Kind.RUN_DONE and event.body.get("status") == "failed":
        return "ERROR"
    return _LEVELS.get(event.kind, "INFO")


def _short(value: Any, redact: Callable[[str], str]) -> Any:
    """The value with every text redacted and cut."""
    if isinstance(value, str):
        text = redact(value)
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {str(key): _short(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item, redact) for item in value[:50]]
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
