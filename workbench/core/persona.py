"""A persona: in whose manner a request is served, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from workbench.core.budget import Budget
from workbench.core.provenance import NONE, Source, SourceKind, Sources
from workbench.core.tools import ToolSpec

MemoryScope = Literal["shared", "own", "none"]
"""shared: the memory of the project. own: reads that too, and keeps what is remembered for itself. none: no memory."""

_NARROWER: tuple[MemoryScope, ...] = ("shared", "own", "none")
_OF_MEMORY = ("memory", "memory.recall", "memory.write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """`instructions`: where each text comes from (shipped, user, project, plug-in) → the text, which becomes a part of
    the prompts of its own. `tools`: names or patterns of the only tools it may use, None for all. `model`: the model
    that it asks when the request names none, "" for the usual one. `budget`: what one request may use, beside other
    budgets."""

    name: str
    summary: str = ""
    instructions: Mapping[str, str]
    tools: tuple[tuple[str, ...], ...] = ()
    model: str = ""
    memory: MemoryScope = "shared"
    budget: Budget | None = None

    def may_use(self, tools: Mapping[str, ToolSpec]) -> dict[str, ToolSpec]:
        """The tools that are left to it."""
        return {name: spec for name, spec in tools.items() if self._may(spec)}

    def _may(self, spec: ToolSpec) -> bool:
        if self.memory == "none" and any(use in _OF_MEMORY for use in spec.uses):
            return False
        return all(any(fnmatchcase(spec.name, pattern) for pattern in patterns) for patterns in self.tools)

    def narrowed(self, other: Persona) -> Persona:
        """This persona with what another file of its name takes away: fewer tools, less memory, more instructions."""
        return Persona(
            name=self.name,
            summary=self.summary or other.summary,
            instructions={**self.instructions, **other.instructions},
            tools=(*self.tools, *other.tools),
            model=self.model,
            budget=self.budget.narrowed(other.budget) if self.budget is not None else other.budget,
            memory=max(self.memory, other.memory, key=_NARROWER.index),
        )

    @property
    def sources(self) -> Sources:
        """What a plan is made of beyond the request where this persona speaks: files that others wrote."""
        others = [origin for origin in self.instructions if origin in ("project", "plug-in")]
        return (
            frozenset(
                Source(kind=SourceKind.DESCRIPTION, label=f"persona {self.name} of the {origin}") for origin in others
            )
            or NONE
        )

    @property
    def uses(self) -> str:
        """Its tools in words."""
        return " and ".join(", ".join(patterns) for patterns in self.tools) or "all"
