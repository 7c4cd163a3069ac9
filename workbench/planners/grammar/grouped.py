"""Measures by groups: totals, averages, counts, comparisons, shares and percentages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.measures import is_plural
from workbench.planners.grammar.parse import Part
from workbench.planners.grammar.periods import unit_of
from workbench.planners.grammar.query import Dim, Measure, Period, Query, Where
from workbench.planners.grammar.row import Row, conditions

_JOINED = ("and", "vs", "pair")
_CORES: tuple[tuple[str, ...], ...] = (
    (), ("measures",), ("count",), ("corr",), ("share",), ("share", "measures"), ("measures", "perrow"),
    ("share", "within"),
)  # fmt: skip
_NUMBERS = ("<", "<=", ">", ">=", "between", "range")
_SPREADING = ("mean", "median", "min", "max", "std")


def is_grouping(row: Row) -> bool:
    """Whether the row is a measure with groups in any order: `revenue by region`, `monthly revenue by region`."""
    return tuple(kind for kind in row.kinds if kind not in ("dims", "each", "trend")) in _CORES


def grouped(row: Row) -> Query | None:
    """One or more measures, for each group or over all."""
    dims = _dims(row)
    if dims is None:
        return None
    if row.has("within"):
        return _part_of(row, dims)
    if row.has("share"):
        return percent(row, dims) or _share(row, dims)
    dims = _compared(row, dims)
    measures = None if dims is None else _measures(row, dims)
    if dims == [] and row.has("list") and measures and all(one.assumed for one in measures):
        row.no("A list of the rows, or their sum? Say “total …”, or what each value is for.")
        return None
    if dims is None or measures is None or not _clear(row, measures, dims):
        return None
    return Query("groups", measures, tuple(dims), _with_days(row, dims))


def _with_days(row: Row, dims: Sequence[Dim]) -> tuple[Where, ...]:
    """The conditions, with the days there of what the rows are grouped by as it happened."""
    days = [Where(d.field, "null", negated=True) for d in dims if d.happened and d.field.profile.missing]
    return (*row.wheres, *(day for day in days if day not in row.wheres))


def _dims(row: Row) -> list[Dim] | None:
    dims: list[Dim] = []
    for part in row.core:
        if part.kind == "dims":
            if (flag := _people_of_a_flag(row, part)) is not None:
                name, words = flag.name, " ".join(_plurals(row, part))
                row.no(f"“by {words}” could mean those where {name} is yes: say “by {name}” for both.")
                return None
            dims.extend(part.value[1])
        elif part.kind == "each":
            dims.append(part.value)
    if row.has("trend") and not any(d.unit or d.field.is_year for d in dims):
        fields = row.scope.view.table.fields.values()
        days = [_pace(row, f) for f in row.scope.dates if not f.lifetime] or [Dim(f) for f in fields if f.is_year]
        if len(days) != 1:
            return None
        dims.insert(0, days[0])
    return dims if len(dims) <= 2 and len({d.field for d in dims}) == len(dims) else None


def _pace(row: Row, day: Field) -> Dim:
    """The date by month; as it is where each row has its own and the numbers do not add up, as in a list of prices."""
    said = [one for one in row.value("measures") or () if one.field is not None]
    levels = bool(said) and all(one.assumed and not one.field.additive for one in said)
    return Dim(day) if levels and day.unique else Dim(day, "month")


def _people_of_a_flag(row: Row, part: Part) -> Field | None:
    """The yes-or-no column that is named in the plural: `visits by guests` are the visits of guests, not two groups."""
    for dim in part.value[1]:
        name = dim.field.name.casefold()
        if dim.field.flag and any(low not in name and low.removesuffix("s") in name for low in _plurals(row, part)):
            found: Field = dim.field
            return found
    return None


def _plurals(row: Row, part: Part) -> list[str]:
    return [low for low in row.scope.lows[part.start : part.end] if low.endswith("s") and len(low) > 3]


def _compared(row: Row, dims: list[Dim]) -> list[Dim] | None:
    """The groups, with those that a comparison asks for: `compare revenue between North and South`."""
    lists = [w for w in row.wheres if w.joined in _JOINED and not w.negated]
    if not row.has("compare") and not any(w.joined == "vs" for w in lists):
        return dims
    if row.has("compare") and any(w.op == "period" and not w.joined and "to" in str(w.values[0]) for w in row.wheres):
        return None
    if not dims and len(lists) == 1:
        return [_dim_of(lists[0])]
    if not dims or (lists and lists[0].field not in {d.field for d in dims}):
        return None
    return dims


def _dim_of(where: Where) -> Dim:
    if where.op != "period" or where.field.is_year:
        return Dim(where.field)
    return Dim(where.field, unit_of(tuple(one for one in where.values if isinstance(one, Period))))


def _measures(row: Row, dims: Sequence[Dim]) -> tuple[Measure, ...] | None:
    """The measures, each with a way of taking it; counts of rows where no column is measured."""
    said: Sequence[Measure]
    if row.has("measures"):
        said = row.value("measures")
    elif row.has("corr"):
        said = (row.value("corr"),)
    elif _counts_rows(row, dims):
        said = (Measure("count"),)
    else:
        return None
    if row.has("perrow") and any(one.how != "mean" for one in said):
        return None  # the mean over the rows is "per order"; a total is not
    settled = [settle(row, one, [*dims, *_looked_up(row.wheres)]) for one in said]
    return tuple(one for one in settled if one) if all(settled) else None


def _counts_rows(row: Row, dims: Sequence[Dim]) -> bool:
    """`how many orders`, `orders by region`, `how many ratings are missing`; not `show orders by region`."""
    if row.has("count"):
        if not row.names_rows and any(w.op in _NUMBERS for w in row.wheres[:1]) and not counts_values(row):
            row.no(f"How many {row.wheres[0].field.name}, or how many rows? Name the rows for the second.")
            return False
        return row.rows_meant and bool(row.names_rows or dims or any(w.op == "null" for w in row.wheres))
    if not row.names_rows or not (dims or row.has("share")) or (row.has("list") and not row.has("share")):
        return False
    if any(part.value[0] == "each" for part in row.all("dims")) and not any(row.plural(one) for one in row.all("rows")):
        row.no("One row of each, or how many there are? Say “number of …” for the second.")
        return False
    if not row.plain:
        row.no("Should the rows be counted or an amount be summed? Say “number of …” or name the column.")
    return row.plain


def counts_values(row: Row) -> bool:
    """`how many prices are above 90`: each price is one row. Children over 5 may be older than 5, or more than 5."""
    first = next(iter(row.all("filter")), None)
    if first is None or first.value.op not in _NUMBERS or first.tags[0].role != "column":
        return False
    noun, field = first.tags[0], first.value.field
    broken = any(isinstance(x, float) and not x.is_integer() for x in (field.profile.minimum, field.profile.maximum))
    measured = field.level or broken or field.in_units
    return measured and not field.additive and is_plural(row.scope, noun.start, noun.end)


def _looked_up(wheres: Sequence[Where]) -> list[Dim]:
    """The unique columns that are held to one value, as in `population of Spain`."""
    return [Dim(w.field) for w in wheres if w.op == "in" and len(w.values) == 1 and not w.negated and w.field.unique]


def settle(row: Row, one: Measure, dims: Sequence[Dim]) -> Measure | None:
    """The measure with a way of taking it: sums for what adds up; anything else has to be said."""
    if one.how or one.field is None:
        return one
    # A column of the joined table has one row for each value there, and many here.
    rows = row.scope.view.table.name
    if any(d.field.unique and d.field.table == rows and d.unit is None for d in dims):
        return replace(one, how="value")
    if one.field.additive:
        return replace(one, how="sum")
    name = one.field.name
    row.no(f"{name} does not add up by itself: say average, median, minimum, maximum or sum of {name}.")
    return None


def _clear(row: Row, measures: Sequence[Measure], dims: Sequence[Dim]) -> bool:
    """Whether measures and groups go together in only one way."""
    said = {part.value[0] for part in row.all("dims")}
    per = "per" in said
    timed = any(d.unit or d.field.is_year for d in dims)
    keyed = any(d.field.is_key for d in dims)
    # Per night and per passenger divide; per class or per vintage tell apart.
    counted = [
        d.field for d in dims if d.field.measurable and d.width is None and d.field.name.casefold().endswith("s")
    ]
    numbered = counted[0].name if counted else ""
    if per and numbered and any(one.field is not None for one in measures):
        row.no(f"Divided by {numbered}, or for each value of it? Say “by {numbered}” for the second.")
        return False
    for one in measures:
        if one.field is None or one.field.level:
            continue
        name = one.field.name
        if one.extreme and dims:
            row.no(f"The highest single {name} in each group, or the group with the most? Say “maximum”, or “which”.")
            return False
        if one.how in _SPREADING and (row.has("each") or (timed and said & {"per", "each"}) or (per and keyed)):
            row.no(f"Of the single rows, or of totals for each group first? Say “{one.how} {name} by …” for rows.")
            return False
        if per and one.assumed and keyed:
            row.no(f"{name} for each, or on average? Say “total {name} by …” or “average {name}”.")
            return False
    return True


def _share(row: Row, dims: Sequence[Dim]) -> Query | None:
    """`share of revenue by category`: each group's part of the whole."""
    measures = _measures(row, dims)
    if measures is None or len(measures) != 1 or measures[0].how not in ("sum", "count") or len(dims) != 1:
        return None
    if any(w.op != "period" for w in row.wheres):
        row.no("A share of what? Say “what percentage of … are …”, and the group with “by”.")
        return None
    return Query("share", measures, tuple(dims), _with_days(row, dims))


