"""A plan that the user wrote themselves: a request that is the JSON of a plan is run as it stands.

    %agent [{"task": "search_news", "params": {"query": "tides"}}]

It is made of the request alone. What follows its steps, a further round or the answer, is another planner's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.core.outcome import Outcome
from workbench.core.plan import read
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.base import Answer, Planned, Planner, Tell

NAME = "you"


class GivenPlanner:
    """Takes the plan of the request as it is; `after` words the answer and looks at results."""

    name = NAME

    def __init__(self, after: Planner) -> None:
        self._after = after

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """The plan that the request spells. Raises PlanInvalid with everything that is wrong with it."""
        names = [variable.name for variable in request.variables]
        return Planned(plan=read(request.text, tools, names), planner=NAME)

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        """What the other planner adds."""
        return await self._after.look(request, outcome, tools, tell)

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        """The other planner's answer."""
        return await self._after.answer(outcome, tell)


def given(text: str, planner: Planner) -> Planner:
    """Who plans a request: its writer, where it is a plan in JSON, else the planner."""
    return GivenPlanner(planner) if _is_plan(text) else planner


def _is_plan(text: str) -> bool:
    if not text.lstrip().startswith(("[", "{")):
        return False
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    steps = value.get("steps") if isinstance(value, Mapping) else value
    return bool(steps) and isinstance(steps, list) and all(isinstance(s, Mapping) and "task" in s for s in steps)
