"""From parts to a query: the closed list of what a row of parts may mean, and when it may not.

What is not on the list is refused. A handler takes a row and gives the query, or None with the reason in the scope's
problems; what must hold for every row is checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from workbench.planners.grammar import questions
from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.grouped import grouped, is_grouping, percent
from workbench.planners.grammar.query import Query
from workbench.planners.grammar.row import Row

Handler = Callable[[Row], Query | None]


def assemble(row: Row) -> Query | None:
    """The query that a row of parts means, or None."""
    if not (_links_hold(row) and _tables_fit(row) and _days_are_clear(row)):
        return None
    handlers = _HANDLERS.get(row.kinds) or ((grouped,) if is_grouping(row) else ())
    query = next((found for handler in handlers if (found := handler(row)) is not None), None)
    chart = None if query is None else _chart(row, query)
    if query is None or chart is None or (row.has("rank") and query.order is None):
        return None
    query = replace(query, chart=chart, series=_series(query) if chart else None)
    return query if _conditions_hold(row, query) and _reaches_rows(row, query) and _join_holds(row, query) else None


_HANDLERS: dict[tuple[str, ...], tuple[Handler, ...]] = {
    (): (grouped, questions.rows),
    ("count",): (questions.count_things,),
    ("count", "noun"): (questions.count_noun,),
    ("count", "distinct", "noun"): (questions.count_noun,),
    ("top", "noun", "order"): (questions.top,),
    ("top", "unit", "order"): (questions.top,),
    ("noun", "order"): (questions.in_order,),
    ("top", "order"): (questions.top_rows,),
    ("which", "noun", "super"): (questions.superlative,),
    ("which", "unit", "super"): (questions.superlative,),
    ("which", "n", "noun", "super"): (questions.superlative,),
    ("which", "n", "unit", "super"): (questions.superlative,),
    ("noun", "super"): (questions.superlative,),
    ("unit", "super"): (questions.superlative,),
    ("n", "noun", "super"): (questions.superlative,),
    ("extreme",): (questions.extreme,),
    ("top", "extreme"): (questions.extreme,),
    ("which", "noun", "most"): (questions.most_rows,),
    ("which", "unit", "most"): (questions.most_rows,),
    ("n", "extreme"): (questions.extreme,),
    ("extreme", "n"): (questions.extreme,),
    ("which", "extreme"): (questions.extreme,),
    ("which", "n", "extreme"): (questions.extreme,),
    ("who", "extreme"): (questions.extreme,),
    ("super",): (questions.row_with_most,),
    ("which", "super"): (questions.row_with_most,),
    ("who",): (questions.who,),
    ("who", "super"): (questions.row_with_most,),
    ("sorted",): (questions.sorted_rows,),
    ("which", "noun"): (questions.distinct,),
    ("noun",): (questions.distinct,),
    ("distinct", "noun"): (questions.distinct,),
    ("which", "distinct", "noun"): (questions.distinct,),
    ("describe",): (questions.describe,),
    ("first",): (questions.first,),
    ("hist",): (questions.histogram,),
    ("spread",): (questions.spread,),
    ("scatter",): (questions.scatter,),
    ("share",): (percent,),
    ("share", "measures"): (percent,),
}


def _links_hold(row: Row) -> bool:
    """`and` joins two conditions or leads on to the chart; a comma may stand anywhere but at the ends."""
    solid = [part for part in row.parts if part.kind not in ("glue", "happened", "verb", "rows", "others")]
    for at, part in enumerate(solid):
        if part.kind != "link":
            continue
        if at in (0, len(solid) - 1):
            return False
        before, after = solid[at - 1], solid[at + 1]
        comma = row.scope.lows[part.start : part.end] == (",",)
        if not (comma or before.kind == after.kind == "filter" or after.kind == "chart"):
            return False
    return True


def _tables_fit(row: Row) -> bool:
    """A table's noun stands after a preposition, after a condition, or once as what is asked for."""
    heads = 0
    for at, part in enumerate(row.parts):
        before = next((p for p in reversed(row.parts[:at]) if p.kind not in ("glue", "happened")), None)
        if part.kind == "rows" and not part.value[1] and (before is None or before.kind != "filter"):
            heads += 1
        # The noun of the joined table stands only beside a condition on that table: "for corporate customers".
        after = row.parts[at + 1] if at + 1 < len(row.parts) else None
        beside = [p for p in (before, after) if p is not None and p.kind == "filter"]
        if part.kind == "others" and not any(p.value.field.table == part.value for p in beside):
            return False
    measured = row.has("measures", "corr", "hist", "spread", "scatter", "order") and not row.has("top")
    return heads <= (0 if measured else 1)


