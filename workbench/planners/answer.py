"""An answer put together from the numbers, without a model: what came out, in one to three plain sentences.

It says only what the results hold. Of a table longer than its preview it says nothing about rows that it has not seen,
except what the order of the query tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from workbench.core.artifacts import Artifact
from workbench.core.outcome import SUMMARY, Outcome, StepOutcome
from workbench.core.progress import State
from workbench.core.views import is_view
from workbench.planners.base import Answer

MAX_TEXT = 4000
"""Characters of a tool's text that are shown."""

_LISTED = 5
_EXTREME = re.compile(r"\"?(\w+)\"? = \(SELECT (?:max|min)\(\"?\1\"?\) FROM")
"""How the grammar asks for the rows at one end of a column."""
_YES_OR_NO = frozenset({"yes", "no", "true", "false", "y", "n", "0", "1"})
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]00:00:00(?:\.0+)?)?")


def summarise(outcome: Outcome) -> Answer:
    """The answer of a run whose steps have all ended, failed ones named. Planner is "summary"."""
    said = [line for step in outcome.steps for line in _step(step)]
    if outcome.problem is not None and not any(step.state is State.FAILED for step in outcome.steps):
        said.append(f"{outcome.problem.kind}: {outcome.problem.message}")
    return Answer(text="\n\n".join(said) or "The run gave no result.", planner=SUMMARY)


def _step(step: StepOutcome) -> Iterator[str]:
    match step.state:
        case State.DONE:
            yield from _value(step)
        case State.FAILED if step.mended:
            return  # other steps took its place
        case State.FAILED:
            yield f"The step “{step.title}” failed."  # why stands at the step and in the error
        case State.SKIPPED:
            yield f"The step “{step.title}” was skipped: {step.reason}."
        case State.BLOCKED if step.mended:
            return
        case State.BLOCKED:
            yield f"The step “{step.title}” was not run, because it needs {', '.join(step.blocked_by)}."
        case State.UNCERTAIN:
            yield f"It is not certain whether the step “{step.title}” was done."
        case State.CANCELLED:
            yield f"The step “{step.title}” was cancelled."
        case State.WAITING | State.RUNNING:
            yield f"The step “{step.title}” has not ended."


def _value(step: StepOutcome) -> Iterator[str]:
    value = step.value
    if isinstance(value, Artifact):
        if value.is_frame:
            yield table(value, step)
        return
    if is_view(value):  # it is shown as it wants to be
        yield f"{step.title}: one {value['type'].rpartition('.')[2]}."
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("formatted"), str) and value["formatted"].strip():
            yield _capped(value["formatted"])
            return
        frames = [item for item in value.values() if isinstance(item, Artifact) and item.is_frame]
        yield from (table(frame, step) for frame in frames)
        plain = {key: said for key, item in value.items() if (said := _plain(item))}
        if plain:
            yield _capped("; ".join(f"{key}: {said}" for key, said in plain.items()))
    elif isinstance(value, list | tuple):
        many = f"{step.title}: {len(value):,} results"
        texts = _some(value)
        yield _capped(f"{many}: {texts}." if texts else f"{many}.")
    elif value is not None:
        yield _capped(value if isinstance(value, str) else f"{step.title}: {number(value)}.")
    elif step.text.strip():
        yield _capped(step.text)


def _plain(value: Any) -> str:
    """A value that is said in a word, or in a few; "" for one that is not."""
    if isinstance(value, list | tuple):
        return _some(value) if all(isinstance(item, str | int | float) for item in value) else ""
    if isinstance(value, str):
        return value
    return number(value) if isinstance(value, int | float | bool) else ""


def _some(values: Sequence[Any]) -> str:
    """The first texts and numbers of a list; "" when there are none."""
    texts = [str(item) for item in values if isinstance(item, str | int | float)]
    return f"{', '.join(texts[:_LISTED])}{', …' if len(texts) > _LISTED else ''}"


def _capped(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT].rstrip()} … ({len(text):,} characters in all)"


# -- tables ------------------------------------------------------------------------------------------------------------


def table(frame: Artifact, step: StepOutcome) -> str:
    """What a table says: its one value, its few rows, or its highest and lowest."""
    title = frame.title or step.title
    names = [column.name for column in frame.columns]
    rows, count = frame.preview, frame.rows if frame.rows is not None else len(frame.preview)
    if not count:
        return f"{title}: no rows."
    if (extreme := _EXTREME.search(str(step.params.get("sql", "")))) and extreme[1] in names and count == len(rows):
        return _at_the_end(title, names, rows, names.index(extreme[1]))
    if count == 1 and len(rows) == 1:
        return _one_row(title, names, rows[0])
    groups = [at for at, column in enumerate(frame.columns) if not _measures(column.type, column.name, at)]
    measures = [at for at in range(len(names)) if at not in groups]
    if len(groups) == 1 and groups[0] == 0 and measures and len(names) <= 4:
        return _grouped(title, names, rows, count, _order(step, names[1]))
    if len(names) > 1 and measures and len(groups) == 2 and len(names) <= 4 and count == len(rows):
        best = max(
            (row for row in rows if _is_number(row[measures[0]])), key=lambda row: row[measures[0]], default=None
        )
        if best is not None:
            where = ", ".join(say(best[at], names[at]) for at in groups)
            name = names[measures[0]]
            return f"{title}: {count:,} rows; the highest {name} is {_with(best, measures[0], names)} ({where})."
    return f"{title}: {count:,} rows of {len(names)} column{'s' if len(names) > 1 else ''} ({_names(names)})."


def _measures(kind: str, name: str, at: int) -> bool:
    places = ("year", "month", "quarter", "week", "day")
    return kind in ("integer", "number") and not (at == 0 and (name.casefold() in places or name.endswith(" from")))


