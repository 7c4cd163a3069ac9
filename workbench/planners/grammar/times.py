"""Rules for conditions on time: which days, and on which date column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.periods import period, settled
from workbench.planners.grammar.query import Period, Where, Yearless
from workbench.planners.grammar.rules import VOCABULARY, Hit, Tag, alt, choice, listed, may, mute, opt, phrase, seq
from workbench.planners.grammar.scope import Scope, column, sign
from workbench.planners.grammar.small import BE, JOINT, THE, WITH

_WHEN = choice(
    "when",
    {
        "in": "in|during|for|of|on|within|throughout|in the|during the|for the",
        "from": "from",
        "since": "since|on or after|starting from|starting in|from and including",
        "after": "after|later than",
        "before": "before|earlier than|prior to",
        "through": "on or before",
        "not": "not in|not during|not from",
        "except": "excluding|except|except in|except for|other than",
    },
)
_SIGN = sign("when", **{"after": ">", "before": "<", "since": ">= ≥", "through": "<= ≤", "in": "= =="})
_SPAN = alt(
    seq(mute(phrase("between", role="range")), period, mute(phrase("and")), period),
    seq(mute(phrase("from", role="range")), period, mute(phrase("to|through")), period),
)
_PAIR = seq(
    may(phrase("between|of|for|in")),
    period,
    mute(alt(phrase("and|with"), JOINT)),
    may(phrase("in")),
    period,
)
_TARGET = alt(
    seq(may(mute(phrase("that|which|who"))), may(mute(BE)), column(kind="verb")),
    seq(may(mute(WITH)), THE, column(lambda f: f.is_date or f.is_year), may(mute(BE))),
    seq(mute(WITH), THE, column(kind="date"), may(mute(BE))),
)


def timed(scope: Scope, at: int) -> Iterator[Hit]:
    """Conditions on a date column: the one that is named, or each that could be meant."""
    for target in opt(_TARGET, ())(scope, at):
        fields: list[Field] = list(target.value)
        for said in _when(scope, target.end):
            if fields and said.value[0] == "from":  # hired from 2015: in it, or since it?
                continue
            for field in fields or _candidates(scope):
                where = _on(field, said.value, scope)
                if where is not None:
                    yield Hit(said.end, where, target.tags + said.tags)


_DAYS = {
    f"{day}{end}": number
    for number, day in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), 1)
    for end in ("", "s")
}
VOCABULARY.update(_DAYS, {"weekend", "weekends"})


def _day_of_week(scope: Scope, at: int) -> Iterator[Hit]:
    number = _DAYS.get(scope.lows[at]) if at < len(scope.lows) else None
    if number is not None:
        yield Hit(at + 1, (number,), (Tag(at, at + 1, "weekday", number),))
    if at < len(scope.lows) and scope.lows[at] in ("weekend", "weekends"):
        yield Hit(at + 1, (6, 7), (Tag(at, at + 1, "weekday", 6),))


_EITHER_DAY = mute(phrase("or|, or|,", role="joint", value="or"))
_ON_DAYS = seq(phrase("on|on a|on the"), listed(_day_of_week, _EITHER_DAY))

_DAYS_SAID = seq(may(phrase("on|on a|on the|a|the")), listed(_day_of_week, _EITHER_DAY))


def weekdays(scope: Scope, at: int) -> Iterator[Hit]:
    """`on Mondays`, `placed on a Saturday or Sunday`: of the one date column that may be meant."""
    for target in opt(_TARGET, ())(scope, at):
        fields = [f for f in (target.value or scope.dates) if f.is_date]
        if len(fields) > 1 or (not target.value and any(f.lifetime for f in fields)):
            continue
        for hit in (_DAYS_SAID if target.value else _ON_DAYS)(scope, target.end):
            items, joints = hit.value[0]
            days = tuple(day for group in items for day in group)
            for field in fields:
                # A list needs its "or"; a comma alone joins nothing.
                if len(items) == 1 or joints == ():
                    yield Hit(
                        hit.end, Where(field, "weekday", days, "or" if len(days) > 1 else ""), target.tags + hit.tags
                    )


def years_of(scope: Scope) -> list[Field]:
    """The columns that a year may speak of: of dates, and of bare years."""
    return [*scope.dates, *(f for f in scope.view.table.fields.values() if f.is_year)]


def _candidates(scope: Scope) -> list[Field]:
    found = years_of(scope)
    if len(found) == 1 and found[0].lifetime:
        scope.problems.append(f"Is the time meant for {found[0].name}? Then say so.")
        return []
    return found


def _when(scope: Scope, at: int) -> Iterator[Hit]:
    """(relation, periods, joined)"""
    for hit in _SPAN(scope, at):
        yield Hit(hit.end, ("span", hit.value, ""), hit.tags)
    for hit in seq(alt(may(_WHEN, "in"), _SIGN), listed(period, JOINT, 4))(scope, at):
        relation, (items, joints) = hit.value
        if len(items) == 1 or (relation == "in" and len(set(joints)) == 1):
            yield Hit(hit.end, (relation, items, "".join(set(joints))), hit.tags)
    for hit in _PAIR(scope, at):
        yield Hit(hit.end, ("in", (hit.value[0], hit.value[-1]), "pair"), hit.tags)


def _on(field: Field, said: Any, scope: Scope) -> Where | None:
    relation, items, joined = said
    items = _same_year(items)
    periods = []
    for item in items:
        one = settled(item, field)
        if isinstance(one, str):
            scope.problems.append(one)
            return None
        periods.append(one)
    first, last = periods[0], periods[-1]
    match relation:
        case "span":
            if not (first.start and last.stop and first.start < last.stop) or first.unit != last.unit:
                return None
            periods = [Period(first.start, last.stop, f"{first.said} to {last.said}")]
        case "since":
            periods = [Period(first.start, None, f"since {first.said}")]
        case "after":
            periods = [Period(first.stop, None, f"after {first.said}")]
        case "before":
            periods = [Period(None, first.start, f"before {first.said}")]
        case "through":
            periods = [Period(None, first.stop, f"up to {first.said}")]
        case "from" if first.unit != "year":  # "from March": in it, or since it?
            return None
    if field.is_year and not all(_whole_years(one) for one in periods):
        return None
    no = relation in ("not", "except")
    return Where(field, "period", tuple(periods), joined, negated=no, excluding=relation == "except")


def _same_year(items: tuple[Period | Yearless, ...]) -> tuple[Period | Yearless, ...]:
    """March and May 2025: the year of the last is that of all."""
    last = items[-1]
    if not isinstance(last, Period) or last.start is None or last.unit not in ("month", "quarter"):
        return items
    return tuple(one.of(last.start.year) if isinstance(one, Yearless) else one for one in items)


def _whole_years(one: Period) -> bool:
    return all(day is None or (day.month, day.day) == (1, 1) for day in (one.start, one.stop))
