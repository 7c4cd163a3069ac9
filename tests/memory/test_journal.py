"""A process's own journal: taken at once, durable when acknowledged, honest when the disk is not."""

import asyncio
import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from tests.memory.support import event, journals, on_disk, read_all
from workbench.core.errors import Unavailable
from workbench.memory import locks
from workbench.memory.journal import Disk, Journal


class FullDisk(Disk):
    """Takes `room` bytes, then no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(descriptor, data[: self.room])
        self.room -= written
        return written


class BrokenDisk(Disk):
    """Fails the next syncs."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def sync(self, descriptor: int) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


class SlowDisk(Disk):
    """Syncs only while `go` is set, and counts; writes 100 bytes at a time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.syncs = 0

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[:100])

    def sync(self, descriptor: int) -> None:
        assert self.go.wait(20)
        self.syncs += 1
        super().sync(descriptor)


async def test_appending_waits_for_nothing_and_one_sync_serves_all_that_wait(tmp_path: Path):
    disk = SlowDisk()
    journal = Journal(tmp_path / "journal", disk=disk)
    for seq in range(900):
        journal.append(event(seq=seq))
    waiting = [asyncio.create_task(journal.barrier()) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    disk.go.set()
    await asyncio.gather(*waiting)
    assert on_disk(tmp_path) == [f"r1/1/{seq}" for seq in range(900)]
    assert disk.syncs <= 3
    journal.close()


async def test_a_cancelled_barrier_leaves_the_others_waiting_and_the_events_durable(tmp_path: Path):
    disk = SlowDisk()
    journal = Journal(tmp_path / "journal", disk=disk)
    journal.append(event())
    first, second = asyncio.create_task(journal.barrier()), asyncio.create_task(journal.barrier())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    disk.go.set()
    await second
    journal.append(event(seq=1))
    await journal.barrier()
    assert on_disk(tmp_path) == ["r1/1/0", "r1/1/1"]
    journal.close()


async def test_a_full_disk_is_told_leaves_whole_records_and_loses_nothing_when_space_returns(tmp_path: Path):
    disk = FullDisk(room=1_000)
    journal = Journal(tmp_path / "journal", disk=disk)
    acknowledged = []

    async def write() -> None:
        for seq in range(50):
            journal.append(event(seq=seq))
            await journal.barrier()
            acknowledged.append(f"r1/1/{seq}")

    with pytest.raises(Unavailable, match="No space left on device") as caught:
        await write()
    assert "WORKBENCH_HOME" in caught.value.hint
    assert len(caught.value.lines()) == 2
    assert on_disk(tmp_path) == acknowledged
    assert len(acknowledged) > 2
    (path,) = journals(tmp_path)
    assert path.read_bytes().endswith(b"\n")
    disk.room = 0
    with pytest.raises(Unavailable, match="No space left"):
        journal.append(event(seq=len(acknowledged) + 1))
    with pytest.raises(Unavailable, match="No space left"):
        await journal.barrier()
    disk.room = 1_000_000
    journal.append(event(seq=len(acknowledged) + 1))
    await journal.barrier()
    # The one that could not be written is there as well; the one that was refused was never taken.
    assert on_disk(tmp_path) == [f"r1/1/{seq}" for seq in range(len(acknowledged) + 2)]
    journal.close()


async def test_after_a_failed_sync_the_events_go_to_a_new_journal(tmp_path: Path):
    disk = BrokenDisk(failures=10)
    journal = Journal(tmp_path / "journal", disk=disk)
    journal.append(event(seq=0))
    with pytest.raises(Unavailable, match="Input/output error"):
        await journal.barrier()
    disk.failures = 0
    await journal.barrier()
    journal.append(event(seq=1))
    await journal.barrier()
    journal.close()
    *given_up, last = journals(tmp_path)
    assert given_up
    assert read_all(last) == [event(seq=0), event(seq=1)]
    assert journal.names == {path.name for path in (*given_up, last)}


def test_closing_a_journal_that_cannot_write_says_what_is_lost_and_does_not_hang(tmp_path: Path):
    journal = Journal(tmp_path / "journal", disk=FullDisk(room=0))
    journal.append(event())
    with pytest.raises(Unavailable, match="1 events were not kept"):
        journal.close()
    with pytest.raises(Unavailable, match="closed"):
        journal.append(event())


def test_a_journal_lives_as_long_as_its_lock(tmp_path: Path):
    journal = Journal(tmp_path / "home" / "journal")
    journal.append(event())
    journal.wait(5)
    (path,) = journals(tmp_path / "home")
    assert locks.is_held(path)
    journal.close()
    assert not locks.is_held(path)


def test_nothing_is_made_before_the_first_event_and_then_for_this_user_alone(tmp_path: Path):
    journal = Journal(tmp_path / "home" / "journal")
    journal.wait(1)
    assert not (tmp_path / "home").exists()
    journal.append(event())
    journal.close()
    (path,) = journals(tmp_path / "home")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path):
    journal = Journal(tmp_path / "home" / "journal")
    journal.append(event(seq=0))
    journal.wait(5)
    shutil.rmtree(tmp_path / "home")
    journal.append(event(seq=1))
    journal.wait(5)
    assert on_disk(tmp_path / "home") == ["r1/1/1"]
    journal.close()


def test_a_body_that_is_not_json_is_the_callers_error_and_poisons_nothing(tmp_path: Path):
    journal = Journal(tmp_path / "journal")
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.append(event(value=float("nan")))
    journal.append(event(seq=1))
    journal.wait(5)
    assert on_disk(tmp_path) == ["r1/1/1"]
    journal.close()
