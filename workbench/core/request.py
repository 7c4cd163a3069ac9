"""What a user asks and what they offer with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.core.artifacts import PREVIEW_ROWS, Artifact
from workbench.core.provenance import NONE, Sources

__all__ = ["PREVIEW_ROWS", "ColumnProfile", "Quoted", "Request", "Scope", "Talk", "Turn", "Variable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """A column as planners see it. `type` as in `core.artifacts.Column`.

    `minimum` and `maximum` are JSON scalars (ISO text for dates), None where they make no sense. `values` are the
    distinct texts of a text column with at most 200 of them: for planners on this machine only, never sent to a remote
    model unless the frame is named with `@`. `dates`: a text column whose every value is an ISO date.
    """

    name: str
    type: str
    missing: int = 0
    distinct: int | None = None
    minimum: Any = None
    maximum: Any = None
    values: tuple[str, ...] | None = None
    dates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A table that the user offers: name, size and columns; the rows stay where they are.

    `named`: the user wrote `@name`, which also offers the rows in `head` (JSON scalars) to a remote model.
    """

    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    named: bool = False
    head: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose memory: every read and write says it, there is no default."""

    user: str
    workspace: str
    session: str
    persona: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """What the user put beside a request by naming it there: a cell, a figure, a result of an earlier run.

    `name` as it was typed ("@cell[-1]"); `what`: what it is, in words; `text`: what it says, for a model to read as
    data; `png`: the picture, empty when there is none. `sources`: what it is made of; none of it is the user's words.
    `table`: the name under which a table of it is offered, "" when it has none.
    """

    name: str
    what: str
    text: str
    sources: Sources
    png: bytes = field(default=b"", repr=False)
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An earlier request and what came of it. `results` are a line each; `sources`: what answer and results are made
    of beyond the user's words; `table`: the last one that it made."""

    run: str
    request: str
    answer: str = ""
    results: tuple[str, ...] = ()
    sources: Sources = NONE
    table: Artifact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What was said before: the newest turns, oldest first, and a summary of those before them, made of `sources`."""

    turns: tuple[Turn, ...] = ()
    summary: str = ""
    sources: Sources = NONE

    @property
    def made_of(self) -> Sources:
        """The sources of everything in it."""
        return self.sources.union(*(turn.sources for turn in self.turns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `today` is an ISO date: planners never look at the clock. `connections`: name and kind of each
    database that the user has declared, in the order of names. `memories`:
    what the user has asked to be remembered and may matter here, best first. `talk`: what was asked here before.
    `quoted`: what the user put beside the request.
    """

    text: str
    scope: Scope
    today: str
    variables: tuple[Variable, ...] = field(default_factory=tuple)
    connections: tuple[tuple[str, str], ...] = ()
    memories: tuple[str, ...] = ()
    talk: Talk = Talk()
    quoted: tuple[Quoted, ...] = ()

    def variable(self, name: str) -> Variable | None:
        """The offered variable of that name."""
        return next((variable for variable in self.variables if variable.name == name), None)
