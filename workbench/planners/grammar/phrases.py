"""Rules for all that is not a condition: measures, groups, orders, charts, and the words that hold them together."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.planners.grammar.conditions import JOINT, THE
from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.query import Dim, Measure
from workbench.planners.grammar.rules import Hit, Rule, alt, choice, listed, made, may, mute, opt, phrase, seq
from workbench.planners.grammar.scope import Scope, column, named, rows, unit_word

OF = may(phrase("of", "in", "for"))

# -- measures ----------------------------------------------------------------------------------------------------------

SUM = phrase("total", "sum", "sum of", "total of", "overall", "combined", "summed", role="how", value="sum")
HOW = choice(
    "how",
    {
        "mean": "average|mean|avg|average of|mean of|avg of",
        "median": "median|median of",
        "std": "standard deviation|standard deviation of|std|stddev|std dev|sd|std of|stddev of|standard deviation in",
        "max": "max|maximum|max of|maximum of",
        "min": "min|minimum|min of|minimum of",
        "highest": "highest|largest|greatest|biggest",
        "lowest": "lowest|smallest|least",
        "latest": "latest|last|most recent|newest",
        "earliest": "earliest|first|oldest",
    },
)
COUNT = phrase(
    "number of", "how many", "count of", "count", "total number of", "total count of", "no of", "the number of", "counts of",
    "count the", "amount of", role="how", value="count",
)  # fmt: skip
DISTINCT = phrase("distinct", "unique", "different", role="distinct")
ROW_WORDS = phrase("rows", "row", "records", "record", "entries", "entry", "observations", "data points", "lines")


def _measure(how: str, field: Field) -> Measure | None:
    if how in ("latest", "earliest"):
        return Measure("max" if how == "latest" else "min", field) if field.is_date else None
    if how in ("highest", "lowest", "max", "min") and (field.measurable or field.is_date):
        loud = how in ("highest", "lowest")
        return Measure("max" if how in ("highest", "max") else "min", field, extreme=loud)
    if not field.measurable or field.flag:
        return None
    return Measure(how, field)  # type: ignore[arg-type]  # the rest are names of measures


def _measures(scope: Scope, at: int) -> Iterator[Hit]:
    """`average and maximum unit price`, `total revenue`: one column, one or more ways."""
    for hit in seq(listed(alt(SUM, HOW), mute(JOINT), 5), OF, THE, column())(scope, at):
        (hows, _), field = hit.value
        found = [_measure(how, field) for how in hows]
        if all(found):
            for end in unit_word(scope, hit.end, field, "in"):
                yield Hit(end.end, tuple(found), hit.tags + end.tags)


def _plural(scope: Scope, at: int, end: int) -> bool:
    return any(word.low != word.stem for word in scope.words[at:end])


def _counted(scope: Scope, at: int) -> Iterator[Hit]:
    """`number of orders`, `order count`, `total orders`, `number of distinct customers`, `number of units`."""
    for hit in seq(mute(alt(COUNT, SUM)), THE, ROWS_NOUN)(scope, at):
        yield Hit(hit.end, (Measure("count"),), hit.tags)
    for hit in seq(ROWS_NOUN, mute(phrase("count", "counts", role="how", value="count")))(scope, at):
        yield Hit(hit.end, (Measure("count"),), hit.tags)
    for hit in seq(mute(COUNT), mute(DISTINCT), column(_countable))(scope, at):
        yield Hit(hit.end, (Measure("distinct", hit.value[0]),), hit.tags)
    for hit in seq(mute(COUNT), column(lambda f: f.additive))(scope, at):
        if _plural(scope, hit.end - 1, hit.end):
            yield Hit(hit.end, (Measure("sum", hit.value[0]),), hit.tags)


def _countable(field: Field) -> bool:
    return (field.profile.type == "text" or field.is_key or field.groupable) and not field.unique


def _bare(scope: Scope, at: int) -> Iterator[Hit]:
    for hit in seq(column(lambda f: f.measurable and not f.flag))(scope, at):
        yield Hit(hit.end, (Measure("", hit.value[0], assumed=True),), hit.tags)


ROWS_NOUN = alt(
    rows,
    made(seq(mute(ROW_WORDS)), lambda: ""),
    made(seq(mute(ROW_WORDS), phrase("of", "in", "from"), THE, alt(named, rows)), lambda name: name),
)
ONE_MEASURE = alt(_measures, _counted, _bare)


def MEASURES(scope: Scope, at: int) -> Iterator[Hit]:  # noqa: N802 - a rule, named like the other rules
    """One or more measures: `total revenue and average rating`. A bare column takes the way of the one before it."""
    for hit in listed(ONE_MEASURE, seq(mute(alt(JOINT, phrase("as well as", "plus"))), THE), 4)(scope, at):
        found: list[Measure] = []
        for group in hit.value[0]:
            for one in group:
                same = found and one.assumed and not found[-1].assumed and found[-1].field is not None
                if same and found[-1].how in ("sum", "mean", "median", "std"):
                    if (
                        one.field.additive != found[-1].field.additive
                    ):  # "average rating and revenue": is revenue averaged?
                        break
                    one = Measure(found[-1].how, one.field)
                found.append(one)
            else:
                continue
            break
        else:
            yield Hit(hit.end, tuple(found), hit.tags)


# -- groups ------------------------------------------------------------------------------------------------------------

UNIT = choice(
    "unit",
    {
        "day": "day|days|calendar day",
        "week": "week|weeks",
        "month": "month|months|calendar month",
        "quarter": "quarter|quarters",
        "year": "year|years|calendar year",
    },
)
EVERY = choice(
    "unit",
    {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly|annual|annually"},
)


def unit_dim(scope: Scope, at: int) -> Iterator[Hit]:
    """`month`, `signup month`, `month of order date`: a date column by a unit of time."""
    for hit in UNIT(scope, at):
        for field in scope.dates:
            yield Hit(hit.end, Dim(field, hit.value), hit.tags)
    for hit in seq(alt(column(kind="date"), column(lambda f: f.is_date), column(kind="verb")), UNIT)(scope, at):
        yield Hit(hit.end, Dim(*hit.value), hit.tags)
    for hit in seq(UNIT, phrase("of"), THE, column(lambda f: f.is_date))(scope, at):
        yield Hit(hit.end, Dim(hit.value[1], hit.value[0]), hit.tags)


def every_dim(scope: Scope, at: int) -> Iterator[Hit]:
    """`monthly`."""
    for hit in EVERY(scope, at):
        for field in scope.dates:
            yield Hit(hit.end, Dim(field, hit.value), hit.tags)
        for field in scope.view.table.fields.values():
            if field.is_year and hit.value == "year":
                yield Hit(hit.end, Dim(field), hit.tags)


DIM: Rule = alt(
    made(seq(THE, column(lambda f: f.groupable)), Dim),
    made(seq(THE, column(lambda f: f.is_date)), lambda f: Dim(f, "day")),
    unit_dim,
)
BY = alt(
    phrase(
        "by", "for each", "for every", "in each", "in every", "of each", "each", "every", "grouped by", "group by", "broken down by",
        "split by", "within each", "at each", "on each", "separately for each", "by each", role="by", value="by",
    ),
    phrase("per", role="by", value="per"),
)  # fmt: skip
OPENED_BY = seq(column(kind="verb"), BY, UNIT)
"""`opened per month`"""

DIMS = seq(BY, listed(DIM, mute(alt(phrase("and", ",", "and by", "by", "per", ", by", "and per"))), 2))

# -- order -------------------------------------------------------------------------------------------------------------

TOP = choice("order", {True: "top|the top|highest|largest|biggest|leading", False: "bottom|the bottom|lowest|smallest"})
RANK_BY = phrase(
    "by", "based on", "in terms of", "according to", "ranked by", "with respect to", "by their", "by the", "for"
)
MOST = choice("order", {True: "most|the most", False: "fewest|the fewest|least|the least"})
PEAK = choice(
    "order",
    {
        True: "highest|largest|greatest|biggest|maximum|the highest|the largest|the greatest|the biggest|the maximum|max|top",
        False: "lowest|smallest|minimum|the lowest|the smallest|the minimum|min",
    },
)
GETS = phrase(
    "has", "have", "had", "with", "having", "got", "gets", "sold", "generated", "generates", "made", "makes", "received",
    "recorded", "saw", "shows", "show", "showed", "earned", "brought in", "is", "was",
)  # fmt: skip


def superlative(scope: Scope, at: int) -> Iterator[Hit]:
    """`has the highest average rating`, `with the most orders`, `sold the fewest units`: (down, measure)."""
    for hit in seq(may(mute(GETS)), PEAK, alt(_measures, _counted, _bare))(scope, at):
        down, found = hit.value
        if len(found) == 1 and not found[0].extreme:
            yield Hit(hit.end, (down, found[0]), hit.tags)
    for hit in seq(may(mute(GETS)), MOST, ROWS_NOUN)(scope, at):
        yield Hit(hit.end, (hit.value[0], Measure("count")), hit.tags)
    for hit in seq(may(mute(GETS)), MOST, column())(scope, at):
        down, field = hit.value
        if field.additive:
            yield Hit(hit.end, (down, Measure("sum", field, assumed=True)), hit.tags)
        elif field.is_key and not field.unique:
            yield Hit(hit.end, (down, Measure("distinct", field)), hit.tags)


# -- charts ------------------------------------------------------------------------------------------------------------

_DRAW = phrase(
    "plot", "chart", "graph", "draw", "visualise", "visualize", "plot me", "draw me", role="chart", value="auto"
)
_DRAWING = phrase("chart", "plot", "graph", "diagram", role="chart", value="auto")
_KIND = choice("chart", {"bar": "bar|column", "line": "line", "hist": "histogram"})
_BARS = choice("chart", {"bar": "bars", "line": "lines", "hist": "histogram"})
_PICTURE = alt(made(seq(_KIND, _DRAWING), lambda kind, _: kind), _DRAWING, _BARS)
_A = may(phrase("a", "an", "the"))
_SHOWING = may(phrase("of", "for", "showing", "with"))
_AS = phrase(
    "as",
    "in",
    "with",
    "using",
    "on",
    "and show it as",
    "and show as",
    "shown as",
    "and draw it as",
    "and show",
    "and draw",
)
_IT = phrase("it", "this", "that", "them", "the result", "the results", "these")
_THEN = phrase("and", ",", ".", ";", "and then", "then", "also", ", and", "and also", ", then", ". then", "and please")
CHART = alt(
    made(seq(_DRAW), lambda kind: kind),
    made(seq(mute(_DRAW), _A, _PICTURE, _SHOWING), lambda kind: kind),
    made(seq(_A, _PICTURE, _SHOWING), lambda kind: kind),
    made(seq(mute(_AS), _A, _PICTURE), lambda kind: kind),
    made(seq(opt(_THEN), mute(_DRAW), mute(_IT), opt(_AS), _A, opt(_PICTURE, "auto")), lambda kind: kind),
    made(seq(_THEN, mute(_DRAW), _A, _PICTURE), lambda kind: kind),
)

_PAIR = phrase("and", "vs", "versus", "against", "with", "to")
_NUMBER = column(lambda f: f.measurable)
CORRELATION = made(
    seq(
        mute(phrase("correlation between", "correlation of", "correlation", "how correlated are", "how correlated is", role="corr")),
        THE, _NUMBER, _PAIR, THE, _NUMBER,
    ),
    lambda x, y: Measure("corr", x, y) if x is not y else None,
)  # fmt: skip
_NUMBERS = alt(
    made(seq(_NUMBER, mute(phrase("and", "with", "to")), THE, _NUMBER), lambda x, y: (x, y, False)),
    made(seq(_NUMBER, mute(phrase("vs", "versus", "against")), THE, _NUMBER), lambda y, x: (y, x, True)),
)
"""Two columns as they are said, and whether the second is the horizontal axis: y is drawn against x."""

_AGAINST = made(
    seq(_NUMBER, mute(phrase("against", "vs", "versus", role="chart", value="scatter")), THE, _NUMBER),
    lambda y, x: (y, x, True),
)
SCATTER = made(
    alt(
        seq(
            opt(mute(_DRAW)), _A, mute(phrase("scatter", "scatterplot", role="chart", value="scatter")), mute(opt(_DRAWING)),
            may(phrase("of", "for", "showing", "between")), THE, _NUMBERS,
        ),
        seq(mute(_DRAW), THE, _AGAINST),
    ),
    lambda found: found if found[0] is not found[1] else None,
)  # fmt: skip
HISTOGRAM = made(
    seq(
        opt(mute(_DRAW)),
        _A,
        mute(phrase("histogram", role="chart", value="hist")),
        may(phrase("of", "for", "showing")),
        THE,
        _NUMBER,
    ),
    lambda field: field,
)
SPREAD = made(
    seq(
        opt(mute(_DRAW)),
        _A,
        mute(phrase("distribution of", "distribution for", "frequency of", role="spread")),
        THE,
        column(),
    ),
    lambda field: field,
)
