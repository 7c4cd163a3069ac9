"""Payloads over 64 kB lie beside the journal, are read back without anybody noticing, and can be removed."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tests.memory.support import ask, event, journals, on_disk
from workbench.core import payloads
from workbench.core.errors import Unavailable
from workbench.core.events import Kind
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.journal import Journal
from workbench.memory.payloads import Payloads

LARGE = "x" * 200_000


async def kept(home: Path, *events) -> None:
    memory = DuckDBMemory(home)
    for one in events:
        memory.append(one)
    await memory.barrier()
    await memory.close()


async def test_a_large_payload_is_one_file_and_another_process_reads_the_event_whole(tmp_path):
    told = event(seq=0, kind=Kind.STEP_DONE, value={"rows": LARGE}, text="printed", seconds=1.0)
    await kept(tmp_path, told, event(seq=1, kind=Kind.STEP_DONE, value={"rows": LARGE}, text="again"))
    [journal] = journals(tmp_path)
    assert journal.stat().st_size < 2_000
    files = list((tmp_path / "artifacts" / "r1").iterdir())
    assert len(files) == 1, "the same content is kept once"
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert ask(tmp_path, "select max(length(body::varchar)) < 1000 from events") == [(True,)]
    reader = DuckDBMemory(tmp_path)
    assert (await reader.events("r1"))[0] == told
    await reader.close()


async def test_what_is_remembered_is_found_again_however_long_it_is(tmp_path):
    from workbench.core.request import Scope

    scope = {"user": "ann", "workspace": "w", "session": "s"}
    text = f"the walrus {LARGE}"
    told = event(kind=Kind.MEMORY_WRITTEN, id="m1", scope=scope, memory_kind="fact", text=text, by="user")
    await kept(tmp_path, told)
    reader = DuckDBMemory(tmp_path)
    [hit] = await reader.memories(Scope(user="ann", workspace="w", session="s"))
    assert hit.text == text
    await reader.close()


@pytest.mark.parametrize("harm", ["changed", "removed", "forgotten"])
async def test_a_payload_that_is_not_what_was_written_is_missed_and_never_used(tmp_path, harm):
    await kept(tmp_path, event(kind=Kind.STEP_DONE, value=LARGE, text="printed"))
    store = Payloads(tmp_path / "artifacts")
    [path] = (tmp_path / "artifacts" / "r1").iterdir()
    if harm == "changed":
        path.write_bytes(path.read_bytes().replace(b"x", b"y", 1))
    elif harm == "removed":
        path.unlink()
    else:
        store.forget("r1")
        assert LARGE.encode() not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    reader = DuckDBMemory(tmp_path)
    [read] = await reader.events("r1")
    assert payloads.lost(read) == ("value",)
    assert "value" not in read.body
    assert read.body["text"] == "printed"
    await reader.close()


class FullFolder(Payloads):
    """Takes nothing until `room` is set."""

    room = False

    def flush(self) -> None:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().flush()


def test_an_event_is_not_acknowledged_before_its_payload_is_there_and_is_not_lost_either(tmp_path):
    folder = FullFolder(tmp_path / "artifacts")
    journal = Journal(tmp_path / "journal", payloads=folder)
    journal.append(event(value=LARGE))
    with pytest.raises(Unavailable, match="cannot be written"):
        asyncio.run(journal.barrier())
    assert on_disk(tmp_path) == []
    folder.room = True
    asyncio.run(journal.barrier())
    assert on_disk(tmp_path) == ["r1/1/0"]
    assert len(list((tmp_path / "artifacts" / "r1").iterdir())) == 1
    journal.close()


def test_the_id_of_a_run_from_elsewhere_cannot_lead_out_of_the_folder(tmp_path):
    folder = Payloads(tmp_path / "artifacts")
    for run in ("../../etc", "/etc/passwd", "..", ".", "", "a/b", "x" * 5000, "\ud800"):
        assert folder.path(run, "../../x").resolve().parent.parent == (tmp_path / "artifacts").resolve()
