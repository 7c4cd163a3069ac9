"""Keeps secrets out of what comes back: results of tools with their files, replies of models, errors.

Events are redacted where they are told (`core.events.Stream`). What is here is used before it becomes an event: a
result is the parameter of the next step, a reply becomes a plan, an error is raised into the user's cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core import artifacts
from workbench.core.artifacts import Artifact
from workbench.core.errors import Refused
from workbench.core.tools import ToolResult
from workbench.policy.secrets import Secrets


def clean_result(result: ToolResult, secrets: Secrets, folder: Path) -> ToolResult:
    """The result without secrets. One whose file holds a secret has failed, and its files are removed: a table or a
    picture cannot be mended as a text can. `folder` is where the paths of artifacts begin. Raises OSError."""
    made = {*result.artifacts, *artifacts.find(result.value)}
    if any(secrets.are_in(folder / artifact.path) for artifact in made):
        for artifact in made:
            (folder / artifact.path).unlink(missing_ok=True)
        return ToolResult(
            status="failed",
            text=secrets.redact(result.text),
            error="A file that the tool made holds one of your keys; it was removed.",
            hint="Where does the tool, or its data, have the key from?",
            seconds=result.seconds,
            isolation=result.isolation,
        )
    return replace(
        result,
        value=_cleaned(result.value, secrets),
        text=secrets.redact(result.text),
        error=secrets.redact(result.error),
        hint=secrets.redact(result.hint),
        artifacts=tuple(_artifact(artifact, secrets) for artifact in result.artifacts),
        sources=tuple(secrets.redacted(source) for source in result.sources),
    )


def refuse_keys(tables: Mapping[str, Artifact], secrets: Secrets, folder: Path) -> None:
    """Raises Refused when a table that the user offers holds one of their keys, and removes what was written of it."""
    for name, table in tables.items():
        if secrets.are_in(folder / table.path):
            for each in tables.values():
                (folder / each.path).unlink(missing_ok=True)
            raise Refused(f"@{name} holds the value of one of your keys.", hint="Offer the table without it.")


def clean_error(error: BaseException, secrets: Secrets) -> BaseException:
    """The same error, and those that led to it, without secrets in what they say."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(secrets.redacted(one.args))
        for name, value in list(vars(one).items()):
            if isinstance(value, str | list | dict | tuple):
                setattr(one, name, secrets.redacted(value))
        waiting += one.__cause__, one.__context__
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return error


def _cleaned(value: Any, secrets: Secrets) -> Any:
    """`Secrets.redacted` for a value that holds artifacts."""
    if isinstance(value, Artifact):
        return _artifact(value, secrets)
    if isinstance(value, Mapping):
        return {secrets.redacted(key): _cleaned(item, secrets) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_cleaned(item, secrets) for item in value]
    return secrets.redacted(value)


def _artifact(artifact: Artifact, secrets: Secrets) -> Artifact:
    # The file was searched, so its rows and columns hold nothing; the words beside it are the tool's own.
    return replace(artifact, title=secrets.redact(artifact.title), alt=secrets.redact(artifact.alt))
