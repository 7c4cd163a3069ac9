"""The seam to the memory: events in, and what was remembered out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from workbench.core.events import AnyEvent, Kind
from workbench.core.request import Scope
from workbench.core.usage import Use

MEMORY_KINDS = (Kind.MEMORY_WRITTEN, Kind.MEMORY_FORGOTTEN, Kind.MEMORY_PINNED)
"""The kinds of event that recall hears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A remembered text that answers a question. `score` in 0..1; `why` says in words how it was found ("lexical:
    fiscal, year; meaning 0.62"); `source` where it came from (run and step, or the user).

    `by`: who wrote it, the user or a tool of a run; "" when the record does not say. `recall`: whether meanings were
    compared or words alone. `cosine`: of its vector with the question's, None when there is none. `closed_by`: the id
    of the memory that took its place, "" while it holds.
    """

    id: str
    text: str
    score: float
    why: str
    source: str
    at: str
    kind: str = "fact"
    by: str = ""
    pinned: bool = False
    recall: Literal["semantic", "lexical"] = "lexical"
    cosine: float | None = None
    closed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events in the order in which they came to the store, and the position behind the last of them."""

    events: Sequence[AnyEvent]
    position: int


class Memory(Protocol):
    """Takes events and answers questions about them. Shared by every process on the same WORKBENCH_HOME."""

    def append(self, event: AnyEvent) -> None:
        """Take an event; returns at once. Raises Unavailable when the memory cannot take any (read-only folder, full
        disk, closed). The event is acknowledged once a later `barrier` returns."""
        ...

    async def barrier(self) -> None:
        """Return when every event appended before is durable: it survives `kill -9` and a power cut.

        Raises Unavailable when it cannot be made so.
        """
        ...

    async def events(self, run: str, *, user: str | None = None) -> Sequence[AnyEvent]:
        """The events of a run, in order; also those of other processes, once durable. Empty when there is no such run.

        `run` may be the beginning of an id when only one run matches. Raises Refused when several do. With `user` only
        that user's runs are there: those they started, and what they remembered outside of any.
        """
        ...

    async def page(self, after: int = 0, limit: int = 2_000, *, user: str | None = None) -> Page:
        """The events of all runs, those of `user` when one is given, that came behind position `after` (0: from the
        beginning), `limit` of them at most; empty at the end."""
        ...

    async def runs(self, limit: int = 20, *, user: str | None = None) -> Sequence[Mapping[str, Any]]:
        """The newest runs first, as rows: run, request, status, model, started_at, seconds, usd."""
        ...

    async def done_before(self, identities: Collection[str], user: str, limit: int = 30) -> Sequence[str]:
        """The ids of this user's runs, of all on record, in which a step of one of these identities is done (see
        `core.recovery.identity`), the newest first."""
        ...

    async def recall(self, question: str, scope: Scope, limit: int = 5) -> Sequence[Hit]:
        """What was remembered in this scope (same user; same workspace or the user's own), best first."""
        ...

    async def memories(self, scope: Scope) -> Sequence[Hit]:
        """All that is remembered in this scope and not forgotten, newest first; also what was closed by a later one."""
        ...

    async def spent(self, user: str, since: datetime, reservation: str | None = None) -> Use:
        """What a user has used since then, over all processes, with what is set aside for calls under way. With the id
        of a reservation: as far as it came before that one, and that one itself."""
        ...

    async def snapshot(self, path: Path, *, user: str | None = None) -> None:
        """A consistent private copy of the store as a DuckDB file at `path`, all own events included; with `user` only
        what is theirs."""
        ...

    async def erase(self, runs: Collection[str]) -> Sequence[str]:
        """Remove every event of these runs for good, and every vector that no text needs any more, from all that the
        memory keeps. The lines say what could not go yet and when it will; empty when nothing is left. A run that still
        goes on stays. Idempotent. Raises Unavailable."""
        ...

    async def erased(self) -> frozenset[str]:
        """The ids of the runs that were erased: their events are not taken again."""
        ...

    async def close(self) -> None:
        """Make everything durable, merge what can be merged, let go of files. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has or had a run: its process, the session and the notebook that asked for it, and since when (UTC, ISO)."""

    run: str
    pid: int = 0
    session: str = ""
    notebook: str = ""
    user: str = ""
    since: str = ""

    def __str__(self) -> str:
        where = f", {Path(self.notebook).name}" if self.notebook else ""
        return (
            f"process {self.pid}{where}, since {self.since[:19].replace('T', ' ')} UTC" if self.pid else "another one"
        )


class Lease(Protocol):
    """The right to run a run. `attempt`: a number greater than that of everyone who had it before, 0 when the events of
    the run are to say."""

    @property
    def attempt(self) -> int: ...

    async def release(self) -> None:
        """Let go of the run, which has ended. Idempotent."""
        ...


class Leases(Protocol):
    """Who runs which run. A memory that other machines share has its own, as an attribute `leases`."""

    async def claim(self, holder: Holder) -> Lease:
        """The lease of a run, for this process; gone when it dies. Raises Refused naming the living process that has
        it, Unavailable when nobody can tell."""
        ...

    async def left(self) -> Sequence[Holder]:
        """Runs that were claimed and never given back by somebody who is no more, oldest first. Some may have ended all
        the same: their process died after its last word. Raises Unavailable."""
        ...

    async def drop(self, run: str) -> None:
        """Forget that a run was left; one that somebody has stays theirs. Idempotent."""
        ...
