"""Who runs a run, between processes and machines: a lock of the server's session, and a number that only goes up.

The lock is gone with its process, or with its connection. Whoever takes the run then gets a higher attempt, and from
then on the server refuses what the one before still sends: it may not have noticed that it has lost the run. Whoever
gives a run back takes their name off it: a name without a lock is a run that was left unfinished.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import Refused
from workbench.memory.base import Holder, Lease
from workbench.memory.postgres.server import Line, Server
from workbench.memory.postgres.tables import text

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

T = TypeVar("T")

_KEY = "hashtextextended({run}, 2003792482)"  # a number that no other program takes
LOCK = f"select pg_try_advisory_lock({_KEY.format(run='%s')})"
_UNLOCK = LOCK.replace("pg_try_advisory_lock", "pg_advisory_unlock")
_TRIES, _PAUSE = 6, 0.05
_CLAIM = """
insert into workbench.leases (run, attempt, holder)
select %(run)s, coalesce(max(attempt), 0) + 1, %(holder)s from workbench.events where run = %(run)s
on conflict (run) do update set
    attempt = greatest(leases.attempt + 1, excluded.attempt), holder = excluded.holder,
    claimed_at = now() at time zone 'UTC'
returning attempt
"""
_GIVEN_BACK = "update workbench.leases set holder = '' where run = %s and attempt = %s"
_IS_FREE = f"""
not exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = {_KEY.format(run="leases.run")}
)
"""  # noqa: S608 - our own words
_LEFT = f"""
select run, holder from workbench.leases
where holder <> '' and {_IS_FREE} and (
    select kind from workbench.events where events.run = leases.run order by attempt desc, seq desc limit 1
) <> 'run.done'
order by claimed_at
"""  # noqa: S608 - as above
_DROP = f"update workbench.leases set holder = '' where run = %s and {_IS_FREE}"  # noqa: S608 - as above


class ServerLeases:
    """`Leases` of the runs in one memory on PostgreSQL."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._line = Line(server)
        self._held: dict[str, Holder] = {}

    async def claim(self, holder: Holder) -> Lease:
        """See `Leases`."""
        return await _soon(self._server.submit(self._claim(holder)))

    async def left(self) -> Sequence[Holder]:
        """See `Leases`. Whose it was, on whichever machine, is for the caller to tell."""

        async def names(connection: Connection) -> list[Any]:
            return await (await connection.execute(_LEFT)).fetchall()

        rows = await _soon(self._server.submit(self._line.use(names)))
        return [_read(holder, run) for run, holder in rows]

    async def drop(self, run: str) -> None:
        """See `Leases`."""

        async def forget(connection: Connection) -> None:
            await connection.execute(_DROP, [text(run)])

        await _soon(self._server.submit(self._line.use(forget)))

    async def release(self, run: str, attempt: int) -> None:
        """Let go of a run, unless somebody else has it by now."""
        await _soon(self._server.submit(self._release(run, attempt)))

    async def _claim(self, holder: Holder) -> ServerLease:
        run = text(holder.run)
        if (own := self._held.get(run)) is not None:
            raise _taken(holder, own)

        async def claim(connection: Connection) -> int:
            tries = 1
            while not (got := (await (await connection.execute(LOCK, [run])).fetchall())[0][0]) and tries < _TRIES:
                tries += 1
                await asyncio.sleep(_PAUSE)  # the server may need a moment to notice that a process has ended
            if not got:
                query = "select holder from workbench.leases where run = %s"
                rows = await (await connection.execute(query, [run])).fetchall()
                raise _taken(holder, _read(rows[0][0] if rows else "", holder.run))
            values = {"run": run, "holder": text(json.dumps(asdict(holder)))}
            return int((await (await connection.execute(_CLAIM, values)).fetchall())[0][0])

        attempt = await self._line.use(claim)
        self._held[run] = holder
        return ServerLease(self, run, attempt)

    async def _release(self, run: str, attempt: int) -> None:
        async def release(connection: Connection) -> None:
            await connection.execute(_GIVEN_BACK, [run, attempt])
            await connection.execute(_UNLOCK, [run])

        if self._held.pop(run, None) is not None:
            await self._line.use(release)


class ServerLease:
    """A run that this process holds until `release`, until it ends, or until its connection does."""

    def __init__(self, leases: ServerLeases, run: str, attempt: int) -> None:
        self._leases = leases
        self._run = run
        self.attempt = attempt

    async def release(self) -> None:
        """Let go of the run, which has ended. Idempotent."""
        await self._leases.release(self._run, self.attempt)


async def _soon(future: Future[T]) -> T:
    # Shielded: whoever waits may be cancelled, a claim half made may not.
    return await asyncio.shield(asyncio.wrap_future(future))


def _taken(holder: Holder, by: Holder) -> Refused:
    return Refused(
        f"{holder.run} is being run by {by}.", hint="Wait until it has ended, or stop it there.", run=holder.run
    )


def _read(kept: str, run: str) -> Holder:
    try:
        raw = json.loads(kept)
    except ValueError:
        raw = {}
    known = raw if isinstance(raw, Mapping) else {}
    return Holder(**{"run": run} | {name: known[name] for name in Holder.__slots__ if name in known})
