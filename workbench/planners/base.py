"""The seam to a planner: a request in, a plan out, nothing run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from workbench.core.events import Draft, Event, Kind
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan
from workbench.core.provenance import NONE, Sources
from workbench.core.request import Request
from workbench.core.tools import ToolSpec


class Tell(Protocol):
    """How a planner reports what it did: `tell(Kind.MODEL_CALLED, {...})`."""

    def __call__(self, kind: Kind, body: Mapping[str, Any], /) -> Event: ...


@runtime_checkable
class Watched(Protocol):
    """A `Tell` that may also be shown what is not final yet: only worth the effort while `watched`."""

    @property
    def watched(self) -> bool: ...

    def draft(self, draft: Draft) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A checked plan and where it comes from. `notes` are lines for the user: how the request was read, what was
    assumed, corrected or left out. `model` is "" when no language model was asked. `sources`: what the planner saw
    beyond the request, its tables, the tools and the outcome, such as recalled memories."""

    plan: Plan
    planner: str
    model: str = ""
    notes: Sequence[str] = ()
    sources: Sources = NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text under the results, and who wrote it: a model's name, or "summary" when it was put together from the
    numbers without a model."""

    text: str
    planner: str


class Planner(Protocol):
    """Turns requests into plans. `name` is shown beside the plan."""

    name: str

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """A plan that has passed `core.plan.read` with these tools and the request's variables.

        Raises Refused when the request cannot be planned honestly (naming what was not understood), PlanInvalid when a
        model would not produce a valid plan, Unavailable or TransientError from the model.
        """
        ...

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        """Further steps, after a plan that asked for a look at its results; None when there is enough for the answer.

        The steps may refer to those of earlier rounds. Raises as `plan` does.
        """
        ...

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        """The answer from the results of a run whose steps have all ended. Raises as `plan` does."""
        ...
