"""A request cut into parts, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from workbench.planners.grammar.measures import is_plural, rows_are_plain, rows_are_rows
from workbench.planners.grammar.parse import Part
from workbench.planners.grammar.query import Where
from workbench.planners.grammar.scope import Scope

_ASIDE = frozenset(
    {"glue", "ask", "list", "rank", "verb", "link", "filter", "chart", "rows", "others", "compare", "happened"}
)
"""Parts that do not carry the question."""


@dataclass(frozen=True)
class Row:
    """One way to cut the request. `kinds` names the parts that carry the question, in order."""

    scope: Scope
    parts: Sequence[Part]

    @cached_property
    def core(self) -> list[Part]:
        return [part for part in self.parts if part.kind not in _ASIDE]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        return tuple(part.kind for part in self.core)

    @cached_property
    def wheres(self) -> tuple[Where, ...]:
        """The conditions, each once."""
        return conditions(self.parts)

    def has(self, *kinds: str) -> bool:
        return any(part.kind in kinds for part in self.parts)

    def all(self, kind: str) -> list[Part]:
        return [part for part in self.parts if part.kind == kind]

    def value(self, kind: str) -> Any:
        """What the first part of a kind means; None when there is none."""
        return next((part.value for part in self.parts if part.kind == kind), None)

    def no(self, problem: str) -> None:
        """Note why this row, though complete, is not an answer."""
        self.scope.problems.append(problem)

    @property
    def names_rows(self) -> bool:
        """Whether the noun of the table is there at all."""
        return self.has("rows")

    @property
    def heads(self) -> list[Part]:
        """The nouns of the table that do not follow a preposition."""
        return [part for part in self.parts if part.kind == "rows" and not part.value[1]]

    @property
    def bare_heads(self) -> list[Part]:
        """Those of the heads that no condition stands before, as one does in `Flu admissions`."""
        solid = [part for part in self.parts if part.kind != "glue"]
        after = {part.start for before, part in pairwise(solid) if before.kind == "filter"}
        return [part for part in self.heads if part.start not in after]

    @property
    def plain(self) -> bool:
        """Whether the noun of the table can only mean its rows: `sales` could be an amount as well."""
        return all(rows_are_plain(self.scope, part.start, part.end) for part in self.all("rows"))

    @property
    def rows_meant(self) -> bool:
        """Whether the noun of the table means its rows, and not the values of a column."""
        return all(rows_are_rows(self.scope, part.start, part.end) for part in self.all("rows"))

    def plural(self, part: Part) -> bool:
        return is_plural(self.scope, part.start, part.end)


def conditions(parts: Sequence[Part]) -> tuple[Where, ...]:
    return tuple(dict.fromkeys(part.value for part in parts if part.kind == "filter"))
