"""Rules for conditions: values, comparisons, ranges, missing values, and what each looks like negated."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.planners.grammar.adjectives import comparatives, measured
from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.lexicon import fits_preposition
from workbench.planners.grammar.query import Op, Where
from workbench.planners.grammar.rules import (
    VOCABULARY,
    Hit,
    Rule,
    Tag,
    alt,
    choice,
    listed,
    made,
    may,
    mute,
    opt,
    phrase,
    seq,
)
from workbench.planners.grammar.scope import Scope, column, count_of, quoted, sign, unit_word, value, value_of
from workbench.planners.grammar.small import BE, JOINT, THE, WITH
from workbench.planners.grammar.times import timed, weekdays, years_of

NOT = choice(
    "not",
    {
        "not": "not|not in|not from|not for|not at|not on|not during|not of",
        "except": "except|except for|except in|except from|excluding|other than|without",
    },
)
PREPOSITION = choice(
    "glue",
    {
        "between": "between",
        "": "in|for|of|on|at|with|via|through|within|during|among|using|where|that|who|which|made by",
        "from": "from",
        "to": "to",
    },
)
COMPARE = alt(
    choice(
        "compare",
        {
            ">": "greater than|more than|over|above|larger than|higher than|bigger than|exceeding|exceeds|longer than"
            "|older than|heavier than",
            "<": "less than|fewer than|under|below|smaller than|lower than|shorter than|younger than|lighter than",
            ">=": "at least|greater than or equal to|more than or equal to|no less than|not less than",
            "<=": "at most|less than or equal to|no more than|not more than|up to",
        },
    ),
    sign("compare", **{">": ">", "<": "<", ">=": ">= ≥", "<=": "<= ≤"}),
)
EQUALS = alt(choice("compare", {"=": "equal to|equals|equal|of"}), sign("compare", **{"=": "= =="}))
DIFFERS = sign("compare", **{"!=": "!= <> ≠"})


_VALUE_JOINT = alt(JOINT, choice("joint", {"and": "with|to"}))


def _listed_values(one: Rule) -> Rule:
    """One or more values of one column: (field, values, how they were joined)."""
    several = listed(one, seq(_VALUE_JOINT, THE))

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        for hit in several(scope, at):
            items, joints = hit.value
            words = {j[0] for j in joints if j}
            fields = {field for field, _ in items}
            if len(fields) == 1 and len(words) <= 1 and (len(items) == 1 or words) and len(set(items)) == len(items):
                yield Hit(hit.end, (fields.pop(), tuple(text for _, text in items), "".join(words)), hit.tags)

    return rule


values = _listed_values(value)


def _in(preposition: str, found: tuple[Field, tuple[str, ...], str]) -> Where | None:
    field, texts, joined = found
    if preposition == "between" and joined != "and":
        return None
    return Where(field, "in", texts, joined) if fits_preposition(field, preposition) else None


def _not_in(how: str, found: tuple[Field, tuple[str, ...], str]) -> Where:
    field, texts, joined = found
    return Where(field, "in", texts, joined, negated=True, excluding=how == "except")


def _is_in(field: Field, how: str, found: tuple[Field, tuple[str, ...], str]) -> Where | None:
    if found[0] is not field:
        return None
    return _not_in("not", found) if how in ("not", "!=") else _in("", found)


_EITHER = may(phrase("either"))
VALUE = made(seq(may(PREPOSITION, ""), THE, _EITHER, values), _in)
NOT_VALUE = made(seq(NOT, THE, _EITHER, values), _not_in)
_HOW = alt(
    made(seq(mute(BE), NOT), lambda how: "not" if how == "not" else None),
    made(seq(alt(mute(BE), mute(seq(opt(BE), EQUALS)), mute(seq(opt(BE), phrase("in"))))), lambda: "is"),
    made(seq(DIFFERS), lambda op: op),
)
COLUMN_IS_VALUE = made(
    seq(may(mute(WITH)), THE, column(lambda f: f.profile.type == "text"), _HOW, THE, _EITHER, _listed_values(value_of)),
    _is_in,
)
COLUMN_AT_VALUE = made(
    seq(
        column(lambda f: f.profile.type == "text" and f.name.casefold().endswith("ed")),
        mute(phrase("at|in|on|from")),
        _listed_values(value_of),
    ),
    lambda field, found: _in("", found) if found[0] is field else None,
)
"""`embarked at S`"""
COLUMN_IS_QUOTED = made(
    seq(may(mute(WITH)), THE, column(lambda f: f.profile.type == "text" and f.profile.values is None), _HOW, quoted),
    lambda field, how, text: Where(field, "in", (text,), negated=how in ("not", "!=")),
)


_MAYBE_EQUALS = may(alt(EQUALS, DIFFERS), "=")
_NUMBERS = made(listed(count_of, mute(phrase("or|, or", role="joint", value="or"))), lambda numbers, _: numbers)


def compared(scope: Scope, at: int) -> Iterator[Hit]:
    """`revenue over 5000`, `units >= 8`, `a rating of 5`, `units between 2 and 5`, `more than 5 units`."""
    for hit in seq(phrase("in|for|of|at|from"), THE, column(lambda f: f.numeric and f.groupable), count_of)(scope, at):
        group, number = hit.value
        if not _looks_like_year(number, scope):
            yield Hit(hit.end, Where(group, "=", (number,)), hit.tags)
    for head in seq(may(WITH), THE, column(lambda f: f.numeric))(scope, at):
        field: Field = head.value[-1]
        intro = head.end - at > 1 and any(tag.role == "glue" for tag in head.tags)
        for middle in opt(mute(BE))(scope, head.end):
            for rest in _bounds(scope, middle.end, field, intro or middle.end > head.end):
                yield Hit(rest.end, rest.value, head.tags + middle.tags + rest.tags)
    for head in seq(mute(alt(WITH, phrase("of|for"))), COMPARE, count_of)(scope, at):
        op, number = head.value
        for tail in column(lambda f: f.measurable)(scope, head.end):
            yield Hit(tail.end, Where(tail.value, op, (number,)), head.tags + tail.tags)
    for head in seq(mute(WITH), count_of)(scope, at):
        for tail in column(lambda f: f.measurable and f.profile.type == "integer")(scope, head.end):
            if tail.end == len(scope.words) or not any(scope.at(tail.end, "column")):
                yield Hit(tail.end, Where(tail.value, "=", head.value), head.tags + tail.tags)
    for head in seq(mute(WITH), _BETWEEN)(scope, at):
        low, high = head.value[0]
        for tail in column(lambda f: f.measurable)(scope, head.end) if low <= high else ():
            yield Hit(tail.end, Where(tail.value, "between", (low, high)), head.tags + tail.tags)
    yield from _implied(scope, at)


def _implied(scope: Scope, at: int) -> Iterator[Hit]:
    """`older than 50`, `that cost less than 20`, `weighing between 2 and 3 kg`: the word says what is compared."""
    for start in may(alt(mute(_RELATIVE), mute(BE)))(scope, at):
        for head in comparatives(scope, start.end):
            op, field = head.value
            for hit in count_of(scope, head.end):
                for end in unit_word(scope, hit.end, field):
                    tags = (*start.tags, *head.tags, *hit.tags, *end.tags)
                    yield Hit(end.end, Where(field, op, (hit.value,)), tags)
        for head in measured(scope, start.end):
            for rest in _ranges(scope, head.end, head.value):
                yield Hit(rest.end, rest.value, (*start.tags, *head.tags, *rest.tags))


_BETWEEN = made(
    seq(mute(phrase("between|from", role="range")), count_of, mute(phrase("and|to")), count_of),
    lambda low, high: (low, high),
)
_RELATIVE = phrase("that|which|who|that are|which are|who are|that is|which is|who is")


def _bounds(scope: Scope, at: int, field: Field, introduced: bool) -> Iterator[Hit]:
    if field.is_year:  # read by the rules for time
        return
    if field.measurable:
        yield from _ranges(scope, at, field)
    for hit in seq(alt(EQUALS, DIFFERS) if not (introduced or field.is_key) else _MAYBE_EQUALS, _NUMBERS)(scope, at):
        op, numbers = hit.value
        if not any(_looks_like_year(number, scope) for number in numbers):
            kind: Op = "=" if len(numbers) == 1 else "in"
            yield Hit(hit.end, Where(field, kind, numbers, negated=op == "!="), hit.tags)


def _ranges(scope: Scope, at: int, field: Field) -> Iterator[Hit]:
    """`over 5000`, `of more than 10%`, `above 10 and below 20`, `between 2 and 5`: of what is measured, not of keys."""
    for of in phrase("of")(scope, at):
        for hit in seq(COMPARE, _amount(field))(scope, of.end):
            yield Hit(hit.end, Where(field, hit.value[0], hit.value[1:]), of.tags + hit.tags)
    for hit in seq(COMPARE, _amount(field))(scope, at):
        op, number = hit.value
        for end in unit_word(scope, hit.end, field):
            yield Hit(end.end, Where(field, op, (number,)), hit.tags + end.tags)
            for more in seq(phrase("and|but"), may(BE), COMPARE, count_of)(scope, end.end):
                both = Where(field, "range", (op, number, *more.value)) if op[0] != more.value[0][0] else None
                for last in unit_word(scope, more.end, field) if both else ():
                    yield Hit(last.end, both, hit.tags + end.tags + more.tags + last.tags)
    for hit in _BETWEEN(scope, at):
        low, high = hit.value
        if low <= high:
            for end in unit_word(scope, hit.end, field):
                yield Hit(end.end, Where(field, "between", (low, high)), hit.tags + end.tags)


def _amount(field: Field) -> Rule:
    """A number; with a percent sign as the column counts it: 10% of a discount between 0 and 1 is 0.1."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        for hit in count_of(scope, at):
            yield hit
            if scope.lows[hit.end : hit.end + 1] in (("%",), ("percent",)):
                value = _percent(field, hit.value)
                if value is None:
                    scope.problems.append(
                        f"Is {field.name} counted in percent, or as a part of 1? Give the number itself."
                    )
                else:
                    tags = (Tag(at, at + 1, "number", value), Tag(hit.end, hit.end + 1, "glue"))
                    yield Hit(hit.end + 1, value, tags)

    return rule


