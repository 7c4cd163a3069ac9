"""Counting, ranking, listing and drawing: what a row of parts asks for beyond measures by groups."""

from __future__ import annotations

from dataclasses import replace

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.grouped import counts_values, grouped, settle
from workbench.planners.grammar.parse import Part
from workbench.planners.grammar.query import Dim, Measure, Order, Query, Where
from workbench.planners.grammar.row import Row

_COUNT = (Measure("count"),)
_SIMPLE = ("in", "period", "true")
"""Conditions that mean the same for rows as for the groups that the rows are in."""

_FEW_VALUES = 20
"""A number with at most so many values is counted value by value, like a text."""

_PIECES = frozenset({"unit", "quantity", "qty", "piece", "item"})


def count_noun(row: Row) -> Query | None:
    """`how many regions`, `how many units`."""
    dim: Dim = row.core[-1].value
    field = dim.field
    if row.bare_heads or dim.unit or field.flag or not row.plural(row.core[-1]):
        return None
    if field.additive:
        return Query("groups", (Measure("sum", field),), (), row.wheres)
    if not (field.profile.type == "text" or field.is_key) or any(
        True for _ in row.scope.at(row.core[-1].start, "rows")
    ):
        return None  # the noun of the rows is counted as rows
    if any(w.op not in _SIMPLE for w in row.wheres):  # a rating of 5 in some row, or on average?
        return None
    # "How many books were returned" speaks of copies; only things with a key of their own are surely counted once.
    happens = row.has("happened", "verb") or any(w.op != "in" for w in row.wheres)
    if row.wheres and not field.is_key and happens and not row.names_rows:
        row.no(f"How many different values of {field.name}, or how many rows? Say “distinct”, or name the rows.")
        return None
    return Query("groups", (Measure("distinct", field),), (), row.wheres)


def count_things(row: Row) -> Query | None:
    """`how many orders`; `how many laptops` are rows with that value, unless the table also counts pieces."""
    if not row.wheres or row.names_rows:
        return grouped(row)
    pieces = any(f.additive and _PIECES & set(f.parts) for f in row.scope.view.table.fields.values())
    first = row.all("filter")[0]
    if counts_values(row):
        return Query("groups", _COUNT, (), row.wheres)
    if first.value.op in ("null", "true") or (first.value.op == "in" and not pieces):
        return Query("groups", _COUNT, (), row.wheres)
    return None


def _ranked(row: Row, dim: Dim, measure: Measure, limit: int | None, down: bool) -> Query | None:
    if dim.field.additive or measure.extreme:
        return None
    one = settle(row, measure, [dim])
    if one is None or (one.how == "value" and dim.unit):
        return None
    return Query("groups", (one,), (dim,), row.wheres, Order(one, limit, down))


def top(row: Row) -> Query | None:
    """`top 5 products by revenue`."""
    first, noun, order = row.core
    down, limit = first.value
    limit = limit or _one(row, noun)
    if limit is None or len(order.value) != 1 or row.heads:
        return None
    return _ranked(row, noun.value, order.value[0], limit, down)


def _one(row: Row, noun: Part) -> int | None:
    """1 for a noun in the singular; a plural without a number does not say how many."""
    if row.plural(noun):
        row.no("Say how many, as in “top 5”.")
        return None
    return 1


def in_order(row: Row) -> Query | None:
    """`products by revenue`, `rank departments by average salary`: all groups, largest first."""
    noun, order = row.core
    if len(order.value) != 1 or row.heads or not row.plural(noun):
        return None
    return _ranked(row, noun.value, order.value[0], None, True)


def top_rows(row: Row) -> Query | None:
    """`top 5 orders by revenue`: rows, not groups."""
    (down, limit), order = row.core[0].value, row.core[1].value
    if limit is None or len(order) != 1 or not order[0].assumed or order[0].field is None or not row.heads:
        return None
    noun = row.heads[0].start
    if any(s.field is not None and s.field.groupable for s in row.scope.at(noun, "column")):
        return None  # each country is a row: then the groups are the better reading
    return Query("rows", (), (), row.wheres, Order(replace(order[0], how="value"), limit, down))


def superlative(row: Row) -> Query | None:
    """`which 3 countries have the lowest average rating`."""
    noun = next(part for part in row.core if part.kind in ("noun", "unit"))
    down, measure = row.core[-1].value
    limit = row.value("n") or (1 if row.has("which") else _one(row, noun))
    if limit is None or row.heads or any(w.op not in (*_SIMPLE, "null") for w in row.wheres):
        return None
    return _ranked(row, noun.value, measure, limit, down)


def most_rows(row: Row) -> Query | None:
    """`which island has the most Adelie penguins`: the condition stands right before the noun of the rows."""
    noun, most = row.core[1], row.core[2]
    behind = [part for part in row.parts if part.start >= most.end and part.kind != "glue"]
    if [part.kind for part in behind[:2]] != ["filter", "rows"] or len(row.heads) != 1 or not row.plain:
        return None
    dim: Dim = noun.value
    if row.plural(noun) or any(w.op not in _SIMPLE or w.field is dim.field for w in row.wheres):
        return None
    return _ranked(row, dim, Measure("count"), 1, most.value[0])


