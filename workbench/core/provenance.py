"""Where values come from. Every value of a run knows its sources, and sources only ever add up.

    request ──▶ plan ──literal──▶ argument ─┐
    @frame, s1 ───────reference──▶ argument ─┼──▶ call ──▶ result of the step: all of these, and what its tool reached
    earlier results ───context──────────────┘

A plan is itself made of something: of the request alone, or also of what the planner saw beside it. What the planner
wrote into a step is made of the same. Text templates, lists and nesting change nothing about it, and neither does a
tool: its result comes from everything that went in. Only the user's own words are trusted to steer; the rows of their
frames are theirs as data (`FRAME`), never as instructions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workbench.core import refs


class SourceKind(StrEnum):
    """What a source is. All but `USER` may have been written by a stranger."""

    USER = "user"
    """The request itself."""
    FRAME = "frame"
    """Rows and column names of a table that the user offered."""
    VALUE = "value"
    """A longer text that the user put into the request by naming a variable: theirs to give, not theirs in words."""
    FILE = "file"
    WEB = "web"
    """A host on the network."""
    DATABASE = "database"
    MEMORY = "memory"
    MODEL = "model"
    """What a language, image or audio model made."""
    TOOL = "tool"
    """The result of a tool that is not shipped with the workbench."""
    DESCRIPTION = "description"
    """What a tool that is not shipped says about itself."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Source:
    """One place that a value comes from. `label` names it (a host, a table, a tool), `step` is the id of the step that
    brought it, "" when none did."""

    kind: SourceKind
    label: str = ""
    step: str = ""

    def __str__(self) -> str:
        said = f"{_WORDS.get(self.kind, self.kind)} {self.label}".strip()
        return f"{said} (step {self.step})" if self.step else said


_WORDS = {SourceKind.FRAME: "table", SourceKind.DESCRIPTION: "description of tool"}
"""How a kind is called in a question or an account, where its own name says little to a person."""

Sources = frozenset[Source]

Typed = Mapping[str, Collection[str]]
"""Step id → places in its params that a person has typed, as JSON pointers; `WHOLE` for a step that is theirs."""
WHOLE = ""

NONE: Sources = frozenset()
USER = Source(kind=SourceKind.USER)
"""The request."""
REQUEST: Sources = frozenset({USER})


def untrusted(sources: Iterable[Source]) -> list[Source]:
    """The sources that a stranger may have written, in order."""
    return sorted(source for source in sources if source.kind is not SourceKind.USER)


def said(sources: Iterable[Source]) -> str:
    """The sources in words, the untrusted ones when there are any."""
    named = untrusted(sources)
    told = [source.label for source in named if source.kind is SourceKind.DESCRIPTION]
    words = [str(source) for source in named if source.kind is not SourceKind.DESCRIPTION]
    if told:
        words.insert(0, f"descriptions of tools ({', '.join(told)})")
    return ", ".join(words) or "the request"


def to_json(sources: Iterable[Source]) -> list[dict[str, str]]:
    """The sources as an event holds them, in order."""
    return [
        {"kind": str(source.kind), "label": source.label} | ({"step": source.step} if source.step else {})
        for source in sorted(sources)
    ]


