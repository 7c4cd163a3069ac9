"""From a query to DuckDB's SQL: one SELECT, every name quoted where it must be, every text of the user a literal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.query import Dim, Measure, Period, Query, Where
from workbench.planners.grammar.views import View

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = """
    with where variadic unpivot union true using trailing to then table symmetric summarize create as into do
    initially for describe desc window except offset in default column false collate returning constraint all
    case placing cast analyse intersect asc analyze check having fetch when and only asymmetric on any array
    both group pivot_longer primary lambda foreign lateral unique leading null distinct limit not from or
    order some pivot end pivot_wider qualify else references deferrable select show verbose struct full
    columns concurrently cross ilike collation try_cast generated anti by at semi asof freeze binary is
    authorization tuple glob isnull join overlaps tablesample left outer like unpack map natural similar
    notnull positional inner right between exists values row interval time timestamp date year month day
    quarter week hour minute second count sum position current_date current_time current_timestamp
"""
_RESERVED = frozenset(_KEYWORDS.split())
"""DuckDB's reserved words, and a few that read badly as names."""

_FUNCTIONS = {
    "sum": "sum({})",
    "mean": "avg({})",
    "median": "median({})",
    "min": "min({})",
    "max": "max({})",
    "std": "stddev({})",
    "distinct": "count(DISTINCT {})",
    "value": "max({})",
}
_WORDS = {
    "sum": "total {}",
    "mean": "average {}",
    "median": "median {}",
    "min": "minimum {}",
    "max": "maximum {}",
    "std": "standard deviation of {}",
    "distinct": "distinct {}",
    "value": "{}",
}


@dataclass(frozen=True, slots=True)
class Written:
    """The SQL, the names of its columns in order, and which of them are measures."""

    sql: str
    groups: tuple[str, ...]
    measures: tuple[str, ...]


