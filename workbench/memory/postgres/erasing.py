"""Runs taken out of the server for good, and the vectors that no text needs any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.memory import rows
from workbench.memory.embed import content_hash
from workbench.memory.postgres import tables
from workbench.memory.postgres.leases import LOCK
from workbench.memory.postgres.server import Line, Server

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

_MINUTES = 10.0
_ERASED = """
insert into workbench.erased select run, now() at time zone 'UTC' from unnest(%s::text[]) as gone (run)
on conflict do nothing
"""


def erase(server: Server, runs: Collection[str]) -> Sequence[str]:
    """Delete the events of these runs; one that somebody holds stays, and a line says so. Blocks. Raises Unavailable.

    What the server keeps beside its tables (write-ahead log, replicas, backups) is not in our hands.
    """
    if not runs:
        return ()
    return server.submit(_erase(server, runs)).result()


async def _erase(server: Server, runs: Collection[str]) -> Sequence[str]:
    # Tables are written anew, which takes its time and its own connection.
    line = Line(server, wait=60 * _MINUTES)
    try:
        held = await line.use(partial(_held, runs=sorted({tables.text(run) for run in runs})))
        names = [run for run, by_somebody in held.items() if not by_somebody]
        gone = _hashes(await line.use(partial(tables.remembered, runs=names)))
        await line.use(partial(_delete, runs=names))
        still = _hashes(await line.use(tables.remembered))
        await line.use(partial(_drop_vectors, hashes=list(gone - still)))
    finally:
        await line.close()
    going = [run for run, by_somebody in held.items() if by_somebody]
    return [f"{run} still goes on: erase it again when it has ended." for run in going]


async def _held(connection: Connection, *, runs: Sequence[str]) -> dict[str, bool]:
    """Which of these runs somebody holds; the others nobody takes as long as this connection lasts."""
    got = [await (await connection.execute(LOCK, [run])).fetchall() for run in runs]
    return {run: not rows[0][0] for run, rows in zip(runs, got, strict=True)}


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