VOCABULARY.add("%")
_PARTS_OF = frozenset(
    {"discount", "rate", "share", "margin", "percent", "pct", "percentage", "tax", "growth", "humidity"}
)


def _percent(field: Field, number: float) -> float | None:
    low, high = field.profile.minimum, field.profile.maximum
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not _PARTS_OF & set(field.parts):
        return None
    if low >= 0 and 0 < high <= 1:
        return None if {"percent", "pct", "percentage"} & set(field.parts) else round(number / 100, 12)
    return number if low >= -100 and 2 < high <= 100 else None


def _looks_like_year(number: float, scope: Scope) -> bool:
    return isinstance(number, int) and 1500 <= number <= 2099 and bool(years_of(scope))


FLAG = made(
    seq(may(mute(alt(PREPOSITION, phrase("have|has|had|include|includes|included")))), THE, column(lambda f: f.flag)),
    lambda f: Where(f, "true"),
)
NOT_FLAG = made(
    seq(mute(phrase("not", role="not", value="not")), column(lambda f: f.flag)),
    lambda f: Where(f, "true", negated=True),
)

_WITHOUT = phrase(
    "without|without a|without an|without any|with no|have no|has no|having no|lacking|lack|lack a"
    "|do not have a|do not have any|does not have a",
    role="missing",
)
_LACKS = phrase(
    "missing|with missing|with a missing|with an unknown|missing a|missing the|missing any"
    "|missing values in|missing values for|missing values of|with missing values in|are missing a"
    "|are missing the|missing value in",
    role="missing",
)


