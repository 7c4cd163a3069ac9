"""Budgets: what one user may use in a day or a month, in whatever kernels, before and after a restart."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.configuration import load_settings
from workbench.core.errors import BudgetExceeded, Unavailable
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.settings import Settings
from workbench.core.usage import Use
from workbench.memory import tables, usage
from workbench.memory.base import Memory
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.volatile import InMemoryMemory
from workbench.models.base import Reply, Usage
from workbench.models.testing import TestModel
from workbench.notebook import verbs
from workbench.policy.budgets import A_CALL, A_MODEL_CALL, Budgets, begins, ends, limits_of
from workbench.workbench import Workbench

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


Counted: TypeAlias = "Memory | Tables"


class Told:
    """Tells budget events into a memory, as the stream of a run does."""

    def __init__(self, memory: Counted, run: str = "20261127-120000-a", user: str = "ann", at: datetime = NOON) -> None:
        self.memory, self.run, self.at, self.seq = memory, run, at, 0
        self(Kind.RUN_STARTED, {"user": user})

    def __call__(self, kind: Kind, body: Mapping[str, Any], *, step: str | None = None) -> Event:
        event = Event(run=self.run, seq=self.seq, at=self.at.isoformat(), kind=kind, step=step, body=body)
        self.seq += 1
        self.memory.append(event)
        return event


def budgets(memory: Counted, now: Callable[[], datetime] = lambda: NOON, user: str = "ann", **limits: Any) -> Budgets:
    found = {name: Decimal(str(limit)) for name, limit in limits.items()}
    keyed: Any = {tuple(name.split("_per_")): limit for name, limit in found.items()}
    return Budgets(keyed, user, memory.spent, now=now)


class Tables:
    """The tables of a memory, made once: a memory of its own for each example would take longer than all else in it.
    Counts in threads, so that calls come between each other."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._guard = threading.Lock()
        tables.prepare(self._connection)

    def append(self, event: AnyEvent) -> None:
        with self._guard:
            tables.insert(self._connection, [event])

    async def spent(self, user: str, since: datetime, reservation: str | None = None) -> Use:
        def count() -> Use:
            with self._guard:
                return usage.spent(self._connection, user, since, reservation)

        return await asyncio.to_thread(count)


async def test_beyond_the_budget_the_line_names_what_limit_used_and_when_it_begins_anew():
    memory = InMemoryMemory()
    tell, budget = Told(memory), budgets(memory, calls_per_day=2)
    for _ in range(2):
        (await budget.reserve(A_CALL, tell)).settle(A_CALL)
    with pytest.raises(BudgetExceeded) as caught:
        await budget.reserve(A_CALL, tell)
    assert caught.value.data == {
        "what": "calls",
        "period": "day",
        "limit": 2,
        "used": 2,
        "resets": "2026-11-28T00:00:00+00:00",
    }
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    for word in ("calls", "2 of 2", "2026-11-28 00:00 UTC", "12 hours", "WORKBENCH_CALLS_PER_DAY"):
        assert word in line


async def test_what_is_set_aside_counts_before_it_is_used_and_gives_way_to_what_was():
    memory = InMemoryMemory()
    tell, budget = Told(memory), budgets(memory, tokens_per_day=1000)
    first = await budget.reserve(A_MODEL_CALL + Use(tokens=900), tell)
    with pytest.raises(BudgetExceeded):
        await budget.reserve(A_MODEL_CALL + Use(tokens=200), tell)
    first.settle(Use(calls=1, tokens=100))
    await budget.reserve(A_MODEL_CALL + Use(tokens=200), tell)
    [left] = await budget.left()
    assert str(left) == "300 of 1,000 tokens this day"


async def test_a_refused_call_takes_nothing():
    memory = InMemoryMemory()
    tell, budget = Told(memory), budgets(memory, calls_per_day=1, tokens_per_day=10)
    with pytest.raises(BudgetExceeded, match="tokens"):
        await budget.reserve(A_MODEL_CALL + Use(tokens=11), tell)
    assert [int(left.used) for left in await budget.left()] == [0, 0]


async def test_days_and_months_begin_anew_and_users_are_counted_apart():
    memory = InMemoryMemory()
    clock = [NOON]
    budget = budgets(memory, lambda: clock[0], calls_per_day=1, calls_per_month=2)
    (await budget.reserve(A_CALL, Told(memory, "20261127-1"))).settle(A_CALL)
    await budgets(memory, user="bob", calls_per_day=1).reserve(A_CALL, Told(memory, "20261127-2", user="bob"))
    clock[0] = NOON + timedelta(days=1)
    (await budget.reserve(A_CALL, Told(memory, "20261128-1", at=clock[0]))).settle(A_CALL)
    clock[0] = NOON + timedelta(days=2)
    with pytest.raises(BudgetExceeded, match="this month"):
        await budget.reserve(A_CALL, Told(memory, "20261129-1", at=clock[0]))
    clock[0] = datetime(2026, 12, 1, tzinfo=UTC)
    await budget.reserve(A_CALL, Told(memory, "20261201-1", at=clock[0]))