def _days_are_clear(row: Row) -> bool:
    """`closed in March` speaks of the day of closing: without such a column it is not a value and a date. What has a
    day or has none, as in `not returned`, takes no day that is not named."""
    days = [part for part in row.all("filter") if part.value.op == "null" and part.value.field.is_date]
    times = [part for part in row.all("filter") if part.value.op == "period"]
    if days and any(not any(tag.role == "column" for tag in part.tags) for part in times):
        row.no(f"Is the time meant for {days[0].value.field.name}, or for another column? Name it.")
        return False
    for before, after in pairwise(row.parts):
        if before.kind == after.kind == "filter" and after.value.op == "period" and before.value.op in ("in", "true"):
            last = row.scope.lows[before.end - 1]
            implied = not any(tag.role == "column" for tag in after.tags)
            if implied and last.endswith(("ed", "en")) and len(last) > 4:
                row.no(f"There is no date column for when something was {last}.")
                return False
    return True


def _reaches_rows(row: Row, query: Query) -> bool:
    """Whether numbers are compared in the rows: `regions with revenue over 5000` speaks of the groups."""
    for before, part in pairwise([part for part in row.parts if part.kind not in ("glue", "happened", "verb")]):
        if part.kind != "filter" or part.value.op not in _NUMERIC or not part.value.field.numeric or not query.dims:
            continue
        if row.scope.lows[part.start] in _HAVING and before.kind not in ("rows", "filter", "link"):
            row.no(f"Is {part.value.field.name} compared in single rows, or for each group? Say “where” for rows.")
            return False
    return True


_NUMERIC = ("<", "<=", ">", ">=", "between", "range", "=")
_HAVING = ("with", "having", "have", "has", "had", "that", "which", "who", "whose")


def _conditions_hold(row: Row, query: Query) -> bool:
    """Whether the conditions can be told apart and mean one thing."""
    grouped_by = {dim.field for dim in query.dims}
    seen: set[tuple[Field, str]] = set()
    for where in (*query.where, *query.part):
        name = where.field.name
        if where.joined == "pair" and not row.has("compare"):
            return False
        if where.joined in ("and", "vs", "pair") and where.field not in grouped_by and not where.excluding:
            row.no(f"The {name} values together, or each by itself? Say “or” for together, “compare” for each.")
            return False
        if where.negated and where.field.profile.missing and where.op != "null":
            row.no(f"{name} has missing values, and it is not said whether “not” takes them in.")
            return False
        kind = where.op[0] if where.op in ("<", "<=", ">", ">=") else {"true": "in", "=": "in"}.get(where.op, where.op)
        if (where.field, kind) in seen and where not in query.part:
            row.no(f"There are two conditions on {name}: say “or” for either, “compare” for each by itself.")
            return False
        seen.add((where.field, kind))
    if any(part.value.excluding for part in row.all("filter")[:-1]):
        row.no("It is not clear how far the exception reaches; put it last.")
        return False
    return True


def _join_holds(row: Row, query: Query) -> bool:
    """Whether a joined view is needed, and only rows of its first table are measured."""
    view = row.scope.view
    if view.other is None:
        return True
    own = view.table.name
    measured = [f for m in query.measures for f in (m.field, m.other) if f is not None]
    used = [d.field for d in query.dims] + [w.field for w in (*query.where, *query.part)]
    return (
        query.shape in ("groups", "share", "percent")
        and all(f.table == own for f in measured)
        and any(f.table != own for f in used)
    )


MOST_SERIES = 8
"""Colours that can be told apart."""


def _series(query: Query) -> int | None:
    """Which of two groups is drawn in colours: a text of few values, the second where both are."""
    for at in (1, 0) if len(query.dims) == 2 else ():
        dim, other = query.dims[at], query.dims[1 - at]
        few = 0 < (dim.field.profile.distinct or 0) <= MOST_SERIES or dim.field.flag
        if dim.unit is None and dim.width is None and few and dim.field.profile.type == "text":
            # Of two texts the first is below, as it was said first.
            return at if at == 1 or other.unit or other.width or other.field.numeric else None
    return None


def _chart(row: Row, query: Query) -> str | None:
    """The kind of chart that is asked for, "" for none, None when it cannot be drawn from this query."""
    said = [part.value for part in row.all("chart")] + ([query.chart] if query.chart else [])
    if not said:
        return ""
    kinds = {kind for kind in said if kind != "auto"}
    if len(kinds) > 1:
        return None
    kind = kinds.pop() if kinds else "auto"
    if query.shape == "raw":
        return kind if kind == query.chart else None
    if query.shape in ("rows", "describe", "distinct") or not query.dims or kind in ("hist", "scatter"):
        row.no("A chart needs a group: ask for it by a column, or by a unit of time.")
        return None
    series = _series(query)
    if len(query.dims) == 2 and (series is None or len(query.measures) != 1 or query.order is not None):
        row.no(f"A chart by two groups needs one with at most {MOST_SERIES} values; ask for it by one of them.")
        return None
    first = query.dims[1 if series == 0 else 0]
    timed = first.unit not in (None, "weekday") or first.field.is_year or (first.field.is_date and not first.unit)
    if kind == "auto":
        return "line" if timed else "bar"
    if kind == "line" and not timed:
        row.no(f"A line needs time or numbers below it; {first.field.name} is neither. Ask for a bar chart.")
        return None
    return kind
