"""A DuckDB file made from what is on the server, so that SQL over the memory is the same whichever keeps it."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.memory import engine, locks, rows
from workbench.memory import tables as duckdb_tables
from workbench.memory.postgres import tables
from workbench.memory.postgres.server import Line, Server

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as DuckDB


def to_duckdb(server: Server, path: Path, user: str | None = None) -> None:
    """A private copy of all events, or of those of `user`, at `path`, one file without a log, put there in one move.
    Blocks. Raises Unavailable."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with engine.connect(part) as copy:
            duckdb_tables.prepare(copy)
            server.submit(_fill(server, copy, user)).result()
            copy.execute("checkpoint")
        part.with_name(part.name + ".wal").unlink(missing_ok=True)
        part.chmod(locks.PRIVATE_FILE)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


async def _fill(server: Server, copy: DuckDB, user: str | None) -> None:
    # On a connection of its own: other questions need not wait for a long copy.
    line = Line(server)
    last = 0
    try:
        await line.use(tables.hold_still, once=True)
        while found := await line.use(partial(tables.page, after=last, limit=tables.PAGE, user=user), once=True):
            last = found[-1][0]
            await asyncio.to_thread(duckdb_tables.insert, copy, rows.events(row[1:] for row in found))
    finally:
        await line.close()
