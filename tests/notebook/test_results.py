"""What a panel is told of a run's results, and what it is answered: the right rows, and nothing beside the run."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_edits import Project, wrote
from workbench import bridge
from workbench.core.artifacts import PNG, Artifact
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.notebook.panels import frozen, results
from workbench.render import cell
from workbench.run import Run
from workbench.sandbox.frames import snapshot
from workbench.workbench import Workbench, use

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def run_with(folder: Path, *values: Any, **more: Any) -> Run:
    """A run whose steps gave these values; DataFrames become files."""
    steps = []
    for number, given_value in enumerate(values, 1):
        value = given_value
        if isinstance(value, pd.DataFrame):
            value = snapshot(value, folder, "r1", f"s{number}")
        steps.append(StepOutcome(id=f"s{number}", task="t", title="", params={}, state=State.DONE, value=value))
    return Run(replace(Outcome(run="r1", steps=tuple(steps)), **more), folder)


async def rows(run: Run, **wanted: Any) -> dict[str, Any]:
    return await results.answer(run, {"do": "rows", "table": "s1/0", **wanted})


CELLS = {
    "text": st.one_of(st.none(), st.sampled_from(["a", "B", "b", "ä", "Zoë", "", "10", "9"])),
    "number": st.one_of(st.none(), st.sampled_from([0.0, -1.5, 2.0, 1e9, math.nan, math.inf])),
    "whole": st.one_of(st.none(), st.integers(-3, 3)),
    "flag": st.one_of(st.none(), st.booleans()),
    "day": st.one_of(st.none(), st.dates(date(2024, 1, 1), date(2024, 1, 5))),
}
KINDS = pd.CategoricalDtype(pd.Index(["b", "9", "", "a", "B", "ä", "Zoë", "10"], dtype="str"))
TABLES = st.lists(st.fixed_dictionaries(CELLS), max_size=30)


def frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(records, columns=list(CELLS))
    kinds = {"text": "str", "number": "float64", "whole": "Int64", "flag": "boolean", "day": "object"}
    table = table.astype(kinds)
    table["kind"] = table["text"].astype(KINDS)
    return table.assign(position=range(len(table)))


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


@given(
    records=TABLES,
    by=st.sampled_from([None, *CELLS, "kind"]),
    descending=st.booleans(),
    filtered=st.sampled_from(["", "b", "1", "zoë", "yes", "2024-01-0", "nothing"]),
    start=st.integers(-5, 40),
    count=st.integers(1, 7),
)
async def test_a_page_is_the_table_sorted_by_value_with_equals_as_they_were_and_gaps_last(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[dict[str, Any]],
    by: str | None,
    descending: bool,
    filtered: str,
    start: int,
    count: int,
) -> None:
    run = run_with(tmp_path_factory.mktemp("run"), frame(records))
    answer = await rows(run, sort=by, descending=descending, filter=filtered, start=start, count=count)
    numbered = [{**record, "kind": record["text"], "position": at} for at, record in enumerate(records)]

    def holds(record: Mapping[str, Any]) -> bool:
        return any(filtered in str(cell(value)).lower().replace(",", "") for value in record.values())

    wanted = [record for record in numbered if not filtered or holds(record)]
    if by is not None:
        full = [record for record in wanted if not is_missing(record[by])]
        # Python's sort is stable both ways.
        full.sort(key=lambda record: record[by], reverse=descending)
        wanted = full + [record for record in wanted if is_missing(record[by])]
    assert answer["total"] == len(records)
    assert answer["matching"] == len(wanted)
    assert answer["start"] <= max(0, start)
    shown = [record["position"] for record in wanted[answer["start"] : answer["start"] + count]]
    assert [row[-1] for row in answer["rows"]] == [str(position) for position in shown]
    assert bool(shown) == bool(wanted), "a page beyond the end is the last one, not an empty one"


async def test_a_million_rows_are_sorted_and_turned_to_the_last_page(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": range(1_000_000), "group": [n % 3 for n in range(1_000_000)]})
    run = run_with(tmp_path, table)
    (told,) = results.described(run)["tables"]
    assert (told["total"], len(told["rows"])) == (1_000_000, 20)
    answer = await rows(run, sort="group", descending=True, start=999_990, count=20)
    assert answer["start"] == 999_980
    assert answer["rows"][-1] == ["999,999", "0"]
    answer = await rows(run, sort="group", descending=True, filter="999,99", count=3)
    found = [n for n in range(1_000_000) if "99999" in str(n)]
    assert answer["matching"] == len(found)
    assert answer["rows"] == [[f"{n:,}", "2"] for n in found if n % 3 == 2][:3]


@pytest.mark.parametrize(
    "message",
    [
        {"do": "rows", "table": "s9/0"},
        {"do": "rows", "table": "../../etc/passwd"},
        {"do": "rows", "table": None},
        {"do": "rows", "table": ["s1/0"]},
        {"do": "rows", "table": "s1/0", "sort": "no such column"},
        {"do": "rows", "table": "s1/0", "sort": "lists"},
        {"do": "rows", "table": "s1/0", "sort": 3},
        {"do": "rows", "table": "s1/0", "filter": {"x": 1}},
        {"do": "rows", "table": "s1/0", "start": "0"},
        {"do": "rows", "table": "s1/0", "start": 1.5},
        {"do": "rows", "table": "s1/0", "count": True},
        {"do": "file", "file": "s1/0"},
        {"do": "file", "file": "r1/s1-1.arrow"},
        {"do": "rows", "table": "s2/0"},
        {"do": "code", "step": "s1", "path": "a.py"},
        {"do": "apply", "step": "s1"},
        {"do": "undo"},
        {"do": "standing", "step": 3},
        {"do": "erase"},
        {},
    ],
    ids=str,
)
async def test_what_cannot_be_had_is_answered_in_words(tmp_path: Path, message: dict[str, Any]) -> None:
    picture = Artifact(path="r1/p.png", mime=PNG, bytes=len(PIXEL), sha256="")
    (tmp_path / "r1").mkdir()
    (tmp_path / picture.path).write_bytes(PIXEL)
    run = run_with(tmp_path, pd.DataFrame({"n": [1], "lists": [[1, 2]]}), picture)
    answer = await results.answer(run, message)
    assert set(answer) == {"error", "hint", "conflicts"}
    assert answer["error"]
    assert "Error:" not in answer["error"], "this is how a bug of ours is told"


async def test_numbers_out_of_bounds_are_brought_within(tmp_path: Path) -> None:
    run = run_with(tmp_path, pd.DataFrame({"n": range(1000)}))
    assert len((await rows(run, count=10**12))["rows"]) == 200
    assert (await rows(run, start=-(10**30), count=-4))["rows"] == [["0"]]
    assert (await rows(run, start=10**30, count=100))["start"] == 900
    assert len((await rows(run, filter="x" * 10**6))["rows"]) == 0


async def test_a_table_that_is_gone_or_damaged_says_so(tmp_path: Path) -> None:
    run = run_with(tmp_path, pd.DataFrame({"n": [1]}), pd.DataFrame({"n": [2]}))
    (tmp_path / run.artifacts[0].path).unlink()
    (tmp_path / run.artifacts[1].path).write_bytes(b"ARROW1\0\0 no more")
    assert "gone" in (await rows(run))["error"]
    assert "damaged" in (await results.answer(run, {"do": "rows", "table": "s2/0"}))["error"]


async def test_texts_of_strangers_are_clean_wherever_they_come_from(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\x1b[31m\u202egnp"
    table = pd.DataFrame({evil: [evil, "ok"]})
    run = run_with(
        tmp_path,
        table,
        answer=f"**bold** {evil} [a](javascript:alert(1))",
    )
    told = results.described(run)
    answer = await rows(run, sort=evil)
    (column,) = told["tables"][0]["columns"]
    for text in (column["name"], answer["rows"][0][0], told["tables"][0]["rows"][0][0]):
        assert text == "<img src=x onerror=alert(1)>\\u{202e}gnp"
    assert "<strong>bold</strong>" in told["answer"]
    assert "<img" not in told["answer"]
    assert "href" not in told["answer"]


async def test_more_columns_than_a_screen_holds_are_counted(tmp_path: Path) -> None:
    run = run_with(tmp_path, pd.DataFrame({f"c{n}": [n] for n in range(300)}))
    (told,) = results.described(run)["tables"]
    assert (len(told["columns"]), told["all_columns"], len(told["rows"][0])) == (60, 300, 60)
    assert len((await rows(run, sort="c299"))["rows"][0]) == 60


async def test_a_picture_comes_as_it_is_and_a_link_only_from_the_web(tmp_path: Path) -> None:
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1" / "p.png").write_bytes(PIXEL)
    picture = Artifact(path="r1/p.png", mime=PNG, bytes=len(PIXEL), sha256="", alt="one dot")
    run = run_with(tmp_path, picture)
    sources = ({"title": "A page", "url": "https://a.example/x"}, {"title": "", "url": "javascript:alert(1)"})
    run = Run(replace(run.outcome, steps=(replace(run.outcome.steps[0], sources=sources),)), tmp_path)
    told = results.described(run)
    assert told["pictures"] == [{"id": "s1/0", "alt": "one dot"}]
    answer = await results.answer(run, {"do": "file", "file": "s1/0"})
    assert answer == {"mime": PNG, "data": base64.b64encode(PIXEL).decode()}
    assert [source["url"] for source in told["sources"]] == ["https://a.example/x", ""]


async def test_code_is_shown_by_line_and_sign_copied_by_the_byte_applied_and_taken_back(tmp_path: Path) -> None:
    project = Project(tmp_path)
    before = "one\r\ntwo\r\n\tthree"
    project.write("a.py", before.encode())
    after = "one\r\n2\x1b[1m\r\n\tthree\r\n"
    run = Run(wrote({"a.py": (before, after), "new.py": (None, "x = 1\n")}), tmp_path, project.edits)
    (code,) = results.described(run)["code"]
    changed, new = code["files"]
    assert (changed["path"], changed["change"], new["change"]) == ("a.py", "changed", "new")
    assert changed["rows"] == [
        [" ", 1, 1, "one"],
        ["-", 2, None, "two"],
        ["-", 3, None, "    three"],
        ["\\", None, None, "No newline at end of file"],
        ["+", None, 2, "2"],
        ["+", None, 3, "    three"],
    ]
    assert new["rows"] == [["+", None, 1, "x = 1"]]
    assert await results.answer(run, {"do": "code", "step": "s1", "path": "a.py"}) == {"text": after}

    async def standing() -> tuple[bool, bool]:
        told = await results.answer(run, {"do": "standing", "step": "s1"})
        return told["apply"]["can"], told["undo"]["can"]

    files = project.files()
    assert await standing() == (True, False)
    done = await results.answer(run, {"do": "apply", "step": "s1"})
    assert done == {"done": [{"path": "a.py", "did": "changed"}, {"path": "new.py", "did": "new"}]}
    assert project.files()["a.py"] == after.encode()
    assert await standing() == (False, True)
    refused = await results.answer(run, {"do": "apply", "step": "s1"})
    assert any("there is a file already" in conflict for conflict in refused["conflicts"])
    await results.answer(run, {"do": "undo", "step": "s1"})
    assert project.files() == files
    project.write("a.py", b"mine\n")
    assert await standing() == (False, False)


def test_a_diff_of_a_stranger_that_is_none_shows_no_file(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"diff": "nonsense\n", "files": [3, {"path": 4}]})
    assert results.described(run)["code"] == [{"step": "s1", "files": []}]


def test_where_nobody_can_click_exploring_shows_the_run_as_it_is_saved(tmp_path: Path) -> None:
    run = run_with(tmp_path, pd.DataFrame({"n": [1]}))
    assert run.explore()._repr_mimebundle_() == run._repr_mimebundle_()


def test_where_a_page_brings_results_to_life_exploring_leaves_no_widget(tmp_path: Path) -> None:
    run = run_with(tmp_path, pd.DataFrame({"n": [1]}))
    comm = Comm()
    assert not frozen.is_open()
    frozen._opened(comm, {})
    assert frozen.is_open()
    comm.closed({})
    assert not frozen.is_open()
    assert sorted(run.explore()._repr_mimebundle_()[0]) == ["text/html", "text/plain"]


class Comm:
    """A front end's comm: keeps what it is sent."""

    comm_id = "one"

    def __init__(self) -> None:
        self.said: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.heard: Callable[[Any], None] = lambda said: None
        self.closed: Callable[[Any], None] = lambda said: None

    def on_close(self, closed: Callable[[Any], None]) -> None:
        self.closed = closed

    def on_msg(self, heard: Callable[[Any], None]) -> None:
        self.heard = heard

    def send(self, data: dict[str, Any]) -> None:
        self.said.put(data)