def _at_the_end(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], at: int) -> str:
    """The rows that share the highest or lowest value, each by its first other column."""
    value = f"{names[at]} {_with(rows[0], at, names)}"
    if len(names) == 1:
        return f"{title}: {value}."
    first = 0 if at else 1
    listed = _listed_names([row[first:] for row in rows], names[first:])
    return f"{title}: {names[first]} {listed} ({value})."


def _one_row(title: str, names: Sequence[str], row: Sequence[Any]) -> str:
    if len(row) == 1:
        return f"{title}: {_with(row, 0, names)}."
    if len(row) > 6:
        return f"{title}: 1 row of {len(row)} columns ({_names(names)})."
    if isinstance(row[0], str):
        rest = ", ".join(f"{names[at]} {_with(row, at, names)}" for at in range(1, len(row)))
        return f"{say(row[0], names[0])}: {rest}."
    return f"{title}: " + ", ".join(f"{names[at]} {_with(row, at, names)}" for at in range(len(row))) + "."


def _grouped(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], count: int, order: str) -> str:
    """One group column and its measures. `order`: how the query sorts the first measure: "DESC", "ASC", "" or with
    "LIMIT" when it cut the rest off."""
    whole = count == len(rows)
    known = [row for row in rows if _is_number(row[1])]
    if not known:
        return f"{title}: {count:,} rows without a value."
    timed = all(isinstance(row[0], str) and _ISO_DAY.fullmatch(row[0]) for row in rows) or names[0].casefold() == "year"
    if "LIMIT" in order and whole and count <= 10:
        listed = "; ".join(f"{at}. {_pair(row, names)}" for at, row in enumerate(rows, 1))
        return f"{title}: {listed}."
    if timed and whole and len(known) > 1:
        top, low = max(known, key=lambda r: r[1]), min(known, key=lambda r: r[1])
        return (
            f"{title}: from {_pair(rows[0], names)} to {_pair(rows[-1], names)}."
            f" The highest is {_pair(top, names)}, the lowest {_pair(low, names)}."
        )
    if timed:
        return f"{title}: {count:,} rows, the first {_pair(rows[0], names)}."
    if whole and len(known) > 1:
        top, low = max(known, key=lambda r: r[1]), min(known, key=lambda r: r[1])
        if top[1] == low[1]:
            return f"{title}: {_with(top, 1, names)} for each of {count:,}."
        if {str(row[0]).casefold() for row in rows} <= _YES_OR_NO:
            return f"{title}: {', '.join(_pair(row, names) for row in rows)}."
        tops, lows = _equal(known, top), _equal(known, low)
        return (
            f"{_listed_names(tops, names)} {'has' if len(tops) == 1 else 'have'} the highest {names[1]}"
            f" ({_with(top, 1, names)}), {_listed_names(lows, names)} the lowest ({_with(low, 1, names)});"
            f" {count:,} rows."
        )
    if order.startswith(("DESC", "ASC")):
        end = "highest" if order.startswith("DESC") else "lowest"
        return f"{say(known[0][0], names[0])} has the {end} {names[1]} ({_with(known[0], 1, names)}); {count:,} rows."
    return f"{title}: {count:,} rows, the first {_pair(rows[0], names)}."


def _equal(rows: Sequence[Sequence[Any]], one: Sequence[Any]) -> list[Sequence[Any]]:
    """All rows with the same measure: of a tie nobody is named alone."""
    return [row for row in rows if row[1] == one[1]]


def _listed_names(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> str:
    said = [say(row[0], names[0]) for row in rows[:_LISTED]]
    if len(rows) > _LISTED:
        return f"{', '.join(said)} and {len(rows) - _LISTED} more"
    return " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]


def _pair(row: Sequence[Any], names: Sequence[str]) -> str:
    return f"{say(row[0], names[0])} ({_with(row, 1, names)})"


def _order(step: StepOutcome, name: str) -> str:
    """How the step's SQL sorts a column, and whether it cuts off; "" when it does not say."""
    sql = str(step.params.get("sql", ""))
    found = re.search(rf"ORDER BY \"?{re.escape(name)}\"? (DESC|ASC)\b", sql)
    return "" if found is None else found[1] + (" LIMIT" if re.search(r"\bLIMIT \d+\s*$", sql) else "")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")


# -- values ------------------------------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _with(row: Sequence[Any], at: int, names: Sequence[str]) -> str:
    text = say(row[at], names[at])
    percent = names[at].endswith("(%)") or names[at] == "percent"
    return f"{text} %" if percent and _is_number(row[at]) else text


def say(value: Any, name: str = "") -> str:
    """A value as people write it; `name` is its column's, which tells a year from a count and a month from a day."""
    unit = name.casefold()
    if value is None:
        return "missing"
    if isinstance(value, str) and unit in ("year", "quarter", "month") and _ISO_DAY.fullmatch(value):
        day = date.fromisoformat(value[:10])
        return {"year": f"{day.year}", "quarter": f"Q{(day.month + 2) // 3} {day.year}"}.get(unit, f"{day:%B %Y}")
    if isinstance(value, str):
        return value[:10] if _ISO_DAY.fullmatch(value) else value[:200]
    if isinstance(value, int | float) and not isinstance(value, bool) and unit.endswith("year") and value == int(value):
        return str(int(value))
    return number(value)


def number(value: Any) -> str:
    """A number with thousands separators and as many decimals as say something."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if value != value or value in (float("inf"), float("-inf")):
        return "not a number" if value != value else str(value)
    size = abs(value)
    text = f"{value:,.2f}" if size >= 1 else f"{value:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
