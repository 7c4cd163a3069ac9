"""The memory on a real PostgreSQL: what is acknowledged is committed, whatever becomes of clients and of the server."""

import asyncio
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory.embedders import Scripted
from tests.memory.servers import address, database
from tests.memory.support import ROOT, event
from tests.postgres import PASSWORD, SMALL, Server, a_folder, running, user
from workbench.core.errors import Refused, Unavailable
from workbench.core.events import Event, Kind
from workbench.core.request import Scope
from workbench.memory.base import Holder
from workbench.memory.postgres import commits
from workbench.memory.postgres.memory import PostgresMemory

pytestmark = pytest.mark.peers

SCOPE = Scope(user="ann", workspace="sales", session="")
CHILD = Path(__file__).with_name("child_postgres.py")


def child(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "faulthandler", str(CHILD), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def remembered(name: str, text: str, user: str = "ann") -> Event:
    return event(f"run-{name}", 0, Kind.MEMORY_WRITTEN, id=name, text=text, scope={"user": user, "workspace": "sales"})


@contextmanager
def nobody_answers() -> Iterator[int]:
    """A port behind which every word is taken and none is said, as of a server that is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def killed(folder: Path) -> None:
    """End a server as a power cut would, and wait until the last of its processes is gone."""
    postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    children = [pid for pid in _processes() if _parent(pid) == postmaster]
    watched = [os.pidfd_open(pid) for pid in children]
    for pid in (postmaster, *children):
        os.kill(pid, signal.SIGKILL)
    for descriptor in watched:
        select.select([descriptor], [], [], 20)
        os.close(descriptor)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


async def test_two_processes_write_two_hundred_runs_each_at_once_and_the_table_counts_them_all(
    postgres, tmp_path: Path
):
    dsn = database(postgres)
    writers = [child("write_runs", dsn, name, 200) for name in ("ann", "bob")]
    for writer in writers:
        writer.communicate(timeout=90)
    assert [writer.returncode for writer in writers] == [0, 0]
    memory = PostgresMemory(dsn, tmp_path)
    listed = await memory.runs(1_000)
    await memory.close()
    assert sorted({(row["user"], row["status"]) for row in listed}) == [("ann", "done"), ("bob", "done")]
    assert len({row["run"] for row in listed}) == len(listed) == 400


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=[pytest.mark.kills, pytest.mark.timeout(900)])])
def test_after_kill_9_of_writers_every_acknowledged_event_is_there_once(postgres: Server, kills: int):
    dsn, acknowledged = database(postgres), list[str]()
    for number in range(kills):
        process = child("acknowledge", dsn, f"r{number}")
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(1 + (number * 37) % 200)]
        process.kill()
        acknowledged += process.communicate()[0].split()
    there = [
        f"{run}/{attempt}/{seq}" for run, attempt, seq in rows(dsn, "select run, attempt, seq from workbench.events")
    ]
    assert set(acknowledged) <= set(there)
    assert len(set(there)) == len(there)


@pytest.mark.timeout(240)
async def test_a_server_that_is_killed_has_all_that_was_acknowledged_and_gets_the_rest_in_order_when_it_is_back(
    tmp_path: Path,
):
    with a_folder() as folder:
        with running(folder, SMALL, user()) as port:
            dsn = database(Server(port, folder))
            memory = PostgresMemory(dsn, tmp_path, wait_seconds=1.0)
            acknowledged, appended, refused = 0, 0, list[str]()

            async def write() -> None:
                nonlocal acknowledged, appended
                memory.append(event("r1", appended, text="x" * 100))
                appended += 1
                try:
                    await memory.barrier()
                    acknowledged = appended
                except Unavailable as error:
                    refused.append(error.message)

            for _ in range(50):
                await write()
            killing = asyncio.create_task(asyncio.to_thread(killed, folder))
            while not refused:
                await write()
            await killing
        before = acknowledged
        await write()
        assert acknowledged == before >= 50
        with running(folder, SMALL, user(), port=port):
            while acknowledged < appended:
                await write()
            found = rows(dsn, "select seq from workbench.events order by position")
            await memory.close()
    assert [seq for (seq,) in found] == list(range(appended))
    assert not [message for message in refused if "\n" in message or "PostgreSQL admin@127.0.0.1" not in message]


async def test_a_connection_that_was_ended_by_the_server_is_not_noticed(postgres: Server, tmp_path: Path):
    dsn = database(postgres)
    memory = PostgresMemory(dsn, tmp_path)
    memory.append(remembered("m0", "the fiscal year starts in April"))
    await memory.barrier()
    await memory.runs()
    rows(dsn, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'agent-workbench'")
    memory.append(remembered("m1", "the fiscal year ends in March"))
    assert len(await memory.recall("fiscal year", SCOPE)) == 2
    await memory.barrier()
    assert rows(dsn, "select count(*) from workbench.events") == [(2,)]
    await memory.close()


async def test_a_server_that_does_not_answer_holds_up_nobody_and_is_told_in_one_line(tmp_path: Path):
    with nobody_answers() as port:
        memory = PostgresMemory(f"postgresql://ann:a-password@127.0.0.1:{port}/x", tmp_path, wait_seconds=0.5)
        longest, ticked = 0.0, time.monotonic()

        async def tick() -> None:
            nonlocal longest, ticked
            while True:
                await asyncio.sleep(0.005)
                longest, ticked = max(longest, time.monotonic() - ticked), time.monotonic()

        ticking = asyncio.create_task(tick())
        for seq in range(1_000):
            memory.append(event("r1", seq))
        assert len(await memory.events("r1")) == 1_000  # of its own run it knows all the same
        with pytest.raises(Unavailable) as failed:
            await memory.barrier()
        with pytest.raises(Unavailable):
            await memory.recall("anything", SCOPE)
        ticking.cancel()
        (line, hint) = failed.value.lines()
        assert line == f"Unavailable: PostgreSQL ann@127.0.0.1:{port}/x did not answer in 0.5 s."
        assert "kept and tried again" in hint
        assert longest < 0.4, "the event loop was held up"
        assert memory.notices == [str(failed.value)]
        with pytest.raises(Unavailable, match="1000 events were not kept"):
            await memory.close()


async def test_what_waits_for_a_server_is_bounded(tmp_path: Path):
    memory = PostgresMemory("postgresql://127.0.0.1:1/x", tmp_path, wait_seconds=0.2)
    text = "x" * (commits.MAX_WAITING // 4)
    for seq in range(3):
        memory.append(event("r1", seq, text=text))
    with pytest.raises(Unavailable, match="3 events wait for it"):
        memory.append(event("r1", 3, text=text))
    with pytest.raises(Unavailable, match="events were not kept"):
        await memory.close()


async def test_what_others_remembered_is_still_recalled_while_the_server_is_away(tmp_path: Path):
    with a_folder() as folder:
        with running(folder, SMALL, user()) as port:
            dsn = database(Server(port, folder))
            memory, other = (PostgresMemory(dsn, tmp_path, wait_seconds=1.0) for _ in range(2))
            other.append(remembered("m0", "the fiscal year starts in April"))
            await other.close()
            assert len(await memory.recall("fiscal year", SCOPE)) == 1
        assert [hit.id for hit in await memory.recall("fiscal year", SCOPE)] == ["m0"]
        await memory.close()


def test_processes_that_reserve_at_once_are_let_go_as_often_as_the_budget_says(postgres: Server):
    dsn = database(postgres)
    processes = [child("reserve", dsn, f"r{number}", 40, 25) for number in range(3)]
    said = [process.communicate(timeout=90)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(text.count("let go") for text in said) == 25


def test_what_is_appended_and_not_waited_for_is_kept_when_the_process_ends_as_it_should(postgres: Server):
    dsn = database(postgres)
    process = child("just_end", dsn)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert rows(dsn, "select count(*) from workbench.events") == [(500,)]


def test_a_forked_child_has_connections_of_its_own_and_leaves_the_parents_alone(postgres: Server):
    process = child("fork", database(postgres))
    assert process.communicate(timeout=60)[0] == "0 2\n"
    assert process.returncode == 0


texts = st.text(st.characters(categories=("L", "N", "P", "Z", "Cc", "Cs", "Cn", "So")), max_size=20)
bodies = st.dictionaries(
    texts,
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**80), 2**80),
            st.floats(allow_nan=False, allow_infinity=False),
            texts,
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(bodies, min_size=1, max_size=5))
def test_any_body_comes_back_as_it_was_and_can_be_asked_in_sql(
    hostile: str, tmp_path_factory, found: list[dict[str, Any]]
):
    async def there_and_back() -> None:
        memory = PostgresMemory(hostile, tmp_path_factory.mktemp("home"))
        run = f"r{time.time_ns()}"
        events = [
            Event(run=run, seq=n, at="2026-01-01T12:00:00.000001+00:00", kind=Kind.RUN_STARTED, body=body)
            for n, body in enumerate(found)
        ]
        for one in events:
            memory.append(one)
        await memory.close()
        other = PostgresMemory(hostile, tmp_path_factory.mktemp("home"))
        back = list(await other.events(run))
        await other.runs(3)
        await other.close()
        assert [json.dumps(one.body) for one in back] == [json.dumps(one.body) for one in events]

    asyncio.run(there_and_back())
    rows(hostile, "select body->>'user' from workbench.events")


@pytest.fixture(scope="module")
def hostile(postgres: Server) -> str:
    return database(postgres)


async def test_what_is_acknowledged_is_synced_whatever_the_database_is_set_to(postgres: Server, tmp_path: Path):
    dsn = database(postgres)
    with postgres.connect() as admin:
        admin.execute(f"alter database {dsn.rpartition('/')[2]} set synchronous_commit = off")
    memory = PostgresMemory(dsn, tmp_path)

    async def setting(connection: Any) -> str:
        return str((await (await connection.execute("show synchronous_commit")).fetchall())[0][0])

    assert memory._server.submit(memory._server.writing.use(setting)).result() == "on"
    assert "its fsync is off" in memory.facts  # as tests have it
    await memory.close()


async def test_tables_of_a_newer_version_are_left_alone(postgres: Server, tmp_path: Path):
    import psycopg

    dsn = database(postgres)
    memory = PostgresMemory(dsn, tmp_path)
    await memory.runs()
    await memory.close()
    with psycopg.connect(dsn) as connection:
        connection.execute("update workbench.meta set value = '99' where key = 'schema_version'")
    memory = PostgresMemory(dsn, tmp_path)
    with pytest.raises(Unavailable, match="schema version 99, this program knows up to"):
        await memory.runs()
    memory.append(event())
    with pytest.raises(Unavailable, match="schema version 99"):
        await memory.barrier()
    with pytest.raises(Unavailable, match="1 events were not kept"):
        await memory.close()


def test_many_that_open_an_empty_database_at_once_make_its_tables_once(postgres: Server, tmp_path: Path):
    dsn = database(postgres)

    def one(number: int) -> None:
        async def work() -> None:
            memory = PostgresMemory(dsn, tmp_path)
            memory.append(event(f"r{number}"))
            await memory.runs()
            await memory.close()

        asyncio.run(work())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert rows(dsn, "select count(*) from workbench.events") == [(8,)]


async def test_a_role_needs_no_more_than_to_create_in_its_database_and_without_that_is_told_so(
    postgres: Server, tmp_path
):
    dsn = database(postgres)
    name = dsn.rpartition("/")[2]
    with postgres.connect() as admin:
        admin.execute(f"create role {name}_owner login password 'a-long-password'")
        admin.execute(f"create role {name}_guest login password 'a-long-password'")
        admin.execute(f"grant create on database {name} to {name}_owner")
    guest = PostgresMemory(address(postgres, name, f"{name}_guest", "a-long-password"), tmp_path)
    with pytest.raises(Unavailable, match=r"permission denied.* SECURITY\.md"):
        await guest.runs()
    owner = PostgresMemory(address(postgres, name, f"{name}_owner", "a-long-password"), tmp_path)
    owner.append(event())
    await owner.barrier()
    assert len(await owner.events("r1")) == 1
    await owner.close()
    await guest.close()


async def test_the_password_is_in_no_error_log_or_notice(postgres: Server, tmp_path: Path, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "S3cret-Hunter2-é"
    said = []
    for dsn in (
        address(postgres, "postgres", "nobody", secret),
        address(postgres, "postgres", password=secret, options="?sslmode=verify-full"),
        address(postgres, "postgres", password=secret, options="?connect_timeout=soon"),
        address(postgres, "postgres", password=secret, options="?no_such_option=1"),
        f"postgresql://u:{secret} with blanks@127.0.0.1:1/x",
        f"postgresql://127.0.0.1:1/x?user=u&password={secret}",
    ):
        memory = PostgresMemory(dsn, tmp_path, wait_seconds=1.0)
        said.append(repr(memory._address))
        memory.append(event())
        try:
            await memory.barrier()
        except Unavailable:
            said.append(traceback.format_exc())
        said += [*memory.notices, memory.place, memory.facts]
        with pytest.raises(Unavailable):
            await memory.close()
    everything = "\n".join([*said, caplog.text])
    assert "cannot be used" in everything
    for form in (secret, "S3cret", "Hunter2"):
        assert form not in everything


async def test_the_options_of_tls_in_the_address_are_obeyed(tmp_path: Path):
    import trustme

    authority, stranger = trustme.CA(), trustme.CA()
    for name, there in (("ours", authority), ("other", stranger)):
        there.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    with a_folder() as folder:
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        for file in ("key.pem", "cert.pem"):
            (folder / file).chmod(0o600)
            if os.geteuid() == 0:
                import shutil

                shutil.chown(folder / file, user())
        tls = {"ssl": "on", "ssl_cert_file": str(folder / "cert.pem"), "ssl_key_file": str(folder / "key.pem")}
        with running(folder, SMALL | tls, user()) as port:
            server = Server(port, folder)
            said = {}
            for options in (
                f"?sslmode=verify-full&sslrootcert={tmp_path}/ours.pem",
                f"?sslmode=verify-full&sslrootcert={tmp_path}/other.pem",
                "?sslmode=disable",
            ):
                memory = PostgresMemory(address(server, "postgres", options=options), tmp_path)
                try:
                    await memory.runs()
                    said[options.partition("/")[2] or options] = memory.facts
                except Unavailable as error:
                    said[options] = str(error)
                await memory.close()
    first, second, third = said.values()
    assert ", encrypted" in first
    assert "certificate verify failed" in second
    assert "sslrootcert=FILE" in second
    assert "not encrypted" in third


@pytest.mark.parametrize(
    ("dsn", "tls"),
    [
        ("postgresql://ann@127.0.0.1/x", None),
        ("postgresql://ann@[::1]:5432/x", None),
        ("postgresql:///x?host=/var/run/postgresql", None),
        ("postgresql://ann@db.example.org/x", "verify-full"),
        ("postgresql://ann@127.0.0.1,db.example.org/x", "verify-full"),
        ("postgresql://localhost/x?hostaddr=10.0.0.1", "verify-full"),
        ("postgresql://ann@db.example.org/x?sslmode=require", "require"),
    ],
)
def test_the_way_to_another_machine_is_verified_unless_the_address_says_otherwise(dsn: str, tls: str | None):
    from psycopg.conninfo import conninfo_to_dict

    from workbench.memory.postgres.address import read

    assert conninfo_to_dict(read(dsn).conninfo()).get("sslmode") == tls


def test_a_memory_is_named_without_its_password():
    from workbench.memory.postgres.address import read

    found = read("postgresql://an%6E:pa%27ss@db.example.org:5433/wb?sslpassword=other")
    assert found.place == "PostgreSQL ann@db.example.org:5433/wb"
    assert set(found.passwords) == {"pa%27ss", "pa'ss", "other"}
    assert PASSWORD not in repr(found)


async def test_a_run_is_held_by_one_process_and_after_its_end_by_the_next_with_a_higher_attempt(
    postgres, tmp_path: Path
):
    dsn = database(postgres)
    one, other = PostgresMemory(dsn, tmp_path), PostgresMemory(dsn, tmp_path)
    holder = Holder(run="r1", pid=1234, notebook="/x/sales.ipynb", since="2026-01-01T12:00:00+00:00")
    first = await one.leases.claim(holder)
    for memory in (one, other):
        with pytest.raises(Refused, match=r"r1 is being run by process 1234, sales\.ipynb, since 2026-01-01 12:00:00"):
            await memory.leases.claim(Holder(run="r1", pid=5))
    await first.release()
    await first.release()
    second = await other.leases.claim(Holder(run="r1", pid=5))
    await other.close()  # as good as dead: its connection is gone
    third = await one.leases.claim(holder)
    assert (first.attempt, second.attempt, third.attempt) == (1, 2, 3)
    await one.close()


async def test_a_run_is_left_when_its_process_is_gone_before_its_last_word_and_not_while_somebody_has_it(
    postgres: Server, tmp_path: Path
):
    dsn = database(postgres)
    one, other = PostgresMemory(dsn, tmp_path), PostgresMemory(dsn, tmp_path)
    for run, kind in (("r1", Kind.RUN_STARTED), ("r2", Kind.RUN_DONE), ("r3", Kind.RUN_STARTED)):
        await one.leases.claim(Holder(run=run, pid=7, notebook="/x/sales.ipynb", user="ann"))
        one.append(event(run, 0, kind))
    await (await one.leases.claim(Holder(run="r4", pid=7))).release()
    await one.barrier()
    assert list(await other.leases.left()) == list(await one.leases.left()) == []
    await one.close()  # as good as dead: its connection is gone
    async with asyncio.timeout(20):
        left: Sequence[Holder] = ()
        while len(left) < 2:  # the server needs a moment to notice
            left = await other.leases.left()
    assert [(found.run, found.pid, found.user) for found in left] == [("r1", 7, "ann"), ("r3", 7, "ann")]
    held = await other.leases.claim(Holder(run="r1", pid=8))
    await other.leases.drop("r3")
    assert list(await other.leases.left()) == []
    await held.release()
    assert list(await other.leases.left()) == []
    await other.close()


async def test_a_process_that_has_lost_its_run_can_add_nothing_to_it_any_more(postgres: Server, tmp_path: Path):
    dsn = database(postgres)
    one, other = PostgresMemory(dsn, tmp_path), PostgresMemory(dsn, tmp_path)
    first = await one.leases.claim(Holder(run="r1", pid=1))
    one.append(replace(event("r1", 0), attempt=first.attempt))
    await one.barrier()
    rows(dsn, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'agent-workbench'")
    second = await other.leases.claim(Holder(run="r1", pid=2))
    other.append(replace(event("r1", 1), attempt=second.attempt))
    await other.barrier()
    one.append(replace(event("r1", 1), attempt=first.attempt))
    with pytest.raises(Unavailable, match="Run r1 was taken over by another process"):
        await one.barrier()
    with pytest.raises(Unavailable, match="Run r1 was taken over by another process"):
        one.append(replace(event("r1", 2), attempt=first.attempt))
    one.append(event("r2", 0))  # what it does besides goes on
    await one.barrier()
    assert rows(dsn, "select run, attempt, seq from workbench.events order by position") == [
        ("r1", 1, 0),
        ("r1", 2, 1),
        ("r2", 1, 0),
    ]
    await one.close()
    await other.close()


async def test_what_is_erased_is_in_no_file_of_the_tables_and_is_not_taken_again(postgres: Server, tmp_path: Path):
    dsn = database(postgres)
    memory = PostgresMemory(dsn, tmp_path, embedder=Scripted())
    secret = "the launch is on a Thursday in Reykjavik"
    memory.append(remembered("m0", secret))
    memory.append(remembered("m1", "fiscal year"))
    assert len(await memory.recall("launch", SCOPE, 1)) == 1
    lease = await memory.leases.claim(Holder(run="run-m0", pid=1))
    (line,) = await memory.erase(["run-m0"])
    assert line.startswith("run-m0 still goes on")
    await lease.release()
    assert list(await memory.erase(["run-m0"])) == []
    memory.append(remembered("m0", secret))
    await memory.close()
    assert rows(dsn, "select run from workbench.events") == [("run-m1",)]
    assert rows(dsn, "select count(*) from workbench.embeddings") == [(1,)]
    with postgres.connect(dsn.rpartition("/")[2]) as admin:
        admin.execute("checkpoint")
        (number,) = admin.execute("select oid from pg_database where datname = current_database()").fetchone()
    files = [path for path in (postgres.folder / "data" / "base" / str(number)).iterdir() if path.is_file()]
    assert not [path for path in files if b"Reykjavik" in path.read_bytes()]
