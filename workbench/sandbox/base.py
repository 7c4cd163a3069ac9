"""The seam to a sandbox: one tool call in, one result out, everything of the call gone afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from workbench.core.tools import ToolCall, ToolResult
from workbench.sandbox.doors import Doors

Level = Literal["none", "process", "kernel", "namespace"]
"""none: in this process. process: an own process with clean environment, limits and a deadline; files and network are
NOT closed off. kernel: Landlock and seccomp as well. namespace: own namespaces as well."""

_ORDER: tuple[Level, ...] = ("none", "process", "kernel", "namespace")


def enough(level: str, least: str) -> bool:
    """Whether a level is at least another; an empty `least` is met by all."""
    return not least or _ORDER.index(level) >= _ORDER.index(least)


Service = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""A host function: JSON parameters in, a JSON value out. Raises WorkbenchError to tell the tool no."""


class Sandbox(Protocol):
    """Runs tool calls. `level` is what is really in force, never what was wished for."""

    @property
    def level(self) -> Level: ...

    async def prepare(self) -> Level:
        """Have everything ready for a call, and give the level that is in force then. Idempotent; a call that was not
        prepared for prepares itself. Raises Unavailable when there is no way to run tools as the settings demand."""
        ...

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None] = lambda text: None,
        doors: Doors | None = None,
    ) -> ToolResult:
        """The result of one call; the status comes from the supervisor, never from the worker.

        `services` are the host functions this tool may call, by name (`memory.recall`, `http`, …); any other name is
        refused. `artifacts` is WORKBENCH_HOME/artifacts: frames in the parameters are read below it, and files that the
        tool makes land in `<run>/` below it. `progress` hears lines that the tool reports while it runs. `doors`
        are ports that host functions may open for the tool; they are closed when the call is over.

        Never raises for what the tool does: a failing, hanging, flooding or dying tool is a result with that status.
        When the awaiting task is cancelled every process of the call is killed first. Raises Unavailable when no worker
        can be started at all.
        """
        ...

    async def close(self) -> None:
        """End every worker. Idempotent."""
        ...
