"""Every memory that ships is held to the same probes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.memory.servers import database
from workbench.memory.conformance import PROBES, Open, Probe, check
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.embed import Hashing
from workbench.memory.postgres.memory import PostgresMemory
from workbench.memory.volatile import InMemoryMemory, Kept

SERVERS = [
    pytest.param(name, marks=pytest.mark.peers)
    for name in ("postgresql", "postgresql with vectors", "pgvector", "pgvector with vectors")
]


@pytest.fixture(params=["duckdb", "volatile", "duckdb with vectors", "volatile with vectors", *SERVERS])
def fresh(request, tmp_path: Path) -> Callable[[], Open]:
    stores = iter(range(1000))
    embedder = Hashing() if request.param.endswith(" with vectors") else None

    def make() -> Open:
        if "volatile" in request.param:
            kept = Kept(embedder)
            return lambda: InMemoryMemory(kept)
        home = tmp_path / f"home {next(stores)}'s"
        if "duckdb" in request.param:
            return lambda: DuckDBMemory(home, embedder=embedder)
        server = request.getfixturevalue("postgres" if "postgresql" in request.param else "postgres_with_vectors")
        dsn = database(server)
        return lambda: PostgresMemory(dsn, home, embedder=embedder)

    return make


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
async def test_a_memory_that_ships_keeps_the_contract(probe: Probe, fresh: Callable[[], Open]) -> None:
    await probe(fresh())


async def test_the_suite_names_what_a_forgetful_memory_breaks() -> None:
    class Forgetful(InMemoryMemory):
        async def events(self, run, *, user=None):
            return (await super().events(run, user=user))[:3]

    problems = await check(lambda: Forgetful)
    assert "acknowledged_events_come_back_in_order" in problems
    assert "runs_are_listed_newest_first_by_user" not in problems
