"""The runs on record: listed, shown again, queried."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused, ToolFailed, Unavailable
from workbench.core.events import AnyEvent
from workbench.core.outcome import fold
from workbench.core.settings import Settings
from workbench.core.tools import ToolCall, ToolSpec
from workbench.edits import Edits
from workbench.memory.base import Memory
from workbench.registry.spec import describe
from workbench.run import Run
from workbench.sandbox.base import Sandbox
from workbench.sandbox.scratch import scratch

if TYPE_CHECKING:
    import pandas as pd

    from workbench.seen import Seen
    from workbench.why import Account

_LOOKED_AT = 200
"""Runs that are looked through for an id like the one that was typed: the newest."""
COLUMNS = ("run", "status", "started (UTC)", "seconds", "model", "usd", "request")
"""What a list of runs shows."""
LAST = "last"
"""Says the newest run instead of its id."""


def listed(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Runs as rows under `COLUMNS`, in times that a person reads: whole seconds, and hundredths of what they took."""
    return [
        (
            row["run"],
            f"{row['status']}, from {row['imported']}" if row.get("imported") else row["status"],
            row["started_at"] and row["started_at"].replace(microsecond=0),
            row["seconds"] if row["seconds"] is None else round(row["seconds"], 2),
            *(row.get(name) for name in ("model", "usd", "request")),
        )
        for row in rows
    ]


class Record:
    """What the memory holds of this user's runs. Those of others are not there, also not in SQL."""

    def __init__(self, memory: Memory, sandbox: Sandbox, settings: Settings, edits: Edits | None = None) -> None:
        self._memory = memory
        self._sandbox = sandbox
        self._settings = settings
        self._edits = edits

    async def runs(self, limit: int = 20) -> Sequence[Mapping[str, Any]]:
        """This user's newest runs first: run, request, status, model, started_at, seconds, usd."""
        return await self._memory.runs(limit, user=self._settings.user)

    async def events(self, run: str) -> Sequence[AnyEvent]:
        """The events of a run by its id, the beginning of it, or `last`: the newest of this user. Raises Refused when
        there is none."""
        if not run:
            raise Refused("Which run?", hint="Give its id or the beginning of it; `workbench runs` lists the newest.")
        if run == LAST and (newest := await self.runs(1)):
            run = str(newest[0]["run"])
        events = await self._memory.events(run, user=self._settings.user)
        if not events:
            raise Refused(f"There is no run {run!r}.", hint=await self._near(run))
        return events

    async def _near(self, run: str) -> str:
        """What to do about a run that is not there: the one whose id begins most alike, with what was asked."""
        newest = {str(row["run"])[: len(run)]: row for row in reversed(await self.runs(_LOOKED_AT))}
        close = difflib.get_close_matches(run, newest, n=1, cutoff=0.8)
        if not close:
            return "`workbench runs` lists the newest."
        row = newest[close[0]]
        return f"Did you mean {row['run']} ({' '.join(str(row['request'] or '').split())[:60]})?"

    async def show(self, run: str) -> Run:
        """A run by its id or the beginning of it. Raises Refused when there is none."""
        return Run(fold(await self.events(run)), self._settings.artifacts, self._edits, self.why)

    async def why(self, what: str) -> Account:
        """Why a result is what it is: `RUN.step` for one step, `RUN` for all results of a run. Raises Refused."""
        from workbench.why import account

        run, _, step = what.strip().partition(".")
        return account(await self.events(run), step)

    async def seen(self, what: str) -> Seen:
        """What the model saw in a run: `RUN` for all of its calls, `RUN.2` for the second. Raises Refused."""
        from workbench.seen import seen

        run, _, call = what.strip().partition(".")
        return seen(await self.events(run), self._settings.artifacts, call)

    async def sql(self, query: str) -> pd.DataFrame:
        """The rows of a SELECT over this user's record, run in a worker on a private copy. Raises ToolFailed."""
        from workbench.sandbox.frames import read_frame

        with scratch(self._settings.home) as folder:
            copy = folder / "memory.duckdb"
            await self._memory.snapshot(copy, user=self._settings.user)
            call = ToolCall(
                run="sql",
                step="sql",
                tool=_query_tool(),
                params={"sql": query, "database": str(copy)},
                timeout=60.0,
                reads=(str(copy),),
            )
            result = await self._sandbox.run(call, {}, folder)
            if result.status != "ok":
                raise ToolFailed(result.error, hint=result.hint)
            return read_frame(folder / result.artifacts[0].path)


def _query_tool() -> ToolSpec:
    """The tool that reads the copy: a file of ours, outside of the registry."""
    path = Path(__file__).parent / "memory" / "query_tool.py"
    spec = describe(path.read_bytes(), path, "shipped")
    if spec is None:
        raise Unavailable("The file of the memory's query tool is damaged.", hint="Install agent-workbench again.")
    return spec
