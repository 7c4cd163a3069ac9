"""All that one memory holds put into another, whichever keeps it.

Events have names for good, so a copy that was broken off is begun again, and what is there already stays as it is.
Nothing is taken from where it came. Afterwards both are looked at side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent, Event, Kind
from workbench.memory import tables
from workbench.memory.base import Memory
from workbench.memory.embed import content_hash

if TYPE_CHECKING:
    from workbench.memory.vectors import Blobs

_AT_ONCE = 500

_THERE = """
select
    count(*), count(distinct run),
    count(*) filter (
        not exists (
            select 1 from there.events as other
            where other.id = event.id
                and coalesce(other.exact, other.body::varchar) = coalesce(event.exact, event.body::varchar)
        )
    )
from here.events as event
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy came to. `events`, `runs`: how many there are, all of which were found in the other memory
    afterwards. `new`: events that were not there before. `vectors`: how many went along."""

    events: int
    runs: int
    new: int
    vectors: int


async def copy(source: Memory, target: Memory, folder: Path) -> Copied:
    """Copy all events and the vectors of what is remembered; `folder` is for files in between.

    Raises Unavailable when one of the two fails, or when something did not arrive as it was.
    """
    here, there = folder / "here.duckdb", folder / "there.duckdb"
    await source.snapshot(here)
    await target.snapshot(there)
    _, _, new = await asyncio.to_thread(_compared, here, there)
    texts: set[str] = set()
    pages = _pages(here)
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        for event in page:
            target.append(event)
            if isinstance(event, Event) and event.kind is Kind.MEMORY_WRITTEN:
                texts.add(content_hash(str(event.body.get("text", ""))))
        await target.barrier()
    vectors = await asyncio.to_thread(_vectors, source, target, texts)
    await target.snapshot(there)
    events, runs, missing = await asyncio.to_thread(_compared, here, there)
    if missing:
        raise Unavailable(
            f"{missing:,} of {events:,} events are not in the other memory as they are in this one.",
            hint="Copy again: nothing is put there twice. If it stays so, others of the same name are there.",
        )
    return Copied(events=events, runs=runs, new=new, vectors=vectors)


def _pages(path: Path) -> Iterator[Sequence[AnyEvent]]:
    import duckdb

    last = 0
    with duckdb.connect(str(path), read_only=True, config={"threads": 1, "memory_limit": "256MB"}) as connection:
        while page := tables.page(connection, after=last, limit=_AT_ONCE):
            last, events = page
            yield events


def _compared(here: Path, there: Path) -> tuple[int, int, int]:
    """How many events and runs are here, and how many events of these are not there."""
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        for name, path in (("here", here), ("there", there)):
            connection.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as {name} (read_only)")
        events, runs, missing = connection.execute(_THERE).fetchall()[0]
    return events, runs, missing


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
