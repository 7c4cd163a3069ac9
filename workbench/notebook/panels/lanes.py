"""The small drawing beside the steps: which comes after which, as lanes that run down the rows.

Each row has the place of its own dot, the lanes that pass it, those that come into it from above, and whether its own
goes on below. A lane belongs to a step and ends at the last that needs it, which takes the lane over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

MOST = 6
"""Lanes beyond which nothing is drawn: it would be a carpet."""


class Lanes(TypedDict):
    """One row. Lanes are numbered from 0, from the left."""

    dot: int
    through: list[int]
    into: list[int]
    down: bool


def lanes(needs: Mapping[str, Sequence[str]]) -> dict[str, Lanes]:
    """The drawing of a plan's rows, in their order; empty where there is nothing to draw, or too much. An arrow that
    would lead upwards is left out: its row says in words what it comes after."""
    rows = list(needs)
    at = {step: row for row, step in enumerate(rows)}
    above = {step: [need for need in dict.fromkeys(needs[step]) if at.get(need, len(rows)) < at[step]] for step in rows}
    last = {need: at[step] for step in rows for need in above[step]}
    if not last:
        return {}
    found: dict[str, Lanes] = {}
    lane: dict[str, int] = {}
    for row, step in enumerate(rows):
        open_ = {name: lane[name] for name in lane if last.get(name, -1) >= row}
        ending = [lane[need] for need in above[step] if last[need] == row]
        taken = set(open_.values())
        dot = min(ending) if ending else next(n for n in range(len(rows) + 1) if n not in taken)
        lane = {name: place for name, place in open_.items() if last[name] > row}
        through = sorted(lane.values())
        into = sorted({open_[need] for need in above[step]})
        found[step] = {"dot": dot, "through": through, "into": into, "down": step in last}
        lane[step] = dot
        if max([dot, *through, *into]) >= MOST:
            return {}
    return found
