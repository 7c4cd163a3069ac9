"""Rules for what is counted or calculated, and for what is the most of it."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.planners.grammar.fields import TIME_UNITS, Field
from workbench.planners.grammar.query import Measure
from workbench.planners.grammar.rules import Hit, Rule, alt, choice, listed, made, may, mute, phrase, seq
from workbench.planners.grammar.scope import Scope, column, named, own_rows, unit_word
from workbench.planners.grammar.small import JOINT, THE

SUM = phrase("total|sum|sum of|total of", role="how", value="sum")
HOW = choice(
    "how",
    {
        "mean": "average|mean|avg|average of|mean of|avg of",
        "median": "median|median of",
        "std": "standard deviation|standard deviation of|standard deviation in|std|std of|stddev|stddev of|std dev|sd",
        "max": "max|maximum|max of|maximum of",
        "min": "min|minimum|min of|minimum of",
        "highest": "highest|largest|greatest|biggest",
        "lowest": "lowest|smallest",
        "latest": "latest|last|most recent|newest",
        "earliest": "earliest|first|oldest",
    },
)
COUNT = phrase(
    "number of|how many|count of|count|total number of|total count of|no of|counts of|count the",
    role="how",
    value="count",
)
DISTINCT = phrase("distinct|unique|different", role="distinct")
_HOW_MUCH = phrase("how much|how much of", role="how", value="sum")
_DID = "did we make|did we have|did we get|did we earn|do we make|do we have"
_HAPPENED = may(phrase(_DID, "was made|was there|was generated|was earned"))
ROW_WORDS = phrase("rows|row|records|record|entries|entry|observations|observation|data points|lines")
_MONEY = frozenset(
    {"sale", "expense", "payment", "donation", "spending", "cost", "fee", "deposit", "purchase", "income"}
)
"""Nouns of rows that also mean an amount: "sales by region" may count them or add them up."""

ROWS_NOUN = alt(
    own_rows,
    made(seq(mute(ROW_WORDS)), lambda: ""),
    made(seq(mute(ROW_WORDS), phrase("of|in|from"), THE, alt(named, own_rows)), lambda name: name),
)

own_rows_noun = made(seq(ROWS_NOUN), lambda name: name or None)
"""The noun of the rows by the table's name, not by a word for any row."""


def rows_are_rows(scope: Scope, start: int, end: int) -> bool:
    """Whether the noun at these words means the rows, and not what a column tells many rows of: in a table `machines`
    of readings, with a column `machine`, there are fewer machines than rows."""
    for at in range(start, end):
        for sense in scope.at(at, "column"):
            field = sense.field
            if field is None or sense.end > end or field.unique or not any(True for _ in scope.at(at, "rows")):
                continue
            if field.profile.type == "text" or field.is_key:
                noun = " ".join(scope.lows[at : sense.end])
                scope.problems.append(f"Are {noun} the rows, or the values of {field.name}? Say “rows” or “distinct”.")
                return False
    return True


def rows_are_plain(scope: Scope, start: int, end: int) -> bool:
    """Whether the noun of the rows at these words can only mean the rows."""
    if not rows_are_rows(scope, start, end):
        return False
    if not any(scope.words[at].stem in _MONEY for at in range(start, end)):
        return True
    return not any(field.additive for field in scope.view.table.fields.values())


def is_plural(scope: Scope, start: int, end: int) -> bool:
    return any(word.low != word.stem for word in scope.words[start:end])


def _measure(how: str, field: Field) -> Measure | None:
    if how in ("latest", "earliest"):
        return Measure("max" if how == "latest" else "min", field) if field.is_date else None
    if how in ("highest", "lowest", "max", "min") and (field.measurable or field.is_date):
        return Measure("max" if how in ("highest", "max") else "min", field, extreme=how in ("highest", "lowest"))
    if not field.measurable or field.flag:
        return None
    return Measure(how, field)  # type: ignore[arg-type]  # the rest are names of measures


_HOW_OF_COLUMN = seq(listed(alt(SUM, HOW), mute(JOINT), 5), may(phrase("of|in|for")), THE, column())
_COUNT_ROWS = seq(mute(COUNT), THE, ROWS_NOUN)
_TOTAL_ROWS = seq(mute(SUM), THE, ROWS_NOUN)
_ROWS_COUNT = seq(ROWS_NOUN, mute(phrase("count|counts", role="how", value="count")))
_COUNT_UNITS = seq(mute(COUNT), THE, column(lambda f: f.additive))


def calculated(scope: Scope, at: int) -> Iterator[Hit]:
    """`average and maximum unit price`, `total revenue`, `average number of pages`: one column, one or more ways."""
    for hit in _MUCH(scope, at):
        yield Hit(hit.end, (Measure("sum", hit.value[0]),), hit.tags)
    for hit in alt(_HOW_OF_COLUMN, _MEAN_NUMBER)(scope, at):
        (hows, _), field = hit.value
        found = [_measure(how, field) for how in hows]
        if field.is_key and field.numeric and {"sum", "mean", "median", "std"} & set(hows):
            scope.problems.append(f"{field.name} is a code, no amount: count its rows, or its different values.")
        if all(found):
            for end in unit_word(scope, hit.end, field, "in"):
                yield Hit(end.end, tuple(found), hit.tags + end.tags)


_MUCH = seq(mute(_HOW_MUCH), THE, column(lambda f: f.additive), _HAPPENED)
_MEAN_NUMBER = seq(
    listed(alt(SUM, HOW), mute(JOINT), 5),
    mute(phrase("number of|count of", role="glue")),
    THE,
    column(lambda f: f.numeric and not f.is_key),
)


