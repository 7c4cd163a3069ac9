"""Three users on one home: whatever they do, in whatever order, nobody reads a row of another."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.policy.canaries import tables_of
from workbench.configuration import load_settings
from workbench.core.errors import Refused
from workbench.core.events import Kind
from workbench.memory import interchange
from workbench.memory.duckdb import DuckDBMemory
from workbench.workbench import Workbench

USERS = ("ann", "bob", "eve")
WORDS = ("revenue", "refunds", "fiscal", "region", "closing", "tickets", "Lisbon", "margin")


class Crowd:
    """Workbenches of three users on one home, and what each has done there."""

    def __init__(self, home: Path, benches: dict[str, Workbench], seed: int) -> None:
        self.home, self.benches, self.random = home, benches, random.Random(seed)
        self.runs: dict[str, list[str]] = {user: [] for user in USERS}
        self.reads = 0

    def foreign(self, user: str, *said: object) -> None:
        """Nothing of the others is in what a user was told: every text, id and request here names its owner."""
        self.reads += 1
        text = " ".join(map(str, said))
        others = [other for other in USERS if other != user]
        assert not [other for other in others if f"of-{other}" in text], (user, text[:500])

    async def remember(self, user: str) -> None:
        words = " ".join(self.random.sample(WORDS, 3))
        kept = await self.benches[user].memories.remember(f"{words} number {self.random.random()} of-{user}")
        self.foreign(user, kept)

    async def recall(self, user: str) -> None:
        self.foreign(user, await self.benches[user].memories.recall(" ".join(self.random.sample(WORDS, 2)), 20))

    async def list_all(self, user: str) -> None:
        self.foreign(user, await self.benches[user].memories.all())

    async def forget(self, user: str) -> None:
        """A memory of one's own; or one of another's, by its whole id, which is then not there."""
        whose = self.random.choice(USERS)
        if found := await self.benches[whose].memories.all():
            name = self.random.choice(found).id
            if whose == user:
                self.foreign(user, await self.benches[user].memories.forget(name))
            else:
                with pytest.raises(Refused, match="There is no memory"):
                    await self.benches[user].memories.forget(name)

    async def run(self, user: str) -> None:
        """A run, as the journal takes it."""
        stream = self.benches[user].stream()
        run = f"{stream.run}-of-{user}"
        stream.run = run
        stream.tell(Kind.RUN_STARTED, {"request": f"request of-{user}", "user": user, "workspace": "x", "session": "s"})
        stream.tell(Kind.STEP_PROGRESS, {"text": f"text of-{user}"}, step="s1")
        body = {"id": f"m-{run}", "text": f"{self.random.choice(WORDS)} of-{user} by a tool", "by": "tool"}
        stream.tell(
            Kind.MEMORY_WRITTEN, {**body, "scope": {"user": user, "workspace": self.benches[user].scope.workspace}}
        )
        stream.tell(Kind.RUN_DONE, {"status": "done", "answer": {"text": f"answer of-{user}"}, "seconds": 0.1})
        self.runs[user].append(run)

    async def list_runs(self, user: str) -> None:
        self.foreign(user, await self.benches[user].record.runs(50))

    async def show(self, user: str) -> None:
        """A run of anyone's: by its id, or by the beginning that all share."""
        whose = self.random.choice(USERS)
        if not self.runs[whose]:
            return
        name = self.random.choice(self.runs[whose])
        if self.random.random() < 0.2:
            with suppress(Refused):
                self.foreign(user, (await self.benches[user].record.show(name[:4])).outcome)
        elif whose == user:
            self.foreign(user, (await self.benches[user].record.show(name)).outcome)
        else:
            with pytest.raises(Refused, match="There is no run"):
                await self.benches[user].record.show(name)

    async def copy(self, user: str) -> None:
        """All that `sql` would read."""
        import duckdb

        path = self.home / f"copy-{user}.duckdb"
        await self.benches[user].memory.snapshot(path, user=user)
        with duckdb.connect(str(path), read_only=True) as copy:
            for name, rows in tables_of(copy):
                if name not in ("meta", "journal_offsets", "erased"):
                    self.foreign(user, rows)
        path.unlink()

    async def page(self, user: str) -> None:
        self.foreign(user, (await self.benches[user].memory.page(user=user, limit=10_000)).events)

    async def spend(self, user: str) -> None:
        self.foreign(user, await self.benches[user].budgets.left())

    async def compact(self, user: str) -> None:
        memory = self.benches[user].memory
        assert isinstance(memory, DuckDBMemory)
        await memory.compact()


@pytest.mark.parametrize("operations", [100, pytest.param(1_000, marks=[pytest.mark.kills, pytest.mark.timeout(400)])])
async def test_in_many_random_operations_of_three_users_nobody_reads_a_row_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operations: int
):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    benches = {}
    for user in USERS:
        monkeypatch.setenv("WORKBENCH_USER", user)
        benches[user] = Workbench(load_settings(folder=tmp_path))
    crowd = Crowd(tmp_path, benches, seed=4711)
    weights = {
        crowd.remember: 26, crowd.recall: 22, crowd.list_all: 8, crowd.forget: 8, crowd.run: 12, crowd.list_runs: 6,
        crowd.show: 10, crowd.copy: 2, crowd.page: 3, crowd.spend: 2, crowd.compact: 1,
    }  # fmt: skip
    for _ in range(operations):
        (act,) = crowd.random.choices([*weights], [*weights.values()])
        await act(crowd.random.choice(USERS))
    assert crowd.reads > operations * 0.4
    for user, bench in benches.items():
        frame = await bench.record.sql("select run, body::varchar as body from events")
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) > operations / 20
        crowd.foreign(user, frame.to_dict("records"))
        await interchange.export(bench.memory, user, tmp_path / f"out-{user}", "1.0")
        crowd.foreign(user, (tmp_path / f"out-{user}" / "events.jsonl").read_text())
        await bench.close()


async def test_the_search_of_this_test_sees_a_foreign_row(tmp_path: Path):
    crowd = Crowd(tmp_path, {}, seed=1)
    with pytest.raises(AssertionError):
        crowd.foreign("ann", [{"request": "request of-bob"}])
