"""The shared file: merged in any order it holds each event once, and nothing that happens to it costs an event."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory.support import ROOT, ask, child, event, journals, on_disk, said
from workbench.core.errors import Unavailable
from workbench.core.events import Kind, dumps
from workbench.core.request import Scope
from workbench.memory import folder, locks, takeover
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.shared import Busy
from workbench.memory.store import Store

SCOPE = Scope(user="ann", workspace="sales", session="")
COUNTS = "select count(*), count(distinct id) from events"


async def filled(home: Path, count: int = 20) -> None:
    memory = DuckDBMemory(home)
    memory.append(event("r1", 0, Kind.RUN_STARTED, request="x", user="ann"))
    for seq in range(1, count):
        memory.append(event("r1", seq, text=f"line {seq}"))
    await memory.barrier()
    await memory.runs()
    await memory.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=st.lists(
        st.one_of(st.tuples(st.sampled_from("ab"), st.integers(1, 400)), st.sampled_from(["merge", "reopen"])),
        max_size=8,
    )
)
def test_two_journals_merged_piece_by_piece_in_any_order_hold_each_event_once(tmp_path_factory, actions):
    home = tmp_path_factory.mktemp("home")
    (home / "journal").mkdir()
    blobs = {name: b"".join(dumps(event(name, seq)) + b"\n" for seq in range(40)) for name in "ab"}
    written = {"a": 0, "b": 0}
    shared = Store(home)
    for action in actions:
        if action == "merge":
            assert shared.merge(wait=1.0)
        elif action == "reopen":
            shared.close()
            shared = Store(home)
        else:
            name, more = action
            with (home / "journal" / f"{name}.jsonl").open("ab") as file:
                file.write(blobs[name][written[name] : written[name] + more])
            written[name] = min(len(blobs[name]), written[name] + more)
    shared.merge(wait=1.0)
    shared.merge(wait=1.0)
    rows = shared.read(lambda c: c.execute("select id, merged from events order by merged").fetchall())
    shared.close()
    whole = {f"{name}/1/{seq}" for name in "ab" for seq in range(blobs[name][: written[name]].count(b"\n"))}
    assert {row[0] for row in rows} == whole
    assert [row[1] for row in rows] == list(range(1, len(whole) + 1))


def test_a_file_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds(tmp_path: Path):
    import duckdb

    schema = ROOT / "workbench" / "memory" / "schema"
    (tmp_path / "journal").mkdir()
    with duckdb.connect(str(tmp_path / "memory.duckdb"), config={"threads": 1}) as old:
        old.execute((schema / "1.sql").read_text())
        old.execute("insert into meta values ('schema_version', '1'), ('store', 'x')")
        old.execute(
            "insert into events values (1, 'r1/1/0', 'r1', 1, 0, 1, timestamp '2026-01-01', $1, null, $2, null)",
            ["memory.written", json.dumps({"id": "m1", "text": "kept", "scope": {"user": "ann"}})],
        )
    assert ask(tmp_path, "select id, text, pinned, valid_to from memories") == [("m1", "kept", False, None)]
    assert ask(tmp_path, "select count(*) from embeddings") == [(0,)]
    assert ask(tmp_path, "select value from meta where key in ('schema_version', 'store') order by key") == [
        ("4",),
        ("x",),
    ]


def test_a_merge_is_bounded_and_goes_on_where_it_stopped(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    lines = b"".join(dumps(event("r1", seq)) + b"\n" for seq in range(takeover.MAX_EVENTS + 1))
    (tmp_path / "journal" / "a.jsonl").write_bytes(lines)
    shared = Store(tmp_path)
    assert not shared.merge()
    assert shared.merge()
    shared.close()
    assert ask(tmp_path, COUNTS) == [(takeover.MAX_EVENTS + 1, takeover.MAX_EVENTS + 1)]


def test_the_same_events_in_two_journals_are_there_once(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    lines = b"".join(dumps(event("r1", seq)) + b"\n" for seq in range(10))
    for name in "ab":
        (tmp_path / "journal" / f"{name}.jsonl").write_bytes(lines)
    assert ask(tmp_path, COUNTS) == [(10, 10)]


async def test_two_processes_write_two_hundred_runs_each_at_once_and_the_table_counts_them_all(tmp_path: Path):
    writers = [child("write_runs", tmp_path, name, 200) for name in ("ann", "bob")]
    assert [writer.wait(90) for writer in writers] == [0, 0]
    for writer in writers:
        writer.communicate()
    assert ask(tmp_path, "select count(*) from runs") == [(400,)]
    query = 'select "user", count(*), count(distinct run), min(status) from runs group by 1 order by 1'
    assert ask(tmp_path, query) == [("ann", 200, 200, "done"), ("bob", 200, 200, "done")]


def killed_writer(home: Path, run: str, lines: int) -> list[str]:
    """The ids that a writer had acknowledged when it was killed, after at least so many."""
    process = child("acknowledge", home, run)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(lines)]
    process.kill()
    rest, _ = process.communicate()
    return acknowledged + rest.split()


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=[pytest.mark.kills, pytest.mark.timeout(900)])])
def test_after_kill_9_of_writers_and_mergers_every_acknowledged_event_is_there_once(tmp_path: Path, kills: int):
    acknowledged = []
    for number in range(kills):
        # From "before the first merge" to "in the middle of many": the writer merges all the time.
        acknowledged += killed_writer(tmp_path, f"r{number}", 1 + (number * 37) % 400)
    (row,) = ask(tmp_path, COUNTS)
    assert row[0] == row[1] >= len(acknowledged)
    there = {name for (name,) in ask(tmp_path, "select id from events")}
    assert set(acknowledged) <= there
    assert not list(tmp_path.glob("*.broken*"))


def test_what_is_appended_and_not_waited_for_is_kept_when_the_process_ends_as_it_should(tmp_path: Path):
    process = child("just_end", tmp_path)
    assert process.wait(20) == 0
    process.communicate()
    assert len(on_disk(tmp_path)) == 500


@pytest.mark.parametrize("forks", [2, pytest.param(60, marks=[pytest.mark.kills, pytest.mark.timeout(300)])])
def test_a_forked_child_writes_its_own_journal_and_leaves_the_parents_alone(tmp_path: Path, forks: int):
    for home in (tmp_path / str(number) for number in range(forks)):  # a merge goes on meanwhile: any moment may be hit
        assert said("fork", home) == {"child": 0, "locked": True, "events": 3}
        assert len(journals(home)) == 2
        assert ask(home, "select run, count(*) from events group by 1 order by 1") == [("child", 1), ("parent", 3)]


def test_nobody_but_duckdb_ever_opens_the_file(tmp_path: Path):
    opened = said("watch_opens", tmp_path)
    assert any(path.endswith("memory.lock") for path in opened)
    assert not [path for path in opened if "memory.duckdb" in path or "copy.duckdb" in path]


def test_a_descriptor_closed_at_the_wrong_moment_costs_no_row(tmp_path: Path):
    """The trap: closing any descriptor of the file drops DuckDB's own lock on it, in the middle of our transaction."""
    Store(tmp_path).merge()
    ours, other = Store(tmp_path), None
    with ours.file.hold(1.0) as connection:
        connection.execute("begin")
        connection.execute("insert into meta values ('ours', '1')")
        os.close(os.open(tmp_path / "memory.duckdb", os.O_RDONLY))
        other = child("write_runs", tmp_path, "ann", 5)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1.5)  # it waits for memory.lock, which has no such trap
        connection.execute("commit")
    assert other.wait(30) == 0
    other.communicate()
    ours.close()
    assert ask(tmp_path, "select count(*) from meta where key = 'ours'") == [(1,)]
    assert ask(tmp_path, "select count(*) from runs") == [(5,)]


