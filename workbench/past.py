"""What a run may have from before it began: a plan, tables, results. A run that is taken up again, one that repeats
another with changes, and one that reuses what fits differ only in where they get these from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from workbench.calls import Call
from workbench.core.artifacts import Artifact
from workbench.core.events import Stream
from workbench.core.plan import Plan
from workbench.core.provenance import Sources, Typed
from workbench.core.recovery import Recovered
from workbench.core.tools import ToolSpec
from workbench.planners.base import Planned
from workbench.policy.approval import Approver


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A round whose plan is there already. `sources`: what the plan is made of. `told`: whether the run's own events
    have it; `approved`: whether its steps were. `typed`: what of it a person has written, see `policy.amendment`."""

    planned: Planned
    round: int
    sources: Sources
    told: bool
    approved: bool
    typed: Typed = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The run that a past is asked by, when the steps of a plan are about to run. `identities` say what each step
    computes; `call` makes a call with all the layers around it; `durable` is awaited before a person is asked."""

    plan: Plan
    tools: Mapping[str, ToolSpec]
    identities: Mapping[str, str]
    stream: Stream
    call: Call
    approver: Approver | None
    durable: Callable[[], Awaitable[None]]


class Past(Protocol):
    """Where a run gets from what it need not do."""

    @property
    def kept(self) -> Kept | None:
        """The round to begin with; None when the planner is to be asked."""
        ...

    @property
    def tables(self) -> Mapping[str, Artifact]:
        """Tables that were offered before, by name; they stay as they were taken."""
        ...

    @property
    def made_of(self) -> Mapping[str, Sources]:
        """What such tables are made of beyond the user's rows, by name, where that is known."""
        ...

    async def results(self, present: Present) -> Recovered:
        """What of the steps at hand is done, and what may not be: told in the stream where it is news there.

        Raises WorkbenchError when the run cannot go on as it is.
        """
        ...