async def test_runs_from_before_there_was_a_budget_count_too():
    memory = InMemoryMemory()
    tell = Told(memory)
    tell(Kind.MODEL_CALLED, {"tokens_in": 70, "tokens_out": 30, "usd": "0.25", "seconds": 2.0})
    tell(Kind.TOOL_CALLED, {"tool": "plot", "seconds": 1.5}, step="s1")
    tell(Kind.ARTIFACT_MADE, {"mime": "image/png", "path": "x"}, step="s1")
    tell(Kind.ARTIFACT_MADE, {"mime": "application/vnd.apache.arrow.file", "path": "y"}, step="s1")
    used = await memory.spent("ann", begins("day", NOON))
    assert used == Use(calls=2, tokens=100, images=1, seconds=3.5, usd=Decimal("0.25"))
    assert await memory.spent("ann", NOON + timedelta(hours=1)) == Use()
    assert await memory.spent("bob", begins("day", NOON)) == Use()


async def test_money_and_seconds_are_let_go_while_any_are_left():
    memory = InMemoryMemory()
    tell, budget = Told(memory), budgets(memory, usd_per_day="0.5", seconds_per_day=10)
    held = await budget.reserve(A_MODEL_CALL, tell)
    held.settle(Use(calls=1, usd=Decimal("0.6"), seconds=3))
    await budget.reserve(A_CALL, tell)  # a tool costs no money
    with pytest.raises(BudgetExceeded, match="usd"):
        await budget.reserve(A_MODEL_CALL, tell)


TABLES, USERS = cache(Tables), itertools.count()


@hypothesis.settings(max_examples=40)
@given(limit=st.integers(0, 12), wants=st.lists(st.integers(1, 5), min_size=2, max_size=6), keep=st.booleans())
def test_never_more_than_the_limit_whatever_comes_at_once(limit: int, wants: list[int], keep: bool) -> None:
    """Two kernels with a record in common, all their calls at the same time."""

    async def run() -> tuple[int, int]:
        memory, user = TABLES(), f"user {next(USERS)}"
        kernels = [
            (budgets(memory, user=user, tokens_per_day=limit), Told(memory, f"20261127-{user}-{n}", user))
            for n in range(2)
        ]

        async def call(number: int, want: int) -> int:
            budget, tell = kernels[number % 2]
            try:
                held = await budget.reserve(Use(tokens=want), tell)
            except BudgetExceeded:
                return 0
            if not keep:
                held.settle(Use(tokens=want))
            return want

        got = await asyncio.gather(*(call(number, want) for number, want in enumerate(wants)))
        return sum(got), int((await memory.spent(user, begins("day", NOON))).tokens)

    got, recorded = asyncio.run(run())
    assert got <= limit
    assert got == recorded
    assert got > 0 or not wants or min(wants) > limit or sum(wants) > limit


async def test_far_from_the_limit_the_record_is_not_asked_each_time():
    memory, asked = InMemoryMemory(), []

    async def spent(user: str, since: datetime, reservation: str | None) -> Use:
        asked.append(reservation)
        return await memory.spent(user, since, reservation)

    clock = [0.0]
    budget = Budgets({("calls", "day"): Decimal(1000)}, "ann", spent, now=lambda: NOON, clock=lambda: clock[0])
    tell = Told(memory)
    for _ in range(50):
        (await budget.reserve(A_CALL, tell)).settle(A_CALL)
    assert len(asked) == 1
    clock[0] = 11.0
    await budget.reserve(A_CALL, tell)
    assert len(asked) == 2
    [left] = await budget.left()
    assert left.used == 51


async def test_a_record_that_cannot_be_read_lets_nothing_through():
    async def spent(user: str, since: datetime, reservation: str | None) -> Use:
        raise Unavailable("The memory is busy.")

    budget = Budgets({("calls", "day"): Decimal(10)}, "ann", spent)
    with pytest.raises(Unavailable):
        await budget.reserve(A_CALL, Told(InMemoryMemory()))


def test_periods_are_calendar_days_and_months_in_utc():
    late = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert ends("day", late) == ends("month", late) == datetime(2027, 1, 1, tzinfo=UTC)
    assert begins("month", late) == datetime(2026, 12, 1, tzinfo=UTC)


def settings(tmp_path: Path, **more: Any) -> Settings:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    (project / "notes.md").write_text("words")
    return Settings(home=tmp_path / "home", project=project, config=tmp_path / "config", user="ann", **more)


SEARCH = {"task": "search_documents", "params": {"query": "words", "folder": "."}}


class Counting(TestModel):
    """A model whose server counts 4,500 tokens a call."""

    async def complete(self, messages: Any, **options: Any) -> Reply:
        reply = await super().complete(messages, **options)
        return Reply(text=reply.text, model=reply.model, usd="0.01", usage=Usage(tokens_in=3500, tokens_out=1000))


async def test_a_run_stops_at_the_budget_and_keeps_what_is_done(tmp_path):
    found = settings(tmp_path, calls_per_day=3)
    bench = Workbench(found, model=TestModel([{"steps": [SEARCH] * 4}]), memory=InMemoryMemory())
    with pytest.raises(BudgetExceeded, match="budget of calls") as caught:
        await bench.ask("where?")
    assert [step.state for step in caught.value.run.steps.values()].count("done") == 2  # the model's call is the third
    with pytest.raises(BudgetExceeded, match="3 of 3"):
        await bench.ask("and now?")
    await bench.close()


