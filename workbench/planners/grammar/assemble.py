"""From parts to a query: the closed list of what a row of parts may mean, and when it may not.

What is not on the list is refused. Each handler takes the parts that carry the question (conditions, charts and the
words that hold a sentence together set aside) and gives the query, or None with the reason in `scope.problems`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.parse import Part
from workbench.planners.grammar.query import Dim, Measure, Order, Query, Where
from workbench.planners.grammar.scope import Scope

_ASIDE = frozenset({"glue", "ask", "list", "verb", "link", "filter", "chart", "rows", "compare"})
_SPREAD_VALUES = 20
"""A number with at most so many values is counted value by value, like a text."""


def assemble(scope: Scope, row: Sequence[Part]) -> Query | None:
    """The query that a row of parts means, or None."""
    if not (_links_hold(scope, row) and _tables_fit(scope, row) and _days_are_clear(scope, row)):
        return None
    core = [part for part in row if part.kind not in _ASIDE]
    handler = _HANDLERS.get(tuple(part.kind for part in core)) or _grouping(core)
    query = handler(scope, row, core) if handler else None
    if query is None:
        return None
    chart = _chart(row, query)
    query = None if chart is None else replace(query, chart=chart)
    return _sound(scope, row, query) if query else None


# -- what holds for every row ------------------------------------------------------------------------------------------


def _links_hold(scope: Scope, row: Sequence[Part]) -> bool:
    """`and` joins two conditions or leads on to the chart; a comma may stand anywhere but at the ends."""
    solid = [part for part in row if part.kind not in ("glue", "verb", "rows")]
    for at, part in enumerate(solid):
        if part.kind != "link":
            continue
        if at in (0, len(solid) - 1):
            return False
        before, after = solid[at - 1], solid[at + 1]
        if scope.lows[part.start : part.end] == (",",):
            continue
        if not (before.kind == after.kind == "filter" or after.kind == "chart"):
            return False
    return True


def _tables_fit(scope: Scope, row: Sequence[Part]) -> bool:
    """A table's noun stands for the rows: after a preposition, after a condition, or as what is asked for, once."""
    heads = 0
    for at, part in enumerate(row):
        if part.kind != "rows":
            continue
        name, attached = part.value
        before = next((p for p in reversed(row[:at]) if p.kind != "glue"), None)
        if name not in ("", scope.view.table.name):
            # Rows of the joined table: only as what a condition on that table speaks of.
            others = [p for p in row if p.kind == "filter" and p.value.field.table == name]
            if not others or (before is not None and before not in others and not attached):
                return False
            continue
        if attached or (before is not None and before.kind == "filter"):
            continue
        heads += 1
    measured = any(p.kind in ("measures", "corr", "hist", "spread", "scatter", "order") for p in row)
    return heads <= (0 if measured and not any(p.kind == "top" for p in row) else 1)


def _days_are_clear(scope: Scope, row: Sequence[Part]) -> bool:
    """`closed in March` speaks of the day of closing: without such a column it is not a value and a date."""
    for before, after in zip(row, row[1:], strict=False):
        if before.kind == after.kind == "filter" and after.value.op == "period" and before.value.op in ("in", "true"):
            last = scope.lows[before.end - 1]
            implied = not any(tag.role == "column" for tag in after.tags)
            if implied and last.endswith(("ed", "en")) and len(last) > 4:
                scope.problems.append(f"There is no date column for when something was {last}.")
                return False
    return True