def _countable(field: Field) -> bool:
    return (field.profile.type == "text" or field.is_key or field.groupable) and not field.unique


_COUNT_DISTINCT = seq(mute(COUNT), THE, mute(DISTINCT), column(_countable))


def counted(scope: Scope, at: int) -> Iterator[Hit]:
    """`number of orders`, `order count`, `total orders`, `number of distinct customers`, `number of units`."""
    for hit in alt(_COUNT_ROWS, _ROWS_COUNT)(scope, at):
        if rows_are_rows(scope, at, hit.end):
            yield Hit(hit.end, (Measure("count"),), hit.tags)
    for hit in _TOTAL_ROWS(scope, at):
        if rows_are_plain(scope, at, hit.end):
            yield Hit(hit.end, (Measure("count"),), hit.tags)
    for hit in _COUNT_DISTINCT(scope, at):
        yield Hit(hit.end, (Measure("distinct", hit.value[0]),), hit.tags)
    for hit in _COUNT_UNITS(scope, at):
        if is_plural(scope, hit.end - 1, hit.end):
            yield Hit(hit.end, (Measure("sum", hit.value[0]),), hit.tags)


def bare(scope: Scope, at: int) -> Iterator[Hit]:
    """`revenue`, without a word on how."""
    for sense in scope.at(at, "column"):
        if at == 0 and sense.rank == 0 and sense.field is not None and sense.field.is_key and sense.field.numeric:
            scope.problems.append(f"{sense.field.name} is a code, no amount: count its rows, or its different values.")
    for hit in column(lambda f: f.measurable and not f.flag)(scope, at):
        yield Hit(hit.end, (Measure("", hit.value, assumed=True),), hit.tags)


ONE: Rule = alt(calculated, counted, bare)
_SOME = listed(ONE, seq(mute(alt(JOINT, phrase("as well as"))), THE), 4)


def measures(scope: Scope, at: int) -> Iterator[Hit]:
    """One or more measures: `total revenue and average rating`. A bare column takes the way of the one before it."""
    for hit in _SOME(scope, at):
        found: list[Measure] = []
        for one in (one for group in hit.value[0] for one in group):
            taken = _like_the_last(found, one)
            if taken is None:
                break
            found.append(taken)
        else:
            yield Hit(hit.end, tuple(found), hit.tags)


def _like_the_last(found: list[Measure], one: Measure) -> Measure | None:
    """A bare column after `average unit price and`: averaged as well, unless one of them adds up and the other not."""
    last = found[-1] if found else None
    if last is None or last.assumed or last.field is None or one.field is None or not one.assumed:
        return one
    if last.how not in ("sum", "mean", "median", "std"):
        return one
    return Measure(last.how, one.field) if one.field.additive == last.field.additive else None


_MOST = choice("order", {True: "most|the most", False: "fewest|the fewest|least|the least"})
_PEAK = choice(
    "order",
    {
        True: "highest|largest|greatest|biggest|the highest|the largest|the greatest|the biggest",
        False: "lowest|smallest|the lowest|the smallest",
    },
)
_BEST = choice("order", {True: "best|the best", False: "worst|the worst"})
_GOOD = frozenset({"rating", "score", "satisfaction", "accuracy"})
"""What is better the higher it is."""
_GETS = mute(
    phrase(
        "has|have|had|with|having|got|gets|sold|generated|generates|made|makes|received|recorded|saw|shows|showed"
        "|earned|brought in"
    )
)
_LONG = choice("order", {True: "longest|the longest", False: "shortest|the shortest"})
_TIMES = frozenset({"time", "duration", "length", "distance", "min", "km", "mi", "mile", "cm", "mm", "m"}) | TIME_UNITS
"""What is long the higher it is."""
_PEAK_OF = seq(_GETS, _PEAK, ONE)
_LONG_OF = seq(_GETS, _LONG, ONE)
_BEST_OF = seq(_GETS, _BEST, ONE)
_MOST_ROWS = seq(_GETS, _MOST, ROWS_NOUN)
_MOST_OF = seq(_GETS, _MOST, column())


MOST = seq(_GETS, _MOST)
"""`has the most`, before a noun with a condition: `the most online orders`."""


def superlative(scope: Scope, at: int) -> Iterator[Hit]:
    """`has the highest average rating`, `with the most orders`, `sold the fewest units`: (down, measure)."""
    for hit in _PEAK_OF(scope, at):
        down, found = hit.value
        if len(found) == 1 and not found[0].extreme:
            yield Hit(hit.end, (down, found[0]), hit.tags)
    for hit in _LONG_OF(scope, at):
        down, (one, *more) = hit.value
        if (
            not more
            and one.how in ("mean", "median", "sum")
            and one.field is not None
            and _TIMES & set(one.field.parts)
        ):
            yield Hit(hit.end, (down, one), hit.tags)
    for hit in _BEST_OF(scope, at):
        down, found = hit.value
        if (
            len(found) == 1
            and found[0].field is not None
            and _GOOD & set(found[0].field.parts)
            and found[0].how == "mean"
        ):
            yield Hit(hit.end, (down, found[0]), hit.tags)
    for hit in _MOST_ROWS(scope, at):
        if rows_are_plain(scope, at, hit.end):
            yield Hit(hit.end, (hit.value[0], Measure("count")), hit.tags)
    for hit in _MOST_OF(scope, at):
        down, field = hit.value
        if field.additive:
            yield Hit(hit.end, (down, Measure("sum", field, assumed=True)), hit.tags)
        elif field.is_key and not field.unique:
            yield Hit(hit.end, (down, Measure("distinct", field)), hit.tags)
