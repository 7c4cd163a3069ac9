"""`kill -9` before each call that a write, a merge, a compaction and an erasure make: every one of them, one by one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memory.support import ROOT, ask
from tests.memory.test_erase import SECRET, holding, write
from tests.survival.real import RAM
from workbench.memory.store import Store
from workbench.memory.tombstones import SUFFIX

COUNTS = "select run, count(*), count(distinct id) from events group by run order by run"
BEFORE = [("new", 3, 3), ("other", 3, 3), ("secret", 3, 3)]
SAMPLE = 2
"""Of each work so many points are tried in the ordinary suite."""
STRIDE = int(os.environ.get("SURVIVAL_STRIDE", "6"))
"""With the kills every so many; all of them in `make soak`."""

Live = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    command = [sys.executable, "-X", "faulthandler", str(Path(__file__).with_name("points.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def order(**what: Any) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        said: dict[str, Any] = json.loads(process.stdout.readline())
        assert "error" not in said, said
        return said

    yield order
    process.communicate()


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """Where homes lie, in RAM where there is a place for that: a kill loses nothing that was written."""
    with tempfile.TemporaryDirectory(prefix="workbench-points-", dir=RAM if RAM.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def home(room: Path) -> Path:
    """Two runs in a snapshot, one of them also in a journal, as is a third."""
    made = room / "home"
    made.mkdir()
    for run, text in (("other", "the office is in Lisbon"), ("secret", SECRET)):
        write(made, run, text).close()
    store = Store(made)
    store.compact()
    store.close()
    for run, text in (("secret", SECRET), ("new", "the fiscal year starts in April")):
        write(made, run, text).close()
    return made


def written(home: Path) -> None:
    found = ask(home, COUNTS)
    assert [row for row in found if row[0] != "late"] == BEFORE
    assert all(count == distinct for _, count, distinct in found)


def merged(home: Path) -> None:
    assert ask(home, COUNTS) == BEFORE
    lose(home)  # nor was anything let go of that the file alone has
    assert ask(home, COUNTS) == BEFORE


def erased(home: Path) -> None:
    store = Store(home)
    begun = bool(list((home / "journal").glob(f"*{SUFFIX}")))
    if begun:  # then nothing of it is seen any more, also not in a file that is made again
        lose(home)
        assert store.read(lambda c: c.execute(COUNTS).fetchall()) == [row for row in BEFORE if row[0] != "secret"]
        assert store.finish_erasures() == []
    else:  # it is over, or has never been
        assert store.erase(["secret"]) == []
    store.close()
    assert holding(home) == set()
    assert ask(home, COUNTS) == [row for row in BEFORE if row[0] != "secret"]


def lose(home: Path) -> None:
    for path in home.glob("memory.duckdb*"):
        path.unlink()


WORKS = {"write": written, "merge": merged, "compact": merged, "erase": erased}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.kills)])
@pytest.mark.parametrize("work", WORKS)
def test_killed_before_any_of_its_calls_a_work_on_the_memory_loses_nothing_and_can_be_ended(
    room: Path, live: Live, home: Path, work: str, many: bool
) -> None:
    def copied(name: str) -> Path:
        return Path(shutil.copytree(home, room / f"{work}-{name}"))

    whole = copied("whole")
    there = live(home=str(whole), work=work, after=None)["points"]
    shutil.rmtree(whole)
    assert there >= SAMPLE
    points = range(0, there, STRIDE) if many else [round((n + 0.5) * there / SAMPLE) for n in range(SAMPLE)]
    for point in points:
        copy = copied(str(point))
        assert live(home=str(copy), work=work, after=point) == {"killed": 9}, point
        WORKS[work](copy)
        shutil.rmtree(copy)
    print(f"{work}: killed at {len(points)} of {there} points")  # noqa: T201 - a figure