async def test_a_read_waits_for_others_only_so_long_and_writing_does_not_wait_at_all(tmp_path: Path):
    memory = DuckDBMemory(tmp_path, wait_seconds=0.05)
    with locks.held(tmp_path / "memory.lock", 0) as got:
        assert got
        memory.append(event("r1", 0, Kind.RUN_STARTED))
        await memory.barrier()
        assert len(await memory.events("r1")) == 1
        with pytest.raises(Busy, match="busy"):
            await memory.runs()
    assert len(await memory.runs()) == 1
    await memory.close()


async def test_a_cancelled_read_leaves_the_memory_usable(tmp_path: Path):
    memory = DuckDBMemory(tmp_path)
    memory.append(event("r1", 0, Kind.RUN_STARTED))
    for _ in range(5):
        task = asyncio.create_task(memory.runs())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(await memory.runs()) == 1
    await memory.close()


async def test_a_merge_follows_an_event_without_being_asked(tmp_path: Path):
    memory = DuckDBMemory(tmp_path, merge_seconds=0.01)
    memory.append(event("r1", 0, Kind.RUN_STARTED))
    async with asyncio.timeout(20):
        while "memory.duckdb" not in os.listdir(tmp_path):  # noqa: ASYNC110, PTH208 - only the file itself tells
            await asyncio.sleep(0.01)
    await memory.close()


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    match how:
        case "garbage":
            path.write_bytes(b"hello" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flipped":
            for place in range(12_388, len(content), 50_000):
                content[place] ^= 0xFF
            path.write_bytes(content)
        case "header":
            content[4096:4200] = content[8192:8296] = b"\xaa" * 104
            path.write_bytes(content)
        case "folder":
            path.unlink()
            path.mkdir()
        case "log":
            path.with_name(path.name + ".wal").write_bytes(b"\xaa" * 5000)


@pytest.mark.parametrize("how", ["garbage", "empty", "cut", "flipped", "header", "folder", "log"])
async def test_a_broken_file_is_set_aside_told_and_made_again_from_the_journals(tmp_path: Path, how: str):
    await filled(tmp_path)
    damage(tmp_path / "memory.duckdb", how)
    memory = DuckDBMemory(tmp_path)
    assert len(await memory.runs()) == 1
    assert len(await memory.events("r1")) == 20
    await memory.close()
    if how != "log":  # DuckDB itself passes over a log that is none
        (notice,) = memory.notices
        (aside,) = [name for name in os.listdir(tmp_path) if ".broken-" in name]  # noqa: PTH208 - see ASYNC240
        assert aside in notice
        assert "\n" not in notice
    assert ask(tmp_path, COUNTS) == [(20, 20)]


async def test_a_file_of_a_newer_version_is_refused_in_one_line_and_left_alone(tmp_path: Path):
    await filled(tmp_path)
    import duckdb

    with duckdb.connect(str(tmp_path / "memory.duckdb")) as connection:
        connection.execute("update meta set value = '999' where key = 'schema_version'")
    before = await asyncio.to_thread((tmp_path / "memory.duckdb").read_bytes)
    memory = DuckDBMemory(tmp_path)
    with pytest.raises(Unavailable, match="schema version 999") as caught:
        await memory.runs()
    assert "Upgrade" in caught.value.hint
    assert "\n" not in caught.value.message
    memory.append(event("r2", 0, Kind.RUN_STARTED))  # writing goes on: the journals have a version of their own
    await memory.barrier()
    await memory.close()
    assert await asyncio.to_thread((tmp_path / "memory.duckdb").read_bytes) == before


async def test_a_file_that_another_program_has_open_is_told(tmp_path: Path):
    await filled(tmp_path)
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(tmp_path / "memory.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:  # noqa: ASYNC220
        assert program.stdout is not None
        assert program.stdout.readline() == b"open\n"
        memory = DuckDBMemory(tmp_path)
        with pytest.raises(Unavailable, match="lock") as caught:
            await memory.runs()
        assert "Close the program" in caught.value.hint
        program.communicate()
    assert len(await memory.runs()) == 1
    await memory.close()


async def test_garbage_in_a_journal_is_skipped_and_told_once(tmp_path: Path):
    await filled(tmp_path)
    (path,) = journals(tmp_path)
    with path.open("ab") as file:
        file.write(b"garbage\n" + dumps(event("r2", 0, Kind.RUN_STARTED)) + b"\n" + b"{torn")
    memory = DuckDBMemory(tmp_path)
    assert len(await memory.runs()) == 2
    assert len(await memory.runs()) == 2
    await memory.close()
    assert memory.notices == [f"journal/{path.name} holds lines that are no events; they were skipped"]


async def test_a_home_that_cannot_be_made_is_told_in_one_line_with_the_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    memory = DuckDBMemory(tmp_path / "file" / "home")
    for attempt in (lambda: memory.append(event()), lambda: asyncio.run(memory.runs())):
        with pytest.raises(Unavailable, match=str(tmp_path / "file" / "home")) as caught:
            await asyncio.to_thread(attempt)
        assert "WORKBENCH_HOME" in caught.value.hint
        assert len(caught.value.lines()) == 2
    await memory.close()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_read_only_home_is_told_in_one_line_with_the_remedy(tmp_path: Path):
    home = Path("/tmp") / f"workbench-readonly-{os.getpid()}"  # another user must be able to reach it
    home.mkdir(mode=0o555)
    try:
        answer = said("refuse_as_nobody", home)
    finally:
        shutil.rmtree(home)
    assert answer["acknowledged"] == 0
    assert [line for line in answer["lines"] if str(home) in line and "Permission denied" in line] == answer["lines"][
        ::2
    ]
    assert all("WORKBENCH_HOME" in line for line in answer["lines"][1::2])


def test_a_disk_that_fills_is_told_and_everything_acknowledged_is_there(tmp_path: Path):
    answer = said("refuse", tmp_path, 20_000)
    assert 5 < answer["acknowledged"] < 20
    assert answer["acknowledged"] <= len(on_disk(tmp_path)) <= answer["acknowledged"] + 1
    assert "cannot be written: File too large" in answer["lines"][0]
    assert all(path.read_bytes().endswith(b"\n") for path in journals(tmp_path))
    rows = ask(tmp_path, COUNTS)
    assert rows[0][0] >= answer["acknowledged"]


@pytest.mark.kills
@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root mounts file systems")
def test_a_file_system_that_is_full_is_told_and_everything_acknowledged_is_there(tmp_path: Path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr.decode()}")
    try:
        answer = said("refuse", tmp_path / "home")
        assert 100 < answer["acknowledged"] < 1_000
        assert answer["acknowledged"] <= len(on_disk(tmp_path / "home")) <= answer["acknowledged"] + 1
        assert "No space left on device" in answer["lines"][0]
        # The tables do not fit either: that is told, and costs no journal.
        assert "No space left" in answer["lines"][2] or "cannot be" in answer["lines"][2]
        shutil.copytree(tmp_path / "home" / "journal", tmp_path.parent / "saved" / "journal")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert ask(tmp_path.parent / "saved", COUNTS)[0][0] >= answer["acknowledged"]


async def test_files_are_for_this_user_alone(tmp_path: Path):
    home = tmp_path / "home"
    await filled(home)
    memory = DuckDBMemory(home)
    await memory.snapshot(tmp_path / "copy.duckdb")
    await memory.close()
    paths = [home, *home.rglob("*"), tmp_path / "copy.duckdb"]
    assert {path.name for path in paths} >= {"memory.duckdb", "memory.lock", "journal"}
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)] == []


