"""An answer put together from the numbers, without a model: one to three plain sentences a result.

It says only what the results say: values, the highest and lowest, the first and last. No units that are not in a name,
no causes, no guesses about rows that it does not see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.core.artifacts import Artifact, find
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.planners.base import Answer

MAX_TEXT = 4000
"""Characters of one tool's text in an answer."""
_NUMBERS = ("integer", "number")
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+)?")


def summarise(outcome: Outcome) -> Answer:
    """The answer to a run from its results alone; `planner` is "summary". Failed steps are named."""
    parts = [part for step in outcome.steps if step.state is State.DONE for part in _result(step)]
    failed = [step for step in outcome.steps if step.state is State.FAILED]
    for step in failed:
        why = f": {step.problem.message}" if step.problem else ""
        parts.append(f"{step.title or step.task} failed{why}")
    if not parts:
        parts = [f"Done: {step.title or step.task}." for step in outcome.steps if step.state is State.DONE]
    return Answer(text="\n\n".join(parts), planner="summary")


def _result(step: StepOutcome) -> list[str]:
    """What one finished step says. A picture says nothing in words: it is shown."""
    value = step.value
    if isinstance(value, Mapping) and isinstance(value.get("formatted"), str):
        return [_cut(value["formatted"])]
    frames = [artifact for artifact in find(value) if artifact.is_frame]
    if frames:
        return [_frame(frame, step.title if step.title != step.task else "") for frame in frames]
    if isinstance(value, str):
        return [_cut(value)] if value.strip() else []
    if isinstance(value, bool | int | float):
        return [f"{step.title}: {_value(value)}"]
    return []


def _frame(frame: Artifact, title: str) -> str:
    rows, total = frame.preview, frame.rows or 0
    names = [column.name for column in frame.columns]
    said = title or frame.title
    if not total:
        return f"{said}: no rows." if said else "There are no rows."
    measures = [index for index, column in enumerate(frame.columns) if column.type in _NUMBERS]
    labels = [index for index in range(len(names)) if index not in measures]
    if total == 1:
        return _one(frame, said, labels, measures)
    head = f"{said}: " if said else ""
    if len(rows) < total or len(measures) != 1 or not 1 <= len(labels) <= 2:
        return f"{head}{total:,} rows with {', '.join(map(_words, names[:8]))}{' and more' if len(names) > 8 else ''}."
    measure = measures[0]
    known = [row for row in rows if row[measure] is not None]
    if len(known) < 2:
        return f"{head}{total:,} rows."
    high, low = max(known, key=lambda row: row[measure]), min(known, key=lambda row: row[measure])

    def point(row: tuple[Any, ...]) -> str:
        return f"{', '.join(_label(row[index], rows, index) for index in labels)} ({_value(row[measure])})"

    if high[measure] == low[measure]:
        return f"{head}{_words(names[measure])} is {_value(high[measure])} in all {total:,} rows."
    if len(labels) == 1 and all(_is_day(row[labels[0]]) for row in rows):
        return f"{head}from {point(rows[0])} to {point(rows[-1])}; highest {point(high)}, lowest {point(low)}."
    if total == 2:
        return f"{head}{point(rows[0])}, {point(rows[1])}."
    return f"{head}highest {point(high)}, lowest {point(low)}, of {total:,}."


def _one(frame: Artifact, said: str, labels: list[int], measures: list[int]) -> str:
    """A single row: the number alone, or what it belongs to and each number with its name."""
    (row,) = frame.preview
    names = [_words(column.name) for column in frame.columns]
    if len(names) == 1:
        return f"{said or names[0]}: {_value(row[0])}."
    parts = [_label(row[index], frame.preview, index) for index in labels[:4]]
    parts += [f"{names[index]} {_value(row[index])}" for index in measures[:6]]
    more = " and more" if len(labels) > 4 or len(measures) > 6 else ""
    return f"{said}: {', '.join(parts)}{more}." if said else f"{', '.join(parts)}{more}."


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{value:,.0f}"
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)


def _label(value: Any, rows: tuple[tuple[Any, ...], ...], index: int) -> str:
    """A row's name; the first days of months as months, of years as years, when all of them are."""
    days = [str(row[index])[:10] for row in rows if _is_day(row[index])]
    if len(days) == len(rows) and _is_day(value):
        if all(day.endswith("-01-01") for day in days) and len(days) > 1:
            return str(value)[:4]
        if all(day.endswith("-01") for day in days):
            return str(value)[:7]
        return str(value)[:10]
    return str(value) if isinstance(value, int) else _value(value)


def _is_day(value: Any) -> bool:
    return isinstance(value, str) and _DAY.fullmatch(value) is not None


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"
