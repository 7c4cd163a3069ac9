"""What a run leaves on the disk grows with its events, and syncs are shared: counted, not timed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.benchmarks.orchestration import Counting, chain, independent, run
from tests.memory.support import event, on_disk
from workbench.memory.journal import Journal


async def test_2000_records_take_fewer_than_100_syncs_and_are_all_there(tmp_path: Path):
    disk = Counting()
    journal = Journal(tmp_path / "journal", disk=disk)
    for burst in range(20):
        for number in range(100):
            journal.append(event(seq=burst * 100 + number, value={"rows": [number] * 20}))
        await journal.barrier()
    journal.close()
    assert len(on_disk(tmp_path)) == 2_000
    assert disk.syncs < 100


async def test_twice_the_steps_leave_twice_the_bytes(tmp_path: Path):
    for name, plans in (("independent", independent), ("chain", chain)):
        hundred = await run(plans(100, 0), tmp_path / name / "100")
        twice = await run(plans(200, 0), tmp_path / name / "200")
        assert twice.size <= 2.2 * hundred.size, name


async def test_who_waits_for_an_event_does_not_wait_for_others_to_come(tmp_path: Path):
    journal = Journal(tmp_path / "journal", linger=3600.0)
    for number in range(50):
        journal.append(event(seq=number))
        await asyncio.wait_for(journal.barrier(), 60)
    journal.append(event(seq=50))
    journal.close()
    assert len(on_disk(tmp_path)) == 51
