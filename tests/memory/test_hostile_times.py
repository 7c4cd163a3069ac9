"""A clock that goes back, odd and enormous content, and forked processes: nothing acknowledged is lost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory.support import said
from workbench.core.events import Event, Kind
from workbench.core.request import Scope
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.volatile import InMemoryMemory

SCOPE = Scope(user="ann", workspace="sales", session="")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def written(run: str, at: datetime, text: str, seq: int = 0, **more: object) -> Event:
    body = {"id": f"m-{run}", "text": text, "scope": {"user": "ann", "workspace": "sales"}, **more}
    return Event(run=run, seq=seq, at=at.isoformat(), kind=Kind.MEMORY_WRITTEN, body=body)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(-10_000_000, 10_000_000), min_size=1, max_size=8))
async def test_whatever_the_clock_does_every_event_is_there_once_in_the_order_of_its_run(steps):
    memory, now = InMemoryMemory(), NOON
    events = []
    for seq, seconds in enumerate(steps):
        now += timedelta(seconds=seconds)
        events.append(Event(run="r1", seq=seq, at=now.isoformat(), kind=Kind.STEP_PROGRESS, body={"text": str(seq)}))
        memory.append(events[-1])
    assert [event.seq for event in await memory.events("r1")] == list(range(len(steps)))
    assert [event.seq for event in (await memory.page()).events] == list(range(len(steps)))


async def test_after_the_clock_went_back_a_correction_still_closes_and_both_are_found_for_what_they_are(tmp_path: Path):
    memory = DuckDBMemory(tmp_path)
    memory.append(written("r1", NOON, "the fiscal year starts in April"))
    memory.append(written("r2", NOON - timedelta(days=400), "the fiscal year now starts in May", closes=["m-r1"]))
    await memory.barrier()
    await memory.close()
    memory = DuckDBMemory(tmp_path)
    assert [hit.id for hit in await memory.recall("when does the fiscal year start", SCOPE)] == ["m-r2"]
    assert {hit.id: hit.closed_by for hit in await memory.memories(SCOPE)} == {"m-r1": "m-r2", "m-r2": ""}
    await memory.compact()
    assert len((await memory.page()).events) == 2
    await memory.close()


async def test_ten_thousand_tags_and_a_megabyte_are_kept_found_compacted_and_erased(tmp_path: Path):
    memory = DuckDBMemory(tmp_path)
    odd = "nul \x00 half \ud800 and text " + "x" * 1_000_000
    memory.append(written("r1", NOON, f"zebra {odd}", tags=[f"tag{n}" for n in range(10_000)]))
    memory.append(written("r2", NOON, "the office is in Lisbon"))
    await memory.barrier()
    assert [hit.id for hit in await memory.recall("zebra", SCOPE)] == ["m-r1"]
    await memory.compact()
    await memory.close()
    memory = DuckDBMemory(tmp_path)
    (whole,) = await memory.events("r1")
    assert len(whole.body["tags"]) == 10_000
    assert whole.body["text"] == f"zebra {odd}"
    assert await memory.erase(["r1"]) == []
    assert list(await memory.recall("zebra", SCOPE)) == []
    assert [hit.id for hit in await memory.recall("office", SCOPE)] == ["m-r2"]
    await memory.close()


def test_a_process_forked_by_multiprocessing_writes_and_recalls_on_its_own_and_costs_its_parent_nothing(tmp_path: Path):
    assert said("fork_by_multiprocessing", tmp_path) == {
        "child": ["m-child", "m-parent"],
        "code": 0,
        "parent": ["m-child", "m-later", "m-parent"],
    }
