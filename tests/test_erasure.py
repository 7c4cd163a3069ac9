"""What is erased is nowhere any more, where the same search found it in each kind of file; and nothing else is gone."""

import asyncio
import os
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.searching import places
from workbench.cli import main
from workbench.configuration import load_settings
from workbench.core.errors import Denied, Refused, WorkbenchError
from workbench.core.events import Event, Kind
from workbench.memory.duckdb import DuckDBMemory
from workbench.notebook import verbs
from workbench.planners.grammar import GrammarPlanner
from workbench.policy.recording import Received, Recorder
from workbench.telemetry.verify import verify
from workbench.workbench import Workbench, use

SECRET = "swordfish-4711-Lisbon"
OTHER = "the fiscal year starts in April"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / ".workbench"))
    return folder


def bench_of(user: str, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setenv("WORKBENCH_USER", user)
    return use(Workbench(load_settings(), planner=GrammarPlanner()))


@pytest.fixture
def ann(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    bench = bench_of("ann", monkeypatch)
    yield bench
    asyncio.run(bench.close())


async def leave_traces(bench: Workbench, secret: str) -> None:
    """Have a secret in every kind of place that a user's work leaves behind."""
    home = bench.settings.home
    await bench.memories.remember(f"Karl keeps the number {secret} in his desk")
    kept = await bench.memories.remember(f"Note that Karl keeps the number {secret} in his desk, please")
    table = pd.DataFrame({"name": [f"Karl keeps the number {secret} in his desk", "b"], "n": [1, 2]})
    run = await bench.ask("total n by name of @notes", notes=table)  # an Arrow file goes in, one comes out
    for request in (f"what has Karl keeps the number {secret} in his desk to do with it", f"forget {secret}!"):
        with pytest.raises(Refused):
            await bench.ask(request, notes=table)
    text = f"Karl keeps the number {secret} in his desk"
    folder = home / "artifacts" / run.id
    recorder = Recorder(lambda body: None, home / "artifacts", run.id, Counter())
    async with recorder.exchange(
        service="http", host="x", method="GET", request_sha256="0", bytes_out=0
    ) as exchange:  # a recorded answer of a server, too long for an event
        await exchange.keep(Received(value={"page": [text] * 2_000}, bytes_in=1))
    with zipfile.ZipFile(folder / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("sheet1.xml", text * 3)
    pd.DataFrame({"name": [text]}).to_parquet(folder / "t.parquet", compression="zstd")
    big = Event(
        run=run.id, seq=900, at="2026-01-01T00:00:00+00:00", kind=Kind.STEP_PROGRESS, body={"text": text * 3000}
    )
    bench.memory.append(big)  # what is too large for the journal lies beside it
    await bench.memory.barrier()
    bench.log.bug(ValueError(text))
    scratch = home / "scratch" / "call-of-yesterday"
    scratch.mkdir(parents=True)
    (scratch / "x.csv").write_text(text)
    os.utime(scratch, (time.time() - 90_000,) * 2)
    assert kept.became in ("new", "folded")
    memory = bench.memory
    assert isinstance(memory, DuckDBMemory)
    await memory.runs()
    await memory.compact()
    copy = await asyncio.to_thread((home / "snapshots" / "000001.duckdb").read_bytes)
    (home / "memory.duckdb.broken-20260101T000000-1").write_bytes(copy)


KINDS = (
    "journal/*.jsonl",
    "memory.duckdb",
    "memory.duckdb.broken-*",
    "snapshots/*.duckdb",
    "artifacts/*/*.arrow",
    "artifacts/*/*.parquet",
    "artifacts/*/*.xlsx",
    "artifacts/*/payload-*.json",
    "artifacts/*/response-*.json",
    "logs/agent.log",
    "scratch/*/*",
)


def kinds(home: Path, found: list[str]) -> set[str]:
    return {kind for kind in KINDS for path in found if Path(path).match(kind)}


@pytest.mark.parametrize("of", ["user", "memory", "text"])
async def test_after_an_erasure_the_secret_is_found_nowhere_and_before_it_in_each_kind_of_file(
    ann: Workbench, monkeypatch, of: str
):
    home = ann.settings.home
    bob = bench_of("bob", monkeypatch)
    await bob.memories.remember(OTHER)
    await bob.ask("total n by name of @notes", notes=pd.DataFrame({"name": ["a", "b"], "n": [1, 2]}))
    await bob.close()
    await leave_traces(ann, SECRET)
    assert kinds(home, places(SECRET, home)) == set(KINDS)
    name = (await ann.memories.all())[-1].id
    found = await ann.erasure.find(**{of: {"user": "ann", "memory": name[:8], "text": SECRET}[of]})
    assert any(SECRET in text for text in found.memories)
    done = await ann.erasure.erase(found)
    assert done.left == ()
    assert places(SECRET, home, ann.settings.project) == []
    assert list(await ann.memories.recall(SECRET)) == []
    assert verify(ann.trail).ok
    assert any(OTHER in str(hit) for hit in await bench_of("bob", monkeypatch).memories.all())
    assert {place.split("/")[0] for place in places(OTHER, home)} >= {"memory.duckdb", "snapshots"}
    with pytest.raises(Refused):
        await ann.erasure.find(**{of: {"user": "ann", "memory": name, "text": SECRET}[of]})


async def test_a_run_goes_with_what_it_remembered_and_no_other(ann: Workbench):
    one = await ann.ask("total n by name of @notes", notes=pd.DataFrame({"name": ["zebra crossing", "b"], "n": [1, 2]}))
    two = await ann.ask("total n by name of @notes", notes=pd.DataFrame({"name": ["a", "b"], "n": [1, 2]}))
    home = ann.settings.home
    assert places("zebra crossing", home)
    done = await ann.erasure.erase(await ann.erasure.find(run=one.id[:22]))
    assert done.left == ()
    assert places("zebra crossing", home) == []
    with pytest.raises(Refused):
        await ann.record.show(one.id)
    assert (await ann.record.show(two.id)).answer == two.answer
    assert [row["run"] for row in await ann.record.runs()] == [two.id]


async def test_a_summary_of_what_was_said_goes_with_it_and_one_of_another_notebook_stays(ann: Workbench):
    def run(name: str, notebook: str, upto: str = "") -> None:
        opening = {"request": f"request {name}", "user": "ann", "notebook": notebook}
        told = [(Kind.RUN_STARTED, opening), (Kind.RUN_DONE, {"status": "done"})]
        told[1:1] = [(Kind.CONVERSATION_SUMMARISED, {"text": f"summed up by {name}", "upto": upto})] if upto else []
        for seq, (kind, body) in enumerate(told):
            ann.memory.append(Event(run=name, seq=seq, at="2026-01-01T00:00:00+00:00", kind=kind, body=body))

    run("20260101-a", "one.ipynb")
    run("20260102-b", "one.ipynb")
    run("20260103-c", "one.ipynb", upto="20260101-a")
    run("20260104-d", "two.ipynb", upto="20260103-x")
    assert (await ann.erasure.find(run="20260102-b")).runs == ("20260102-b",)
    found = await ann.erasure.find(run="20260101-a")
    assert found.runs == ("20260101-a", "20260103-c")


async def test_what_says_the_same_of_another_user_stays(ann: Workbench, monkeypatch):
    bob = bench_of("bob", monkeypatch)
    await ann.memories.remember(OTHER)
    await bob.memories.remember(OTHER)
    name = (await ann.memories.all())[0].id
    await ann.erasure.erase(await ann.erasure.find(memory=name))
    assert list(await ann.memories.all()) == []
    assert [hit.text for hit in await bob.memories.all()] == [OTHER]
    await bob.close()


async def test_a_forgotten_memory_can_still_be_erased(ann: Workbench):
    kept = await ann.memories.remember(OTHER)
    await ann.memories.forget(kept.id)
    assert places(OTHER, ann.settings.home)
    await ann.erasure.erase(await ann.erasure.find(memory=kept.id[:8]))
    assert places(OTHER, ann.settings.home) == []


def test_in_a_terminal_it_says_what_would_go_and_does_nothing_without_a_yes(ann: Workbench, capsys):
    assert main(["remember", SECRET]) == 0
    name = capsys.readouterr().out.split()[-1]
    assert main(["erase", "--memory", name]) == 1
    said = capsys.readouterr()
    assert f"remembered: {SECRET}" in said.out
    assert "Nobody is there to say yes: nothing was erased." in said.err
    assert places(SECRET, ann.settings.home)
    assert main(["erase", "--memory", name, "--yes"]) == 0
    said = capsys.readouterr()
    assert "Nothing of memory" in said.out
    assert places(SECRET, ann.settings.home) == []
    assert main(["audit"]) == 0


def test_in_a_cell_where_nobody_can_be_asked_the_answer_is_no(ann: Workbench):
    verbs.remember(ann, SECRET)
    name = asyncio.run(ann.memories.all())[0].id
    with pytest.raises(Denied, match="nothing was erased"):
        verbs.erase(ann, f"--memory {name}")
    assert places(SECRET, ann.settings.home)
    assert "Nothing of memory" in repr(verbs.erase(ann, f"--memory={name} --yes"))
    assert places(SECRET, ann.settings.home) == []


@pytest.mark.parametrize(
    "line",
    ["", "--yes", "--memory", "--memory nothing", "--user nobody --yes", "--run zzzz", "--memory a --run b", "x"],
)
def test_what_cannot_be_erased_is_refused_in_one_line(ann: Workbench, line: str):
    with pytest.raises(WorkbenchError) as caught:
        verbs.erase(ann, line)
    assert len(caught.value.lines()) <= 2
    assert "None" not in str(caught.value)


async def test_the_trail_says_that_something_was_erased_and_not_what(ann: Workbench):
    kept = await ann.memories.remember(SECRET)
    await ann.erasure.erase(await ann.erasure.find(memory=kept.id))
    lines = await asyncio.to_thread(ann.trail.path.read_text)
    assert '"kind":"erase"' in lines
    assert kept.id not in lines
    assert SECRET not in lines


def test_the_search_finds_a_text_however_it_is_packed(tmp_path: Path):
    import duckdb

    pd.DataFrame({"a": [f"x {SECRET} y"] * 3}).to_parquet(tmp_path / "a.parquet", compression="zstd")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.parquet", "inner.parquet")
    with duckdb.connect(str(tmp_path / "c.duckdb")) as connection:
        connection.execute("create table t as select ? || i as a from range(5000) r(i)", [SECRET])
    (tmp_path / "d.jsonl").write_text('{"a": "swordfish\\u002d' + SECRET[10:] + '"}\n')
    (tmp_path / "e.txt").write_text("nothing")
    assert places(SECRET, tmp_path) == ["a.parquet", "b.zip", "c.duckdb", "d.jsonl"]