def _may_lack(field: Field) -> bool:
    """Whether to be without it means that it is missing: an order without a discount has a discount of 0."""
    return field.profile.missing > 0 and not (field.numeric and field.profile.minimum == 0)


_NOT_YET = phrase("not|not yet|never|not been|not yet been|never been|not yet been", role="missing")
_DONE = phrase("were|was|have been|has been|that were|that have been", role="present")
_MAY_HAPPEN = column(lambda f: f.profile.missing > 0, kind="verb")
"""`returned`, of what has no day of return as long as it is out."""
_GONE = phrase(
    "is missing|are missing|is null|is empty|are empty|missing|is not known|was not recorded|are null", role="missing"
)
_THERE = phrase("is not missing|are not missing|is not null|is not empty|is present", role="present")
MISSING = alt(
    made(seq(mute(_LACKS), THE, column()), lambda f: Where(f, "null")),
    made(seq(mute(_WITHOUT), THE, column(_may_lack)), lambda f: Where(f, "null")),
    made(
        seq(may(mute(WITH)), THE, column(), mute(may(phrase("values|value"))), mute(_GONE)),
        lambda f: Where(f, "null"),
    ),
    made(seq(mute(_NOT_YET), _MAY_HAPPEN), lambda f: Where(f, "null")),
    made(seq(mute(_DONE), _MAY_HAPPEN), lambda f: Where(f, "null", negated=True)),
    made(seq(may(mute(WITH)), THE, column(), mute(_THERE)), lambda f: Where(f, "null", negated=True)),
    made(
        seq(mute(phrase("with a|with an|that have a|which have a|having a", role="present")), column(_may_lack)),
        lambda f: Where(f, "null", negated=True),
    ),
)