def _part_of(row: Row, dims: Sequence[Dim]) -> Query | None:
    """`share of Electronics in revenue`: what is named first is the part; a time behind is one of the whole."""
    at = next(number for number, part in enumerate(row.parts) if part.kind == "within")
    share = next(number for number, part in enumerate(row.parts) if part.kind == "share")
    part, rest = conditions(row.parts[share:at]), conditions(row.parts[at:])
    one = settle(row, row.value("within"), ())
    if share > at or one is None or one.how not in ("sum", "count") or conditions(row.parts[:share]) or row.names_rows:
        return None
    if len(part) != 1 or part[0].op not in ("in", "true") or part[0].negated or any(w.op != "period" for w in rest):
        return None
    if part[0].joined in _JOINED or part[0].field in {dim.field for dim in dims}:
        return None
    return Query("percent", (one,), tuple(dims), rest, part=part)


def percent(row: Row, dims: Sequence[Dim] = ()) -> Query | None:
    """`what percentage of orders in 2025 were online`: conditions before the verb say of what, those after it which."""
    cut = _verb(row)
    if cut is None:
        return None
    before, after = row.parts[: cut[0]], row.parts[cut[1] :]
    kinds = {part.kind for part in before}
    part = conditions(after)
    if "share" not in kinds or "dims" in kinds or not part or not kinds & {"rows", "measures"}:
        return None
    said = row.value("measures") or (Measure("count"),)
    one = settle(row, said[0], ()) if len(said) == 1 else None
    if one is None or one.how not in ("sum", "count") or any(p.kind == "measures" for p in after) or not row.plain:
        return None
    if any(w.joined in _JOINED for w in part):
        return None
    if len(part) > 1 and any(w.op == "period" for w in part):
        row.no("A percentage of what? Say the time before the verb: “what percentage of … in 2024 were …”.")
        return None
    return Query("percent", (one,), tuple(dims), conditions(before), part=part)


def _verb(row: Row) -> tuple[int, int] | None:
    """Where the part before the one verb ends and the part after it begins; a condition with “with” is its own verb."""
    verbs = [at for at, part in enumerate(row.parts) if part.kind == "verb"]
    if len(verbs) == 1:
        return verbs[0], verbs[0] + 1
    filters = [at for at, part in enumerate(row.parts) if part.kind == "filter"]
    for at in filters if not verbs else ():
        part = row.parts[at]
        own_verb = (
            "compare" in {tag.role for tag in part.tags if tag.start <= part.start} or part.tags[0].role == "column"
        )
        if row.scope.lows[part.start] in ("with", "where", "having", "whose") or (own_verb and filters == [at]):
            return at, at
    return None
