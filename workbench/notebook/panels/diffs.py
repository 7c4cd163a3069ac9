"""Code that a run has written, as rows of a diff: what a view with colours, signs and line numbers is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core import patch
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.render import clean_text

MAX_LINES = 2_000
"""Lines of one file's diff."""


def steps(outcome: Outcome) -> list[StepOutcome]:
    """The steps that have written code."""
    return [step for step in outcome.steps if step.state is State.DONE and patch.has_diff(step.value)]


def described(step: StepOutcome) -> list[dict[str, Any]]:
    """Each file of a step: its path, what is said of it, and its rows `[sign, old number, new number, text]`, numbers
    None where the line is not on that side; a row with the sign "@" parts the pieces. `more`: lines that are left out.
    Empty when the diff cannot be read: it is text of a tool."""
    known = {str(file.get("path")): file for file in step.value["files"] if isinstance(file, Mapping)}
    try:
        changes = patch.read(step.value["diff"])
    except patch.BadPatch:
        return []
    files = []
    for change in changes:
        told = known.get(change.path, {})
        rows = _rows(change)
        files.append(
            {
                "path": clean_text(change.path),
                "change": "new" if change.is_new else "changed",
                "checked": clean_text(str(told.get("checked") or "")),
                "rows": rows[:MAX_LINES],
                "more": max(0, len(rows) - MAX_LINES),
            }
        )
    return files


def content(step: StepOutcome, path: str) -> str | None:
    """The text of one file after the change, byte for byte; None when it is not known."""
    for file in step.value["files"]:
        if (
            isinstance(file, Mapping)
            and clean_text(str(file.get("path"))) == path
            and isinstance(file.get("content"), str)
        ):
            return str(file["content"])
    return None


def _rows(change: patch.FilePatch) -> list[list[Any]]:
    ends = {line.endswith("\r\n") for hunk in change.hunks for _, line in hunk.lines if line.endswith("\n")}
    rows: list[list[Any]] = []
    for number, hunk in enumerate(change.hunks):
        if number:
            rows.append(["@", None, None, "…"])
        old, new = hunk.start, hunk.new_start
        for sign, line in hunk.lines:
            rows.append([sign, old if sign != "+" else None, new if sign != "-" else None, _line(line, len(ends) > 1)])
            old, new = old + (sign != "+"), new + (sign != "-")
            if not line.endswith("\n"):
                rows.append(["\\", None, None, "No newline at end of file"])
    return rows


def _line(line: str, mixed: bool) -> str:
    """A line as it is shown; of `mixed` line ends the one with a carriage return is seen."""
    text = line.removesuffix("\n")
    if text.endswith("\r"):
        text = text[:-1] + ("␍" if mixed else "")
    return clean_text(text)
