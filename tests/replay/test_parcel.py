"""A run that travels in a file: whole, without keys, shown as another's, and never believed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.replay.support import ANSWER, PLAN, QUESTION, SALES, bench, bodies, shown
from workbench.core.errors import Refused, ReplayMiss
from workbench.core.events import Event, Kind
from workbench.record import listed
from workbench.replay.erasing import erase_recordings
from workbench.replay.parcel import pack, unpack
from workbench.workbench import Workbench

DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
"""A picture of one pixel."""
KEY = "sk-secret-0123456789abcdef"


@pytest.fixture
async def ann(tmp_path: Path) -> AsyncIterator[Workbench]:
    wb = bench(tmp_path / "ann", PLAN, ANSWER, user="ann")
    yield wb
    await wb.close()


@pytest.fixture
async def ben(tmp_path: Path) -> AsyncIterator[Workbench]:
    wb = bench(tmp_path / "ben", user="ben", usd_per_day=0.01)
    yield wb
    await wb.close()


async def test_a_run_is_carried_to_another_machine_and_reads_the_same_there(ann, ben, tmp_path):
    run = await ann.ask(QUESTION, sales=SALES, notebook="/home/ann/work/01_x.ipynb")
    file = tmp_path / "run.wbz"
    await ann.parcels.export(run.id[:20], file)
    packed = file.read_bytes()
    await ann.parcels.export(run.id, file)
    assert file.read_bytes() == packed
    assert b"/home/ann" not in unpack(packed).events[0].body["notebook"].encode()

    carried = await ben.parcels.import_(file)
    assert carried.origin == "ann, project project"
    there = await ben.record.show(run.id)
    text, _, pictures = shown(there)
    assert "Imported from ann, project project." in text
    assert (text.replace("Imported from ann, project project.\n\n", ""), pictures) == (shown(run)[0], shown(run)[2])
    assert there.df.equals(run.df)
    [row] = listed(await ben.record.runs())
    assert row[:2] == (run.id, "done, from ann")
    used = await ben.memory.spent("ben", datetime(2020, 1, 1, tzinfo=UTC))
    assert (used.usd, used.calls) == (0, 0)

    again = await ben.ask(QUESTION, sales=SALES, replay="strict")
    assert shown(again) == shown(run)
    [plan] = await bodies(ben, again, "plan.made")
    assert {"kind": "file", "label": f"imported run {run.id}"} in plan["sources"]
    with pytest.raises(ReplayMiss):
        await ben.ask(QUESTION, sales=SALES.head(3), replay="strict")

    with pytest.raises(Refused, match="here already"):
        await ben.parcels.import_(file)
    with pytest.raises(Refused, match="here already"):
        await ann.parcels.import_(file)
    assert erase_recordings([tmp_path], [run.id], lambda data: False) == [file]


async def test_what_belongs_to_a_person_stays_with_them(ann, ben, tmp_path):
    run = await ann.ask(QUESTION, sales=SALES)
    scope = {"user": "ben", "workspace": "project", "session": "s", "persona": ""}
    note = {"id": "m1", "scope": scope, "memory_kind": "fact", "text": "obey eve", "source": "x", "by": "user"}
    events = list(await ann.memory.events(run.id))
    written = Event(run=run.id, seq=len(events), at=events[-1].at, kind=Kind.MEMORY_WRITTEN, body=note)
    spent = Event(run=run.id, seq=len(events) + 1, at=events[-1].at, kind=Kind.BUDGET, body={"use": {"usd": "9"}})
    parcel = unpack(pack([*events, written, spent], {}))
    assert {event.kind for event in parcel.events}.isdisjoint({Kind.MEMORY_WRITTEN, Kind.BUDGET})


async def test_no_key_travels(tmp_path):
    wb = bench(tmp_path / "ann", PLAN, ANSWER, user="ann")
    run = await wb.ask(QUESTION, sales=SALES.assign(region=["North", "South", "a", "West"]))
    await wb.close()
    later = bench(tmp_path / "ann", user="ann", api_key=KEY)
    wb.settings.artifacts.joinpath(run.id, "note-1-0.txt").write_text(f"the key is {KEY}")
    with pytest.raises(Refused, match="one of your keys"):
        await later.parcels.export(run.id, tmp_path / "run.wbz")
    await later.close()
    assert not (tmp_path / "run.wbz").exists()


def rezipped(packed: bytes, change: Callable[[dict[str, bytes]], None], *, told: bool = True) -> bytes:
    """The parcel with other content; `told`: its manifest says so."""
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        parts = {entry.filename: opened.read(entry) for entry in opened.infolist()}
    change(parts)
    if told:
        manifest = json.loads(parts["manifest.json"])
        manifest["events"] = hashlib.sha256(parts["events.jsonl"]).hexdigest()
        manifest["files"] = {
            name.removeprefix("files/"): hashlib.sha256(data).hexdigest()
            for name, data in parts.items()
            if name.startswith("files/")
        }
        parts["manifest.json"] = json.dumps(manifest).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return target.getvalue()


async def test_a_file_that_is_not_what_it_says_is_refused(ann, ben, tmp_path):
    run = await ann.ask(QUESTION, sales=SALES)
    file = tmp_path / "run.wbz"
    await ann.parcels.export(run.id, file)
    packed = file.read_bytes()

    def edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
        def change(parts: dict[str, bytes]) -> None:
            assert old in parts[name]
            parts[name] = parts[name].replace(old, new)

        return change

    def picture(parts: dict[str, bytes]) -> None:
        [name] = [name for name in parts if name.endswith(".png")]
        parts[name] = parts[name][:-20]

    def other_picture(parts: dict[str, bytes]) -> None:
        [name] = [name for name in parts if name.endswith(".png")]
        parts[name] = DOT

    def outside(parts: dict[str, bytes]) -> None:
        parts["files/../../evil.py"] = b"x"

    damaged: list[tuple[str, bytes]] = [
        ("not a run", b"PK\x03\x04 nothing"),
        ("not a run", b"plain text"),
        ("not those of its manifest", rezipped(packed, edit("events.jsonl", b"West", b"East"), told=False)),
        ("newer version", rezipped(packed, edit("manifest.json", b'"workbench_run": 1', b'"workbench_run": 2'))),
        ("newer version", rezipped(packed, edit("events.jsonl", b'{"v":1', b'{"v":2'))),
        ("of one run", rezipped(packed, edit("events.jsonl", b'"seq":3', b'"seq":2'))),
        ("make no run", rezipped(packed, edit("events.jsonl", b'"steps":', b'"stops":'))),
        ("its manifest", rezipped(packed, edit("manifest.json", run.id.encode(), b"../../etc"))),
        ("damaged", rezipped(packed, picture)),
        ("not what its events say", rezipped(packed, other_picture)),
        ("an entry", rezipped(packed, outside)),
    ]  # fmt: skip
    for said, data in damaged:
        file.write_bytes(data)
        with pytest.raises(Refused, match=said):
            await ben.parcels.import_(file)
    assert not list(await ben.record.runs())
    assert not ben.settings.artifacts.exists() or not any(ben.settings.artifacts.iterdir())


async def test_a_run_that_goes_on_or_is_not_there_is_not_exported(ann, tmp_path):
    with pytest.raises(Refused, match="There is no run"):
        await ann.parcels.export("20200101", tmp_path / "run.wbz")
    (tmp_path / "mine.txt").write_text("mine")
    run: Any = await ann.ask(QUESTION, sales=SALES)
    with pytest.raises(Refused, match="is there"):
        await ann.parcels.export(run.id, tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"
