"""The index of a large owner on disk, so that a start does not make it again. A cache: deleting it costs a moment.

One file: a line of JSON that says what it is, one with the names, and the bytes of the index. FAISS trusts the bytes
that it reads, so none reach it whose hash is not the one that was written down.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.memory.index import VectorIndex
from workbench.memory.locks import PRIVATE_FILE, PRIVATE_FOLDER

MIN_ROWS = 2_000
"""Fewer vectors are as quickly read from memory.duckdb."""

_GROWTH = 0.05
_VERSION = 2


def save(folder: Path, model: str, owner: Sequence[str], index: VectorIndex, hashes: Mapping[str, str]) -> bool:
    """Write the index when that is worth it: it is large, and it has grown since. Raises OSError."""
    path = _path(folder, model, owner)
    if len(index) < MIN_ROWS or len(index) - _rows(path) < _GROWTH * len(index):
        return False
    if (dumped := index.dump()) is None:
        return False
    names, data = dumped
    rows = [None if name is None else (name, hashes.get(name, "")) for name in names]
    data = json.dumps(rows).encode() + b"\n" + data
    told = {"version": _VERSION, "dim": index.dim, "live": len(index), "sha256": hashlib.sha256(data).hexdigest()}
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
            file.write(json.dumps(told).encode() + b"\n" + data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True


def load(
    folder: Path, model: str, owner: Sequence[str], hashes: Mapping[str, str], *, max_flat: int
) -> VectorIndex | None:
    """The index on disk without what is not in `hashes`, or says something else there; None when there is none or it is
    damaged."""
    path = _path(folder, model, owner)
    try:
        with path.open("rb") as file:
            told, data = json.loads(file.readline()), file.read()
        if told["version"] != _VERSION or hashlib.sha256(data).hexdigest() != told["sha256"]:
            return None
        line, _, data = data.partition(b"\n")
        rows = json.loads(line)
        names = [None if row is None else str(row[0]) for row in rows]
        index = VectorIndex.load(int(told["dim"]), names, data, max_flat=max_flat)
        for row in rows:
            if row is not None and hashes.get(row[0]) != row[1]:
                index.remove(row[0])
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, RecursionError):
        return None
    return index


def _rows(path: Path) -> int:
    """How many vectors the file has; 0 when it has none."""
    try:
        with path.open("rb") as file:
            return int(json.loads(file.readline())["live"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0


def _path(folder: Path, model: str, owner: Sequence[str]) -> Path:
    # Names of users and models can hold anything; a hash can be a file's name.
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", model)[:40]
    distinct = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    who = hashlib.sha256("\0".join(owner).encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return folder / f"{readable}-{distinct}" / f"{who}.index"
