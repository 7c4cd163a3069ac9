"""Two runs side by side: their plans, parameters, answers, tables and cost, and where they differ.

Steps are told apart by their id. Rows of tables are compared by their place; where that says that they differ and both
hold the same rows, it is the order that differs. A list of differences is bounded, and says how many more there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.artifacts import Artifact, to_json
from workbench.core.errors import Unavailable
from workbench.core.outcome import Outcome, StepOutcome
from workbench.render import STYLE, cell, clean_text, escape, framed, table_html, table_text

if TYPE_CHECKING:
    import pandas as pd

    from workbench.run import Run

WIDTH = 100
"""Characters of a line of the comparison as text."""
MAX_LISTED = 10
"""Differences of one kind in one table, or parameters of one step, that are told one by one."""
MAX_SHOWN = 80
"""Characters of a text that is shown; of one that differs, those around the first difference."""
MAX_ROWS = 1_000_000
"""Rows of a table that are compared value by value."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing that two runs have in common, and what each has: text as a reader sees it."""

    what: str
    left: str
    right: str
    same: bool


class Comparison:
    """Two runs side by side, as text and as HTML. `pairs` is all that was compared, `differences` what differs."""

    def __init__(self, left: str, right: str, pairs: Sequence[Pair]) -> None:
        self.left, self.right = left, right
        self.pairs = list(pairs)

    @property
    def differences(self) -> list[Pair]:
        return [pair for pair in self.pairs if not pair.same]

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for pair in self.pairs:
            yield "same" if pair.same else "differs", pair.what, pair.left, "the same" if pair.same else pair.right

    def _head(self) -> str:
        count = len(self.differences)
        return f"{count or 'No'} {'difference' if count == 1 else 'differences'} between two runs"

    def __repr__(self) -> str:
        columns = ("", "", self.left, self.right)
        return f"{self._head()}\n\n{table_text(columns, list(self._rows()), width=WIDTH)}"

    def _repr_html_(self) -> str:
        table = table_html(("", "", self.left, self.right), list(self._rows()))
        return STYLE + framed(f"<p>{escape(self._head())}</p>{table}")


def compare(left: Run, right: Run) -> Comparison:
    """What is the same in two runs, and what differs. Reads the files of tables that are not the same file."""
    from workbench.sandbox.frames import read_frame

    def opens(run: Run) -> Callable[[Artifact], pd.DataFrame]:
        return lambda artifact: read_frame(run.path(artifact))

    a, b = left.outcome, right.outcome
    pairs = [*_about(a, b), *_plans(a, b), *_results(a, b, opens(left), opens(right))]
    return Comparison(clean_text(left.id), clean_text(right.id), pairs)


def _about(a: Outcome, b: Outcome) -> Iterator[Pair]:
    facts: Mapping[str, Callable[[Outcome], str]] = {
        "request": lambda run: run.request,
        "status": lambda run: run.status + (f": {run.problem.message}" if run.problem else ""),
        "planned by": lambda run: run.model or run.planner,
        "answer": lambda run: run.answer,
        "cost": lambda run: str(run.cost),
    }
    for what, fact in facts.items():
        if fact(a) or fact(b):
            yield _pair(what, fact(a), fact(b))


def _plans(a: Outcome, b: Outcome) -> Iterator[Pair]:
    one, other = ({step.id: step for step in run.steps} for run in (a, b))
    for name in _both(one, other):
        left, right = one.get(name), other.get(name)
        yield _pair(name, _step(left), _step(right))
        if left is not None and right is not None:
            yield from _params(name, left, right)


def _step(step: StepOutcome | None) -> str:
    if step is None:
        return "not there"
    title = f": {step.title}" if step.title not in ("", step.task) else ""
    return f"{step.task}{title}, {step.state}" + (f": {step.problem.message}" if step.problem else "")


def _params(name: str, left: StepOutcome, right: StepOutcome) -> Iterator[Pair]:
    """The parameters that differ, each by its place."""
    one, other = dict(_leaves(f"{name}.params", left.params)), dict(_leaves(f"{name}.params", right.params))
    unlike = [place for place in _both(one, other) if one.get(place) != other.get(place)]
    for place in unlike[:MAX_LISTED]:
        yield _pair(place, one.get(place, "not there"), other.get(place, "not there"), same=False)
    yield from _more(f"{name}.params", len(unlike))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{place}.{key}", item)
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _leaves(f"{place}[{index}]", item)
    else:
        yield place, value if isinstance(value, str) else _json(value)


def _results(
    a: Outcome, b: Outcome, open_a: Callable[[Artifact], pd.DataFrame], open_b: Callable[[Artifact], pd.DataFrame]
) -> Iterator[Pair]:
    for name in _both(a.inputs, b.inputs):
        yield from _files(f"@{name}", a.inputs.get(name), b.inputs.get(name), open_a, open_b)
    one, other = ({step.id: step for step in run.steps} for run in (a, b))
    for name in _both(one, other):
        left, right = one.get(name), other.get(name)
        if left is None or right is None or left.value is None or right.value is None:
            continue
        if not (left.artifacts or right.artifacts):
            yield _pair(f"{name} gave", _json(left.value), _json(right.value))
            continue
        for at in range(max(len(left.artifacts), len(right.artifacts))):
            files = [step.artifacts[at] if at < len(step.artifacts) else None for step in (left, right)]
            what = f"{name} file {at + 1}" if max(len(left.artifacts), len(right.artifacts)) > 1 else f"{name} file"
            yield from _files(what, files[0], files[1], open_a, open_b)


