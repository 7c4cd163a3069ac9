"""A planner that is no language model: a grammar over the user's own tables and the tools' examples.

It reads a request in one way or refuses. Refusing names the word that has no place; nothing is guessed, and what was
assumed stands in the plan's notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid, Refused
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Tell
from workbench.planners.grammar import audit, examples, lexicon, reading
from workbench.planners.grammar.assemble import assemble
from workbench.planners.grammar.examples import Match
from workbench.planners.grammar.lexicon import Table, View
from workbench.planners.grammar.parse import Part, cuts
from workbench.planners.grammar.query import Query
from workbench.planners.grammar.rules import Tag
from workbench.planners.grammar.scope import Scope
from workbench.planners.grammar.sql import Writer, Written, label
from workbench.planners.grammar.words import Word, split

CONNECT = "To ask in any words, connect a model: set OPENAI_API_KEY or OPENAI_BASE_URL."
_MOST_WORDS = 80
_MOST_CHARACTERS = 20_000
_MOST_VIEWS = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the request, complete: the query, where it looks, its SQL, and what each word is for."""

    query: Query
    view: View
    written: Written
    tags: tuple[Tag, ...]


class GrammarPlanner:
    """Plans from the words of the user's tables and of the tools' examples, without a model."""

    name = "grammar"

    async def plan(self, request: Request, tools: Mapping[str, ToolSpec], tell: Tell) -> Planned:
        """The plan of the one way to read the request. Raises Refused, naming what has no place in it."""
        long = len(request.text) > _MOST_CHARACTERS
        asked = None if long else examples.match(request.text, tools)
        if asked is not None:
            return self._for_tool(asked, request, tools)
        try:
            found, notes = _read(request)
        except Refused:
            asked = None if long else examples.match(request.text, tools, least=1)
            if asked is None:
                raise
            return self._for_tool(asked, request, tools)
        steps = _steps(found)
        for name in dict.fromkeys(step["task"] for step in steps):
            if name not in tools:
                raise Refused(f"This needs the tool {name}, which is not there.", hint="See `workbench tools`.")
        chart = steps[1]["params"] if len(steps) > 1 else None
        lost = audit.unproved(split(request.text), found.tags, found.written.sql, chart)
        if lost:
            raise _refusal(f"I found no role for {_quote(lost)}.")
        return Planned(plan=_checked(steps, request, tools), planner=self.name, notes=notes)

    def _for_tool(self, asked: Match, request: Request, tools: Mapping[str, ToolSpec]) -> Planned:
        steps: list[dict[str, Any]] = [{"id": "s1", "task": asked.tool, "params": dict(asked.params)}]
        said = ", ".join(f"{name} “{value}”" for name, value in asked.params.items())
        note = f"Read as: use {asked.tool}" + (f" with {said}." if said else ".")
        return Planned(plan=_checked(steps, request, tools), planner=self.name, notes=(note,))

    async def answer(self, outcome: Outcome, tell: Tell) -> Answer:
        """The answer from the numbers."""
        return summarise(outcome)


def _checked(steps: list[dict[str, Any]], request: Request, tools: Mapping[str, ToolSpec]) -> Plan:
    plan = {"goal": request.text[:4000], "steps": steps}
    try:
        return plans.read(plan, tools, [variable.name for variable in request.variables])
    except PlanInvalid as error:
        raise Refused(f"The request cannot be made into a plan: {error.message}", hint=CONNECT) from error


def _refusal(message: str) -> Refused:
    return Refused(message, hint=CONNECT)


def _quote(words: Sequence[str]) -> str:
    return ", ".join(f"“{word[:40]}”" for word in list(dict.fromkeys(words))[:5])


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(request: Request) -> tuple[Reading, tuple[str, ...]]:
    """The one reading of the request, and its notes."""
    words = split(request.text[:_MOST_CHARACTERS])
    if not words:
        raise _refusal("The request is empty.")
    if len(words) > _MOST_WORDS or len(request.text) > _MOST_CHARACTERS:
        raise _refusal(f"The request has more than {_MOST_WORDS} words, too many for the grammar.")
    if not request.variables:
        raise _refusal("No table is offered, and the request is not one of the tools' examples.")
    found = lexicon.tables(words, _offered(words, request))
    unknown = _unknown(words, found, request)
    if unknown:
        raise _refusal(f"I do not know {_quote(unknown)} from your tables or tools.")
    problems: list[str] = []
    furthest = 0
    for views in _tiers(words, found):
        readings: dict[tuple[str, str], Reading] = {}
        for view in views:
            scope = Scope(words, view, view.senses or view.table.senses, date.fromisoformat(request.today[:10]))
            rows, reached = cuts(scope)
            furthest = max(furthest, reached)
            for row in rows:
                reading_ = _complete(scope, row)
                if reading_ is not None:
                    readings.setdefault((reading_.written.sql, reading_.query.chart), reading_)
            problems += scope.problems
        if len(readings) > 1:
            ways = " — or — ".join(reading.read_as(r.query, r.view)[9:] for r in list(readings.values())[:3])
            raise _refusal(f"This can be read in more than one way: {ways}")
        if readings:
            one = next(iter(readings.values()))
            return one, _notes(one)
    if problems:
        raise _refusal(problems[0])
    if furthest < len(words):
        raise _refusal(f"I found no role for “{words[furthest].text[:40]}” in this request.")
    raise _refusal("I know the words, but not what they ask for together.")


