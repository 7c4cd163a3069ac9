"""A query in plain words: how the request was read, and titles for steps and charts."""

from __future__ import annotations

from workbench.planners.grammar.query import Dim, Measure, Period, Query, Where
from workbench.planners.grammar.sql import label, measure_name
from workbench.planners.grammar.views import View

_HOW = {
    "sum": "sum of {}",
    "mean": "average of {}",
    "median": "median of {}",
    "min": "minimum of {}",
    "max": "maximum of {}",
    "std": "standard deviation of {}",
    "distinct": "number of different values of {}",
    "value": "{}",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_OPS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "=": "equal to"}


def what(query: Query, view: View) -> str:
    """What the query gives, as half a sentence."""
    return f"{_what(query)}{_conditions(query)}, from {' and '.join(t.name for t in view.tables)}"


def _what(query: Query) -> str:
    match query.shape:
        case "describe":
            return "statistics of every column"
        case "rows":
            if query.order is not None and query.order.by.field is not None:
                end = "highest" if query.order.down else "lowest"
                if query.order.ties:
                    return f"all columns of the rows with the {end} {query.order.by.field.name}"
                if query.order.limit is None:
                    return f"all columns of the rows, {end} {query.order.by.field.name} first"
                return f"the {query.order.limit} rows with the {end} {query.order.by.field.name}"
            return f"the first {query.limit} rows" if query.limit else "all columns of the rows"
        case "raw":
            return "the values of " + " and ".join(f.name for f in query.columns)
        case "distinct":
            return f"the different values of {query.dims[0].field.name}"
        case "percent":
            of = "the rows" if query.measures[0].field is None else f"the sum of {query.measures[0].field.name}"
            each = f" for each {' and '.join(_dim(d) for d in query.dims)}" if query.dims else ""
            return f"the percentage of {of} with {_listed(query.part)}{each}"
        case "share":
            return f"the share in percent of {_measure(query.measures[0])} for each {_dim(query.dims[0])}"
        case _:
            return _groups(query)


def _groups(query: Query) -> str:
    said = " and ".join(_measure(one) for one in query.measures)
    each = " and ".join(_dim(dim) for dim in query.dims)
    if query.order is not None and query.order.limit is not None:
        end = "highest" if query.order.down else "lowest"
        many = f"{query.order.limit} groups" if query.order.limit > 1 else "group"
        return f"the {many} by {each} with the {end} {said}"
    return f"{said} for each {each}" if each else said


def _measure(one: Measure) -> str:
    if one.field is None:
        return "number of rows"
    if one.other is not None:
        return f"correlation of {one.field.name} and {one.other.name}"
    return _HOW[one.how].format(one.field.name)


def _dim(dim: Dim) -> str:
    if dim.width is not None:
        return f"{dim.width} of {dim.field.name} (the first from 0)"
    return f"{dim.unit} of {dim.field.name}" if dim.unit else dim.field.name


def _conditions(query: Query) -> str:
    return f" where {_listed(query.where)}" if query.where else ""


def _listed(wheres: tuple[Where, ...]) -> str:
    return " and ".join(_where(one) for one in wheres)


def _where(one: Where) -> str:
    name, no = one.field.name, "not " if one.negated else ""
    match one.op:
        case "in":
            return f"{name} is {no}{' or '.join(map(str, one.values))}"
        case "between":
            return f"{name} is between {one.values[0]} and {one.values[1]}"
        case "range":
            low, first, high, second = one.values
            return f"{name} is {_OPS[str(low)]} {first} and {_OPS[str(high)]} {second}"
        case "contains":
            text, place = one.values
            how = {"": "contains", "start": "starts with", "end": "ends with"}[str(place)]
            return f"{name} {'does not match: ' if one.negated else ''}{how} “{text}” in capitals or not"
        case "weekday":
            return f"{name} is {no}on {' or '.join(DAYS[int(str(day)) - 1] for day in one.values)}"
        case "null":
            return f"{name} is {'present' if one.negated else 'missing'}"
        case "true":
            return f"{name} is {'false' if one.negated else 'true'}"
        case "period":
            periods = [p for p in one.values if isinstance(p, Period)]
            within = "in " if all(p.unit for p in periods) else ""
            return f"{name} is {no}{within}{' or '.join(p.said for p in periods)}"
        case _:
            return f"{name} is {no}{_OPS[one.op]} {one.values[0]}"


def title(query: Query, view: View) -> str:
    """A short title, such as "Total revenue by region, 2025"."""
    match query.shape:
        case "describe":
            text = f"Statistics of {view.table.name}"
        case "rows" if query.order is not None and query.order.ties and query.order.by.field is not None:
            end = "Highest" if query.order.down else "Lowest"
            text = f"{end} {label(query.order.by.field)} in {view.table.name}"
        case "rows":
            text = f"Rows of {view.table.name}"
        case "raw" if query.chart == "hist":
            text = f"Distribution of {label(query.columns[0])}"
        case "raw":
            text = " and ".join(label(f) for f in query.columns)
        case "distinct":
            text = f"Values of {label(query.dims[0].field)}"
        case "percent":
            text = f"Percentage with {_listed(query.part)}" + "".join(f" by {_dim_title(d)}" for d in query.dims)
        case _:
            text = " and ".join(_measure_title(one) for one in query.measures)
            text = f"share of {text}" if query.shape == "share" else text
            text += "".join(f" {'by' if at == 0 else 'and'} {_dim_title(d)}" for at, d in enumerate(query.dims))
            if query.order is not None and query.order.limit is not None:
                text = f"{'Top' if query.order.down else 'Bottom'} {query.order.limit}: {text}"
    details = ", ".join(_detail(one) for one in query.where)
    text = f"{text}, {details}" if details else text
    return (text[:1].upper() + text[1:])[:200]


def _measure_title(one: Measure) -> str:
    return "number of rows" if one.field is None else measure_name(one).replace("_", " ")


def _dim_title(dim: Dim) -> str:
    if dim.width is not None:
        return f"{label(dim.field)} in steps of {dim.width}"
    return dim.unit or label(dim.field)


def _detail(one: Where) -> str:
    if one.op == "period" and not one.negated:
        return " and ".join(p.said for p in one.values if isinstance(p, Period))
    if one.op == "in" and not one.negated:
        return " and ".join(map(str, one.values))
    return _where(one)
