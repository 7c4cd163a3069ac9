"""What a tool can do with the toolkit, and what it costs the next one."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.sandbox.conftest import Desk
from workbench.core.artifacts import Artifact
from workbench.sandbox.frames import read_frame, snapshot
from workbench.sandbox.portable import SpawnedSandbox

DRAW = """
import io, os, pathlib
from workbench import toolkit
def run():
    lists = list(pathlib.Path(os.environ["MPLCONFIGDIR"]).glob("fontlist-*.json"))
    from matplotlib.figure import Figure
    figure, buffer = Figure(), io.BytesIO()
    figure.subplots().plot([1, 2])
    figure.savefig(buffer)
    for path in lists: path.write_text("spoilt")
    return {"picture": toolkit.Image(buffer.getvalue(), "Line", "A line"), "lists": len(lists)}
"""


async def test_charts_share_a_list_of_fonts_that_none_can_change(desk: Desk):
    results = await asyncio.gather(*(desk.run(DRAW) for _ in range(3)))
    assert [(result.status, result.value["lists"]) for result in results] == [("ok", 1)] * 3
    (kept,) = desk.home.glob("cache/matplotlib-*/fontlist-*.json")
    assert len(kept.read_text()) > 1000
    assert [path.name for path in (desk.home / "cache").iterdir()] == [kept.parent.name]


async def test_a_picture_can_be_a_parameter(desk: Desk):
    made = await desk.run(DRAW)
    source = "def run(picture): return [picture.png[:4].hex(), picture.title, picture.alt]"
    assert (await desk.run(source, picture=made.value["picture"])).value == ["89504e47", "Line", "A line"]


async def test_tables_travel_inside_lists_and_dicts_and_once_only(desk: Desk):
    frame = snapshot(pd.DataFrame({"n": [1, 2]}), desk.artifacts, "r0", "sales")
    source = """
import pandas as pd
from workbench import toolkit
def run(given):
    assert given["a"][0].equals(given["b"])
    made = pd.DataFrame({"n": [3]})
    return {"one": toolkit.Table(made, "Title"), "two": [made.n], "rows": toolkit.Table([{"x": 1}, {"x": 2}])}
"""
    result = await desk.run(source, given={"a": [frame], "b": frame})
    assert result.status == "ok", result.error
    assert (result.value["one"].title, len(result.artifacts)) == ("Title", 3)
    assert read_frame(desk.artifacts / result.value["rows"].path)["x"].tolist() == [1, 2]
    assert desk.left_over == []


async def test_arrow_and_duckdb_tables_travel(desk: Desk):
    source = """
import duckdb
def run(): return [duckdb.sql("select 1 as a").arrow().read_all(), duckdb.sql("select date '2025-01-02' as d").df()]
"""
    result = await desk.run(source)
    assert [artifact.columns[0].name for artifact in result.artifacts] == ["a", "d"], result.error


async def test_many_threads_and_a_large_table_fit_into_the_limits(desk: Desk):
    source = """
import duckdb, pandas as pd
def run(rows):
    connection = duckdb.connect(config={"threads": 64})
    return connection.execute("select i, i % 7 as g, random() as x from range(?) t(i)", [rows]).df()
"""
    made = await desk.run(source, rows=3_000_000)
    assert (made.status, made.value.rows) == ("ok", 3_000_000), made.error
    total = await desk.run("def run(frame): return int(frame.groupby('g').x.count().sum())", frame=made.value)
    assert total.value == 3_000_000


async def test_the_project_is_known_to_a_tool(desk: Desk):
    result = await desk.run("from workbench import toolkit\ndef run(): return toolkit.project()")
    assert result.value == str(desk.folder / "project")


async def test_what_a_tool_prints_is_kept_in_order(desk: Desk):
    source = "import sys\ndef run():\n    print('a')\n    print('b', file=sys.stderr)\n    print('ü\\ud800', end='')"
    assert (await desk.run(source)).text == "a\nb\nü\\ud800"


async def test_a_traceback_begins_in_the_tool_and_quotes_it(desk: Desk):
    result = await desk.run("def run():\n    print('first')\n    return {}['x']")
    assert result.error == "KeyError: 'x' (line 3 of tool.py)"
    assert result.text.splitlines()[:3] == [
        "first",
        "Traceback (most recent call last):",
        '  File "tool.py", line 3, in run',
    ]
    assert "return {}['x']" in result.text
    assert "invocation" not in result.text


@pytest.mark.parametrize(
    "source", ["raise toolkit.Try('x', after=float('nan'))", "raise toolkit.Try('x', after='soon')"]
)
async def test_a_wait_that_is_none_is_not_told(desk: Desk, source: str):
    result = await desk.run(f"from workbench import toolkit\ndef run(): {source}")
    assert (result.status, result.retry_after) == ("transient", None)


@pytest.mark.parametrize("bytes_", [b"", b"garbage", b"ARROW1\0\0" * 10])
async def test_a_table_that_is_none_is_a_failure(desk: Desk, bytes_: bytes):
    source = f"""
import os
from workbench import toolkit
class Fake(toolkit.Table): pass
def run():
    line = toolkit._Host.call.__self__._line
    number, fd = line.ask({{"kind": "output", "as": "frame"}})
    os.write(fd, {bytes_!r})
    line.send({{"kind": "done", "value": {{"$artifact": number}}}})
    os._exit(0)
"""
    result = await desk.run(source)
    assert (result.status, "broken table" in result.error) == ("failed", True), result
    assert desk.left_over == []


async def test_a_pipe_in_place_of_a_file_holds_nobody_up(desk: Desk):
    picture = Artifact(path="r1/s1-1.png", mime="image/png", bytes=1, sha256="")
    (desk.artifacts / "r1").mkdir(parents=True)
    os.mkfifo(desk.artifacts / picture.path)
    result = await desk.run("def run(picture): return 1", picture=picture)
    assert (result.status, "gone" in result.error) == ("failed", True)


async def test_a_handle_of_another_kind_of_file_is_refused(desk: Desk):
    result = await desk.run(
        "def run(file): return 1", file=Artifact(path="r/x.mp4", mime="video/mp4", bytes=1, sha256="")
    )
    assert (result.status, "video/mp4" in result.error) == ("failed", True)


async def test_a_project_around_the_installation_hides_nothing_that_is_installed(tmp_path: Path):
    desk = Desk(tmp_path)
    desk.sandbox = SpawnedSandbox(desk.home, Path("/"))
    result = await desk.run("import pandas, json\ndef run(): return pandas.__name__")
    assert result.value == "pandas", result.error


KEYED = """
import pathlib
from workbench import toolkit
def run(): return toolkit.key()
def check(key): return [key, toolkit.key() == key, str(pathlib.Path.cwd()) != "/"]
"""


async def test_a_tool_knows_the_key_of_its_effect_and_a_check_runs_where_the_tool_would(any_desk: Desk):
    call = replace(any_desk.call(KEYED), key="k1")
    assert (await any_desk.sandbox.run(call, {}, any_desk.artifacts)).value == "k1"
    checking = replace(call, entry="check")
    assert (await any_desk.sandbox.run(checking, {}, any_desk.artifacts)).value == ["k1", True, True]
    assert checking.request_sha256() != call.request_sha256()
