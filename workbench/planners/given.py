"""A plan that is there already: the user has written it into the request, or their code has made it.

    %agent [{"task": "search_news", "params": {"query": "tides"}}]

It is made of the request alone. What follows its steps, a further round or the answer, is another planner's, where
there is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core.outcome import Outcome
from workbench.core.plan import read
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Planner, Tell

NAME = "you"


class GivenPlanner:
    """Takes a plan as it is: JSON text, a list of steps, or an object with `steps`. `after` words the answer and looks
    at results; without it there is no further round, and the answer is put together from the results."""

    name = NAME

    def __init__(self, plan: str | Sequence[Any] | Mapping[str, Any], after: Planner | None = None) -> None:
        self._plan = plan
        self._after = after

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """The plan, checked like any other. Raises PlanInvalid with everything that is wrong with it."""
        names = [variable.name for variable in request.variables]
        return Planned(plan=read(self._plan, tools, names), planner=NAME)

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        """What the other planner adds."""
        return await self._after.look(request, outcome, tools, tell) if self._after is not None else None

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        """The other planner's answer, else a summary."""
        return await self._after.answer(outcome, tell) if self._after is not None else summarise(outcome)


def given(text: str, planner: Planner) -> Planner:
    """Who plans a request: its writer, where it is a plan in JSON, else the planner."""
    return GivenPlanner(text, planner) if _is_plan(text) else planner


def _is_plan(text: str) -> bool:
    if not text.lstrip().startswith(("[", "{")):
        return False
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    steps = value.get("steps") if isinstance(value, Mapping) else value
    return bool(steps) and isinstance(steps, list) and all(isinstance(s, Mapping) and "task" in s for s in steps)


def in_words(tool: str, params: Mapping[str, Any]) -> str:
    """One call as the request that it is: `tool name=value …`, tables as `@name`."""
    return " ".join([tool, *(f"{name}={_said(value)}" for name, value in params.items())])


def _said(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) == {"$ref"}:
        return str(value["$ref"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
