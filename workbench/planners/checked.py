"""Holds a model's answer to the results: citations that resolve, numbers that stand somewhere.

A citation `[n]` without a source of this run is taken out. A number that is in no result, request or plan is marked
with `(?)`. Both are said under the answer: the words are the model's, the figures have to be the run's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.core.artifacts import Artifact
from workbench.core.outcome import Outcome

MARK = " (?)"
_CITATION = re.compile(r"[ \t]?\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\](?!\()")
_NUMBER = re.compile(
    r"(?<![\w.,\[/#-])(?P<sign>[-−]?)(?P<whole>\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.(?P<part>\d+))?"
    r"(?P<scale>\s?(?:thousand|million|billion|k|K|M|bn|B)\b)?(?P<percent>\s?%)?"
)
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9}
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_KEPT = re.compile(r"```.*?```|`[^`\n]*`|https?://\S+|\d{4}-\d\d(?:-\d\d)?|^\s*\d{1,2}[.)] ", re.DOTALL | re.MULTILINE)
"""Where no number is looked at: code, addresses, dates, and the numbering of a list."""


def checked(text: str, outcome: Outcome, quoted: Sequence[str] = ()) -> str:
    """The answer with false citations taken out, unfounded numbers marked, and a line for each kind below. `quoted`:
    texts that the user put beside the request, whose numbers are as good as those of results."""
    text, gone = _cited(text, len(outcome.sources))
    text, unfounded = _marked(text, _Known(outcome, quoted))
    notes = []
    if gone:
        notes.append(f"Taken out, because this run has no such source: {', '.join(f'[{n}]' for n in gone)}.")
    if unfounded:
        notes.append(f"Marked (?), because they stand in no result: {', '.join(unfounded)}.")
    return "\n\n".join([text, *notes])


def _cited(text: str, sources: int) -> tuple[str, list[int]]:
    gone: list[int] = []

    def keep(found: re.Match[str]) -> str:
        numbers = [int(word) for word in found[1].split(",")]
        good = [number for number in numbers if 1 <= number <= sources]
        gone.extend(number for number in numbers if number not in good)
        if len(good) == len(numbers):
            return found[0]
        return f" [{', '.join(map(str, good))}]" if good else ""

    return _CITATION.sub(keep, text), list(dict.fromkeys(gone))


def _marked(text: str, known: _Known) -> tuple[str, list[str]]:
    kept = [found.span() for found in _KEPT.finditer(text)]
    unfounded: list[str] = []

    def mark(found: re.Match[str]) -> str:
        if any(start <= found.start() < end for start, end in kept) or known.has(found):
            return found[0]
        unfounded.append(found[0].strip())
        return f"{found[0]}{MARK}"

    return _NUMBER.sub(mark, text), list(dict.fromkeys(unfounded))


class _Known:
    """Every number that the run has shown: in results, in the request, in the plan."""

    def __init__(self, outcome: Outcome, quoted: Sequence[str] = ()) -> None:
        found: set[float] = set()
        for value in (*_values(outcome), *quoted):
            found.update(_numbers(value))
        self._sorted = sorted(found)

    def has(self, said: re.Match[str]) -> bool:
        """Whether a number of the answer is one of them, as exactly as it is written; `12 %` may stand for 0.12."""
        decimals = len(said["part"] or "")
        digits = re.sub(r"\D", "", said["whole"]) + (f".{said['part']}" if said["part"] else "")
        scale = _SCALES.get((said["scale"] or "").strip().casefold(), 1.0)
        number, half = float(digits) * scale, 0.5 * 10**-decimals * scale
        # Answers often give a fall as a positive number: the sign is not held against them.
        signs = (1.0, -1.0)
        parts = (1.0, 100.0) if said["percent"] else (1.0,)
        return any(self._near(sign * number / part, half / part) for sign in signs for part in parts)

    def _near(self, number: float, half: float) -> bool:
        slack = half * (1 + 1e-9) + abs(number) * 1e-12
        at = bisect_left(self._sorted, number - slack)
        return at < len(self._sorted) and self._sorted[at] <= number + slack


def _values(outcome: Outcome) -> Iterator[Any]:
    yield outcome.request
    yield len(outcome.sources)
    yield len(outcome.steps)
    for step in outcome.steps:
        yield step.title
        yield from (step.params, step.value, step.text)


def _numbers(value: Any) -> Iterator[float]:
    match value:
        case bool() | None:
            return
        case int() | float():
            if value == value and abs(value) < float("inf"):
                yield float(value)
        case str():
            plain = re.sub(r"(?<=\d)[,\u00a0\u202f](?=\d{3}\b)", "", value[:100_000])
            for found in _PLAIN.finditer(plain):
                if len(found[0]) < 300:
                    yield from _numbers(_float(found[0].lstrip("-")))
        case Artifact():
            yield from _numbers(value.rows)
            yield float(len(value.columns))
            yield from _numbers([value.title, value.alt, [list(row) for row in value.preview]])
            yield from _numbers([column.name for column in value.columns])
        case Mapping():
            yield float(len(value))
            for item in value.values():
                yield from _numbers(item)
        case list() | tuple():
            yield float(len(value))
            for item in value:
                yield from _numbers(item)


def _float(text: str) -> float | None:
    number = float(text)
    return number if number < float("inf") else None