async def test_a_thousand_memories_of_three_users_never_meet(tmp_path: Path):
    memory = DuckDBMemory(tmp_path)
    other = DuckDBMemory(tmp_path)
    users = ("ann", "bob", "eve")
    for n in range(300):
        user = users[n % 3]
        body = {
            "id": f"m{n}",
            "text": f"the revenue of case{n} by {user}",
            "scope": {"user": user, "workspace": "sales"},
        }
        (memory if n % 2 else other).append(event("r1", n, Kind.MEMORY_WRITTEN, **body))
    await asyncio.gather(memory.barrier(), other.barrier())
    for user in users:
        for one in (memory, other):
            hits = await one.recall("revenue by ann bob eve", Scope(user=user, workspace="sales", session=""), 1000)
            assert len(hits) == 100
            assert {hit.text.rsplit(" ", 1)[1] for hit in hits} == {user}
    await asyncio.gather(memory.close(), other.close())


def test_importing_a_memory_loads_nothing_heavy():
    heavy = {"duckdb", "pandas", "numpy", "pydantic", "faiss", "pyarrow"}
    script = (
        "import sys, json, workbench.memory.duckdb, workbench.memory.volatile, workbench.memory.conformance;"
        "print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env=environment).stdout
    assert not heavy & set(json.loads(found))


def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path):
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /data/my\\040share rw shared:1 - nfs4 host:/x rw\n"
        "3 1 0:6 / /home rw - fuse.sshfs host:/y rw\n"
        "4 3 0:7 / /home/ann/disk rw - fuseblk /dev/sdb rw\n"
    )
    found = {
        where: folder.network_type(Path(where), table)
        for where in ("/data/my share/w", "/home/ann", "/home/ann/disk/w", "/srv")
    }
    assert found == {"/data/my share/w": "nfs4", "/home/ann": "fuse.sshfs", "/home/ann/disk/w": None, "/srv": None}
    assert folder.network_type(tmp_path, tmp_path / "missing") is None
