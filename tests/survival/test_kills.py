"""`kill -9` at any point of a run, and again while it is taken up, until it is done: nothing is lost or repeated."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memory.support import ROOT, on_disk
from workbench.core.events import AnyEvent, Kind
from workbench.memory.store import Store
from workbench.memory.tables import events_of

READ = '''"""Reads."""
PERMISSIONS = {}
def run(value: int, more: list = []) -> int:
    return value + sum(more)
'''
WRITE = '''"""Writes a line."""
PERMISSIONS = {"write": ["notes"]}
EFFECT = "write"
def run(value: int, more: list = []) -> str:
    import os
    from workbench import toolkit
    file = os.open(toolkit.project() / "notes" / "notes.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{toolkit.key()} {value + sum(more)}\\n".encode())
    os.close(file)
    return f"wrote {value + sum(more)}"
'''
CHECK = """
def check(key: str):
    from workbench import toolkit
    path = toolkit.project() / "notes" / "notes.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    return next(("wrote " + line.split(" ")[1] for line in lines if line.startswith(key)), None)
"""
EDITED = "# edited {number}\n"
TOOLS = {"read": READ, "write": WRITE, "safe_write": WRITE + CHECK}


def ref(*steps: str) -> list[dict[str, str]]:
    return [{"$ref": step} for step in steps]


def step(name: str, task: str, value: int, *more: str, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": name, "task": task, "params": {"value": value, "more": ref(*more)}, "needs": list(needs)}


SHORT = [step("a", "read", 1), step("b", "write", 2, "a"), step("c", "safe_write", 3, "a"), step("d", "read", 4, "a")]
TWELVE = [
    step("a", "read", 1),
    step("b", "read", 2),
    step("c", "read", 3, "a", "b"),
    step("w1", "write", 4, "c"),
    step("d", "read", 5, "c"),
    step("w2", "safe_write", 6, "d"),
    step("e", "read", 7, "d", needs=("w1",)),
    step("f", "read", 8, "b"),
    step("w3", "write", 9, "f", needs=("w2",)),
    step("g", "read", 10, "e", "f"),
    step("w4", "safe_write", 11, "g", needs=("w3",)),
    step("h", "read", 12, "g", needs=("w4",)),
]


def ideal(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """What the steps give when nothing happens to them."""
    values: dict[str, Any] = {}
    for one in steps:
        total = one["params"]["value"] + sum(values[there["$ref"]] for there in one["params"]["more"])
        values[one["id"]] = f"wrote {total}" if "write" in one["task"] else total
    return values


class Lives:
    """The warm process, and what became of the lives that it was told to live."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-X", "faulthandler", str(Path(__file__).with_name("lives.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        self.kills = 0

    def __call__(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "killed" in said:
            assert said["killed"] == signal.SIGKILL
            self.kills += 1
        assert "error" not in said, said["error"]
        return said

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    made = Lives()
    yield made
    made.end()


class Place:
    """A project of its own, in which one run is begun, killed and taken up until it is done."""

    def __init__(self, folder: Path, steps: list[dict[str, Any]], *, workers: bool) -> None:
        self.folder, self._steps, self._workers = folder, steps, workers
        (folder / "project" / "notes").mkdir(parents=True)
        (folder / "config" / "tools").mkdir(parents=True)
        for name, source in TOOLS.items():
            (folder / "config" / "tools" / f"{name}.py").write_text(source)

    def edit(self, name: str, number: int) -> None:
        with (self.folder / "config" / "tools" / f"{name}.py").open("a") as file:
            file.write(EDITED.format(number=number))

    def live(self, lives: Lives, **death: Any) -> dict[str, Any]:
        plan = {"mode": "graph", "steps": self._steps}
        return lives(folder=str(self.folder), plan=plan, workers=self._workers, **death)

    def events(self) -> list[AnyEvent]:
        home = self.folder / "home"
        store = Store(home, wait=20.0)
        try:
            (run,) = store.read(lambda c: c.execute("select distinct run from events").fetchall())
            return store.read(lambda connection: events_of(connection, run[0]))
        finally:
            store.close()

    def is_as_it_should_be(self, said: dict[str, Any]) -> None:
        """All that is promised of a run that is done, whatever happened on the way."""
        assert said["status"] == "done"
        wanted = ideal(self._steps)
        for name, value in said["values"].items():
            assert value == wanted[name] or (value is None and said["said_by"][name] == "option"), name
        notes = (self.folder / "project" / "notes" / "notes.txt").read_text().splitlines()
        assert Counter(line.split(" ")[0] for line in notes).most_common(1)[0][1] == 1, "a write was repeated"
        writes = [name for name in wanted if str(wanted[name]).startswith("wrote")]
        assert sorted(int(line.split(" ")[1]) for line in notes) == sorted(int(wanted[w].split()[1]) for w in writes)
        events = self.events()
        done: set[str] = set()
        for event in events:
            assert not (event.kind in (Kind.STEP_INTENT, Kind.STEP_STARTED) and event.step in done), "done, and again"
            if event.kind == Kind.STEP_DONE:
                done.add(str(event.step))
        acknowledged = (self.folder / "acknowledged").read_text().split()
        there = {event.id for event in events}
        assert set(acknowledged) <= there
        assert {*there} == {*on_disk(self.folder / "home")}
        newest = [event.id for event in events]
        for name in acknowledged:  # and with an event all that came before it
            assert newest[: newest.index(name)] == newest[: newest.index(name)]
        assert list((self.folder / "home" / "leases").iterdir()) == []


def until_done(place: Place, lives: Lives, luck: random.Random, *, most: int, edits: bool, kills: int) -> int:
    """Kill a run so many times, at random points, and let it end then; gives the kills that came before its end."""
    before = lives.kills
    for number in range(kills):
        timed = luck.random() < 0.3
        death = {"seconds": luck.uniform(0.0, 0.05)} if timed else {"after": luck.randrange(most)}
        said = place.live(lives, **death)
        if "killed" not in said:
            break
        if edits and luck.random() < 0.5:
            place.edit(luck.choice(sorted(TOOLS)), number)
    else:
        said = place.live(lives)
    if "refused" in said:  # killed before it had a plan: there is nothing to take up, and it is asked again
        assert "had no plan yet" in said["refused"] or "There is no run" in said["refused"]
        return lives.kills - before
    place.is_as_it_should_be(said)
    return lives.kills - before


def many(count: int) -> int:
    return int(os.environ.get("SURVIVAL_KILLS") or count)


@pytest.mark.kills
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("edits", [False, True], ids=["as they are", "edited"])
def test_after_200_kills_of_short_runs_nothing_is_lost_and_nothing_repeated(
    tmp_path: Path, lives: Lives, edits: bool
) -> None:
    luck, killed, number = random.Random(5 + edits), 0, 0
    while killed < many(200):
        number += 1
        place = Place(tmp_path / str(number), SHORT, workers=False)
        killed += until_done(place, lives, luck, most=45, edits=edits, kills=luck.randrange(1, 5))


@pytest.mark.kills
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("edits", [False, True], ids=["as they are", "edited"])
def test_a_plan_of_twelve_steps_survives_20_kills_with_real_workers(tmp_path: Path, lives: Lives, edits: bool) -> None:
    luck, killed, number = random.Random(7 + edits), 0, 0
    while killed < many(20):
        number += 1
        place = Place(tmp_path / str(number), TWELVE, workers=True)
        killed += until_done(place, lives, luck, most=70, edits=edits, kills=luck.randrange(2, 8))
