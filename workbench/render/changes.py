"""Code that a run has written: new files as they are, so that they can be copied; changes as diffs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from workbench.core.outcome import Outcome
from workbench.core.patch import has_diff
from workbench.core.progress import State
from workbench.render.clean import clean_text, escape

HINT = "The run's .apply() writes this into the project, .undo() takes it back; in a terminal: workbench apply RUN."
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_CODE = ' style="white-space:pre-wrap;word-break:normal"'


def changes_text(outcome: Outcome) -> list[str]:
    """Each file as a part of its own, and what to do with them; empty when the run has written no code."""
    parts = [f"{clean_text(head)}\n{clean_text(body, keep_lines=True)}".rstrip() for head, _, body in _files(outcome)]
    return [*parts, HINT] if parts else []


def changes_html(outcome: Outcome) -> list[str]:
    """The same as HTML."""
    parts = [
        f"<p>{escape(head)}</p><pre{_CODE}><code"
        f"{f' class={chr(34)}language-{language}{chr(34)}' if language else ''}>"
        f"{escape(body, keep_lines=True)}</code></pre>"
        for head, language, body in _files(outcome)
    ]
    return [*parts, f'<p class="small">{escape(HINT)}</p>'] if parts else []


def _files(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """A line that names the file, the language of what follows, and that."""
    for step in outcome.steps:
        if step.state is not State.DONE or not has_diff(step.value):
            continue
        diffs = [f"diff --git {part}" for part in _FILE.split(step.value["diff"])[1:]]
        for file, diff in zip(step.value["files"], diffs, strict=False):
            if not isinstance(file, Mapping):
                continue
            path, is_new = str(file.get("path", "")), file.get("change") == "new"
            language = re.sub(r"[^a-z0-9+]", "", str(file.get("language", ""))) if is_new else "diff"
            checked = f"; {file['checked']}" if isinstance(file.get("checked"), str) and file["checked"] else ""
            head = f"{path} ({'new' if is_new else 'changed'}{checked})"
            yield head, language, (str(file.get("content", "")) if is_new else diff)
