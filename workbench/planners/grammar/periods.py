"""Stretches of time, as people write them: years, quarters, months, days, and a few that are relative to today."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.query import Period, Unit, Yearless, add_months, next_day
from workbench.planners.grammar.rules import VOCABULARY, Hit, Tag
from workbench.planners.grammar.scope import Scope

_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS = {name.casefold(): number for number, name in enumerate(_NAMES, 1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
MONTHS = frozenset(_MONTHS)
"""Words that mean a month."""
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_MOST_WORDS = 6

_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})"
_QUARTER = rf"(?:q(?P<q>[1-4])|(?:the )?(?P<ordinal>{'|'.join(_ORDINALS)}) quarter)"
_YEAR = r"(?P<year>(?:1[5-9]|20)\d\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_OF = r"(?: of| ,| in)? "
_PATTERNS = [
    re.compile(rf"(?:{pattern})(?= |$)")
    for pattern in (
        rf"(?:the )?(?:year )?{_YEAR}",
        rf"{_MONTH}(?:{_OF}{_YEAR})?",
        rf"{_QUARTER}(?:{_OF}{_YEAR})?",
        rf"{_YEAR} {_QUARTER}",
        rf"{_MONTH} {_DAY}(?: ,)? {_YEAR}",
        rf"(?:the )?{_DAY}(?: of)? {_MONTH}(?: ,)? {_YEAR}",
        r"(?P<iso>\d{4}-\d\d(?:-\d\d)?)",
        r"(?P<back>today|yesterday)",
        r"(?:the )?(?P<back>last|previous|this|current) (?P<unit>week|month|quarter|year)",
        r"(?P<back>year to date|ytd)",
        r"(?:the )?(?:last|past|previous) (?P<many>\d{1,4}) (?P<days>days|weeks)",
    )
]
VOCABULARY.update(_MONTHS, _ORDINALS, {"q1", "q2", "q3", "q4", "quarter", "year", "month", "week", "ytd", "to", "date"})
VOCABULARY.update(f"{day}{end}" for day in range(1, 32) for end in ("st", "nd", "rd", "th"))
VOCABULARY.update({"days", "weeks", "past", "today", "yesterday", "last", "previous", "this", "current"})
_MONTHS_IN: dict[str, int] = {"month": 1, "quarter": 3, "year": 12}


def period(scope: Scope, at: int) -> Iterator[Hit]:
    """A period of known length, or one whose year was not said."""
    line = " ".join(scope.lows[at : at + _MOST_WORDS])
    for pattern in _PATTERNS:
        if found := pattern.match(line):
            value = _made(found.groupdict(), scope.today)
            if value is not None:
                end = at + found[0].count(" ") + 1
                yield Hit(end, value, (Tag(at, end, "period", value),))


def _made(said: dict[str, str | None], today: date) -> Period | Yearless | None:
    year = int(said.get("year") or 0) or None
    try:
        if iso := said.get("iso"):
            day = date.fromisoformat(iso if len(iso) == 10 else f"{iso}-01")
            return (
                _one_day(day)
                if len(iso) == 10
                else _of_year(Yearless("month", day.month, _NAMES[day.month - 1]), day.year)
            )
        if said.get("many"):
            days = int(str(said["many"])) * (7 if said["days"] == "weeks" else 1)
            return Period(today - timedelta(days=days), next_day(today), f"the last {said['many']} {said['days']}")
        if said.get("back"):
            return _relative(str(said["back"]), said.get("unit") or "", today)
        if said.get("day"):
            return _one_day(date(year or 0, _MONTHS[str(said["month"])], int(str(said["day"]))))
    except (ValueError, OverflowError):  # the 30th of February
        return None
    if said.get("month"):
        month = _MONTHS[str(said["month"])]
        return _of_year(Yearless("month", month, _NAMES[month - 1]), year)
    if said.get("q") or said.get("ordinal"):
        number = int(said.get("q") or 0) or _ORDINALS[str(said.get("ordinal"))]
        return _of_year(Yearless("quarter", number, f"Q{number}"), year)
    return None if year is None else Period(date(year, 1, 1), date(year + 1, 1, 1), str(year), "year")


def _of_year(open_: Yearless, year: int | None) -> Period | Yearless:
    return open_ if year is None else open_.of(year)


def _one_day(day: date) -> Period:
    return Period(day, next_day(day), day.isoformat(), "day")


def _relative(back: str, unit: str, today: date) -> Period:
    if back in ("today", "yesterday"):
        return _one_day(today - timedelta(days=back == "yesterday"))
    if not unit:
        return Period(date(today.year, 1, 1), next_day(today), f"{today.year} to {today}")
    steps = 1 if back in ("last", "previous") else 0
    if unit == "week":
        start = today - timedelta(days=today.weekday() + 7 * steps)
        return Period(start, start + timedelta(days=7), f"the week from {start}", "week")
    months = _MONTHS_IN[unit]
    start = add_months(date(today.year, (today.month - 1) // months * months + 1, 1), -months * steps)
    return Period(start, add_months(start, months), say(start, unit), unit)  # type: ignore[arg-type]  # one of _MONTHS_IN


def say(start: date, unit: str) -> str:
    """A year, quarter or month by its name."""
    if unit == "year":
        return str(start.year)
    return f"Q{start.month // 3 + 1} {start.year}" if unit == "quarter" else f"{_NAMES[start.month - 1]} {start.year}"


def settled(said: Period | Yearless, field: Field) -> Period | str:
    """The period, a missing year filled in when the column's dates leave only one; else the line that asks for it."""
    if isinstance(said, Period):
        return said
    low, high = str(field.profile.minimum)[:10], str(field.profile.maximum)[:10]
    try:
        first, last = date.fromisoformat(low), date.fromisoformat(high)
    except ValueError:
        return f"{said.said} of which year?"
    fits = [
        one
        for one in (said.of(year) for year in range(first.year, last.year + 1))
        if one.start and one.stop and one.start <= last and one.stop > first
    ]
    return fits[0] if len(fits) == 1 else f"{said.said} of which year? {field.name} runs from {low} to {high}."


def unit_of(periods: tuple[Period, ...]) -> Unit | None:
    """The unit that all the periods share."""
    units = {one.unit for one in periods}
    return units.pop() if len(units) == 1 else None
