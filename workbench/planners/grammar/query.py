"""What a request over tables comes to, before it is SQL: measures, groups, conditions, an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from workbench.planners.grammar.fields import Field

How = Literal["count", "distinct", "sum", "mean", "median", "min", "max", "std", "corr", "value", ""]
"""How a measure is taken. corr: of two columns. value: of a column with one row for each group, as it is. "": the
request did not say."""

Unit = Literal["day", "week", "month", "quarter", "year", "weekday"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for each group. `assumed`: the request did not say how. `extreme`: said as highest or lowest."""

    how: How
    field: Field | None = None
    other: Field | None = None
    assumed: bool = False
    extreme: bool = False


@dataclass(frozen=True, slots=True)
class Dim:
    """What rows are grouped by: a column, a date column by a unit of time, or a number in steps of `width`.

    `happened`: only rows where the day is there, as in `delivered per month`.
    """

    field: Field
    unit: Unit | None = None
    width: int | float | None = None
    happened: bool = False


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of days, `start` to before `stop`; None is open. `unit` names its length where it has one."""

    start: date | None
    stop: date | None
    said: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Yearless:
    """A month or quarter whose year was not said: `number` counts from 1."""

    unit: Unit
    number: int
    said: str

    def of(self, year: int) -> Period:
        months = 1 if self.unit == "month" else 3
        start = date(year, (self.number - 1) * months + 1, 1)
        return Period(start, add_months(start, months), f"{self.said} {year}", self.unit)


Op = Literal["in", "=", "!=", "<", "<=", ">", ">=", "between", "range", "period", "null", "true", "contains", "weekday"]


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on a column. `joined`: how several values were joined in the request ("or", "and", "vs", "").

    `values` are texts for `in`, numbers for comparisons, periods for `period`, a text and where it stands ("", "start",
    "end") for `contains`, days counted from Monday as 1 for `weekday`. `negated` turns the condition round.
    `excluding`: the negation was said as "except", which leaves open how far it reaches.
    """

    field: Field
    op: Op
    values: tuple[object, ...] = ()
    joined: str = ""
    negated: bool = False
    excluding: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """The first `limit` groups or rows (None: all) when ordered by the measure, largest first if `down`.

    `ties`: all rows that share the extreme value, however many they are.
    """

    by: Measure
    limit: int | None
    down: bool
    ties: bool = False


Shape = Literal["groups", "share", "percent", "rows", "raw", "distinct", "describe"]
"""groups: measures for each group, or one row. share: each group's part of the whole, in percent. percent: the part of
the rows (or of a measure) that meets `part`. rows: rows as they are. raw: whole columns, for a picture. distinct: the
values that occur. describe: statistics of every column."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question over one view, complete. `part` is the condition of a percentage; `chart` what was asked for: "",
    "auto", "bar", "line", "scatter" or "hist", `across` the column of its horizontal axis, and `series` which of two
    groups is told apart by colour."""

    shape: Shape
    measures: tuple[Measure, ...] = ()
    dims: tuple[Dim, ...] = ()
    where: tuple[Where, ...] = ()
    order: Order | None = None
    part: tuple[Where, ...] = ()
    columns: tuple[Field, ...] = ()
    across: Field | None = None
    limit: int | None = None
    chart: str = ""
    series: int | None = None


def add_months(day: date, months: int) -> date:
    """The first of the month that is `months` after the month of `day`."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def next_day(day: date) -> date:
    return day + timedelta(days=1)
