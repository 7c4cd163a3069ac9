"""What goes out comes in again as it was, once, and only when it is whole."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.strategies import json_values
from tests.memory.support import event
from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, Kind, UnknownEvent
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.interchange import EVENTS, MANIFEST, export, take_in
from workbench.memory.volatile import InMemoryMemory


def own(run: str, seq: int, kind: Kind = Kind.STEP_PROGRESS, **body: object) -> AnyEvent:
    return event(run, seq, kind, **body)


def record(user: str = "ann", run: str = "r1", bodies: tuple[object, ...] = ()) -> list[AnyEvent]:
    opening = own(run, 0, Kind.RUN_STARTED, request="how much", user=user)
    said = [own(run, seq, value=body) for seq, body in enumerate(bodies, 1)]
    return [opening, *said]


async def filled(memory: InMemoryMemory | DuckDBMemory, events: list[AnyEvent]) -> None:
    for one in events:
        memory.append(one)
    await memory.barrier()


async def exported(home: Path, events: list[AnyEvent]) -> Path:
    memory = InMemoryMemory()
    await filled(memory, events)
    await export(memory, "ann", home / "out", "1.0")
    return home / "out"


async def all_of(memory: InMemoryMemory | DuckDBMemory) -> list[AnyEvent]:
    return [*(await memory.page(limit=100_000)).events]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(json_values, max_size=6), runs=st.integers(1, 3))
def test_a_record_comes_back_as_it_was_however_often_it_is_taken_in(tmp_path_factory, bodies, runs):
    home = tmp_path_factory.mktemp("home")
    mine = [one for n in range(runs) for one in record("ann", f"r{n}", tuple(bodies))]
    mine.append(UnknownEvent(run="r0", seq=900, at=mine[0].at, kind="from.the.future", body={"x": 2**70}))

    async def there_and_back() -> None:
        source, target = InMemoryMemory(), InMemoryMemory()
        await filled(source, [*mine, *record("bob", "b1")])
        await export(source, "ann", home / "out", "1.0")
        first = await take_in(target, home / "out")
        again = await take_in(target, home / "out")
        assert (first.new, first.known, first.user) == (len(mine), 0, "ann")
        assert (again.new, again.known) == (0, len(mine))
        assert await all_of(target) == mine

    asyncio.run(there_and_back())


async def test_it_goes_from_one_store_into_another_with_tables_for_other_programs(tmp_path: Path):
    odd = ["\ud800 half", "nul \x00", "m" * 1_000_000, [f"tag{n}" for n in range(10_000)]]
    events = [*record(bodies=tuple(odd)), own("r2", 0, Kind.MEMORY_WRITTEN, id="m1", text="x", scope={"user": "ann"})]
    source, target = DuckDBMemory(tmp_path / "a"), DuckDBMemory(tmp_path / "b")
    await filled(source, [*events, *record("bob", "b1")])
    done = await export(source, "ann", tmp_path / "out", "1.0")
    assert done.rows[EVENTS] == len(events)
    assert (await take_in(target, tmp_path / "out")).new == len(events)
    for run in ("r1", "r2"):
        assert await target.events(run) == await source.events(run)
    assert await asyncio.to_thread(lambda: pq.read_table(tmp_path / "out" / "runs.parquet").to_pydict()["run"]) == [
        "r1"
    ]
    assert {"memories.parquet", "steps.parquet", "events.parquet", "tool_calls.parquet"} <= set(done.rows)
    await source.close()
    await target.close()


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def manifest(path: Path, **changes: object) -> None:
    told = json.loads(path.read_bytes())
    path.write_text(json.dumps(told | changes))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed event": (lambda out: change(out / EVENTS, b"how much", b"how many"), "events.jsonl is not what"),
    "a changed table": (lambda out: change(out / "runs.parquet", b"PAR1", b"PAR2"), "runs.parquet is not what"),
    "a missing file": (lambda out: (out / "runs.parquet").unlink(), "runs.parquet is not there"),
    "no manifest": (lambda out: (out / MANIFEST).unlink(), "manifest.json is not there"),
    "a cut manifest": (lambda out: change(out / MANIFEST, b"}", b""), "its manifest is none"),
    "an empty manifest": (lambda out: (out / MANIFEST).write_text(""), "its manifest is none"),
    "another kind": (lambda out: manifest(out / MANIFEST, format="x"), "another kind"),
    "a newer version": (lambda out: manifest(out / MANIFEST, version=2), "newer version (2)"),
    "no scope": (lambda out: manifest(out / MANIFEST, scope={}), "its manifest is none"),
    "a path outside": (
        lambda out: manifest(out / MANIFEST, files={EVENTS: {}, "../../etc/passwd": {}}),
        "name its files",
    ),
    "fewer events": (lambda out: recount(out, 7), "holds 2 events and should hold 7"),
    "a line that is no event": (lambda out: garbage(out), "line 3 of events.jsonl is no event"),
}


def recount(out: Path, rows: int) -> None:
    told = json.loads((out / MANIFEST).read_bytes())
    told["files"][EVENTS]["rows"] = rows
    (out / MANIFEST).write_text(json.dumps(told))


def garbage(out: Path) -> None:
    import hashlib

    with (out / EVENTS).open("ab") as file:
        file.write(b"garbage\n")
    data = (out / EVENTS).read_bytes()
    told = json.loads((out / MANIFEST).read_bytes())
    told["files"][EVENTS] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": 3}
    (out / MANIFEST).write_text(json.dumps(told))


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_is_not_whole_is_refused_in_one_line_and_nothing_of_it_taken(tmp_path: Path, damage: str):
    out = await exported(tmp_path, record(bodies=("x",)))
    harm, said = DAMAGES[damage]
    harm(out)
    memory = InMemoryMemory()
    with pytest.raises(Refused) as caught:
        await take_in(memory, out)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert await all_of(memory) == []


async def test_what_was_erased_here_does_not_come_back_by_an_import(tmp_path: Path):
    out = await exported(tmp_path, [*record(run="r1"), *record(run="r2")])
    memory = InMemoryMemory()
    await take_in(memory, out)
    await memory.erase(["r1"])
    done = await take_in(memory, out)
    assert (done.new, done.known, done.erased) == (0, 1, 1)
    assert {one.run for one in await all_of(memory)} == {"r2"}


async def test_keys_are_taken_out_of_what_comes_in(tmp_path: Path):
    out = await exported(tmp_path, record(bodies=("sk-key",)))
    memory = InMemoryMemory()
    await take_in(memory, out, lambda body: json.loads(json.dumps(body).replace("sk-key", "[redacted]")))
    assert "sk-key" not in str(await all_of(memory))


async def test_a_folder_that_is_there_is_left_alone_and_one_that_cannot_be_made_is_told(tmp_path: Path):
    memory = InMemoryMemory()
    await filled(memory, record())
    (tmp_path / "there").mkdir()
    with pytest.raises(Refused, match="is there already"):
        await export(memory, "ann", tmp_path / "there", "1.0")
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        await export(memory, "ann", tmp_path / "file" / "out", "1.0")
    assert sorted(os.listdir(tmp_path)) == ["file", "there"]  # noqa: PTH208 - see ASYNC240
