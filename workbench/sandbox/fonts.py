"""matplotlib's list of fonts, made once per home: looking through the fonts takes seconds, copying the list does not.

Each call gets a copy in its own scratch folder, so no tool can change what the next one reads. The list is made by a
worker that runs our two lines, never by a tool's code.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from workbench.core.tools import ToolCall, ToolSpec

MAKE_LIST = ToolCall(
    run="fonts",
    step="fonts",
    tool=ToolSpec(
        name="fonts",
        summary="Make matplotlib's list of fonts.",
        params={"type": "object", "properties": {}},
        version="",
        source=b"def run():\n    import matplotlib.font_manager\n",
    ),
    params={},
    timeout=120.0,
)


class Fonts:
    """The list for one home. `wanted` says whether a tool may draw, by the words in its source."""

    def __init__(self, home: Path) -> None:
        self._cache = home / "cache"
        self._lock = threading.Lock()
        self._made: Future[None] | None = None

    @staticmethod
    def wanted(source: bytes) -> bool:
        return b"plot" in source or b"seaborn" in source

    async def ensure(self, make: Callable[[Callable[[Path], None]], Awaitable[None]]) -> None:
        """Have the list. `make(keep)` makes it if need be: it runs `MAKE_LIST` and gives `keep` the folder with it.

        Waits for whoever makes it already, from any event loop. What fails is not tried again.
        """
        if (folder := self._folder()) is None or folder.is_dir():
            return
        with self._lock:
            mine = self._made is None
            made = self._made = self._made or Future()
        if not mine:
            await asyncio.shield(asyncio.wrap_future(made))
            return
        try:
            await make(self._keep)
        except asyncio.CancelledError:
            self._made = None  # the next call tries again
            raise
        finally:
            made.set_result(None)

    def _keep(self, made: Path) -> None:
        folder = self._folder()
        with suppress(OSError):
            if folder is not None and (lists := [*made.glob("fontlist-*.json"), *made.glob("*/fontlist-*.json")]):
                folder.parent.mkdir(parents=True, exist_ok=True)
                part = Path(tempfile.mkdtemp(prefix=".fonts-", dir=folder.parent))
                shutil.copy(lists[0], part)
                part.rename(folder)  # fails when another process was faster: then its list is there

    def copy_to(self, folder: Path) -> None:
        """A copy for one call, where there is a list."""
        source = self._folder()
        if source is not None and source.is_dir():
            with suppress(OSError):
                for file in source.glob("fontlist-*.json"):
                    shutil.copyfile(file, folder / file.name)

    def _folder(self) -> Path | None:
        version = _matplotlib()
        return self._cache / f"matplotlib-{version}" if version else None


@lru_cache(maxsize=1)
def _matplotlib() -> str | None:
    try:
        return importlib.metadata.version("matplotlib")
    except importlib.metadata.PackageNotFoundError:
        return None
