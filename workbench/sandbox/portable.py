"""Level `process`: a fresh, bare interpreter for each call, on any Unix; one is kept waiting, so that a call need not.

What holds: an own process without the host's memory, keys, environment and open files; ceilings on memory, processor
time, files and output; a deadline; everything of the call ends with it (on Linux daemons included, by `supervisor`;
elsewhere what stays in its process group). What does not: the tool is a process of the user's, so it can read and write
the user's files, use the network, and end the user's other processes. Level `kernel` closes that.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.core.tools import ToolCall, ToolResult
from workbench.sandbox.base import Level, Service
from workbench.sandbox.course import Course, Room, environment, imports
from workbench.sandbox.doors import Doors
from workbench.sandbox.limits import Limits
from workbench.sandbox.process import Process, Spawned


class SpawnedSandbox:
    """Runs each call in a process of its own. `home` is WORKBENCH_HOME, `project` the user's project. `accepts`: the
    level that the user has accepted for tools which need more, empty for none.

    May be used from any event loop, many calls at once. Once it is prepared it keeps one process waiting.
    """

    level: Level = "process"

    def __init__(
        self,
        home: Path,
        project: Path,
        limits: Limits | None = None,
        *,
        accepts: str = "",
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._limits = limits or Limits()
        self._course = Course(home, project, self.level, self._limits, accepts, sync)
        self._imports = imports(project)
        self._spare = Spare()
        self._prepared = False
        weakref.finalize(self, self._spare.end)

    async def prepare(self) -> Level:
        """See `Sandbox.prepare`."""
        self._prepared = True
        self._spare.fill(self._spawn)
        return self.level

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None] = lambda text: None,
        doors: Doors | None = None,
    ) -> ToolResult:
        """See `Sandbox.run`."""
        doors = doors or Doors()
        doors.listening = True
        try:
            return await self._course.run(call, services, artifacts, progress, self._start)
        finally:
            await doors.close()
            if self._prepared:
                self._spare.fill(self._spawn)

    async def close(self) -> None:
        """End the process that waits; those of calls end with the call."""
        self._prepared = False
        self._spare.end()

    async def _start(self, call: ToolCall, room: Room) -> Process:
        return Process(self._spare.take() or self._spawn(), self._limits.output)

    def _spawn(self) -> Spawned:
        if not hasattr(os, "killpg") or not sys.executable:
            raise Unavailable("Workers need Linux or macOS.", hint="On Windows use the workbench inside WSL.")
        return Spawned.start(env=environment(), imports=self._imports)


class Spare:
    """At most one process that waits for a call. Belongs to the process that made it: a forked child has none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Spawned | None = None
        self._owner = os.getpid()

    def fill(self, spawn: Callable[[], Spawned]) -> None:
        with self._lock:
            if self._waiting is None and self._owner == os.getpid():
                self._waiting = spawn()

    def take(self) -> Spawned | None:
        """The process that waits, if there is one and it lives."""
        with self._lock:
            spare, self._waiting = self._waiting, None
        if spare is None or self._owner != os.getpid():
            return None
        if spare.alive():
            return spare
        spare.end()
        return None

    def end(self) -> None:
        if (spare := self.take()) is not None:
            spare.end()
