"""What tools keep from one call to the next, for speed alone: JSON values by name, below WORKBENCH_HOME/cache.

Each tool has a folder of its own for each version of its file, so that no tool reads what another keeps, and none what
it kept in another form. Anything in it may be gone the next time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.core.errors import ToolFailed
from workbench.core.tools import ToolSpec

MAX_BYTES = 200_000_000
"""Of all that one tool keeps; beyond it the oldest goes."""
MAX_NAMES = 10_000
"""Values of one call."""

Service = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Cache:
    """The values of one tool. `clean` takes secrets out of a value before it is kept."""

    def __init__(self, home: Path, tool: ToolSpec, clean: Callable[[Any], Any] = lambda value: value) -> None:
        self._tools = home / "cache" / "tools"
        self._name = tool.name
        self._folder = self._tools / f"{tool.name}-{tool.version[:16]}"
        self._clean = clean

    def get(self, names: list[str]) -> dict[str, Any]:
        """The values that are there, by name."""
        found: dict[str, Any] = {}
        for name in names:
            with suppress(OSError, ValueError, RecursionError):
                found[name] = json.loads(self._path(name).read_bytes())
        return found

    def put(self, values: Mapping[str, Any]) -> None:
        """Keep values. A disk that does not take them costs time at the next call, and nothing else."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, value in values.items():
                part = self._folder / f".{secrets.token_hex(6)}"
                part.write_text(json.dumps(self._clean(value), separators=(",", ":")), "utf-8")
                part.replace(self._path(name))
            self._tidy()

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}.json"

    def _tidy(self) -> None:
        """Remove what earlier versions of the tool kept, and the oldest of what is too much."""
        for folder in self._tools.iterdir():
            if folder.name.rpartition("-")[0] == self._name and folder != self._folder:
                shutil.rmtree(folder, ignore_errors=True)
        with os.scandir(self._folder) as listing:
            kept = sorted((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in listing)
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= MAX_BYTES:
                break
            with suppress(OSError):
                Path(path).unlink()
            total -= size


def cache_services(cache: Cache) -> dict[str, Service]:
    """The host functions `cache.get` ({names} → the values that are there, by name) and `cache.put` ({values})."""

    async def get(params: Mapping[str, Any]) -> Any:
        names = params.get("names")
        if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(n, str) for n in names):
            raise ToolFailed(f"cache.get needs names: a list of at most {MAX_NAMES:,} texts.")
        return await asyncio.to_thread(cache.get, names)

    async def put(params: Mapping[str, Any]) -> Any:
        values = params.get("values")
        if not isinstance(values, Mapping) or len(values) > MAX_NAMES:
            raise ToolFailed(f"cache.put needs values: at most {MAX_NAMES:,} of them, by name.")
        await asyncio.to_thread(cache.put, values)
        return None

    return {"cache.get": get, "cache.put": put}
