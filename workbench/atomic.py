"""A file is put in its place whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put a file in the place of `path`, also when the power fails: it is synced under a hidden name before it gets its
    own, which is durable once its folder is synced. `mode`: its permissions, None for the usual ones. Raises OSError;
    then what was there is there still, and nothing beside it."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, flags, 0o666 if mode is None else 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