def _files(
    what: str,
    left: Artifact | None,
    right: Artifact | None,
    open_a: Callable[[Artifact], pd.DataFrame],
    open_b: Callable[[Artifact], pd.DataFrame],
) -> Iterator[Pair]:
    both = left is not None and right is not None and left.is_frame and right.is_frame
    what = what.replace("file", "table") if both else what
    yield _pair(what, _shape(left), _shape(right), same=_is_same(left, right))
    if not both or left is None or right is None or _is_same(left, right):
        return
    if max(left.rows or 0, right.rows or 0) > MAX_ROWS:
        yield Pair(f"{what}, values", f"not compared: more than {MAX_ROWS:,} rows", "", same=False)
        return
    try:
        yield from _tables(what, open_a(left), open_b(right))
    except Unavailable as gone:
        yield Pair(f"{what}, values", f"not compared: {gone.message}", "", same=False)


def _tables(what: str, a: pd.DataFrame, b: pd.DataFrame) -> Iterator[Pair]:
    names = [list(map(str, frame.columns)) for frame in (a, b)]
    if names[0] != names[1]:
        yield _pair(f"{what}, columns", ", ".join(names[0]), ", ".join(names[1]))
    shared = [name for name in dict.fromkeys(names[0]) if names[0].count(name) == names[1].count(name) == 1]
    a, b = (
        frame.set_axis(own, axis="columns")[shared].reset_index(drop=True)
        for frame, own in zip((a, b), names, strict=True)
    )
    for name in shared:
        if str(a[name].dtype) != str(b[name].dtype):
            yield _pair(f"{what}, {name}", f"{a[name].dtype}", f"{b[name].dtype}")
    if (
        names[0] == names[1]
        and len(a) == len(b)
        and _same_rows(a, b)
        and any(_unlike(a[name], b[name]).any() for name in shared)
    ):
        yield Pair(f"{what}, rows", "the same rows", "in another order", same=False)
        return
    common, count = min(len(a), len(b)), 0
    for name in shared:
        unlike = _unlike(a[name].iloc[:common], b[name].iloc[:common]).nonzero()[0]
        for row in unlike[: max(0, MAX_LISTED - count)]:
            values = cell(a[name].iloc[row]), cell(b[name].iloc[row])
            yield _pair(f"{what}, row {row + 1}, {name}", *values, same=False)
        count += len(unlike)
    yield from _more(f"{what}, values", count)


def _unlike(a: pd.Series[Any], b: pd.Series[Any]) -> Any:
    """Which values differ, as an array of booleans; what is missing in both is the same."""
    try:
        same = (a.astype(object) == b.astype(object)).to_numpy(dtype=bool)
    except (TypeError, ValueError):  # values that cannot be compared, such as lists
        same = (a.map(repr) == b.map(repr)).to_numpy(dtype=bool)
    return ~(same | (a.isna() & b.isna()).to_numpy(dtype=bool))


def _same_rows(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    from pandas.util import hash_pandas_object

    try:
        one, other = (hash_pandas_object(frame, index=False).sort_values(ignore_index=True) for frame in (a, b))
    except TypeError:  # values that have no hash, such as lists
        return False
    return bool(one.equals(other))


def _pair(what: str, left: str, right: str, *, same: bool | None = None) -> Pair:
    equal = left == right if same is None else same
    one, other = (left, right) if equal else _around(left, right)
    return Pair(clean_text(what), _short(one), _short(other), equal)


def _around(left: str, right: str) -> tuple[str, str]:
    """Two texts from a little before the place where they begin to differ."""
    if max(len(left), len(right)) <= MAX_SHOWN:
        return left, right
    at = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = max(0, at - 20)
    return (f"…{left[start:]}", f"…{right[start:]}") if start else (left, right)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return clean_text(line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…")


def _more(what: str, count: int) -> Iterator[Pair]:
    if count > MAX_LISTED:
        yield Pair(clean_text(what), f"{count - MAX_LISTED:,} more differ", "", same=False)


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))


def _is_same(a: Artifact | None, b: Artifact | None) -> bool:
    return a is not None and b is not None and a.sha256 == b.sha256


def _shape(artifact: Artifact | None) -> str:
    if artifact is None:
        return "not there"
    if artifact.is_frame:
        rows, columns = artifact.rows or 0, len(artifact.columns)
        return f"{rows:,} {'row' if rows == 1 else 'rows'}, {columns} {'column' if columns == 1 else 'columns'}"
    return f"{'picture' if artifact.is_image else artifact.mime}, {artifact.bytes:,} bytes"


def _json(value: Any) -> str:
    return json.dumps(to_json(value), ensure_ascii=False, default=str)