def _sound(scope: Scope, row: Sequence[Part], query: Query) -> Query | None:
    """The query, if its conditions can be told apart and mean one thing."""
    grouped = {dim.field for dim in query.dims}
    seen: set[tuple[Field, str]] = set()
    for where in (*query.where, *query.part):
        if where.joined == "pair" and not any(part.kind == "compare" for part in row):
            return None
        if where.joined in ("and", "vs", "pair") and where.field not in grouped and not where.excluding:
            both = f"both {where.field.name} values"
            scope.problems.append(
                f"Should {both} be taken together or compared? Say “or” for together, “compare” for each."
            )
            return None
        if where.negated and where.field.profile.missing and where.op != "null":
            scope.problems.append(
                f"{where.field.name} has missing values, and it is not said whether “not” takes them in."
            )
            return None
        kind = where.op if where.op not in ("<", "<=", ">", ">=") else where.op[0]
        if (where.field, kind) in seen and where not in query.part:
            scope.problems.append(f"There are two conditions on {where.field.name}.")
            return None
        seen.add((where.field, kind))
    filters = [part for part in row if part.kind == "filter"]
    if any(part.value.excluding for part in filters[:-1]):
        scope.problems.append("It is not clear how far the exception reaches; put it last.")
        return None
    if scope.view.other is not None:
        own = scope.view.table.name
        if any(f is not None and f.table != own for m in query.measures for f in (m.field, m.other)):
            return None
        used = [d.field for d in query.dims] + [w.field for w in (*query.where, *query.part)]
        if query.shape in ("rows", "describe", "distinct", "raw") or all(f.table == own for f in used):
            return None
    return query


def _chart(row: Sequence[Part], query: Query) -> str | None:
    """The kind of chart that is asked for, "" for none, None when it cannot be drawn from this query."""
    said = [part.value for part in row if part.kind == "chart"] + ([query.chart] if query.chart else [])
    if not said:
        return ""
    kinds = {kind for kind in said if kind != "auto"}
    if len(kinds) > 1:
        return None
    kind = kinds.pop() if kinds else "auto"
    if query.shape == "raw":
        return kind if kind == query.chart else None
    if (
        query.shape in ("rows", "describe", "distinct", "percent")
        or len(query.dims) != 1
        or kind in ("hist", "scatter")
    ):
        return None
    timed = query.dims[0].unit is not None or query.dims[0].field.is_year
    if kind == "auto":
        return "line" if timed else "bar"
    return kind if timed or kind == "bar" else None


# -- measures by groups ------------------------------------------------------------------------------------------------

Handler = Callable[[Scope, Sequence[Part], Sequence[Part]], Query | None]


def _wheres(row: Sequence[Part]) -> tuple[Where, ...]:
    return tuple(dict.fromkeys(part.value for part in row if part.kind == "filter"))


def _has_rows(row: Sequence[Part], *, free: bool = False) -> bool:
    """Whether the table's noun is there; `free`: without a preposition."""
    return any(part.kind == "rows" and not (free and part.value[1]) for part in row)


def _grouping(core: Sequence[Part]) -> Handler | None:
    """Measures with groups in any order: `revenue by region`, `monthly revenue by region`, `trend of revenue`."""
    kinds = [part.kind for part in core]
    rest = [kind for kind in kinds if kind not in ("dims", "each", "trend")]
    if rest in (["measures"], ["count"], [], ["share", "measures"], ["share"], ["corr"], ["measures", "perrow"]):
        return _grouped
    return None


