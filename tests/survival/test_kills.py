"""`kill -9` at any point of a run, and again while it is taken up, until it is done: nothing is lost or repeated."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.memory.servers import database
from tests.memory.support import ROOT, journals, read_all
from tests.postgres import Server
from workbench.core.events import AnyEvent, Kind
from workbench.memory.postgres.memory import PostgresMemory

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

    def __init__(self, folder: Path, steps: list[dict[str, Any]], *, workers: bool, dsn: str = "") -> None:
        self.folder, self._steps, self._workers, self._dsn = folder, steps, workers, dsn
        (folder / "project" / "notes").mkdir(parents=True)
        (folder / "config" / "tools").mkdir(parents=True)
        for name, source in TOOLS.items():
            (folder / "config" / "tools" / f"{name}.py").write_text(source)

    def edit(self, name: str, number: int) -> None:
        with (self.folder / "config" / "tools" / f"{name}.py").open("a") as file:
            file.write(EDITED.format(number=number))

    def live(self, lives: Lives, **death: Any) -> dict[str, Any]:
        plan = {"mode": "graph", "steps": self._steps}
        return lives(folder=str(self.folder), plan=plan, workers=self._workers, dsn=self._dsn, **death)

    def events(self) -> list[AnyEvent]:
        """Every event of the one run that there is, in order, as the journals or the server have them."""
        if self._dsn:
            found = {event.id: event for event in asyncio.run(self._of_the_server())}
        else:
            found = {event.id: event for path in journals(self.folder / "home") for event in read_all(path)}
        assert len({event.run for event in found.values()}) == 1
        return sorted(found.values(), key=lambda event: (event.attempt, event.seq))

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
        there = {event.id: number for number, event in enumerate(events)}
        for name in (self.folder / "acknowledged").read_text().split():
            assert name in there, "an event that was acknowledged is gone"
        for attempt in {event.attempt for event in events}:  # a crash takes what came last, and leaves no holes
            numbers = [event.seq for event in events if event.attempt == attempt]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        leases = self.folder / "home" / "leases"
        assert (list(leases.iterdir()) if leases.is_dir() else []) == []
        assert leases.is_dir() == (not self._dsn)

    async def _of_the_server(self) -> Sequence[AnyEvent]:
        memory = PostgresMemory(self._dsn, self.folder / "home")
        try:
            assert list(await memory.leases.left()) == []
            return (await memory.page(limit=10_000)).events
        finally:
            await memory.close()


def until_done(place: Place, lives: Lives, luck: random.Random, *, most: int, edits: bool, kills: int) -> int:
    """Kill a run so many times, at random points, and let it end then; gives the kills that came before its end."""
    before = lives.kills
    for number in range(kills):
        timed = luck.random() < 0.3
        death = {"seconds": luck.uniform(0.0, 0.1)} if timed else {"after": luck.randrange(most)}
        said = place.live(lives, **death)
        if "killed" not in said:
            break
        if edits:
            place.edit(luck.choice(sorted(TOOLS)), number)
    else:
        said = place.live(lives)
    if "refused" in said:  # killed before it had a plan: nothing was done, and there is nothing to take up
        assert "had no plan yet" in said["refused"] or "There is no run" in said["refused"]
        assert not (place.folder / "project" / "notes" / "notes.txt").exists()
    else:
        place.is_as_it_should_be(said)
    return lives.kills - before


def run_kills(
    folder: Path,
    lives: Lives,
    steps: list[dict[str, Any]],
    count: int,
    *,
    most: int,
    workers: bool,
    server: Server | None = None,
) -> None:
    """Kill so many times, in as many runs as that takes; in every second one a tool is edited after each kill."""
    luck, killed, number = random.Random(count), 0, 0
    while killed < count:
        number += 1
        place = Place(folder / str(number), steps, workers=workers, dsn=database(server) if server else "")
        edits = number % 2 == 0
        killed += until_done(place, lives, luck, most=most, edits=edits, kills=luck.randrange(2, 8))
        shutil.rmtree(place.folder)
    print(
        f"{killed} kills of {number} runs: nothing done was done again, no write repeated, no acknowledged event lost"
    )


@pytest.mark.kills
@pytest.mark.timeout(3600)
def test_after_200_kills_of_short_runs_nothing_is_lost_and_nothing_repeated(tmp_path: Path, lives: Lives) -> None:
    count = int(os.environ.get("SURVIVAL_KILLS", "200"))
    run_kills(tmp_path, lives, SHORT, count, most=45, workers=False)


@pytest.mark.kills
@pytest.mark.timeout(3600)
def test_a_plan_of_twelve_steps_survives_20_kills_with_real_workers(tmp_path: Path, lives: Lives) -> None:
    count = int(os.environ.get("SURVIVAL_KILLS", "200")) // 10
    run_kills(tmp_path, lives, TWELVE, count, most=100, workers=True)


@pytest.mark.kills
@pytest.mark.peers
@pytest.mark.timeout(3600)
def test_a_run_on_postgresql_is_offered_to_the_next_process_and_ends_as_if_nobody_had_been_killed(
    tmp_path: Path, lives: Lives, postgres: Server
) -> None:
    count = int(os.environ.get("SURVIVAL_KILLS", "200")) // 10
    run_kills(tmp_path, lives, SHORT, count, most=45, workers=False, server=postgres)
    run_kills(tmp_path, lives, TWELVE, max(1, count // 4), most=100, workers=True, server=postgres)