_CONTAINS = choice(
    "like",
    {
        "": "contains|containing|contain|includes|including|with the word|contains the word|containing the word",
        "start": "starts with|starting with|begins with|beginning with|start with|that start with",
        "end": "ends with|ending with|end with",
    },
)


CONTAINS = frozenset({"contains", "containing", "contain", "includes", "including", "word"})
BEGINS = frozenset({"starts", "starting", "start", "begins", "beginning", "ends", "ending", "end"})
"""Words before a text that is looked for, alone or before "with"."""


def contained(scope: Scope, at: int) -> Iterator[Hit]:
    """`title contains Garden`, `name starting with "Al"`: a text in quotes, or the one word that stands there."""
    text_column = column(lambda f: f.profile.type == "text" and not f.is_date)
    for head in seq(may(mute(WITH)), THE, text_column, may(phrase("that|which")), _CONTAINS)(scope, at):
        field, place = head.value
        if head.end < len(scope.words):
            word = scope.words[head.end]
            text = word.text[1:-1] if word.kind == "quoted" else word.text
            if (word.kind in ("quoted", "word") and text.strip()) or word.kind == "number":
                tags = tuple(Tag(t.start, t.end, "like_word") if t.role == "like" else t for t in head.tags)
                tag = Tag(head.end, head.end + 1, "like", text)
                yield Hit(head.end + 1, Where(field, "contains", (text, place)), (*tags, tag))


_BY_VALUE = made(seq(phrase("by"), THE, values), lambda found: _in("", found))


def by_value(scope: Scope, at: int) -> Iterator[Hit]:
    """`exams by Ms Long`: by a value there are no groups. Behind a verb it is who did that: `cancelled by phone`."""
    if at and scope.lows[at : at + 1] == ("by",) and not scope.lows[at - 1].endswith(("ed", "en")):
        yield from _BY_VALUE(scope, at)


CONDITION: Rule = alt(
    VALUE,
    by_value,
    NOT_VALUE,
    COLUMN_IS_VALUE,
    COLUMN_AT_VALUE,
    COLUMN_IS_QUOTED,
    compared,
    FLAG,
    NOT_FLAG,
    MISSING,
    contained,
    timed,
    weekdays,
)
"""Any one condition, as a `Where`."""
