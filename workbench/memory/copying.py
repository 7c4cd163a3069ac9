"""All that one memory holds put into another, whichever keeps it.

Events have names for good, so a copy that was broken off is begun again, and what is there already stays as it is.
Nothing is taken from where it came. Afterwards both are looked at side by side.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent, Event, Kind, dumps
from workbench.memory.base import Memory
from workbench.memory.embed import content_hash

if TYPE_CHECKING:
    from workbench.memory.vectors import Blobs

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy came to. `events`, `runs`: how many there are, all of which were found in the other memory
    afterwards. `new`: events that were not there before. `left_out`: events of runs that were erased there. `vectors`:
    how many went along."""

    events: int
    runs: int
    new: int
    left_out: int
    vectors: int


async def copy(source: Memory, target: Memory) -> Copied:
    """Copy all events and the vectors of what is remembered.

    Raises Unavailable when one of the two fails, or when something did not arrive as it was.
    """
    before, erased = await _held(target), await target.erased()
    sent: dict[str, bytes] = {}
    runs, texts, left_out = set[str](), set[str](), 0
    async for page in _pages(source):
        for event in page:
            if event.run in erased:
                left_out += 1
                continue
            sent[event.id] = _digest(event)
            runs.add(event.run)
            if event.id not in before:
                target.append(event)
            if isinstance(event, Event) and event.kind is Kind.MEMORY_WRITTEN:
                texts.add(content_hash(str(event.body.get("text", ""))))
        await target.barrier()
    vectors = await asyncio.to_thread(_vectors, source, target, texts)
    there = await _held(target)
    missing = sum(there.get(name) != digest for name, digest in sent.items())
    if missing:
        raise Unavailable(
            f"{missing:,} of {len(sent):,} events are not in the other memory as they are in this one.",
            hint="Copy again: nothing is put there twice. If it stays so, others of the same name are there.",
        )
    new = len(sent.keys() - before.keys())
    return Copied(events=len(sent), runs=len(runs), new=new, left_out=left_out, vectors=vectors)


async def _pages(memory: Memory) -> AsyncIterator[Sequence[AnyEvent]]:
    position = 0
    while (page := await memory.page(position, _AT_ONCE)).events:
        position = page.position
        yield page.events


async def _held(memory: Memory) -> dict[str, bytes]:
    """The names of all events, and what each says, as a hash."""
    return {event.id: _digest(event) async for page in _pages(memory) for event in page}


def _digest(event: AnyEvent) -> bytes:
    return hashlib.sha256(dumps(event)).digest()


def _vectors(source: Any, target: Any, texts: set[str]) -> int:
    """Copy the vectors of texts, of every model, when both memories keep any; how many there were."""
    kept: Blobs | None = getattr(source, "blobs", None)
    put: Blobs | None = getattr(target, "blobs", None)
    count = 0
    if kept is None or put is None:
        return count
    for model in kept.models():
        vectors = kept.read(model, texts)
        for dim in {len(vector) for vector in vectors.values()}:
            put.write(model, {name: vector for name, vector in vectors.items() if len(vector) == dim})
        count += len(vectors)
    return count
