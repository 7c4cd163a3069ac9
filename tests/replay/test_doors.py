"""Replay, cassettes and exported runs as a user types them: in a cell and in a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.notebook.conftest import run_cells as run_cells
from tests.replay.recording import places
from tests.replay.support import bench
from workbench.core.errors import Refused
from workbench.notebook import line as lines
from workbench.notebook import replays

ROOT = Path(__file__).resolve().parents[2]
ASK = ("ask", "total revenue by region of @sales", "--data", "sales=data/samples/sales.csv")


@pytest.mark.parametrize(
    ("typed", "mode", "text"),
    [
        ("--replay who earned most?", "strict", "who earned most?"),
        ("--replay=auto --plan who?", "auto", "who?"),
        ("--replay=off who?", "off", "who?"),
        ("who replays?", None, "who replays?"),
    ],
)
def test_how_a_request_is_replayed_is_said_before_it(typed, mode, text):
    asked = lines.read(typed)
    assert (asked.replay, asked.text) == (mode, text)


def test_a_mode_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(lines.BadLine, match="strict, auto or off"):
        lines.read("--replay=sometimes who?")


def terminal(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `workbench` as this user with folders of their own."""
    known: Mapping[str, str] = {**os.environ, **places(home), **env}
    return subprocess.run(
        [sys.executable, "-m", "workbench.cli", *arguments], cwd=ROOT, env=known, capture_output=True, text=True
    )


def test_in_a_terminal_a_run_is_recorded_replayed_carried_and_shown(tmp_path):
    tape, file, ann, ben = tmp_path / "x.cassette", tmp_path / "run.wbz", tmp_path / "ann", tmp_path / "ben"
    first = terminal(ann, *ASK, "--cassette", str(tape), WORKBENCH_USER="ann")
    assert first.returncode == 0, first.stderr
    again = terminal(ben, *ASK, "--cassette", str(tape), "--replay", WORKBENCH_USER="ben")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    listed = terminal(ben, "cassette", str(tape))
    assert "total revenue by region of @sales" in listed.stdout

    changed = terminal(ben, *ASK[:1], "revenue by region of @sales", *ASK[2:], WORKBENCH_REPLAY="strict")
    assert changed.returncode == 1
    assert "ReplayMiss: Not recorded: this request." in changed.stderr

    run = terminal(ann, "sql", "select run from runs", "--json", WORKBENCH_USER="ann").stdout.split('"')[3]
    assert terminal(ann, "export", run, str(file), WORKBENCH_USER="ann").returncode == 0
    carried = terminal(ben, "import", str(file), WORKBENCH_USER="ben")
    assert carried.returncode == 0, carried.stderr
    assert "ann, project" in carried.stdout
    assert "done, from ann" in terminal(ben, "runs", WORKBENCH_USER="ben").stdout
    assert "Imported from ann" in terminal(ben, "show", run[:20], WORKBENCH_USER="ben").stdout


async def test_which_cassette_is_on_is_said_and_a_missing_one_is_told_with_what_to_do(tmp_path, monkeypatch):
    wb = bench(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert "none" in repr(replays.cassette(wb))
    assert "recorded on it and replayed from it" in repr(replays.cassette(wb, "x.cassette"))
    assert "x.cassette: replay is auto" in repr(replays.cassette(wb, "status"))
    with pytest.raises(Refused, match=r"There is no x\.cassette") as caught:
        replays.cassette(wb, "x.cassette strict")
    assert "WORKBENCH_CASSETTE" in caught.value.hint
    with pytest.raises(Refused, match="which notebook"):
        replays.cassette(wb, "on")
    with pytest.raises(Refused, match="Which cassette"):
        replays.cassette(wb, "one two three")
    replays.cassette(wb, "off")
    assert wb.replays.cassette is None
    await wb.close()


async def test_the_environment_decides_before_the_cell(tmp_path):
    wb = bench(tmp_path / "a", replay="off", cassette=tmp_path / "mine.cassette")
    replays.cassette(wb, "x.cassette strict")
    assert wb.replays.mode() == "off"
    assert wb.replays.cassette is not None
    assert wb.replays.cassette.name == "mine.cassette"
    assert wb.replays.mode("auto") == "auto"
    await wb.close()


def test_in_jupyter_the_cassette_has_the_notebooks_name(run_cells, tmp_path):
    """`__session__` is what JupyterLab tells a kernel of its notebook."""
    cells = (
        "%load_ext workbench",
        f"__session__ = {str(tmp_path / '02_growth.ipynb')!r}",
        "%workbench cassette on",
        "import pandas as pd; sales = pd.DataFrame({'region': ['N', 'S'], 'revenue': [1.0, 2.0]})",
        "%agent total revenue of @sales",
    )
    outputs = run_cells(*cells)
    assert "02_growth.cassette" in outputs[2][0].data["text/plain"]
    assert "total revenue of @sales" in (tmp_path / "02_growth.cassette").read_text()
