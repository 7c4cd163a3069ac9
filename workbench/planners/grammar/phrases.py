"""Rules for groups, rankings and charts."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.query import Dim, Measure, Unit
from workbench.planners.grammar.rules import Hit, Rule, alt, choice, listed, made, may, mute, opt, phrase, seq
from workbench.planners.grammar.scope import Scope, column, unit_word, whole
from workbench.planners.grammar.small import THE

# -- groups ------------------------------------------------------------------------------------------------------------

UNIT = choice(
    "unit",
    {
        "day": "day|days|calendar day",
        "week": "week|weeks",
        "month": "month|months|calendar month",
        "quarter": "quarter|quarters",
        "year": "year|years|calendar year",
        "weekday": "weekday|weekdays|day of the week|days of the week|day of week|week day",
    },
)
EVERY = choice(
    "unit",
    {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly|annual|annually"},
)
_NAMED_DAY = alt(column(kind="date"), column(lambda f: f.is_date), column(kind="verb"))
_DAY_UNIT = made(seq(_NAMED_DAY, UNIT), Dim)
_OF_EVENT = seq(UNIT, phrase("of"), THE, alt(column(kind="event"), column(kind="date")))
_UNIT_OF_EVENT = made(seq(alt(_OF_EVENT)), lambda pair: Dim(pair[1], pair[0]))
_EVENT_UNIT = made(seq(column(kind="event"), UNIT), Dim)
_UNIT_OF_DAY = made(seq(UNIT, phrase("of"), THE, column(lambda f: f.is_date)), lambda unit, day: Dim(day, unit))


def _clock(scope: Scope) -> list[Field]:
    """The date columns that a unit of time may mean when none is named."""
    if len(scope.dates) == 1 and scope.dates[0].lifetime:
        scope.problems.append(f"Is the time of {scope.dates[0].name} meant? Then say so.")
        return []
    return list(scope.dates)


def unit_dim(scope: Scope, at: int) -> Iterator[Hit]:
    """`month`, `signup month`, `month of order date`: a date column by a unit of time."""
    for hit in UNIT(scope, at):
        for field in _clock(scope):
            yield Hit(hit.end, Dim(field, hit.value), hit.tags)
    if scope.lows[at : at + 1] in (("hour",), ("minute",)) and scope.dates:
        scope.problems.append("Groups of time are days, weeks, months, quarters, years and weekdays; none is shorter.")
    yield from _DAY_UNIT(scope, at)
    yield from _UNIT_OF_DAY(scope, at)
    yield from _UNIT_OF_EVENT(scope, at)
    yield from _EVENT_UNIT(scope, at)


def every_dim(scope: Scope, at: int) -> Iterator[Hit]:
    """`monthly`."""
    for hit in EVERY(scope, at):
        for field in _clock(scope):
            yield Hit(hit.end, Dim(field, hit.value), hit.tags)
        for field in scope.view.table.fields.values():
            if field.is_year and hit.value == "year":
                yield Hit(hit.end, Dim(field), hit.tags)


_STEPS = phrase(
    *(f"in {steps} of|{steps} of" for steps in ("groups", "bins", "bands", "steps", "intervals", "buckets", "classes")),
    role="bins",
)


def binned(scope: Scope, at: int) -> Iterator[Hit]:
    """`age in groups of 10`: a number by steps of the same width, from 0 on."""
    for hit in seq(THE, column(lambda f: f.measurable and not f.flag), mute(_STEPS), whole)(scope, at):
        field, width = hit.value
        for end in unit_word(scope, hit.end, field):
            yield Hit(end.end, Dim(field, None, width), hit.tags + end.tags)


_COLUMN_DIM: Rule = made(seq(THE, column(lambda f: f.groupable)), Dim)
_DIM: Rule = alt(
    binned,
    _COLUMN_DIM,
    made(seq(THE, column(lambda f: f.is_date)), lambda f: Dim(f, "day")),
    unit_dim,
)
BY = alt(
    phrase("by|grouped by|group by|broken down by|split by|by each", role="by", value="by"),
    phrase(
        "for each|for every|in each|in every|of each|each|every|within each|at each|on each|separately for each",
        role="by",
        value="each",
    ),
    phrase("per", role="by", value="per"),
)
DIMS = made(
    seq(BY, listed(_DIM, mute(phrase("and|,|and by|by|per|, by|and per")), 2)), lambda said, dims: (said, dims[0])
)
"""`by region and channel`: (by, each or per; dims)."""

_AND = mute(phrase("and|and by"))


def _happening(day: Field, unit: Unit) -> Dim:
    return Dim(day, unit, happened=True)


OPENED_BY = alt(
    made(seq(column(kind="verb"), BY, UNIT), lambda day, said, unit: (said, (_happening(day, unit),))),
    made(
        seq(column(kind="verb"), BY, UNIT, _AND, _COLUMN_DIM),
        lambda day, said, unit, other: (said, (_happening(day, unit), other)),
    ),
    made(
        seq(column(kind="verb"), BY, _COLUMN_DIM, _AND, UNIT),
        lambda day, said, other, unit: (said, (other, _happening(day, unit))),
    ),
)
"""`opened per month`, `opened by month and channel`"""

# -- rankings ----------------------------------------------------------------------------------------------------------

TOP = choice("order", {True: "top|the top", False: "bottom|the bottom"})
RANK_BY = phrase("by|based on|in terms of|according to|ranked by|sorted by|ordered by|with respect to|by their|by the")

_WAY = alt(
    phrase(
        "descending|in descending order|largest first|highest first|from high to low|desc", role="sorted", value=True
    ),
    phrase("ascending|in ascending order|smallest first|lowest first|from low to high|asc", role="sorted", value=False),
)
SORTED = made(
    seq(
        mute(phrase("sorted by|ordered by|sort by|order by|sort them by|in order of")),
        THE,
        column(lambda f: f.measurable or f.is_date or f.profile.type == "text"),
        opt(_WAY, None),
    ),
    lambda field, down: (field, down),
)
"""`sorted by price descending`: the column, and whether the largest come first (None: not said)."""

# -- charts ------------------------------------------------------------------------------------------------------------

_DRAW = phrase("plot|chart|graph|draw|visualise|visualize|plot me|draw me", role="chart", value="auto")
_DRAWING = phrase("chart|plot|graph|diagram", role="chart", value="auto")
_KIND = choice("chart", {"bar": "bar|column", "line": "line", "hist": "histogram"})
_BARS = choice("chart", {"bar": "bars", "line": "lines", "hist": "histogram"})
_PICTURE = alt(made(seq(_KIND, _DRAWING), lambda kind, _: kind), _DRAWING, _BARS)
_A = may(phrase("a|an|the"))
_SHOWING = may(phrase("of|for|showing|with"))
_AS = phrase("as|in|with|using|on|and show it as|and show as|shown as|and draw it as|and show|and draw")
_IT = phrase("it|this|that|them|the result|the results|these")
_THEN = phrase("and|,|.|;|and then|then|also|, and|and also|, then|. then|and please")


def _kind(*said: str) -> str:
    return said[-1]


CHART: Rule = alt(
    _DRAW,
    made(seq(mute(_DRAW), _A, _PICTURE, _SHOWING), _kind),
    made(seq(_A, _PICTURE, _SHOWING), _kind),
    made(seq(mute(_AS), _A, _PICTURE), _kind),
    made(seq(opt(_THEN), mute(_DRAW), mute(_IT), opt(_AS), _A, opt(_PICTURE, "auto")), _kind),
    made(seq(_THEN, mute(_DRAW), _A, _PICTURE), _kind),
)
"""That and what kind of chart is asked for."""

_NUMBER = column(lambda f: f.measurable)
CORRELATION = made(
    seq(
        mute(
            phrase("correlation between|correlation of|correlation|how correlated are|how correlated is", role="corr")
        ),
        THE,
        _NUMBER,
        phrase("and|with|to|vs|versus"),
        THE,
        _NUMBER,
    ),
    lambda x, y: Measure("corr", x, y) if x is not y else None,
)
_AGAINST = made(
    seq(_NUMBER, mute(phrase("against|vs|versus", role="chart", value="scatter")), THE, _NUMBER),
    lambda y, x: (y, x, True),
)
_TWO_NUMBERS = alt(
    made(seq(_NUMBER, mute(phrase("and|with|to")), THE, _NUMBER), lambda x, y: (x, y, False)),
    _AGAINST,
)
"""Two columns as they are said, and whether the second is the horizontal axis: y is drawn against x."""

SCATTER = made(
    alt(
        seq(
            opt(mute(_DRAW)),
            _A,
            mute(phrase("scatter|scatterplot", role="chart", value="scatter")),
            mute(opt(_DRAWING)),
            may(phrase("of|for|showing|between")),
            THE,
            _TWO_NUMBERS,
        ),
        seq(mute(_DRAW), THE, _AGAINST),
    ),
    lambda found: found if found[0] is not found[1] else None,
)
_HISTOGRAM = mute(phrase("histogram", role="chart", value="hist"))
HISTOGRAM = made(
    alt(
        seq(opt(mute(_DRAW)), _A, _HISTOGRAM, may(phrase("of|for|showing")), THE, _NUMBER),
        seq(opt(mute(_DRAW)), _A, _NUMBER, _HISTOGRAM),
    ),
    lambda field: field,
)
SPREAD = made(
    alt(
        seq(opt(mute(_DRAW)), column(), mute(phrase("distribution", role="spread"))),
        seq(opt(mute(_DRAW)), _A, mute(phrase("distribution of|distribution for", role="spread")), THE, column()),
    ),
    lambda field: field,
)
