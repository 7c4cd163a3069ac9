"""The best sandbox that this machine gives, found out by trying and never by asking for a version.

A first look says whether the kernel could confine a worker at all; then one confined call tries to break out
(`sandbox.selftest`). Only when nothing gets through is level `kernel` in force, else `process`, and `reasons` says why.
What is chosen stays: should the fork server fail later, calls fail with it and do not step down.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from workbench.core.errors import Unavailable, WorkbenchError
from workbench.core.settings import Settings
from workbench.core.tools import ToolCall, ToolResult
from workbench.sandbox import linux
from workbench.sandbox.base import Level, Sandbox, Service, enough
from workbench.sandbox.doors import Doors
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.limits import Limits
from workbench.sandbox.portable import SpawnedSandbox
from workbench.sandbox.selftest import Probed, selftest

_WORDS: Mapping[Level, str] = {
    "none": "tools run in this process",
    "process": "each tool in a process of its own, without keys; files and network are not closed off",
    "kernel": "each tool in a process of its own that the kernel confines: granted files only, no network",
    "namespace": "each tool in namespaces of its own",
}
_beside: set[asyncio.Task[Any]] = set()


def best(settings: Settings) -> ChosenSandbox:
    """The best sandbox for these settings."""
    return ChosenSandbox(settings.home, settings.project, (settings.config,), settings.isolation)


def in_words(sandbox: Sandbox) -> str:
    """The level in force, what it means, and why it is not a higher one."""
    reasons = getattr(sandbox, "reasons", ())
    return "; ".join([f"{sandbox.level}: {_WORDS[sandbox.level]}", *(f"not {reason}" for reason in reasons)])


async def beside(work: Coroutine[Any, Any, Any]) -> None:
    """Begin work that nobody waits for here; return when it has begun. Who needs it later hears of what went wrong."""
    task = asyncio.create_task(work)
    _beside.add(task)
    task.add_done_callback(_done)
    await asyncio.sleep(0)


def _done(task: asyncio.Task[Any]) -> None:
    _beside.discard(task)
    if not task.cancelled():
        task.exception()


class ChosenSandbox:
    """Runs calls in the best sandbox there is. `guarded`: folders that no call is granted, beside WORKBENCH_HOME.

    `demanded`: the level that the user set; empty: the best there is, and each tool's own demand counts. `process` also
    accepts that level for tools that demand more; `kernel` refuses to run anything below.
    `level` is the lowest that can be in force until the sandbox is prepared. From any event loop.
    """

    def __init__(
        self,
        home: Path,
        project: Path,
        guarded: tuple[Path, ...] = (),
        demanded: str = "",
        limits: Limits | None = None,
    ) -> None:
        self._home = home
        self._project = project
        self._guarded = guarded
        self._demanded = demanded
        self._limits = limits
        self._lock = threading.Lock()
        self._choosing: Future[None] | None = None
        self._chosen: Sandbox | None = None
        self.reasons: tuple[str, ...] = ()
        """Why it is not a higher level; empty when there is none to be had."""
        self.probed: tuple[Probed, ...] = ()
        """What the self-test tried, and how it went."""

    @property
    def level(self) -> Level:
        return self._chosen.level if self._chosen is not None else "process"

    async def prepare(self) -> Level:
        """See `Sandbox.prepare`. The first call takes as long as the fork server needs to start."""
        return (await self._ready()).level

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None] = lambda text: None,
        doors: Doors | None = None,
    ) -> ToolResult:
        """See `Sandbox.run`."""
        return await (await self._ready()).run(call, services, artifacts, progress, doors)

    async def close(self) -> None:
        if self._chosen is not None:
            await self._chosen.close()

    async def _ready(self) -> Sandbox:
        while (chosen := self._chosen) is None:
            with self._lock:
                mine = self._choosing is None
                choosing = self._choosing = self._choosing or Future()
            if not mine:  # whoever chooses may be cancelled: then it is up to the next one
                await asyncio.shield(asyncio.wrap_future(choosing))
                continue
            try:
                self._chosen = await self._choose()
            finally:
                self._choosing = None
                choosing.set_result(None)
        if not enough(chosen.level, self._demanded):
            raise Unavailable(
                f"WORKBENCH_ISOLATION demands level {self._demanded}, and {chosen.level} is what there is: "
                f"{'; '.join(self.reasons)}.",
                hint="`workbench doctor --sandbox` shows what was tried.",
            )
        return chosen

    async def _choose(self) -> Sandbox:
        why = linux.supported()
        if not why:
            confined = ConfinedSandbox(self._home, self._project, self._guarded, self._limits)
            kept = False
            try:
                await confined.prepare()
                await asyncio.sleep(0)  # the server is on its way: whoever plans meanwhile goes first
                self.probed = await selftest(confined, self._home)
                failed = [probe for probe in self.probed if not probe.held]
                kept = not failed
                why = f"the self-test failed: {failed[0].name} ({failed[0].detail})" if failed else ""
            except WorkbenchError as error:
                why = error.message
            finally:
                if not kept:
                    await confined.close()
            if kept:
                return confined
        self.reasons = (f"kernel: {why.rstrip('.')}",)
        spawned = SpawnedSandbox(self._home, self._project, self._limits, accepts=self._demanded)
        await spawned.prepare()
        return spawned
