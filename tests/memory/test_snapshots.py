"""Journals go only when a verified snapshot holds them, and a lost file comes back with everything from snapshot and
journals."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory.support import ask, child, event, journals, said
from workbench.core.errors import Unavailable
from workbench.core.events import Kind, dumps
from workbench.memory import folder, locks, store
from workbench.memory.copies import signature_of
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.journal import Journal
from workbench.memory.pieces import Moved, Pieces
from workbench.memory.store import Store

COUNTS = "select count(*), count(distinct id) from events"


def write(home: Path, run: str, count: int = 20) -> None:
    """A journal of a process that has ended."""
    journal = Journal(home / "journal")
    for seq in range(count):
        journal.append(event(run, seq, text=f"line {seq}"))
    journal.close()


def lose(home: Path) -> None:
    (home / "memory.duckdb").unlink()
    (home / "memory.duckdb.wal").unlink(missing_ok=True)


def test_a_compaction_leaves_a_verified_snapshot_in_the_place_of_journals_and_nothing_is_missing(tmp_path: Path):
    for run in ("a", "b"):
        write(tmp_path, run)
    shared = Store(tmp_path)
    done = shared.compact()
    assert len(done.deleted) == 2
    assert journals(tmp_path) == []
    assert shared.read(lambda c: c.execute("select count(*) from journal_offsets").fetchall()) == [(0,)]
    shared.close()
    lose(tmp_path)
    again = Store(tmp_path)
    assert again.read(lambda c: c.execute(COUNTS).fetchall()) == [(40, 40)]
    assert again.notices == ["memory.duckdb was made again from snapshots/000001.duckdb and the journals"]
    again.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(["write", "merge", "compact", "lose", "break"]), min_size=1, max_size=9))
def test_whatever_happens_to_the_file_every_event_is_there_once(tmp_path_factory, acts):
    home, written = tmp_path_factory.mktemp("home"), 0
    shared = Store(home)
    for act in acts:
        match act:
            case "write":
                write(home, f"run{written}", 3)
                written += 3
            case "merge":
                shared.merge(wait=1.0)
            case "compact":
                shared.compact()
            case "lose" if (home / "memory.duckdb").exists():
                shared.close()
                lose(home)
            case "break" if (home / "memory.duckdb").exists():
                shared.close()
                (home / "memory.duckdb").write_bytes(b"garbage" * 1000)
                shared = Store(home)  # one that has not yet made a file anew in the last minute
    assert shared.read(lambda c: c.execute(COUNTS).fetchall()) == [(written, written)]
    shared.close()


def test_a_copy_is_made_in_pieces_between_which_others_get_their_turn(tmp_path: Path):
    write(tmp_path, "before", 100)
    shared, other = Store(tmp_path), Store(tmp_path)
    made = Pieces(tmp_path / "copy", vectors=True, events=30)
    shared.read(made.begin)
    for number in range(4):
        assert shared.file.work(1.0, made.step) == (number == 3)
        write(tmp_path, f"meanwhile{number}", 7)
        assert other.read(lambda c: c.execute(COUNTS).fetchall()) == [(100 + 7 * (number + 1),) * 2]
    assert signature_of(tmp_path / "copy") == made.signature
    assert rows_of(tmp_path / "copy", "select run, count(*) from events group by run") == [("before", 100)]
    assert rows_of(tmp_path / "copy", "select journal, taken from journal_offsets") == list(made.taken.items())
    again = Pieces(tmp_path / "copy", user="ann", events=30)
    shared.read(again.begin)
    assert other.erase(["before"]) == []
    with pytest.raises(Moved):
        shared.file.work(1.0, again.step)
    shared.close()
    other.close()


def rows_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_a_journal_stays_while_its_owner_lives_and_as_long_as_the_snapshot_lacks_a_line_of_it(tmp_path: Path):
    alive = Journal(tmp_path / "journal")
    alive.append(event("alive"))
    alive.wait(5)
    write(tmp_path, "dead")
    shared = Store(tmp_path)
    assert len(shared.compact().deleted) == 1
    assert [path.name for path in journals(tmp_path)] == [*alive.names]
    # More comes than the snapshot holds: what a crash between snapshot and deletion could leave.
    write(tmp_path, "late")
    snapshot = shared.file.snapshots.all()[0]
    from workbench.memory import collection

    assert collection.collect(tmp_path / "journal", snapshot.covered, snapshot.path, ()) == []
    alive.close()
    assert len(shared.compact().deleted) == 2
    shared.close()
    assert ask(tmp_path, COUNTS) == [(41, 41)]


def test_how_far_a_journal_was_taken_over_is_not_enough_each_event_must_be_in_the_snapshot(tmp_path: Path):
    write(tmp_path, "a")
    (path,) = journals(tmp_path)
    shared = Store(tmp_path)
    shared.merge()
    shared.change(lambda c: c.execute("delete from events where seq = 7"))  # a bug that no offset would show
    assert shared.compact().deleted == ()
    assert path.exists()
    shared.close()


def test_a_journal_with_lines_that_are_no_events_is_kept_for_who_may_mend_it(tmp_path: Path):
    write(tmp_path, "a")
    (path,) = journals(tmp_path)
    with path.open("ab") as file:
        file.write(b"garbage\n")
    shared = Store(tmp_path)
    assert shared.compact().deleted == ()
    shared.close()
    assert path.exists()


def test_half_a_line_of_a_dead_owner_holds_no_journal_back(tmp_path: Path):
    write(tmp_path, "a")
    (path,) = journals(tmp_path)
    with path.open("ab") as file:
        file.write(dumps(event("a", 99))[:30])
    shared = Store(tmp_path)
    assert len(shared.compact().deleted) == 1
    shared.close()


def test_of_a_damaged_snapshot_the_one_before_serves_and_the_loss_is_told(tmp_path: Path):
    shared = Store(tmp_path)
    for run in ("a", "b", "c"):
        write(tmp_path, run)
        shared.compact()
    shared.close()
    assert [snapshot.number for snapshot in shared.file.snapshots.all()] == [3, 2]
    newest = tmp_path / "snapshots" / "000003.duckdb"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    lose(tmp_path)
    again = Store(tmp_path)
    assert again.read(lambda c: c.execute("select distinct run from events order by run").fetchall()) == [
        ("a",),
        ("b",),
    ]
    again.close()
    assert again.notices[0] == "snapshots/000003.duckdb is damaged: what was in it alone is lost"


def test_a_compaction_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path):
    for number in range(8):
        write(tmp_path, f"run{number:02}", 30)
        process = child("compact", tmp_path)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        try:
            process.wait(number * 0.01)
        except Exception:  # noqa: BLE001 - it goes on: then it is killed
            process.send_signal(signal.SIGKILL)
        process.communicate()
    lose(tmp_path) if (tmp_path / "memory.duckdb").exists() else None
    assert ask(tmp_path, COUNTS) == [(240, 240)]


def test_many_journals_are_compacted_without_being_asked(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    for number in range(store.MAX_JOURNALS + 1):
        (tmp_path / "journal" / f"{number:04}.jsonl").write_bytes(dumps(event(f"r{number}", 0)) + b"\n")
    assert said("write_and_wait_for_compaction", tmp_path) == {"left": 1}
    assert ask(tmp_path, COUNTS) == [(store.MAX_JOURNALS + 2, store.MAX_JOURNALS + 2)]


def test_a_journal_that_has_grown_large_goes_on_in_a_new_file(tmp_path: Path):
    journal = Journal(tmp_path / "journal", max_file=10_000)
    for seq in range(10):
        journal.append(event("r1", seq, text="x" * 3_000))
        journal.wait(5)
    assert len(journal.names) == 3
    assert sum(map(locks.is_held, journals(tmp_path))) == 1
    journal.close()
    assert ask(tmp_path, COUNTS) == [(10, 10)]


def test_a_journal_of_a_newer_format_is_refused_in_one_line_and_left_alone(tmp_path: Path):
    write(tmp_path, "a")
    newer = tmp_path / "journal" / "zzz.jsonl"
    newer.write_bytes(b'{"journal":2}\n{"run":"b","what":"nobody here knows"}\n')
    shared = Store(tmp_path)
    for _ in range(2):
        assert shared.read(lambda c: c.execute(COUNTS).fetchall()) == [(20, 20)]
    assert shared.notices == ["journal/zzz.jsonl is of version 2; upgrade agent-workbench to see its events"]
    shared.compact()
    shared.close()
    assert [path.name for path in journals(tmp_path)] == ["zzz.jsonl"]


async def test_what_an_older_program_writes_is_taken_over_by_the_newer_one_and_the_older_says_why_it_cannot_read(
    tmp_path: Path,
):
    import duckdb

    write(tmp_path, "a")
    ask(tmp_path, COUNTS)
    with duckdb.connect(str(tmp_path / "memory.duckdb")) as connection:  # as a newer program would leave it
        connection.execute("update meta set value = '999' where key = 'schema_version'")
    older = DuckDBMemory(tmp_path)
    older.append(event("b", 0, Kind.RUN_STARTED))
    await older.barrier()
    with pytest.raises(Unavailable, match="schema version 999"):
        await older.runs()
    await older.close()
    with duckdb.connect(str(tmp_path / "memory.duckdb")) as connection:
        connection.execute("update meta set value = '4' where key = 'schema_version'")
    assert ask(tmp_path, "select count(*) from events where run = 'b'") == [(1,)]


@pytest.mark.skipif(os.name == "nt", reason="mounts are read from /proc")
async def test_a_home_on_a_network_file_system_is_refused_with_the_remedy_unless_it_is_accepted(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n")
    with pytest.raises(Unavailable, match="network file system \\(nfs4\\)") as caught:
        folder.check_local(tmp_path / "home", False, mounts)
    assert "WORKBENCH_HOME" in caught.value.hint
    assert len(caught.value.lines()) == 2
    folder.check_local(tmp_path / "home", True, mounts)


def test_a_manifest_of_a_snapshot_names_what_it_covers(tmp_path: Path):
    write(tmp_path, "a")
    (path,) = journals(tmp_path)
    size = path.stat().st_size
    shared = Store(tmp_path)
    shared.compact()
    shared.close()
    told = json.loads((tmp_path / "snapshots" / "000001.json").read_text())
    assert told["covered"] == {path.name: size}