def identifier(name: str) -> str:
    """The name as SQL: bare when it can be, else in double quotes."""
    if _BARE.fullmatch(name) and name.casefold() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A text, number or date as SQL."""
    match value:
        case bool():
            return str(value).upper()
        case int() | float():
            return repr(value)
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"


def label(field: Field) -> str:
    return field.name.replace("_", " ").strip() or field.name


def measure_name(one: Measure) -> str:
    """What a measure is called, as a column and in text."""
    if one.field is None:
        return "count"
    if one.other is not None:
        return f"correlation of {label(one.field)} and {label(one.other)}"
    if one.how == "value":
        return one.field.name
    if one.how == "sum" and label(one.field).casefold().startswith("total"):
        return label(one.field)
    return _WORDS[one.how].format(label(one.field))


def dim_name(dim: Dim) -> str:
    if dim.width is not None:
        return f"{label(dim.field)} from"
    if dim.unit == "day" and dim.field.profile.type != "timestamp":
        return dim.field.name
    return dim.unit or dim.field.name


def _named(expression: str, name: str) -> str:
    return expression if expression == identifier(name) else f"{expression} AS {identifier(name)}"


_ESCAPE = " ESCAPE '\\'"


def _pattern(one: Where) -> str:
    """The text of a `contains` for LIKE, its own wildcards made plain."""
    text, place = map(str, one.values)
    plain = re.sub(r"([\\%_])", r"\\\1", text)
    return f"{'' if place == 'start' else '%'}{plain}{'' if place == 'end' else '%'}"


class Writer:
    """Writes the queries of one view."""

    def __init__(self, view: View) -> None:
        self.view = view

    @property
    def _typed(self) -> str:
        """The table, with texts that spell dates as dates, so that their range is one of days."""
        days = [f for f in self.view.table.fields.values() if f.profile.dates]
        if not days:
            return self._from
        casts = ", ".join(f"{self._day(f)} AS {identifier(f.name)}" for f in days)
        return f"SELECT * REPLACE ({casts}) FROM {self._from}"  # noqa: S608 - names are quoted

    def write(self, query: Query) -> Written:
        where = self._where(query.where)
        match query.shape:
            case "describe":
                return Written(f"SELECT * FROM (SUMMARIZE {self._typed})", (), ())  # noqa: S608 - names are quoted
            case "rows":
                return Written(f"SELECT *\nFROM {self._from}{where}{self._row_order(query, where)}", (), ())
            case "raw":
                names = tuple(f.name for f in query.columns)
                listed = ", ".join(self._column(f) for f in query.columns)
                return Written(f"SELECT {listed}\nFROM {self._from}{where}", names[:1], names[1:] or names)
            case "distinct":
                name = dim_name(query.dims[0])
                column = self._column(query.dims[0].field)
                return Written(f"SELECT DISTINCT {column}\nFROM {self._from}{where}\nORDER BY 1", (name,), ())
            case "percent":
                return self._percent(query, where)
            case _:
                return self._groups(query, where)

    # -- the parts of a SELECT -----------------------------------------------------------------------------------------

    @property
    def _from(self) -> str:
        first = identifier(self.view.table.name)
        if self.view.other is None:
            return first
        return f"{first} JOIN {identifier(self.view.other.name)} USING ({identifier(self.view.key)})"

    def _column(self, field: Field) -> str:
        name = identifier(field.name)
        return name if self.view.other is None else f"{identifier(field.table)}.{name}"

    def _day(self, field: Field) -> str:
        return f"CAST({self._column(field)} AS DATE)" if field.profile.dates else self._column(field)

    def _dim(self, dim: Dim) -> str:
        if dim.width is not None:
            return f"floor({self._column(dim.field)} / {literal(dim.width)}) * {literal(dim.width)}"
        if dim.unit is None:
            return self._column(dim.field)
        if dim.unit == "weekday":
            return f"dayname({self._day(dim.field)})"
        if dim.unit == "year":
            return f"year({self._day(dim.field)})"
        if dim.unit == "day":
            return f"CAST({self._column(dim.field)} AS DATE)"
        return f"CAST(date_trunc('{dim.unit}', {self._day(dim.field)}) AS DATE)"

    def _measure(self, one: Measure, plain: bool = False) -> str:
        if plain and one.field is not None:
            return self._column(one.field)
        if one.field is None:
            return "count(*)"
        if one.other is not None:
            return f"corr({self._column(one.field)}, {self._column(one.other)})"
        column = self._day(one.field) if one.field.is_date else self._column(one.field)
        return _FUNCTIONS[one.how].format(column)

    def _groups(self, query: Query, where: str) -> Written:
        groups = tuple(dim_name(dim) for dim in query.dims)
        names = tuple(measure_name(one) for one in query.measures)
        listed = [_named(self._dim(d), n) for d, n in zip(query.dims, groups, strict=True)]
        plain = all(one.how == "value" for one in query.measures)  # one row for each group as it is
        if query.shape == "share":
            one = self._measure(query.measures[0])
            names = (f"share of {label(query.measures[0].field) if query.measures[0].field else 'rows'} (%)",)
            listed.append(f"100.0 * {one} / sum({one}) OVER () AS {identifier(names[0])}")
        else:
            listed += [_named(self._measure(m, plain), n) for m, n in zip(query.measures, names, strict=True)]
        sql = f"SELECT {', '.join(listed)}\nFROM {self._from}{where}"
        if groups:
            numbers = ", ".join(str(at) for at in range(1, len(groups) + 1))
            sql += "" if plain else f"\nGROUP BY {numbers}"
            sql += self._group_order(query, names, numbers)
        return Written(sql, groups, names)

    def _group_order(self, query: Query, names: Sequence[str], numbers: str) -> str:
        if query.order is not None:
            way = "DESC" if query.order.down else "ASC"
            limit = f"\nLIMIT {query.order.limit}" if query.order.limit else ""
            return f"\nORDER BY {identifier(names[0])} {way}, {numbers}{limit}"
        if any(dim.unit == "weekday" for dim in query.dims):
            days = [
                f"min(isodow({self._day(d.field)}))" if d.unit == "weekday" else str(n)
                for n, d in enumerate(query.dims, 1)
            ]
            return f"\nORDER BY {', '.join(days)}"
        first = query.dims[0]
        by_value = len(query.dims) == 1 and not (first.unit or first.field.numeric or first.field.is_date)
        return f"\nORDER BY {identifier(names[0])} DESC, 1" if by_value else f"\nORDER BY {numbers}"

    def _row_order(self, query: Query, where: str) -> str:
        if query.order is not None and query.order.by.field is not None:
            column = self._column(query.order.by.field)
            if query.order.ties:
                best = f"(SELECT {'max' if query.order.down else 'min'}({column}) FROM {self._from}{where})"  # noqa: S608
                return f"{(where and chr(10) + '  AND') or chr(10) + 'WHERE'} {column} = {best}"
            way = "DESC" if query.order.down else "ASC"
            return f"\nORDER BY {column} {way}" + (f"\nLIMIT {query.order.limit}" if query.order.limit else "")
        return f"\nLIMIT {query.limit}" if query.limit else ""

    def _percent(self, query: Query, where: str) -> Written:
        part = " AND ".join(self._condition(one) for one in query.part)
        one = self._measure(query.measures[0])
        groups = tuple(dim_name(dim) for dim in query.dims)
        listed = [_named(self._dim(d), n) for d, n in zip(query.dims, groups, strict=True)]
        listed.append(f"100.0 * {one} FILTER (WHERE {part}) / {one} AS percent")
        sql = f"SELECT {', '.join(listed)}\nFROM {self._from}{where}"
        if groups:
            numbers = ", ".join(str(at) for at in range(1, len(groups) + 1))
            sql += f"\nGROUP BY {numbers}\nORDER BY {numbers}"
        return Written(sql, groups, ("percent",))

    # -- conditions ----------------------------------------------------------------------------------------------------

    def _where(self, wheres: Sequence[Where]) -> str:
        return "\nWHERE " + " AND ".join(self._condition(one) for one in wheres) if wheres else ""

    def _condition(self, one: Where) -> str:
        column, said = self._column(one.field), [literal(v) for v in one.values if not isinstance(v, Period)]
        match one.op:
            case "in" if len(said) == 1:
                return f"{column} {'<>' if one.negated else '='} {said[0]}"
            case "in":
                return f"{column} {'NOT IN' if one.negated else 'IN'} ({', '.join(said)})"
            case "between":
                return f"{column} BETWEEN {said[0]} AND {said[1]}"
            case "range":
                low, first, high, second = one.values
                return f"{column} {low} {literal(first)} AND {column} {high} {literal(second)}"
            case "null":
                return f"{column} IS {'NOT ' if one.negated else ''}NULL"
            case "contains":
                return f"{column} {'NOT ' if one.negated else ''}ILIKE {literal(_pattern(one))}{_ESCAPE}"
            case "weekday":
                days = ", ".join(said)
                return f"isodow({self._day(one.field)}) {'NOT ' if one.negated else ''}IN ({days})"
            case "true":
                if one.field.yes is not None:
                    return f"{column} {'<>' if one.negated else '='} {literal(one.field.yes)}"
                test = column if one.field.profile.type == "boolean" else f"{column} = 1"
                return f"NOT {test}" if one.negated else test
            case "period":
                tests = [self._in_period(one.field, p) for p in one.values if isinstance(p, Period)]
                either = tests[0] if len(tests) == 1 else "(" + " OR ".join(f"({test})" for test in tests) + ")"
                return f"NOT ({either})" if one.negated else either
            case "=":
                return f"{column} {'<>' if one.negated else '='} {said[0]}"
            case _:
                return f"{column} {one.op} {said[0]}"

    def _in_period(self, field: Field, one: Period) -> str:
        if field.is_year:
            column, start, stop = self._column(field), one.start and one.start.year, one.stop and one.stop.year
            if start and stop and stop == start + 1:
                return f"{column} = {start}"
        else:
            column, start, stop = self._day(field), one.start, one.stop
        tests = [f"{column} >= {literal(start)}"] if start else []
        tests += [f"{column} < {literal(stop)}"] if stop else []
        return " AND ".join(tests)