async def test_tokens_are_counted_and_the_answer_falls_back_to_the_results(tmp_path):
    found = settings(tmp_path, tokens_per_day=5500)
    bench = Workbench(found, model=Counting([{"steps": [SEARCH]}, "x"]), memory=InMemoryMemory())
    run = await bench.ask("where?")
    assert "budget of tokens" in run.answer
    assert run.status == "done"
    assert int((await bench.budgets.left())[0].used) == 4500
    await bench.close()


async def test_pictures_beyond_the_budget_are_removed(tmp_path):
    import pandas as pd

    found = settings(tmp_path, images_per_day=1)
    plot = {"task": "plot", "params": {"data": {"$ref": "@sales"}, "kind": "bar", "x": "a", "y": ["b"]}}
    bench = Workbench(found, model=TestModel([{"steps": [plot]}, "x"] * 2), memory=InMemoryMemory())
    sales = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    run = await bench.ask("plot @sales", sales=sales)
    assert len(run.images) == 1
    with pytest.raises(BudgetExceeded, match="budget of images"):
        await bench.ask("plot @sales", sales=sales)
    assert len(list((tmp_path / "home" / "artifacts").rglob("*.png"))) == 1
    await bench.close()


def test_what_is_in_force_shows_what_is_left(tmp_path):
    bench = Workbench(settings(tmp_path, calls_per_day=3, usd_per_month=5), memory=InMemoryMemory())
    assert "0 of 3 calls this day; 0 of 5 usd this month" in repr(verbs.status(bench))
    assert "budget" not in repr(verbs.status(Workbench(settings(tmp_path), memory=InMemoryMemory())))


def test_a_project_may_lower_a_budget_and_never_raise_one(tmp_path):
    env = {"WORKBENCH_CONFIG": str(tmp_path / "c"), "WORKBENCH_CALLS_PER_DAY": "10", "HOME": str(tmp_path)}
    toml = tmp_path / "workbench.toml"
    toml.write_text("calls_per_day = 5\ntokens_per_month = 100\n")
    found = load_settings(env, tmp_path)
    assert limits_of(found) == {("calls", "day"): 5, ("tokens", "month"): 100}
    toml.write_text("calls_per_day = 50\n")
    assert limits_of(load_settings(env, tmp_path)) == {("calls", "day"): 10}


KERNEL = """
import asyncio, sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from workbench.core.errors import BudgetExceeded
from workbench.core.events import Kind, Stream
from workbench.memory.duckdb import DuckDBMemory
from workbench.policy.budgets import A_CALL, Budgets

async def main(home, name, tries):
    memory = DuckDBMemory(Path(home))
    budget = Budgets({("calls", "day"): Decimal(25)}, "ann", memory.spent)
    stream = Stream(f"20261127-{name}", memory.append, now=lambda: datetime.now(UTC).isoformat())
    stream.tell(Kind.RUN_STARTED, {"user": "ann"})
    got = 0
    for _ in range(int(tries)):
        try:
            held = await budget.reserve(A_CALL, stream.tell)
        except BudgetExceeded:
            continue
        got += 1
        held.settle(A_CALL)
    await memory.close()
    print(got)

asyncio.run(main(*sys.argv[1:]))
"""


def test_two_kernels_and_one_that_comes_later_share_one_budget(tmp_path):
    def kernel(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KERNEL, str(tmp_path), name, "20"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    pair = [kernel("a"), kernel("b")]
    got = [int(one.communicate()[0]) for one in pair]
    assert sum(got) == 25
    later = kernel("c")
    assert int(later.communicate()[0]) == 0


def test_a_call_whose_process_died_keeps_what_it_had_set_aside(tmp_path):
    code = KERNEL.replace("        held.settle(A_CALL)\n", "        import os; os.kill(os.getpid(), 9)\n")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), "a", "1"], check=False)
    assert done.returncode == -9
    memory = DuckDBMemory(tmp_path)
    assert asyncio.run(memory.spent("ann", begins("day", datetime.now(UTC)))).calls == 1
    memory.close_now()


def test_the_events_of_a_budget_are_json(tmp_path):
    assert json.loads(json.dumps((A_MODEL_CALL + Use(tokens=3)).dump())) == {
        "calls": 1,
        "tokens": 3,
        "seconds": 0.001,
        "usd": "0.000001",
    }


async def test_room_is_looked_for_without_setting_anything_aside():
    used = Use(images=2)

    async def spent(user: str, since: datetime, reservation: str | None) -> Use:
        return used

    budgets = Budgets({("images", "day"): Decimal(3)}, "u", spent)
    await budgets.room_for(Use(images=1))
    with pytest.raises(BudgetExceeded, match="images for this day is used up: 2 of 3, and this takes 2 more"):
        await budgets.room_for(Use(images=2))
    await budgets.room_for(Use(images=1))
    await Budgets({}, "u", spent).room_for(Use(images=99))
