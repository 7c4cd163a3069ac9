"""Recorded values with their files back on disk, checked as those that a worker hands over are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from workbench.core.artifacts import FileKind
from workbench.core.episode import BLOB
from workbench.core.errors import ReplayMiss, ToolFailed
from workbench.core.tape import HINT, Tape
from workbench.sandbox.exchange import settle
from workbench.sandbox.files import Outputs
from workbench.sandbox.wire import FILE


def restored(value: Any, tape: Tape, artifacts: Path, run: str, step: str) -> Any:
    """The value with each blob of the tape as an artifact of `run`, described anew from its bytes. Blocks.

    Raises ReplayMiss when a file is gone, was changed, or is not what it should be."""
    try:
        with Outputs(artifacts, run, step) as outputs:
            return settle(_with_files(value, tape, outputs), outputs)
    except (ToolFailed, RecursionError) as error:
        raise ReplayMiss(f"What is recorded of {step} is damaged: {error}.", hint=HINT) from error


def whole(tape: Tape, sha256: str) -> bytes:
    """The bytes of a hash. Raises ReplayMiss when they are gone or others."""
    data = tape.blob(sha256)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise ReplayMiss(f"A recorded file ({sha256[:12]}) is gone or was changed.", hint=HINT)
    return data


def _with_files(value: Any, tape: Tape, outputs: Outputs) -> Any:
    """The value with its blobs written to files, and marked as a worker would."""
    if isinstance(value, Mapping):
        if BLOB in value:
            return {FILE: _file(value, tape, outputs)}
        if FILE in value:
            raise ToolFailed("a value has a key that stands for files")
        return {key: _with_files(item, tape, outputs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_files(item, tape, outputs) for item in value]
    return value


def _file(mark: Mapping[str, Any], tape: Tape, outputs: Outputs) -> int:
    data = whole(tape, str(mark[BLOB]))
    kind: Any = mark.get("as")
    if kind not in get_args(FileKind):
        raise ToolFailed(f"a file of the kind {str(kind)[:40]!r}")
    number, fd = outputs.open(kind, title=str(mark.get("title", "")), alt=str(mark.get("alt", "")))
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return number
