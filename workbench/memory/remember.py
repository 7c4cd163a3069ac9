"""Writing to the memory: what is known already is not written again, and what has changed is closed and kept.

remember(note)  →  was it just recalled here?  →  does a memory say the same?  →  does it correct one?  →  written
"""

from __future__ import annotations

import asyncio
import difflib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.core.errors import Refused
from workbench.core.events import Kind
from workbench.core.request import Scope
from workbench.memory.base import Hit, Memory
from workbench.memory.fold import closest, echoes, takes_the_place_of
from workbench.memory.vectors import Vectors

KINDS: Mapping[str, str] = {
    "fact": "what is so",
    "preference": "what the user likes",
    "procedure": "how it is done",
    "episode": "what happened",
}
MAX_CHARACTERS = 2_000_000
_LOOKED_AT = 10
_RUNS = 100
"""Runs whose recalled texts are known: many more than run at once."""

Tell = Callable[[Kind, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text to remember. `source`: the run and step that wrote it, or the cell where the user did. `by` model: taken
    out of the user's own words by one. `replaces`: ids of memories that it closes."""

    text: str
    scope: Scope
    source: str
    by: Literal["user", "model", "tool"]
    kind: str = "fact"
    pinned: bool = False
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a note: written as `id`, or folded into the memory `id` that says the same, or not written because
    it had just been recalled. `closed`: the memories whose place it took."""

    id: str
    text: str
    became: Literal["new", "folded", "recalled"]
    closed: tuple[Hit, ...] = ()


class Remembering:
    """Writes and recalls on one memory, and knows what each run has recalled."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._recalled: OrderedDict[str, dict[str, Hit]] = OrderedDict()

    async def recall(self, question: str, scope: Scope, limit: int, *, run: str) -> Sequence[Hit]:
        """As the memory does; what this run writes later is held against what it finds here."""
        hits = await self.memory.recall(question, scope, limit)
        self._recalled.setdefault(run, {}).update((hit.id, hit) for hit in hits)
        self._recalled.move_to_end(run)
        while len(self._recalled) > _RUNS:
            self._recalled.popitem(last=False)
        return hits

    async def remember(self, note: Note, tell: Tell, *, run: str = "") -> Kept:
        """What became of the note, once that is durable. `tell` takes the events. Raises Refused, Unavailable."""
        text = _checked(note)
        known = self._recalled.get(run, {}).values()
        if (echoed := next((hit for hit in known if echoes(text, hit.text)), None)) is not None:
            return await self._folded(note, text, echoed, "recalled", tell)
        hits = [hit for hit in await self.memory.recall(text, note.scope, _LOOKED_AT) if hit.kind == note.kind]
        if not note.replaces:
            place = await asyncio.to_thread(closest, text, [(hit.text, _cosine(hit)) for hit in hits], self.likeness)
            if place is not None:
                return await self._folded(note, text, hits[place], "folded", tell)
        closed = [hit for hit in hits if takes_the_place_of(text, hit.text) and _may_close(note, hit)]
        if note.replaces:
            there = {hit.id: hit for hit in await self.memory.memories(note.scope)}
            closed = [there[name] for name in note.replaces if name in there]
        name = uuid.uuid4().hex
        body = {
            "id": name,
            "scope": asdict(note.scope),
            "memory_kind": note.kind,
            "text": text,
            "source": note.source,
            "by": note.by,
            "pinned": note.pinned,
            "closes": [hit.id for hit in closed],
        }
        tell(Kind.MEMORY_WRITTEN, body)
        await self.memory.barrier()
        return Kept(id=name, text=text, became="new", closed=tuple(closed))

    async def _folded(self, note: Note, text: str, hit: Hit, became: Literal["folded", "recalled"], tell: Tell) -> Kept:
        said = {"text": text, "source": note.source, "by": note.by, "user": note.scope.user}
        tell(Kind.MEMORY_FOLDED, {"id": hit.id, "why": became, **said})
        await self.memory.barrier()
        return Kept(id=hit.id, text=hit.text, became=became)

    def likeness(self, one: str, other: str) -> float:
        """The cosine of two texts; 0 when nobody compares meanings."""
        vectors: Vectors | None = getattr(self.memory, "vectors", None)
        return 0.0 if vectors is None else vectors.likeness(one, other)


def _checked(note: Note) -> str:
    text = note.text.strip()
    if not text:
        raise Refused("There is nothing to remember.", hint="Say what, as a sentence that stands on its own.")
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"{len(text):,} characters are no memory but a file.", hint="Remember where it lies.")
    if note.kind not in KINDS:
        near = difflib.get_close_matches(note.kind, KINDS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(KINDS)}."
        raise Refused(f"{note.kind!r} is no kind of memory.", hint=hint)
    if not note.source.strip() or not note.scope.user:
        raise Refused(
            "A memory needs a source and a user.", hint="Say which run, step or cell it comes from, and whose."
        )
    return text


def _cosine(hit: Hit) -> float | None:
    return hit.cosine if hit.recall == "semantic" else None


def _may_close(note: Note, hit: Hit) -> bool:
    """A tool or a model never closes what the user wrote or pinned: what it read may have told it to."""
    return note.by == "user" or (hit.by != "user" and not hit.pinned)