def _grouped(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    kinds = [part.kind for part in core]
    dims = _dims(scope, core)
    if dims is None:
        return None
    wheres = _wheres(row)
    compared = [w for w in wheres if w.joined in ("and", "vs", "pair") and not w.negated]
    asked = any(part.kind == "compare" for part in row)
    if asked or any(w.joined == "vs" for w in compared):
        if not dims and len(compared) == 1:
            dims = [_compared_dim(compared[0])]
        elif not dims or (compared and compared[0].field not in {d.field for d in dims}):
            return None
    if "measures" in kinds:
        measures = next(part.value for part in core if part.kind == "measures")
    elif "corr" in kinds:
        measures = (next(part.value for part in core if part.kind == "corr"),)
    elif not _counts_rows(row, core, dims):
        return None
    else:
        measures = (Measure("count"),)
    if "perrow" in kinds and not _per_row(scope, core, measures):
        return None
    settled = [_settled(scope, one, [*dims, *_looked_up(wheres)]) for one in measures]
    if not all(settled) or not _clear_with(scope, core, settled, dims):  # type: ignore[arg-type]
        return None
    done = tuple(one for one in settled if one)
    if "share" in kinds:
        if len(done) != 1 or done[0].how not in ("sum", "count") or len(dims) != 1:
            return None
        return Query("share", done, tuple(dims), wheres)
    return Query("groups", done, tuple(dims), wheres)


def _dims(scope: Scope, core: Sequence[Part]) -> list[Dim] | None:
    dims: list[Dim] = []
    for part in core:
        if part.kind == "dims":
            dims.extend(part.value[1])
        elif part.kind == "each":
            dims.append(part.value)
    if any(part.kind == "trend" for part in core) and not any(d.unit or d.field.is_year for d in dims):
        days = [Dim(f, "month") for f in scope.dates] or [Dim(f) for f in scope.view.table.fields.values() if f.is_year]
        if len(days) != 1:
            return None
        dims.insert(0, days[0])
    if len(dims) > 2 or len({d.field for d in dims}) != len(dims):
        return None
    return dims


def _compared_dim(where: Where) -> Dim:
    if where.op != "period" or where.field.is_year:
        return Dim(where.field)
    units = {one.unit for one in where.values}  # type: ignore[attr-defined]  # the values of `period` are periods
    return Dim(where.field, units.pop() if len(units) == 1 else None)


def _counts_rows(row: Sequence[Part], core: Sequence[Part], dims: Sequence[Dim]) -> bool:
    """`how many orders`, `orders by region`, `how many ratings are missing`; not `show orders by region`."""
    if any(part.kind == "count" for part in core):
        return bool(_has_rows(row) or dims or any(w.op in ("null",) for w in _wheres(row)))
    if any(part.kind == "share" for part in core):
        return _has_rows(row)
    return bool(dims) and _has_rows(row) and not any(part.kind == "list" for part in row)


def _looked_up(wheres: Sequence[Where]) -> list[Dim]:
    """The unique columns that are held to one value, as in `population of Spain`."""
    return [Dim(w.field) for w in wheres if w.op == "in" and len(w.values) == 1 and not w.negated and w.field.unique]


def _per_row(scope: Scope, core: Sequence[Part], measures: Sequence[Measure]) -> bool:
    """`average revenue per order` is the mean over the rows, which are orders."""
    names = [part.value for part in core if part.kind == "perrow"]
    return names == [scope.view.table.name] and all(m.how == "mean" for m in measures)


def _settled(scope: Scope, one: Measure, dims: Sequence[Dim]) -> Measure | None:
    """The measure with a way of taking it: sums for what adds up; anything else has to be said."""
    if one.how or one.field is None:
        return one
    if any(d.field.unique and d.unit is None for d in dims):
        return replace(one, how="value")
    if one.field.additive:
        return replace(one, how="sum")
    scope.problems.append(
        f"{one.field.name} does not add up by itself: say average, median, minimum, maximum or sum of {one.field.name}."
    )
    return None


def _clear_with(scope: Scope, core: Sequence[Part], measures: Sequence[Measure], dims: Sequence[Dim]) -> bool:
    """Whether measures and groups go together in only one way."""
    per = any(part.kind == "dims" and part.value[0] == "per" for part in core)
    each = any(part.kind == "each" for part in core)
    for one in measures:
        if one.field is None or not one.field.additive:
            continue
        name = one.field.name
        if one.extreme and dims:
            scope.problems.append(
                f"The highest single {name} in each group, or the group with the most? Say maximum, or which."
            )
            return False
        if one.how in ("mean", "median", "min", "max", "std") and (
            each or (per and any(d.unit or d.field.is_key for d in dims))
        ):
            scope.problems.append(
                f"Of the single rows, or of totals for each group first? Say “{one.how} {name} by …” for rows."
            )
            return False
        if per and one.assumed and any(d.field.is_key for d in dims):
            scope.problems.append(f"{name} for each, or on average? Say “total {name} by …” or “average {name}”.")
            return False
    return True


# -- counting, ranking, listing ----------------------------------------------------------------------------------------


def _count_noun(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`how many regions`, `how many units`."""
    dim: Dim = core[-1].value
    wheres = _wheres(row)
    if _has_rows(row, free=True) or dim.unit:
        return None
    if dim.field.additive:
        return Query("groups", (Measure("sum", dim.field),), (), wheres)
    if dim.field.unique or not (dim.field.profile.type == "text" or dim.field.is_key):
        return None
    if any(w.op not in ("in", "period", "true") for w in wheres):
        return None  # how many products have a rating of 5: in some row, or on average?
    return Query("groups", (Measure("distinct", dim.field),), (), wheres)


def _count_things(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`how many laptops`: rows with that value, unless the table also counts pieces."""
    wheres = _wheres(row)
    if not wheres or _has_rows(row):
        return _grouped(scope, row, core)
    if wheres[0].op == "null":
        return Query("groups", (Measure("count"),), (), wheres)
    if wheres[0].op != "in" or any(
        f.additive and "unit" in f.parts + ("quantity",) for f in scope.view.table.fields.values()
    ):
        return None
    return Query("groups", (Measure("count"),), (), wheres)


def _ranked(
    scope: Scope, row: Sequence[Part], dim: Dim, measure: Measure, limit: int | None, down: bool
) -> Query | None:
    if dim.field.additive:
        return None
    wheres = _wheres(row)
    one = _settled(scope, measure, [dim])
    if one is None or (one.how in ("corr", "value") and dim.unit):
        return None
    return Query("groups", (one,), (dim,), wheres, Order(one, limit, down))


def _top(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`top 5 products by revenue`."""
    down, limit = core[0].value
    noun, order = core[1], core[2]
    limit = limit or _one(scope, noun)
    if limit is None or len(order.value) != 1 or order.value[0].extreme or _has_rows(row, free=True):
        return None
    return _ranked(scope, row, noun.value, order.value[0], limit, down)


def _one(scope: Scope, noun: Part) -> int | None:
    """1 for a noun in the singular; a plural without a number does not say how many."""
    if any(word.low != word.stem for word in scope.words[noun.start : noun.end]):
        scope.problems.append("Say how many, as in “top 5”.")
        return None
    return 1


def _in_order(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`products by revenue`, `rank departments by average salary`: all groups, largest first."""
    noun, order = core
    if len(order.value) != 1 or order.value[0].extreme or _has_rows(row, free=True) or not _plural(scope, noun):
        return None
    return _ranked(scope, row, noun.value, order.value[0], None, True)


def _top_rows(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`top 5 orders by revenue`: rows, not groups."""
    (down, limit), order = core[0].value, core[1].value
    if (
        limit is None
        or len(order) != 1
        or not order[0].assumed
        or order[0].field is None
        or not _has_rows(row, free=True)
    ):
        return None
    head = next(part for part in row if part.kind == "rows")
    if any(s.field is not None and s.field.groupable for s in scope.at(head.start, "column")):
        return None  # each country is a row: then the groups are the better reading
    return Query("rows", (), (), _wheres(row), Order(replace(order[0], how="value"), limit, down))


def _superlative(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`which 3 countries have the lowest average rating`."""
    noun = next(part for part in core if part.kind in ("noun", "unit"))
    down, measure = core[-1].value
    numbers = [part.value for part in core if part.kind == "n"]
    limit = numbers[0] if numbers else 1 if any(p.kind == "which" for p in core) else _one(scope, noun)
    if limit is None:
        return None
    query = _ranked(scope, row, noun.value, measure, limit, down)
    if query is not None and any(w.op not in ("in", "period", "true", "null") for w in query.where):
        return None
    return query


def _distinct(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`which regions are there`, `list the distinct products`."""
    noun: Dim = core[-1].value
    asked = any(part.kind in ("list", "ask") for part in row) or any(p.kind in ("which", "distinct") for p in core)
    plural = _plural(scope, core[-1])
    if not asked or not plural or noun.unit or noun.field.additive or noun.field.profile.type != "text":
        return None
    if any(w.op not in ("in", "period", "true") for w in _wheres(row)):
        return None
    return Query("distinct", (), (noun,), _wheres(row))


def _plural(scope: Scope, part: Part) -> bool:
    return any(word.low != word.stem for word in scope.words[part.start : part.end])


def _rows(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`orders with revenue greater than 5000`, `show customers`."""
    listed = any(part.kind == "list" for part in row)
    wheres = _wheres(row)
    if any(part.kind == "ask" for part in row) or not _has_rows(row, free=not listed) or not (listed or wheres):
        return None
    return Query("rows", (), (), wheres)


def _describe(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    return Query("describe") if _has_rows(row) and not _wheres(row) else None


def _first(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    return Query("rows", where=_wheres(row), limit=core[0].value) if not _has_rows(row, free=True) else None


def _histogram(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    return Query("raw", where=_wheres(row), columns=(core[0].value,), chart="hist")


def _spread(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """The distribution of a column: each value counted when they are few, else a histogram."""
    field: Field = core[0].value
    wheres = _wheres(row)
    if (field.profile.type in ("text", "boolean") and not field.is_date) or _few(field):
        if any(w.field is field for w in wheres):
            return None
        present = (Where(field, "null", negated=True),) if field.profile.missing else ()
        return Query("groups", (Measure("count"),), (Dim(field),), (*wheres, *present), chart="bar")
    return Query("raw", where=wheres, columns=(field,), chart="hist") if field.measurable else None


def _few(field: Field) -> bool:
    return field.numeric and not field.additive and (field.profile.distinct or _SPREAD_VALUES + 1) <= _SPREAD_VALUES


def _scatter(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    first, second, swapped = core[0].value
    across = second if swapped else first
    return Query("raw", where=_wheres(row), columns=(first, second), across=across, chart="scatter")


def _percent(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
    """`what percentage of orders in 2025 were online`: conditions before the verb say of what, those after it which."""
    verbs = [at for at, part in enumerate(row) if part.kind == "verb"]
    for at, part in enumerate(row):  # percentage of orders with a discount over 0.1
        if not verbs and part.kind == "filter" and scope.lows[part.start] in ("with", "where", "having", "whose"):
            before, after = row[:at], row[at:]
            break
    else:
        if len(verbs) != 1:
            return None
        before, after = row[: verbs[0]], row[verbs[0] + 1 :]
    if not any(part.kind == "share" for part in before):
        return None
    measures = next((part.value for part in core if part.kind == "measures"), (Measure("count"),))
    if len(measures) != 1 or (len(core) == 1 and not _has_rows(before)):
        return None
    one = _settled(scope, measures[0], ())
    part = _wheres(after)
    if one is None or one.how not in ("sum", "count") or not part or any(p.kind in ("measures",) for p in after):
        return None
    if any(w.joined in ("and", "vs", "pair") for w in part):
        return None
    if len(part) > 1 and any(w.op == "period" for w in part):
        scope.problems.append(
            "A percentage of what? Say the time before the verb: “what percentage of … in 2024 were …”."
        )
        return None
    return Query("percent", (one,), (), _wheres(before), part=part)


def _either(*handlers: Handler) -> Handler:
    def handler(scope: Scope, row: Sequence[Part], core: Sequence[Part]) -> Query | None:
        return next((query for one in handlers if (query := one(scope, row, core)) is not None), None)

    return handler


_HANDLERS: dict[tuple[str, ...], Handler] = {
    (): _either(_grouped, _rows),
    ("count",): _count_things,
    ("count", "noun"): _count_noun,
    ("count", "distinct", "noun"): _count_noun,
    ("top", "noun", "order"): _top,
    ("top", "unit", "order"): _top,
    ("noun", "order"): _in_order,
    ("top", "order"): _top_rows,
    ("which", "noun", "super"): _superlative,
    ("which", "unit", "super"): _superlative,
    ("which", "n", "noun", "super"): _superlative,
    ("which", "n", "unit", "super"): _superlative,
    ("noun", "super"): _superlative,
    ("unit", "super"): _superlative,
    ("n", "noun", "super"): _superlative,
    ("which", "noun"): _distinct,
    ("noun",): _distinct,
    ("distinct", "noun"): _distinct,
    ("which", "distinct", "noun"): _distinct,
    ("describe",): _describe,
    ("first",): _first,
    ("hist",): _histogram,
    ("spread",): _spread,
    ("scatter",): _scatter,
    ("share",): _percent,
    ("share", "measures"): _percent,
}