def distinct(row: Row) -> Query | None:
    """`which regions are there`, `list the distinct products`."""
    noun: Dim = row.core[-1].value
    if not row.has("list", "ask", "which", "distinct") or not row.plural(row.core[-1]):
        return None
    if noun.unit or noun.field.profile.type != "text" or any(w.op not in _SIMPLE for w in row.wheres):
        return None
    return Query("distinct", (), (noun,), row.wheres)


def rows(row: Row) -> Query | None:
    """`orders with revenue greater than 5000`, `show customers`."""
    listed = row.has("list")
    if row.has("ask") or not (row.names_rows if listed else row.heads) or not (listed or row.wheres):
        return None
    if not row.rows_meant:
        return None
    if not listed and not row.plain:
        row.no("Should the rows be shown or an amount be summed? Say “show …” or name the column.")
        return None
    return Query("rows", (), (), row.wheres)


def describe(row: Row) -> Query | None:
    return Query("describe") if row.names_rows and not row.wheres else None


def first(row: Row) -> Query | None:
    return None if row.heads else Query("rows", where=row.wheres, limit=row.core[0].value)


def histogram(row: Row) -> Query | None:
    return Query("raw", where=row.wheres, columns=(row.core[0].value,), chart="hist")


def spread(row: Row) -> Query | None:
    """The distribution of a column: each value counted when they are few, else a histogram."""
    field: Field = row.core[0].value
    if (field.profile.type in ("text", "boolean") and not field.is_date) or _few(field):
        if any(w.field is field for w in row.wheres):
            return None
        present = (Where(field, "null", negated=True),) if field.profile.missing else ()
        return Query("groups", _COUNT, (Dim(field),), (*row.wheres, *present), chart="bar")
    return Query("raw", where=row.wheres, columns=(field,), chart="hist") if field.measurable else None


def _few(field: Field) -> bool:
    return field.numeric and not field.additive and (field.profile.distinct or _FEW_VALUES + 1) <= _FEW_VALUES


def scatter(row: Row) -> Query | None:
    one, other, swapped = row.core[0].value
    across = other if swapped else one
    return Query("raw", where=row.wheres, columns=(one, other), across=across, chart="scatter")


# -- rows at an end ----------------------------------------------------------------------------------------------------


def _noun_is_rows(row: Row) -> bool:
    """Whether what is asked for is one of the rows, which stand there by their noun."""
    heads = row.heads
    if row.has("who"):
        return not heads or len(heads) == 1
    if len(heads) != 1 or not row.rows_meant:
        return False
    return not any(
        sense.field is not None and sense.field.groupable for sense in row.scope.at(heads[0].start, "column")
    )


def _at_the_end(row: Row, field: Field, down: bool, limit: int | None) -> Query | None:
    if any(w.field is field for w in row.wheres):
        return None
    by = Measure("value", field)
    if limit is None or limit == 1:
        return Query("rows", where=row.wheres, order=Order(by, None, down, ties=True))
    return Query("rows", where=row.wheres, order=Order(by, limit, down))


def extreme(row: Row) -> Query | None:
    """`heaviest penguin`, `the 3 cheapest cars`, `which book is the newest`: the rows at one end of a column."""
    if not _noun_is_rows(row):
        return None
    (down, field), limit = row.value("extreme"), row.value("n")
    if row.has("top"):  # the top 10 heaviest are the 10 heaviest
        first, limit = row.value("top")
        if not first or limit is None:
            return None
    plural = any(row.plural(part) for part in row.heads)
    if plural and limit is None:
        row.no("Say how many, as in “the 5 …”.")
        return None
    if limit is not None and limit > 1 and not plural:
        return None
    return _at_the_end(row, field, down, limit)


def row_with_most(row: Row) -> Query | None:
    """`which order has the highest revenue`, `book with the lowest price`: a single row, not a group."""
    down, measure = row.value("super")
    if not _noun_is_rows(row) or measure.field is None or not measure.assumed or row.has("n"):
        return None
    if any(row.plural(part) for part in row.heads):
        row.no("Say how many, as in “top 5 … by …”.")
        return None
    if measure.field.additive and not row.plain:
        return None
    return _at_the_end(row, measure.field, down, None)


def sorted_rows(row: Row) -> Query | None:
    """`orders sorted by revenue`: all rows in that order; numbers and dates from the largest when nothing is said."""
    field, down = row.value("sorted")
    if row.has("ask") or not row.heads or not row.rows_meant or not row.plain:
        return None
    if down is None:
        down = field.profile.type != "text" or field.is_date
    return Query("rows", where=row.wheres, order=Order(Measure("value", field), None, down))


def who(row: Row) -> Query | None:
    """`who earns more than 100000`: the rows, which are people."""
    return Query("rows", where=row.wheres) if row.wheres and not row.heads else None