def from_json(items: Iterable[Mapping[str, Any]]) -> Sources:
    """The inverse of `to_json`. A kind that this version does not know is that of a stranger's tool."""
    kinds = {str(kind) for kind in SourceKind}
    return frozenset(
        Source(
            kind=SourceKind(item["kind"]) if item.get("kind") in kinds else SourceKind.TOOL,
            label=str(item.get("label", "")),
            step=str(item.get("step", "")),
        )
        for item in items
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A part of a call's parameters and where it comes from.

    `path` is a JSON pointer into the parameters, `value` what stands there when references are resolved; a key of an
    inner object is a part of its own (`is_key`), beside what stands under it. `refs` are the references that gave the
    value, or a part of a text; none when the planner wrote it.
    """

    path: str
    value: Any
    sources: Sources
    refs: tuple[str, ...] = ()
    is_key: bool = False

    @property
    def name(self) -> str:
        """The parameter that it belongs to."""
        return self.path.split("/", 2)[1].replace("~1", "/").replace("~0", "~")


class Lineage:
    """The sources of one run's values: of its plan, and of each step that is done.

    `plan`: what the plan of this round is made of. `steps`: id → sources, for the steps of earlier rounds.
    `variables`: name → what an offered table is made of beyond the user's rows, where that is known. `typed`: what a
    person has changed in the plan before it ran: the user's own, whatever the plan is made of. `item`: of the item that
    a foreach is at: those of the whole list.
    """

    def __init__(
        self,
        plan: Sources = REQUEST,
        steps: Mapping[str, Sources] | None = None,
        variables: Mapping[str, Sources] | None = None,
        typed: Typed | None = None,
    ) -> None:
        self.plan = plan
        self._typed = typed or {}
        self._own: Collection[str] = ()
        self._variables = dict(variables or {})
        self.steps: dict[str, Sources] = dict(steps or {})
        self._item: Sources | None = None

    def at_step(self, step: str) -> Lineage:
        """The same lineage as this step sees it: what a person has typed into it is made of their words alone."""
        if step not in self._typed:
            return self
        inner = copy(self)
        inner._own = self._typed[step]
        if WHOLE in inner._own:
            inner.plan = REQUEST
        return inner

    def at_item(self, of: Sources) -> Lineage:
        """The same lineage as a call of a foreach sees it, whose list is made of `of`."""
        inner = copy(self)
        inner._item = of
        return inner

    def of(self, ref: refs.Ref) -> Sources:
        """What a reference brings. A step that nobody recorded is a stranger's."""
        if ref.variable is not None:
            made_of = self._variables.get(ref.variable, NONE)
            return made_of | {Source(kind=SourceKind.FRAME, label=f"@{ref.variable}")}
        if ref.is_item and self._item is not None:
            return self._item
        unknown = frozenset({Source(kind=SourceKind.TOOL, label="unknown", step=str(ref.step))})
        return self.steps.get(str(ref.step), unknown)

    def sources(self, params: Any, context: Iterable[str] = ()) -> Sources:
        """What a call with these unresolved parameters is made of. `context`: ids of the results it sees besides."""
        found = self.plan.union(*(self.of(ref) for ref in refs.find(params)))
        return found.union(*(self.steps.get(step, NONE) for step in context))

    def arguments(
        self, params: Mapping[str, Any], values: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> tuple[Argument, ...]:
        """The parts of unresolved parameters with their values; `values` and `variables` as for `refs.resolve`.

        Raises LookupError as that does.
        """

        def parts(path: str, item: Any) -> Iterator[Argument]:
            if refs.is_ref(item):
                ref = refs.parse(str(item["$ref"]))
                value = refs.resolve(item, values, variables)
                yield Argument(path=path, value=value, sources=self.of(ref), refs=(str(ref),))
            elif isinstance(item, Mapping) and item:
                for key, inner in item.items():
                    yield Argument(path=pointer(path, key), value=key, sources=self.plan, is_key=True)
                    yield from parts(pointer(path, key), inner)
            elif isinstance(item, list | tuple) and item:
                for index, inner in enumerate(item):
                    yield from parts(f"{path}/{index}", inner)
            else:
                inside = list(refs.find(item)) if isinstance(item, str) else []
                written = REQUEST if path in self._own else self.plan
                yield Argument(
                    path=path,
                    value=refs.resolve(item, values, variables),
                    sources=written.union(*(self.of(ref) for ref in inside)),
                    refs=tuple(str(ref) for ref in inside),
                )

        return tuple(part for key, item in params.items() for part in parts(pointer("", key), item))

    def record(self, step: str, made_of: Sources, reached: Sources) -> Sources:
        """Keep and give the sources of a step: what its call was made of, and what its tool reached. Of the calls of a
        foreach they add up."""
        brought = {Source(kind=source.kind, label=source.label, step=source.step or step) for source in reached}
        self.steps[step] = self.steps.get(step, NONE) | made_of | brought
        return self.steps[step]


def pointer(path: str, key: str) -> str:
    """The JSON pointer of what stands under a key of what `path` names."""
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