def _offered(words: Sequence[Word], request: Request) -> list[Any]:
    """The variables that the request may be about: those it names with @, or all."""
    named = [word.text[1:] for word in words if word.kind == "name"]
    missing = [name for name in named if request.variable(name) is None]
    if missing:
        there = ", ".join(f"@{variable.name}" for variable in request.variables)
        raise Refused(f"There is no table @{missing[0]}.", hint=f"Offered are: {there}.")
    return [v for v in request.variables if v.name in named] if named else list(request.variables)


def _unknown(words: Sequence[Word], found: Sequence[Table], request: Request) -> list[str]:
    covered = set().union(*(table.covers() for table in found)) if found else set()
    known = Scope(words, View(found[0]), {}, date.fromisoformat(request.today[:10]))
    return [word.text for at, word in enumerate(words) if at not in covered and not _is_known(known, at)]


def _is_known(scope: Scope, at: int) -> bool:
    word = scope.words[at]
    return scope.known(at) or word.kind in ("name", "quoted")


def _tiers(words: Sequence[Word], found: Sequence[Table]) -> Iterator[list[View]]:
    """The views to try, best first: tables that the request calls by their name, other tables, two tables joined."""
    known = Scope(words, View(found[0]), {}, date.min)
    content = {at for at in range(len(words)) if not _is_known(known, at)}
    named = {word.text[1:] for word in words if word.kind == "name"}
    single = [View(table) for table in found if content <= table.covers() and named <= {table.name}]
    called = [view for view in single if _called(view.table)]
    for tier in (called, [view for view in single if view not in called]):
        if len(tier) > _MOST_VIEWS:
            names = ", ".join(view.table.name for view in tier[:5])
            raise _refusal(f"Several tables fit ({names}, …): write @ and the name of the one you mean.")
        yield tier
    if len(found) > 1:
        touched = [table for table in found if table.senses][: 2 * _MOST_VIEWS]
        pairs = [view for view in lexicon.joined(touched) if view.other is not None]
        yield [v for v in pairs if content <= v.table.covers() | v.other.covers()][:_MOST_VIEWS]  # type: ignore[union-attr]


def _called(table: Table) -> bool:
    return any(sense.kind == "rows" for senses in table.senses.values() for sense in senses)


def _complete(scope: Scope, row: tuple[Part, ...]) -> Reading | None:
    query = assemble(scope, row)
    if query is None:
        return None
    written = Writer(scope.view).write(query)
    return Reading(query, scope.view, written, tuple(tag for part in row for tag in part.tags))


def _notes(one: Reading) -> tuple[str, ...]:
    notes = [reading.read_as(one.query, one.view)]
    for measure in one.query.measures:
        if measure.assumed and measure.how == "sum" and measure.field is not None:
            name = measure.field.name
            notes.append(f"No way of adding up was named: {name} is summed. Say average, median, … for another.")
    if one.view.other is not None:
        notes.append(
            f"{one.view.table.name} and {one.view.other.name} are joined on {one.view.key};"
            f" rows of {one.view.table.name} without a match are left out."
        )
    return tuple(notes)


# -- steps -------------------------------------------------------------------------------------------------------------


def _steps(one: Reading) -> list[dict[str, Any]]:
    title = reading.title(one.query, one.view)
    tables = {table.name: {"$ref": f"@{table.name}"} for table in one.view.tables}
    params = {"sql": one.written.sql, "tables": tables, "title": title}
    steps: list[dict[str, Any]] = [{"id": "s1", "task": "query_data", "params": params, "title": title}]
    if one.query.chart:
        steps.append({"id": "s2", "task": "plot", "params": _plot(one, title), "title": f"Chart: {title}"[:200]})
    return steps


def _plot(one: Reading, title: str) -> dict[str, Any]:
    query, written = one.query, one.written
    x = written.groups[0] if written.groups else written.measures[0]
    y = list(written.measures)
    labels = [name.replace("_", " ") for name in y]
    if query.across is not None:
        x, y = query.across.name, [field.name for field in query.columns if field is not query.across]
        labels = [label(field) for field in query.columns if field is not query.across]
    if query.chart == "hist":
        x, y, labels = query.columns[0].name, [], ["rows"]
    return {
        "data": {"$ref": "s1"},
        "kind": query.chart,
        "x": x,
        "y": y,
        "title": title,
        "x_label": x.replace("_", " "),
        "y_label": labels[0] if len(labels) == 1 else "",
    }
