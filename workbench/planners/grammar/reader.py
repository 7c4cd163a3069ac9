"""Reads a request over tables in the one way it can be read, or says why there is none or more than one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from workbench.core.errors import Refused
from workbench.core.request import Request, Variable
from workbench.planners.grammar import lexicon, reading, typos, unread
from workbench.planners.grammar.assemble import assemble
from workbench.planners.grammar.conditions import BEGINS, CONTAINS
from workbench.planners.grammar.parse import Part, cuts
from workbench.planners.grammar.periods import MONTHS
from workbench.planners.grammar.query import Query
from workbench.planners.grammar.row import Row
from workbench.planners.grammar.rules import Tag
from workbench.planners.grammar.scope import Scope
from workbench.planners.grammar.sql import Writer, Written, label
from workbench.planners.grammar.views import Table, View
from workbench.planners.grammar.words import Word, name_parts, split

CONNECT = "To ask in any words, connect a model: set OPENAI_API_KEY or OPENAI_BASE_URL."
REPHRASE = (
    "Ask for one thing in plain words, such as “average price by region in 2025” or “top 5 products by revenue”. "
    + CONNECT
)
MAX_CHARACTERS = 20_000
_OPPOSITES = frozenset({"un", "in", "im", "ir", "non", "dis"})
_MOST_WORDS = 80
_MOST_VIEWS = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """One complete way to read the request: the query, where it looks, its SQL, what each word is for, and what was
    mended in the words."""

    words: Sequence[Word]
    query: Query
    view: View
    written: Written
    tags: tuple[Tag, ...]
    notes: tuple[str, ...] = ()


def refusal(message: str) -> Refused:
    return Refused(message, hint=CONNECT)


def quote(words: Sequence[str]) -> str:
    return ", ".join(f"“{word[:40]}”" for word in list(dict.fromkeys(words))[:5])


def read(request: Request) -> Reading:
    """The one reading of the request. Raises Refused."""
    words = split(request.text[:MAX_CHARACTERS])
    notes: list[str] = []
    if not words:
        raise refusal("The request is empty.")
    if len(words) > _MOST_WORDS or len(request.text) > MAX_CHARACTERS:
        raise refusal(f"The request has more than {_MOST_WORDS} words, too many for the grammar.")
    if not request.variables:
        raise refusal("No table is offered, and the request is not one of the tools' examples.")
    found = lexicon.tables(words, _offered(words, request))
    known = [_is_known(words, at) for at in range(len(words))]
    unknown = _unknown(words, known, found)
    mended = typos.mended(words, unknown, (n for t in found for n in (t.name, *t.fields))) if unknown else None
    if mended is not None:
        words, notes = mended
        found = lexicon.tables(words, _offered(words, request))
        known = [_is_known(words, at) for at in range(len(words))]
        unknown = _unknown(words, known, found)
    if unknown:
        why = unread.reason(request.text, words, unknown)
        raise _not_known(words, unknown, found) if why is None else Refused(why, hint=REPHRASE)
    problems: list[str] = []
    furthest = 0
    for views in _tiers(words, known, found):
        readings: dict[tuple[str, str], Reading] = {}
        for view in views:
            scope = Scope(words, view, view.senses or view.table.senses, date.fromisoformat(request.today[:10]))
            rows, reached = cuts(scope)
            furthest = max(furthest, reached)
            for row in rows:
                query = None if _is_dated_month(words, row) else assemble(Row(scope, row))
                if query is not None:
                    written = Writer(view).write(query)
                    tags = tuple(tag for part in row for tag in part.tags)
                    key = (written.sql, query.chart)
                    readings.setdefault(key, Reading(words, query, view, written, tags, tuple(notes)))
            problems += scope.problems
        if len(readings) > 1:
            ways = " — or — ".join(reading.what(r.query, r.view) for r in list(readings.values())[:3])
            hint = f"Name the column, or write @ and the table's name. {CONNECT}"
            raise Refused(f"This can be read in more than one way: {ways}.", hint=hint)
        if readings:
            found_one = next(iter(readings.values()))
            if month := _maybe_a_month(found_one):
                raise Refused(month, hint=f"Ask again in that way. {CONNECT}")
            return found_one
    if why := unread.reason(request.text, words, ()):
        raise Refused(why, hint=REPHRASE)
    if problems:
        raise Refused(problems[0], hint=f"Ask again in that way. {CONNECT}")
    if furthest < len(words):
        before = " ".join(word.text for word in words[max(0, furthest - 3) : furthest])
        where = f" after “{before}”" if before else " at the beginning"
        raise Refused(f"I cannot place {quote([words[furthest].text])}{where}.", hint=REPHRASE)
    raise Refused("I know each word, but not what they ask for together.", hint=REPHRASE)


def _months(words: Sequence[Word], tags: Sequence[Tag]) -> Iterator[Tag]:
    """Where a value is read that is also the name of a month, such as a doctor May."""
    return (t for t in tags if t.role == "value" and t.end == t.start + 1 and words[t.start].low in MONTHS)


def _is_dated_month(words: Sequence[Word], row: Sequence[Part]) -> bool:
    """Whether the row takes a month for a value though its year stands behind it: May 2025 is no doctor."""
    tags = [tag for part in row if part.kind == "filter" for tag in part.tags]
    return any(
        words[t.end].kind == "number" and len(words[t.end].text) == 4
        for t in _months(words, tags[:-1])
        if t.end < len(words)
    )


def _maybe_a_month(one: Reading) -> str | None:
    """What to ask where a value alone could be a month as well, in a table with days."""
    for tag in _months(one.words, one.tags) if one.view.dates() else ():
        said = one.words[tag.start].text
        for where in one.query.where:
            named = any(t.role == "column" and t.value is where.field for t in one.tags)
            if tag.value in where.values and not named and "month" not in where.field.parts:
                name = label(where.field)
                return f"Is {said} the {name} or the month? Say “{name} {said}”, or the year."
    return None


def _offered(words: Sequence[Word], request: Request) -> Sequence[Variable]:
    """The variables that the request may be about: those it names with @, or all."""
    named = [word.text[1:] for word in words if word.kind == "name"]
    missing = [name for name in named if request.variable(name) is None]
    if missing:
        there = ", ".join(f"@{variable.name}" for variable in request.variables)
        raise Refused(f"There is no table @{missing[0]}.", hint=f"Offered are: {there}.")
    return [v for v in request.variables if v.name in named] if named else request.variables


def _is_known(words: Sequence[Word], at: int) -> bool:
    return Scope.known(words[at]) or words[at].kind in ("name", "quoted") or _is_text(words, at)


def _is_text(words: Sequence[Word], at: int) -> bool:
    """Whether the word stands where a text is looked for in a column: after `contains`, `starts with`."""
    before = tuple(word.low for word in words[max(0, at - 2) : at])
    return before[-1:] != () and (before[-1] in CONTAINS or (before[-1] == "with" and before[0] in BEGINS))


def _unknown(words: Sequence[Word], known: Sequence[bool], found: Sequence[Table]) -> list[int]:
    """The words that are neither of the grammar nor of the tables."""
    covered = {at for table in found for at in table.covers()}
    return [at for at in range(len(words)) if not known[at] and at not in covered]


def _not_known(words: Sequence[Word], unknown: Sequence[int], found: Sequence[Table]) -> Refused:
    """The refusal that names the unknown words, with the names that are near or there."""
    message = f"I do not know {quote([words[at].text for at in unknown])} from your tables or tools."
    names = {"_".join(name_parts(name)): name for table in found for name in (table.name, *table.fields)}
    values = {value.casefold(): value for t in found for f in t.fields.values() for value in f.profile.values or ()}
    known = names | values
    lows = [words[at].low for at in unknown]
    near = [known[name] for low in lows for name in difflib.get_close_matches(low, known, n=1, cutoff=0.8)]
    stems = {words[at].stem for at in unknown}
    holding = list(dict.fromkeys(name for name in names.values() if stems & set(name_parts(name))))
    if holding and len(holding) <= 4:  # trust: trust in science or trust in media?
        meant = " or ".join(holding)
        return Refused(f"{message} Did you mean {meant}?", hint=f"Ask with the whole name. {CONNECT}")
    if near and any(low.endswith(near[0].casefold()) and low[: -len(near[0])] in _OPPOSITES for low in lows):
        return Refused(f"{message} Did you mean not {near[0]}?", hint=f"Ask with not {near[0]}. {CONNECT}")
    if near:
        return Refused(f"{message} Did you mean {near[0]}?", hint=f"Ask with {near[0]}. {CONNECT}")
    columns = [f.name for table in found[:3] for f in list(table.fields.values())[:12]] if len(found) <= 3 else []
    there = f"The columns are: {', '.join(dict.fromkeys(columns))[:300]}. " if columns else ""
    return Refused(message, hint=f"{there}{CONNECT}")


def _tiers(words: Sequence[Word], known: Sequence[bool], found: Sequence[Table]) -> Iterator[Sequence[View]]:
    """The views to try, best first: tables that the request calls by their name, other tables, two tables joined."""
    content = {at for at, is_known in enumerate(known) if not is_known}
    named = {word.text[1:] for word in words if word.kind == "name"}
    single = [View(table) for table in found if content <= table.covers() and named <= {table.name}]
    called = [view for view in single if view.table.called]
    for tier in (called, [view for view in single if view not in called]):
        if len(tier) > _MOST_VIEWS:
            names = ", ".join(view.table.name for view in tier[:5])
            raise refusal(f"Several tables fit ({names}, …): write @ and the name of the one you mean.")
        yield tier
    touched = [table for table in found if table.senses][: 2 * _MOST_VIEWS]
    pairs = [view for view in lexicon.joined(touched) if content <= view.covers()]
    yield pairs[:_MOST_VIEWS]
