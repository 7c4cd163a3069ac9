"""A plan that code of the user's has made, such as the one call of one tool: checked like any other, and answered from
the results without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core import plan as plans
from workbench.core.outcome import Outcome
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Tell
from workbench.planners.given import NAME


class FixedPlanner:
    """Gives the plan it was made with: JSON text, a list of steps, or an object with `steps`."""

    name = NAME

    def __init__(self, plan: str | Sequence[Any] | Mapping[str, Any]) -> None:
        self._plan = plan

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """See `Planner.plan`. Raises PlanInvalid with every error of the plan."""
        names = [variable.name for variable in request.variables]
        return Planned(plan=plans.read(self._plan, tools, names), planner=NAME)

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        """None: there is no more than what was given."""
        return None

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        return summarise(outcome)


def in_words(tool: str, params: Mapping[str, Any]) -> str:
    """One call as the request that it is: `tool name=value …`, tables as `@name`."""
    return " ".join([tool, *(f"{name}={_said(value)}" for name, value in params.items())])


def _said(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) == {"$ref"}:
        return str(value["$ref"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
