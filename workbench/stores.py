"""Which memory is in force: the one on a PostgreSQL server when its address is set, else the file in WORKBENCH_HOME."""

from __future__ import annotations

from workbench import embedders
from workbench.core.settings import Settings
from workbench.memory.base import Memory
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.postgres.memory import PostgresMemory


def choose(settings: Settings) -> Memory:
    """The memory of these settings. Opens nothing and connects to nothing. Raises Unavailable for an address that is
    none."""
    embedder = embedders.choose(settings)
    if settings.memory is None:
        return DuckDBMemory(settings.home, embedder=embedder, network=settings.network_home)
    return PostgresMemory(settings.memory.get_secret_value(), settings.home, embedder=embedder)
