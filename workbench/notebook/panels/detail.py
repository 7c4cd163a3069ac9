"""What a row unfolds: the last lines that its step told, and what it has made so far. For a look, not for work: a table
is its first rows, a picture is small."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

from workbench.core import artifacts
from workbench.core.artifacts import Artifact
from workbench.core.events import Event, Kind
from workbench.core.outcome import StepOutcome
from workbench.render import clean_text, escape, framed, picture_html, table_html

MAX_LINES = 50
MAX_LINE = 300
MAX_ROWS, MAX_COLUMNS = 5, 12
MAX_TEXT = 1200


def told(event: Event) -> list[str]:
    """The lines that an event adds to the log of its step."""
    body = event.body
    match event.kind:
        case Kind.STEP_PROGRESS:
            lines = str(body.get("text", "")).splitlines()
        case Kind.STEP_RETRIED:
            lines = [f"try {body.get('try')} failed: {body.get('error')}; again in {float(body.get('wait', 0)):.1f} s"]
        case Kind.SERVICE_CALLED:
            words = [str(body[name]) for name in ("service", "method", "host", "status") if body.get(name)]
            lines = [f"{' '.join(words)}, {int(body.get('bytes_in') or 0):,} bytes"]
        case Kind.MODEL_CALLED:
            tokens = f"{int(body.get('tokens_in') or 0):,} tokens in, {int(body.get('tokens_out') or 0):,} out"
            lines = [f"model {body.get('model')}: {tokens}"]
        case Kind.STEP_DONE | Kind.STEP_FAILED:
            lines = str(body.get("text") or "").splitlines()
        case Kind.ITEM_FAILED:
            lines = [f"item {int(body.get('item', 0)) + 1} failed: {(body.get('error') or {}).get('message', '')}"]
        case _:
            return []
    return [clean_text(line)[:MAX_LINE] for line in lines[-MAX_LINES:] if line.strip()]


class Log:
    """The last lines of each step."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[str]] = {}
        self._new: dict[str, list[str]] = {}

    def hear(self, event: Event) -> None:
        if event.step is None or not (lines := told(event)):
            return
        self._lines.setdefault(event.step, deque(maxlen=MAX_LINES)).extend(lines)
        self._new[event.step] = [*self._new.get(event.step, ()), *lines][-MAX_LINES:]

    def of(self, step: str) -> list[str]:
        """All of a step's lines that are kept; none of them is new any more."""
        self._new.pop(step, None)
        return list(self._lines.get(step, ()))

    def has(self, step: str) -> bool:
        return step in self._lines

    def new(self, steps: set[str] | None) -> dict[str, list[str]]:
        """What came since the last time, of these steps or of all."""
        found = {step: lines for step, lines in self._new.items() if steps is None or step in steps}
        self._new.clear()
        return found


def summary(step: StepOutcome) -> str:
    """What a step has made, in a few words; "" when nothing that can be looked at."""
    frames = [made for made in step.artifacts if made.is_frame]
    images = sum(made.is_image for made in step.artifacts)
    parts = [f"{made.rows or 0:,} row{'' if made.rows == 1 else 's'} × {len(made.columns)}" for made in frames[:2]]
    parts += [f"{images} picture{'s' if images > 1 else ''}"] if images else []
    others = len(step.artifacts) - len(frames) - images
    parts += [f"{others} file{'s' if others > 1 else ''}"] if others else []
    if not parts and step.value not in (None, "", [], {}):
        parts.append("a result")
    return ", ".join(parts)


def result(step: StepOutcome, folder: Path | None) -> str:
    """The result of a step as HTML that loads nothing. `folder`: below which its files lie. Reads files."""
    parts = [_html(made, folder) for made in step.artifacts[:4]]
    if not step.artifacts and step.value not in (None, "", [], {}):
        text = (
            step.value
            if isinstance(step.value, str)
            else json.dumps(artifacts.to_json(step.value), ensure_ascii=False, indent=1, default=str)
        )
        more = f" … {len(text) - MAX_TEXT:,} characters more" if len(text) > MAX_TEXT else ""
        parts.append(f"<pre>{escape(text[:MAX_TEXT] + more, keep_lines=True)}</pre>")
    return framed("".join(parts)) if parts else ""


def _html(made: Artifact, folder: Path | None) -> str:
    if made.is_frame:
        columns = [column.name for column in made.columns[:MAX_COLUMNS]]
        rows = [list(row[:MAX_COLUMNS]) for row in made.preview[:MAX_ROWS]]
        left = [f"{(made.rows or 0) - len(rows):,} rows"] if (made.rows or 0) > len(rows) else []
        left += [f"{len(made.columns) - len(columns)} columns"] if len(made.columns) > len(columns) else []
        more = f"<p>and {' and '.join(left)} more</p>" if left else ""
        return table_html(columns, rows) + more
    if made.is_image:
        return picture_html(made, lambda one: _bytes(one, folder))
    return f"<p>{escape(made.title or made.path)} ({escape(made.mime)})</p>"


def _bytes(made: Artifact, folder: Path | None) -> bytes | None:
    try:
        return (folder / made.path).read_bytes() if folder is not None else None
    except OSError:
        return None
