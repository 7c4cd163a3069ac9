"""Changes to text files as a unified diff, put on and taken off again as `git apply` does: exactly or not at all.

A hunk fits where all of its context and all that it takes away stand as they are written, also when they have moved up
or down; nothing is guessed. A line ends in a line feed and nowhere else, so carriage returns, form feeds and a missing
last line end come through as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NO_END = "\\ No newline at end of file"
MAX_SHOWN = 60


class BadPatch(ValueError):
    """The text is no unified diff of the form that is written here."""


class Conflict(Exception):
    """The file is not as the change expects it; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """A piece of a change. `start` and `new_start` count lines from 1; `lines` are (" ", "-" or "+", line with its
    end)."""

    start: int
    new_start: int
    lines: tuple[tuple[str, str], ...]

    def side(self, mark: str) -> list[str]:
        """The lines before ("-") or after ("+") the change, context included."""
        return [line for kind, line in self.lines if kind in (" ", mark)]

    @property
    def trailing(self) -> int:
        """How many lines of context stand at its end."""
        return next((at for at, (kind, _) in enumerate(reversed(self.lines)) if kind != " "), len(self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    """The change of one file. `path` is relative, with forward slashes; `is_new` when there is no file before it."""

    path: str
    is_new: bool
    hunks: tuple[Hunk, ...]


def has_diff(value: Any) -> bool:
    """Whether a step's value is code with its diff."""
    return isinstance(value, Mapping) and isinstance(value.get("diff"), str) and isinstance(value.get("files"), list)


def read(diff: str) -> tuple[FilePatch, ...]:
    """The changes in a diff. Raises BadPatch."""
    lines = split(diff)
    found: list[FilePatch] = []
    at = 0
    while at < len(lines):
        if not lines[at].startswith("diff --git "):
            raise BadPatch(f"line {at + 1} of the diff belongs to no file")
        path = _path(lines[at])
        at, is_new = at + 1, False
        while at < len(lines) and not lines[at].startswith(("@@ ", "diff --git ")):
            is_new = is_new or lines[at].startswith("new file mode ")
            at += 1
        hunks: list[Hunk] = []
        while at < len(lines) and lines[at].startswith("@@ "):
            hunk, at = _hunk(lines, at)
            hunks.append(hunk)
        found.append(FilePatch(path=path, is_new=is_new, hunks=tuple(hunks)))
    if len({patch.path for patch in found}) < len(found):
        raise BadPatch("one file is named twice")
    return tuple(found)


def applied(patch: FilePatch, text: str, *, reverse: bool = False) -> str:
    """The text after the change, or with `reverse` as it was before. Raises Conflict."""
    lines = split(text)
    gone, come = ("+", "-") if reverse else ("-", "+")
    result: list[str] = []
    done, moved = 0, 0
    for hunk in patch.hunks:
        before, after = hunk.side(gone), hunk.side(come)
        start = hunk.new_start if reverse else hunk.start
        # A hunk that takes nothing away names the line after which it stands.
        expected = start - 1 if before else start
        place = _place(lines, before, hunk, expected + moved, done, at_start=start <= 1)
        if place is None:
            raise Conflict(_difference(lines, before, max(done, expected + moved)))
        result += lines[done:place]
        result += after
        done, moved = place + len(before), place - expected
    return "".join([*result, *lines[done:]])


def split(text: str) -> list[str]:
    """The lines of a text with their ends; only a line feed ends one."""
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def _place(
    lines: Sequence[str], before: Sequence[str], hunk: Hunk, expected: int, first: int, *, at_start: bool
) -> int | None:
    """Where a hunk fits, as near to where it is expected as can be; None when it fits nowhere. One that begins a file
    only fits at its beginning, one without context at its end only at the end."""
    last = len(lines) - len(before)
    if at_start:
        places: Iterator[int] = iter([0])
    elif not hunk.trailing:
        places = iter([last])
    else:
        places = iter(sorted(range(first, last + 1), key=lambda place: (abs(place - expected), place)))
    for place in places:
        if not hunk.trailing and place != last:
            continue
        if first <= place <= last and list(lines[place : place + len(before)]) == list(before):
            return place
    return None


def _difference(lines: Sequence[str], before: Sequence[str], at: int) -> str:
    """The first line that is not as expected, in words."""
    for offset, wanted in enumerate(before):
        there = lines[at + offset] if at + offset < len(lines) else None
        if there != wanted:
            found = "the end of the file" if there is None else _shown(there)
            return f"line {at + offset + 1} should be {_shown(wanted)} and is {found}"
    return f"after line {at + len(before)} something follows that is new"


def _shown(line: str) -> str:
    text = repr(line)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 2]}…{text[0]}"


def _path(line: str) -> str:
    """`diff --git a/x b/x` names one file twice."""
    names = line.removeprefix("diff --git ").rstrip("\n")
    half = (len(names) - 1) // 2
    one, other = names[:half], names[half + 1 :]
    if names[half : half + 1] != " " or one[:2] != "a/" or other[:2] != "b/" or one[2:] != other[2:] or not one[2:]:
        raise BadPatch(f"{names[:100]!r} does not name one file")
    return one[2:]


def _hunk(lines: Sequence[str], at: int) -> tuple[Hunk, int]:
    """The hunk whose head is line `at`, and where the next one begins."""
    head = _HEAD.match(lines[at])
    if head is None:
        raise BadPatch(f"line {at + 1} of the diff is no head of a hunk")
    old, new = (int(head[group] or 1) for group in (2, 4))
    found: list[tuple[str, str]] = []
    at += 1
    while old > 0 or new > 0:
        line = lines[at] if at < len(lines) else ""
        mark = line[:1]
        if mark not in (" ", "-", "+"):
            raise BadPatch(f"line {at + 1} of the diff is cut short")
        old, new, at = old - (mark != "+"), new - (mark != "-"), at + 1
        text = line[1:]
        if at < len(lines) and lines[at].rstrip("\n") == _NO_END:
            text, at = text.removesuffix("\n"), at + 1
        found.append((mark, text))
    return Hunk(start=int(head[1]), new_start=int(head[3]), lines=tuple(found)), at
