"""What can go wrong, as one tree.

    WorkbenchError
    ├── Refused          the request cannot be served honestly; nothing was run
    ├── PlanInvalid      the plan breaks its rules; `errors` lists all of them
    ├── ToolFailed       a tool said no, for good: the model (or the user) is told
    ├── TransientError   worth another try; `retry_after` seconds when the other side said so
    ├── Denied           a person or a policy said no
    ├── BudgetExceeded   money, tokens, steps or seconds are used up
    ├── Cancelled        stopped by the user; finished work is kept
    ├── ReplayMiss       strict replay has no recording of this call
    ├── Untrusted        a tool or plug-in that nobody has trusted yet
    └── Unavailable      something outside is missing or broken: endpoint, disk, sandbox

Every error is one line and a hint that says what to do. Anything else that escapes is our bug: it is logged whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.hidden import TERMINAL, escaped


class WorkbenchError(Exception):
    """One line that says what happened, and `hint`, what to do about it.

    `data` holds the facts by name (step, tool, seconds, …). `run` is the run as far as it came, where there is one.
    """

    def __init__(self, message: str, *, hint: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data
        self.run: Any = None

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() if self.hint else self.message

    def lines(self) -> list[str]:
        """The error as a person reads it: one line, and a second with the next action when there is one."""
        first = _line(f"{type(self).__name__}: {self.message}")
        return [first, _line(f"→ {self.hint}")] if self.hint else [first]

    def _render_traceback_(self) -> list[str]:
        # IPython asks this of an exception before it prints a traceback: our errors are messages, not crashes.
        return self.lines()


def _line(text: str) -> str:
    # What went wrong is often told in the words of a stranger: a server, a tool, a file.
    return escaped(" ".join(TERMINAL.sub("", text).splitlines()))


class Refused(WorkbenchError):
    """The request cannot be served honestly. Nothing was run."""


class PlanInvalid(WorkbenchError):
    """The plan breaks its rules; `errors` lists every broken rule, each naming its step."""

    def __init__(self, errors: list[str], *, hint: str = "", **data: Any) -> None:
        self.errors = errors
        head = errors[0] if len(errors) == 1 else f"{len(errors)} problems: " + "; ".join(errors)
        super().__init__(head, hint=hint, **data)


class ToolFailed(WorkbenchError):
    """Final failure of one tool call. Not a bug of ours, and not worth another try."""


class TransientError(WorkbenchError):
    """A failure that may pass. `retry_after`: seconds the other side asked us to wait, None when it did not say."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None, **data: Any) -> None:
        super().__init__(message, hint=hint, **data)
        self.retry_after = retry_after


class Denied(WorkbenchError):
    """A person or a policy said no."""


class BudgetExceeded(WorkbenchError):
    """Money, tokens, steps or seconds are used up."""


class Cancelled(WorkbenchError):
    """Stopped by the user; finished work is kept in `run`."""


class ReplayMiss(WorkbenchError):
    """Strict replay has no recording of this call."""


class Untrusted(WorkbenchError):
    """A tool, plug-in or server that the user has not trusted yet."""


class Unavailable(WorkbenchError):
    """Something outside of us is missing or broken: an endpoint, the disk, a component."""


def recorded(error: Mapping[str, Any]) -> WorkbenchError:
    """The error that a record tells as `{kind, message, hint}`, with what else it says as data. One of a kind that no
    call can end with is a ReplayMiss: what was recorded did not end."""
    message, hint = str(error.get("message", "")), str(error.get("hint", ""))
    data = {str(name): value for name, value in error.items() if name not in ("kind", "message", "hint")}
    match error.get("kind"):
        case "TransientError":
            after = data.pop("retry_after", None)
            return TransientError(message, hint=hint, retry_after=after, **data)
        case "Denied":
            return Denied(message, hint=hint, **data)
        case "ToolFailed":
            return ToolFailed(message, hint=hint, **data)
        case "Unavailable":
            return Unavailable(message, hint=hint, **data)
        case "Refused":
            return Refused(message, hint=hint, **data)
        case "BudgetExceeded":
            return BudgetExceeded(message, hint=hint, **data)
        case _:
            return ReplayMiss(f"The recorded call did not end: {message}", hint="Run it again without replay.")
