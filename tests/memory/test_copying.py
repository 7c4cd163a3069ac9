"""A memory put into another: all of it, once, as it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.memory.embedders import Scripted
from tests.memory.servers import database
from tests.memory.support import event
from workbench.core.errors import Unavailable
from workbench.core.events import Kind
from workbench.core.request import Scope
from workbench.memory.base import Memory
from workbench.memory.copying import Copied, copy
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.embed import content_hash
from workbench.memory.postgres.memory import PostgresMemory

SCOPE = Scope(user="ann", workspace="sales", session="")
Open = Callable[[], Memory]
EVENTS = [
    event("r1", 0, Kind.RUN_STARTED, request="x \x00 \ud800 🙂", user="ann", deep={"big": 2**70, "small": 1e-9}),
    event("r1", 1, text="x" * 1_000_000),
    event("r1", 2, Kind.MEMORY_WRITTEN, id="m0", text="fiscal", scope={"user": "ann", "workspace": "sales"}),
    event("r2", 0, Kind.RUN_STARTED, request="y", user="bob"),
    *(event("r2", seq) for seq in range(1, 1_200)),
]


@pytest.fixture(
    params=[
        "duckdb to duckdb",
        pytest.param("duckdb to postgres", marks=pytest.mark.peers),
        pytest.param("postgres to duckdb", marks=pytest.mark.peers),
    ]
)
def memories(request, tmp_path: Path) -> tuple[Open, Open]:
    def opening(kind: str, home: Path) -> Open:
        if kind == "duckdb":
            return lambda: DuckDBMemory(home)
        dsn = database(request.getfixturevalue("postgres"))
        return lambda: PostgresMemory(dsn, home)

    here, _, there = request.param.partition(" to ")
    return opening(here, tmp_path / "here"), opening(there, tmp_path / "there")


async def copied(here: Open, there: Open) -> Copied:
    source, target = here(), there()
    try:
        return await copy(source, target)
    finally:
        await source.close()
        await target.close()


async def test_a_copy_holds_each_event_as_it_was_and_a_second_one_adds_what_is_new(memories):
    here, there = memories
    source = here()
    for one in EVENTS:
        source.append(one)
    await source.close()
    assert await copied(here, there) == Copied(events=len(EVENTS), runs=2, new=len(EVENTS), left_out=0, vectors=0)
    assert await copied(here, there) == Copied(events=len(EVENTS), runs=2, new=0, left_out=0, vectors=0)
    target = there()
    for run in ("r1", "r2"):
        assert list(await target.events(run)) == [one for one in EVENTS if one.run == run]
    assert [hit.id for hit in await target.recall("fiscal", SCOPE)] == ["m0"]
    await target.close()
    source = here()
    source.append(event("r2", 1_200, Kind.RUN_DONE, status="done"))
    await source.close()
    assert (await copied(here, there)).new == 1


async def test_another_event_of_the_same_name_is_found_out_and_stays_what_it_was(memories):
    here, there = memories
    source, target = here(), there()
    source.append(EVENTS[0])
    target.append(replace(EVENTS[0], body={"request": "another"}))
    await source.close()
    await target.close()
    with pytest.raises(Unavailable, match="1 of 1 events are not in the other memory"):
        await copied(here, there)
    target = there()
    assert [one.body["request"] for one in await target.events("r1")] == ["another"]
    await target.close()


async def test_what_was_erased_there_does_not_come_back(memories):
    here, there = memories
    source, target = here(), there()
    for one in (*EVENTS[:4], event("r1", 3, Kind.RUN_DONE, status="done")):
        source.append(one)
        target.append(one)
    await target.erase(["r1"])
    await source.close()
    await target.close()
    assert await copied(here, there) == Copied(events=1, runs=1, new=0, left_out=4, vectors=0)
    target = there()
    assert list(await target.events("r1")) == []
    await target.close()


@pytest.mark.peers
async def test_vectors_go_along_and_are_not_made_again(postgres, tmp_path: Path):
    dsn, embedder = database(postgres), Scripted()
    source = DuckDBMemory(tmp_path / "here", embedder=embedder)
    source.append(EVENTS[2])
    assert len(await source.recall("fiscal", SCOPE)) == 1
    target = PostgresMemory(dsn, tmp_path / "there")
    assert (await copy(source, target)).vectors == 1
    name = content_hash("fiscal")
    assert np.array_equal(target.blobs.read(embedder.id, [name])[name], source.blobs.read(embedder.id, [name])[name])
    await source.close()
    await target.close()
    again = Scripted()
    target = PostgresMemory(dsn, tmp_path / "there", embedder=again)
    assert len(await target.recall("another question", SCOPE)) <= 1
    assert target.vectors is not None
    assert target.vectors.settle(20.0)
    assert "fiscal" not in again.asked
    await target.close()