@pytest.fixture
def bench() -> Workbench:
    """The process's workbench."""
    return use(Workbench())


def test_an_output_is_answered_for_the_run_that_the_record_has(bench: Workbench) -> None:
    sales = pd.DataFrame({"region": ["North", "South"], "revenue": [1.0, 2.0]})
    run = bridge.wait(bench.ask("total revenue by region of @sales", sales=sales))

    def answer(name: Any, message: Any) -> dict[str, Any]:
        return bridge.wait(frozen.answer({"run": name, "message": message}))

    told = answer(run.id, {"do": "described"})
    assert (told["run"], told["tables"][0]["rows"]) == (run.id, [["South", "2"], ["North", "1"]])
    rows = answer(run.id, {"do": "rows", "table": told["tables"][0]["id"], "sort": "region"})
    assert rows["rows"] == [["North", "1"], ["South", "2"]]
    # The beginning of an id is for people; a front end knows the whole.
    for name in (run.id[:-1], "", "r-nobody", None, 3, ["x"], {"run": run.id}):
        assert answer(name, {"do": "described"})["error"]
    unknown: list[Any] = [None, 3, [], {"do": "everything"}]
    for message in unknown:
        assert answer(run.id, message)["error"]
    stranger = use(Workbench(bench.settings.model_copy(update={"user": "somebody else"})))
    assert "There is no run" in answer(run.id, {"do": "described"})["error"]
    bridge.wait(bench.close())
    bridge.wait(stranger.close())


def test_a_kernel_that_has_loaded_us_answers_over_its_comm_and_no_longer_when_unloaded(bench: Workbench) -> None:
    targets: dict[str, Any] = {}
    comms = SimpleNamespace(register_target=targets.__setitem__, targets=targets)
    shell = SimpleNamespace(kernel=SimpleNamespace(comm_manager=comms))
    frozen.register(shell)
    comm = Comm()
    targets[frozen.TARGET](comm, {})
    assert comm.said.get(timeout=20) == {"hello": {"while_busy": False}}
    for data in ("nonsense", None, {"id": "7", "run": "r-nobody", "message": {"do": "described"}}):
        comm.heard({"content": {"data": data}})
    told = comm.said.get(timeout=20)
    assert told["answer"] == "7"
    assert told["value"]["error"]
    frozen.unregister(shell)
    assert not targets
    frozen.register(SimpleNamespace())  # plain IPython has no kernel
