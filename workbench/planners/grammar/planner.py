"""A planner that is no language model: a grammar over the user's own tables and the tools' examples.

It reads a request in one way or refuses. Refusing names the word that has no place; nothing is guessed, and what was
assumed stands in the plan's notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid, Refused
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Tell
from workbench.planners.grammar import audit, examples, reading
from workbench.planners.grammar.examples import Match
from workbench.planners.grammar.reader import CONNECT, MAX_CHARACTERS, REPHRASE, Reading, quote, read
from workbench.planners.grammar.sql import label

_Step = dict[str, Any]


class GrammarPlanner:
    """Plans from the words of the user's tables and of the tools' examples, without a model."""

    name = "grammar"

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """The plan of the one way to read the request. Raises Refused, naming what has no place in it."""
        asked = _tool(request, tools, least=2)
        if asked is None:
            try:
                return self._over_tables(request, tools)
            except Refused:
                # One word is enough to ask for a tool when the request is no question about a table.
                asked = _tool(request, tools, least=1)
                if asked is None:
                    raise
        return self._with_tool(asked, request, tools)

    async def look(
        self, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec], tell: Tell
    ) -> Planned | None:
        """Nothing: a plan of the grammar is whole."""
        return None

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        """The answer from the numbers."""
        return summarise(outcome)

    def _with_tool(self, asked: Match, request: Request, tools: Mapping[str, ToolSpec]) -> Planned:
        steps = [{"id": "s1", "task": asked.tool, "params": dict(asked.params)}]
        shown = {
            name: value["$ref"] if isinstance(value, dict) else f"“{value}”" for name, value in asked.params.items()
        }
        said = ", ".join(f"{name} {value}" for name, value in shown.items())
        note = f"Read as: use {asked.tool}" + (f" with {said}." if said else ".")
        return Planned(plan=_checked(steps, request, tools), planner=self.name, notes=(note,))

    def _over_tables(self, request: Request, tools: Mapping[str, ToolSpec]) -> Planned:
        found = read(request)
        steps = _steps(found)
        for step in steps:
            if step["task"] not in tools:
                raise Refused(f"This needs the tool {step['task']}, which is not there.", hint="See `workbench tools`.")
        chart = steps[1]["params"] if len(steps) > 1 else None
        lost = audit.unproved(found.words, found.tags, found.written.sql, chart)
        if lost:
            raise Refused(f"I cannot tell what {quote(lost)} should change in the answer.", hint=REPHRASE)
        return Planned(plan=_checked(steps, request, tools), planner=self.name, notes=_notes(found))


def _tool(request: Request, tools: Mapping[str, ToolSpec], least: int) -> Match | None:
    return None if len(request.text) > MAX_CHARACTERS else examples.match(request.text, tools, least=least)


def _checked(steps: list[_Step], request: Request, tools: Mapping[str, ToolSpec]) -> Plan:
    try:
        raw = {"goal": request.text[:4000], "steps": steps}
        return plans.read(raw, tools, [variable.name for variable in request.variables])
    except PlanInvalid as error:
        raise Refused(f"The request cannot be made into a plan: {error.message}", hint=CONNECT) from error


def _notes(found: Reading) -> tuple[str, ...]:
    notes = [*found.notes, f"Read as: {reading.what(found.query, found.view)}."]
    assumed = [one for one in found.query.measures if one.assumed and one.how == "sum"]
    notes += [f"{one.field.name} is summed, as nothing else was said." for one in assumed if one.field is not None]
    if found.view.other is not None:
        own, other = found.view.table.name, found.view.other.name
        notes.append(f"{own} and {other} are joined on {found.view.key}; rows of {own} without a match are left out.")
    return tuple(notes)


def _steps(found: Reading) -> list[_Step]:
    title = reading.title(found.query, found.view)
    tables = {table.name: {"$ref": f"@{table.name}"} for table in found.view.tables}
    params = {"sql": found.written.sql, "tables": tables, "title": title}
    steps: list[_Step] = [{"id": "s1", "task": "query_data", "params": params, "title": title}]
    if found.query.chart:
        steps.append({"id": "s2", "task": "plot", "params": _plot(found, title), "title": f"Chart: {title}"[:200]})
    return steps


def _plot(found: Reading, title: str) -> dict[str, Any]:
    query, written = found.query, found.written
    if query.chart == "hist":
        x, y, y_label = query.columns[0].name, [], "rows"
    elif query.across is not None:
        others = [field for field in query.columns if field is not query.across]
        x, y, y_label = query.across.name, [field.name for field in others], label(others[0])
    else:
        x, y = written.groups[0 if query.series != 0 else 1], list(written.measures)
        y_label = y[0].replace("_", " ") if len(y) == 1 else ""
    return {
        "data": {"$ref": "s1"},
        "kind": query.chart,
        "x": x,
        "y": y,
        "title": title,
        "x_label": x.replace("_", " "),
        "y_label": y_label,
    }
