"""What is erased is in no byte of what a memory keeps, whoever lives, dies or is killed meanwhile."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.memory.support import ask, child, event, journals
from workbench.core.errors import Unavailable
from workbench.core.events import Kind
from workbench.core.request import Scope
from workbench.memory import needles
from workbench.memory.blobs import Blobs
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.embed import content_hash
from workbench.memory.journal import Journal
from workbench.memory.store import Store
from workbench.memory.tombstones import SUFFIX

SECRET = "the password of the safe is swordfish 4711"


def holding(home: Path, text: str = SECRET) -> set[str]:
    """The first part of the name of each file that holds the text."""
    found = [
        path.relative_to(home) for path in home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]
    return {str(path).split(".broken")[0] if ".broken" in str(path) else path.parts[0] for path in found}


def write(home: Path, run: str, text: str, *, ended: bool = True) -> Journal:
    journal = Journal(home / "journal")
    journal.append(event(run, 0, Kind.RUN_STARTED, request=text, user="ann"))
    journal.append(event(run, 1, Kind.MEMORY_WRITTEN, id=f"m-{run}", text=text, scope={"user": "ann"}))
    if ended:
        journal.append(event(run, 2, Kind.RUN_DONE, status="done"))
    journal.wait(5)
    return journal


def test_what_is_erased_is_in_no_byte_of_journals_store_snapshots_and_what_was_set_aside(tmp_path: Path):
    import numpy as np

    write(tmp_path, "secret", SECRET).close()
    alive = write(tmp_path, "other", "the office is in Lisbon")
    shared = Store(tmp_path)
    shared.merge()
    shared.file.close()  # the log goes into the file
    broken = tmp_path / "memory.duckdb.broken-20260101T000000-1"
    broken.write_bytes((tmp_path / "memory.duckdb").read_bytes())
    shared.compact()
    write(tmp_path, "secret", SECRET).close()
    vectors = {content_hash(text): np.ones(4, np.float32) for text in (SECRET, "the office is in Lisbon")}
    Blobs(shared).write("m", vectors)
    assert holding(tmp_path) == {"journal", "memory.duckdb", "snapshots"}  # the broken one counts as memory.duckdb
    assert not shared.erase(["secret"], alive.look)
    assert holding(tmp_path) == set()
    assert not broken.exists()
    rows = shared.read(lambda c: c.execute("select run, count(*) from events group by run").fetchall())
    assert rows == [("other", 3)]
    kept = shared.read(lambda c: c.execute("select content_hash from embeddings").fetchall())
    assert kept == [(content_hash("the office is in Lisbon"),)]
    assert holding(tmp_path, "the office is in Lisbon") >= {"memory.duckdb", "snapshots"}
    assert not list((tmp_path / "journal").glob(f"*{SUFFIX}"))
    shared.close()
    alive.close()


def fill(path: Path) -> None:
    """A file as large as the disk has room for."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while os.write(descriptor, b"x" * 4096):
                continue
    finally:
        os.close(descriptor)


