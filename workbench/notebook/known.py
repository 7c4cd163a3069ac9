"""The names that a line may hold, for who completes it: models, personas, tools, runs, memories.

Completion must be quick and must not fail. So what is known is read on a thread of its own: a question waits for it a
moment, and then makes do with what was known before. Nothing goes over a network, and before the first request no
workbench is made: a key that is set in a later cell still counts.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
Names = Mapping[str, str]
"""Each name, and what stands beside it."""

PATIENCE, AT_FIRST = 0.3, 0.8
"""Seconds that a question waits; and at first, when modules may have to be imported. A front end waits one."""
FRESH = 3.0
"""Seconds for which an answer holds."""
_LISTED = 30
"""Runs and memories that are offered: the newest."""


class Lately:
    """Answers a question by what `read` gives, or gave before, within `PATIENCE` seconds (`AT_FIRST`)."""

    def __init__(self, read: Callable[[], Names]) -> None:
        self._read = read
        self._known: Names = {}
        self._at = -FRESH
        self._reading: threading.Thread | None = None

    def __call__(self) -> Names:
        if time.monotonic() - self._at > FRESH:
            if self._reading is None or not self._reading.is_alive():
                self._reading = threading.Thread(target=self._refresh, name="workbench-names", daemon=True)
                self._reading.start()
            self._reading.join(PATIENCE if self._at > 0 else AT_FIRST)
        return self._known

    def _refresh(self) -> None:
        with suppress(Exception):  # no completion is no reason to disturb anybody
            self._known = self._read()
        self._at = time.monotonic()


def personas() -> Names:
    """Those that may be used, with what they are for."""
    from workbench.registry.personas import find

    settings = _settings()
    found = find(settings.project, settings.config)
    return {name: one.summary for name, one in found.personas.items() if name not in found.untrusted}


def tools() -> Names:
    """Those that may be used, with what they do."""
    made = _made()
    if made is None:
        from workbench.registry import cells
        from workbench.registry.discover import discover

        settings = _settings()
        found = discover(settings.project, settings.config, cells=cells.defined())
    else:
        found = made.found()
    return {name: spec.summary for name, spec in sorted(found.tools.items())}


def models() -> Names:
    """The model of the settings, those that ran before, and the names of plug-ins."""
    from workbench.registry.plugged import points

    chosen = _settings().model
    names = {chosen: "of the settings"} if chosen else {}
    for row in _rows():
        if row.get("model"):
            names.setdefault(str(row["model"]), "used before")
    return {**names, **{f"{point.name}:": f"plug-in {point.package}" for point in points("workbench.models")}}


def runs() -> Names:
    """The newest runs, with what was asked."""
    return {str(row["run"]): " ".join(str(row["request"] or "").split())[:80] for row in _rows()}


def memories() -> Names:
    """The newest memories by the beginning of their ids, with their texts."""
    made = _made()
    if made is None or _is_far(made.settings):
        return {}
    hits = _wait(made.memories.all())[:_LISTED]
    return {hit.id[:8]: hit.text[:80] for hit in hits if not hit.closed_by}


def steps(run: str) -> Names:
    """The steps of a run on record, with their titles; empty before the first request."""
    made = _made()
    if made is None or _is_far(made.settings):
        return {}
    return {step.id: step.title or step.task for step in _wait(made.record.show(run)).outcome.steps}


def _made() -> Any:
    """This process's workbench, None before the first request."""
    return getattr(sys.modules.get("workbench.workbench"), "_current", None)


def _settings() -> Any:
    made = _made()
    if made is not None:
        return made.settings
    from workbench.configuration import load_settings

    return load_settings()


def _is_far(settings: Any) -> bool:
    """Whether the memory is on a server: completion goes over no network."""
    return settings.memory is not None


def _rows() -> list[Mapping[str, Any]]:
    made, settings = _made(), _settings()
    if _is_far(settings) or not settings.home.is_dir():  # where no home is, none is made
        return []
    if made is not None:
        return list(_wait(made.record.runs(_LISTED)))
    from workbench.stores import choose

    memory = choose(settings)

    async def read() -> list[Mapping[str, Any]]:
        try:
            return list(await memory.runs(_LISTED, user=settings.user))
        finally:
            await memory.close()

    return _wait(read())


def _wait(work: Coroutine[Any, Any, T]) -> T:
    from workbench.bridge import submit

    return submit(work).result()
