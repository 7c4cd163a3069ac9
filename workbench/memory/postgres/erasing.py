"""Runs taken out of the server for good, and the vectors that no text needs any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.memory import rows
from workbench.memory.embed import content_hash
from workbench.memory.postgres import tables
from workbench.memory.postgres.server import Line, Server

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

_MINUTES = 10.0
_ERASED = """
insert into workbench.erased select run, now() at time zone 'UTC' from unnest(%s::text[]) as gone (run)
on conflict do nothing
"""
_KEPT = (
    "What the server keeps beside its tables (write-ahead log, replicas, backups) holds it until the server drops them."
)


def erase(server: Server, runs: Collection[str]) -> Sequence[str]:
    """Delete the events of these runs. The lines say what could not go yet. Blocks. Raises Unavailable."""
    if not runs:
        return ()
    return server.submit(_erase(server, runs)).result()


async def _erase(server: Server, runs: Collection[str]) -> Sequence[str]:
    # Tables are written anew, which takes its time and its own connection.
    line = Line(server, wait=60 * _MINUTES)
    try:
        names = [tables.text(run) for run in runs]
        gone = _hashes(await line.use(partial(tables.remembered, runs=names)))
        await line.use(partial(_delete, runs=names))
        still = _hashes(await line.use(tables.remembered))
        await line.use(partial(_drop_vectors, hashes=list(gone - still)))
    finally:
        await line.close()
    return (_KEPT,)


async def _delete(connection: Connection, *, runs: Sequence[str]) -> None:
    """Delete every event of these runs, and have none of them taken again."""
    async with connection.transaction():
        await tables.lock(connection)
        await connection.execute(_ERASED, [runs])
        await connection.execute("delete from workbench.events where run = any(%s)", [runs])
        await connection.execute("delete from workbench.leases where run = any(%s)", [runs])


async def _drop_vectors(connection: Connection, *, hashes: Sequence[str]) -> None:
    """Delete the vectors of texts, and write the tables anew, so that nothing deleted is in their files."""
    await connection.execute("delete from workbench.embeddings where content_hash = any(%s)", [hashes])
    await connection.execute("vacuum (full) workbench.events")
    await connection.execute("vacuum (full) workbench.embeddings")


def _hashes(found: Iterable[rows.Row]) -> set[str]:
    return {content_hash(str(event.body.get("text", ""))) for event in rows.events(found)}