def test_a_living_process_lets_go_of_its_journal_and_goes_on_in_a_new_one(tmp_path: Path):
    process = child("write_when_told", tmp_path, SECRET, stdin=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    before = journals(tmp_path)
    shared = Store(tmp_path)
    assert shared.erase(["secret"]) == []  # nobody has told it anything
    assert holding(tmp_path) == set()
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"
    assert len(journals(tmp_path)) == 1
    assert journals(tmp_path) != before
    process.communicate("")
    assert shared.read(lambda c: c.execute("select run from events").fetchall()) == [("later",)]
    shared.close()


def test_of_a_process_that_does_not_look_it_is_said_what_is_left_and_the_next_one_finishes(tmp_path: Path):
    process = child("write_when_told", tmp_path, SECRET, stdin=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGSTOP)
    shared = Store(tmp_path)
    (left,) = shared.erase(["secret"], patience=0.2)
    (held,) = journals(tmp_path)[:1]
    assert left == f"journal/{held.name} goes when the process that writes it lets go of it, or ends"
    assert holding(tmp_path) == {"journal"}
    assert shared.read(lambda c: c.execute("select count(*) from events").fetchall()) == [(0,)]
    process.kill()
    process.communicate()
    assert shared.finish_erasures() == []
    assert holding(tmp_path) == set()
    assert journals(tmp_path) == []
    shared.close()


def test_a_run_that_still_goes_on_stays_and_is_named(tmp_path: Path):
    alive = write(tmp_path, "secret", SECRET, ended=False)
    shared = Store(tmp_path)
    assert shared.erase(["secret"], alive.look) == ["run secret is still running: stop it, and erase it then"]
    assert holding(tmp_path) >= {"journal"}
    alive.close()  # its process has ended, as after a kill
    assert shared.erase(["secret"]) == []
    assert holding(tmp_path) == set()
    shared.close()


@pytest.mark.parametrize("kills", [6, pytest.param(40, marks=[pytest.mark.kills, pytest.mark.timeout(600)])])
def test_an_erasure_that_is_killed_at_any_moment_is_never_undone_and_the_next_process_ends_it(
    tmp_path: Path, kills: int
):
    for number in range(kills):
        home = tmp_path / str(number)
        write(home, "other", "the office is in Lisbon").close()
        write(home, "secret", SECRET).close()
        Store(home).compact()
        write(home, "secret", SECRET).close()
        process = child("erase", home, "secret")
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            process.wait(number * 0.25 / kills)
        except Exception:  # noqa: BLE001 - it goes on: then it is killed
            process.kill()
        process.communicate()
        if list((home / "journal").glob(f"*{SUFFIX}")):  # it had begun to be true
            (home / "memory.duckdb").unlink(missing_ok=True)  # and even a file that is made again knows of it
            shared = Store(home)
            assert shared.read(lambda c: c.execute("select distinct run from events").fetchall()) == [("other",)]
            assert shared.finish_erasures() == []
            shared.close()
        else:
            assert Store(home).erase(["secret"]) == []
        assert holding(home) == set()
        assert ask(home, "select run, count(*) from events group by run") == [("other", 3)]


@pytest.mark.kills
@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root mounts file systems")
def test_on_a_disk_that_is_full_nothing_is_lost_and_with_space_the_erasure_is_ended(tmp_path: Path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    home = tmp_path / "home"
    try:
        write(home, "other", "the office is in Lisbon").close()
        write(home, "secret", SECRET).close()
        shared = Store(home)
        shared.merge()
        filler = tmp_path / "filler"
        fill(filler)
        with pytest.raises(Unavailable):
            shared.erase(["secret"])
        with pytest.raises(Unavailable):
            shared.compact()
        filler.unlink()
        assert shared.erase(["secret"]) == []
        assert holding(home) == set()
        rows = shared.read(lambda c: c.execute("select run, count(*) from events group by run").fetchall())
        assert rows == [("other", 3)]
        shared.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


async def test_a_process_that_has_read_a_memory_loses_it_when_another_erases_it(tmp_path: Path):
    scope = Scope(user="ann", workspace="", session="")
    one, other = DuckDBMemory(tmp_path), DuckDBMemory(tmp_path)
    one.append(event("secret", 0, Kind.MEMORY_WRITTEN, id="m1", text=SECRET, scope={"user": "ann"}))
    await one.barrier()
    assert len(await other.recall("password safe", scope)) == 1
    assert await other.erase(["secret"]) == []
    for memory in (one, other):
        assert list(await memory.recall("password safe", scope)) == []
        assert list(await memory.memories(scope)) == []
        assert list(await memory.events("secret")) == []
        await memory.close()
    assert holding(tmp_path) == set()


async def test_what_is_in_no_journal_any_more_is_recalled_from_the_tables(tmp_path: Path):
    write(tmp_path, "a", "the office is in Lisbon").close()
    Store(tmp_path).compact()
    assert journals(tmp_path) == []
    memory = DuckDBMemory(tmp_path)
    assert len(await memory.recall("office", Scope(user="ann", workspace="", session=""))) == 1
    await memory.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Karl's IBAN is DE89370400440532013000, and he is karl@example.org.",
            {"DE89370400440532013000", "karl@example.org"},
        ),
        ("call +4917012345678 or (030)1234567", {"+4917012345678", "1234567"}),
        ("key: swordfish-4711; since 2026 in 24 cities", {"swordfish-4711"}),
        ("the fiscal year 2026 starts in April @work", set()),
    ],
)
def test_what_is_like_nothing_else_in_a_text_is_looked_for_by_itself(text: str, found: set[str]):
    assert needles.marks(text) == found
