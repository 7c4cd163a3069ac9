"""DuckDB as the store uses it: on one thread, in little memory, and without a word on the user's screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def connect(path: Path | None = None, *, read_only: bool = False, **config: str | bool) -> Connection:
    """A connection to the file at `path`, without one to a database in memory; `config`: more of DuckDB's settings.
    Raises duckdb.Error."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": "256MB", **config}
    connection = duckdb.connect(":memory:" if path is None else str(path), read_only=read_only, config=settings)
    # Else work of more than two seconds shows a bar in the cell. It is the connection's own and no part of a config.
    connection.execute("set enable_progress_bar = false")
    return connection
