"""The tables of a memory in PostgreSQL: making them, filling them with events, reading events and runs back.

    position: order of arrival     body: JSON without what PostgreSQL refuses     exact: the body as ASCII, else null

Two clients that commit at once may become visible in the other order than they took their positions in. Where that
matters (what others have remembered is read from a position on; of two reservations of a budget one comes first) the
commit holds a lock of the database.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.memory import rows as rows_of
from workbench.memory.base import MEMORY_KINDS
from workbench.memory.tables import Heard

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

VERSION = 1
"""Version of the schema; `schema/<number>.sql` brings a database from the version before to this one."""

PAGE = 2_000
"""Events that are read at once, where all are read."""

_LOCK = 0x776F726B62  # "workb": no other program's, on a database of one's own
_LONGEST_NAME = 1_000
_MOST = 2**31 - 1

_INSERT = """
insert into workbench.events (run, attempt, seq, v, happened_at, kind, step, body, exact)
select run, attempt, seq, v, happened_at::timestamp, kind, step, body::json, exact
from unnest(%s::text[], %s::int[], %s::bigint[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    with ordinality as new (run, attempt, seq, v, happened_at, kind, step, body, exact, place)
where not exists (select from workbench.erased where erased.run = new.run)
order by place
on conflict do nothing
"""
_OWNER = """
case
    when kind = 'run.started' then body->>'user'
    when kind like 'memory.%%' then coalesce(body->'scope'->>'user', body->>'user')
    when kind like 'edit.%%' then body->>'by'
end
"""
# Whether an event is this user's: by itself, or as part of a run of theirs.
_MINE = f"""
case when ({_OWNER}) is null then run in (
    select run from workbench.events where kind = 'run.started' and body->>'user' = %(user)s
    union
    select run from workbench.events where (kind like 'memory.%%' or kind like 'edit.%%') and ({_OWNER}) = %(user)s
    and run not in (select run from workbench.events where kind = 'run.started')
) else ({_OWNER}) = %(user)s end
"""  # noqa: S608 - our own words
_READ = "select run, attempt, seq, v, happened_at, kind, step, coalesce(exact, body::text) from workbench.events "
# Not `to_regclass`, whose cache does not hear in time of what another connection has made.
_MADE = """
select count(*) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname = 'workbench' and relname = 'meta'
"""
_PLACED = _READ.replace("select ", "select position, ", 1)
_RUNS = """
with newest as (
    select run, happened_at as started_at, body as opening
    from workbench.events as event
    where kind = 'run.started' and (%(user)s::text is null or body->>'user' = %(user)s) and not exists (
        select from workbench.events as earlier
        where earlier.run = event.run and earlier.kind = 'run.started'
            and (earlier.attempt, earlier.seq) < (event.attempt, event.seq)
    )
    order by happened_at desc nulls last, run desc
    limit %(limit)s
), calls as (
    select
        run,
        case when count(*) = count(workbench.number(body->>'usd')) then sum(workbench.number(body->>'usd')) end as usd,
        sum(coalesce(workbench.number(body->>'tokens_in'), 0))::bigint as tokens_in,
        sum(coalesce(workbench.number(body->>'tokens_out'), 0))::bigint as tokens_out
    from workbench.events
    where kind = 'model.called' and run in (select run from newest)
    group by run
), told as (
    select
        run,
        (array_agg(body order by attempt desc, seq desc) filter (where kind = 'plan.made'))[1] as plan,
        (array_agg(body order by attempt desc, seq desc) filter (where kind = 'run.done'))[1] as closing,
        (array_agg(kind order by attempt desc, seq desc) filter (where kind <> 'plan.made'))[1] = 'run.done' as ended,
        max(happened_at) filter (where kind = 'run.done') as ended_at
    from workbench.events
    where kind in ('run.started', 'plan.made', 'run.done') and run in (select run from newest)
    group by run
)
select
    run,
    opening->>'user' as user, opening->>'session' as session, opening->>'workspace' as workspace,
    opening->>'request' as request,
    case when ended then closing->>'status' else 'running' end as status,
    plan->>'planner' as planner, plan->>'model' as model,
    coalesce(plan->>'isolation', opening->>'isolation') as isolation,
    started_at, case when ended then ended_at end as ended_at,
    case when ended then workbench.number(closing->>'seconds')::float8 end as seconds,
    case when calls.run is null then 0 else calls.usd end as usd,
    coalesce(tokens_in, 0) as tokens_in, coalesce(tokens_out, 0) as tokens_out,
    case when ended then closing->'answer'->>'text' end as answer,
    case when ended then closing->'error'->>'message' end as error,
    opening->>'notebook' as notebook, opening->'imported'->>'user' as imported
from newest join told using (run) left join calls using (run)
order by started_at desc nulls last, run desc
"""


_DONE_BEFORE = """
with told as (
    select distinct run, step from workbench.events
    where kind in ('step.intent', 'step.done') and body->>'identity' = any(%(identities)s)
)
select event.run from workbench.events as event
where event.kind = 'run.started' and event.run in (select run from told) and event.body->>'user' = %(user)s
    and exists (
        select from told join workbench.events as ended using (run, step)
        where told.run = event.run and ended.kind = 'step.done'
    )
group by event.run order by max(event.happened_at) desc nulls last, event.run desc limit %(limit)s
"""


async def prepare(connection: Connection) -> None:
    """Make or upgrade the tables. Raises Unavailable when a newer version of the program made them."""
    found = await version(connection)
    if found == VERSION:
        return
    if found > VERSION:
        raise Unavailable(
            f"The memory's tables in PostgreSQL have schema version {found}, this program knows up to {VERSION}.",
            hint="Upgrade agent-workbench, or set WORKBENCH_MEMORY to another database.",
        )
    encoding = (await (await connection.execute("show server_encoding")).fetchall())[0][0]
    if encoding != "UTF8":
        raise Unavailable(
            f"The database of the memory is encoded in {encoding}.", hint="Make one with: createdb --encoding UTF8 NAME"
        )
    async with connection.transaction():
        await lock(connection)
        found = await version(connection)  # somebody else may have been at it
        if not found and not await _one(connection, "select count(*) from pg_namespace where nspname = 'workbench'"):
            await connection.execute("create schema workbench")
        for number in range(found + 1, VERSION + 1):
            await connection.execute(_schema(str(number)))
        told = "insert into workbench.meta values (%s, %s) on conflict (key) do update set value = excluded.value"
        await connection.execute(told, ["schema_version", str(VERSION)])
        if not found:
            await connection.execute(told, ["store", uuid.uuid4().hex])


async def version(connection: Connection) -> int:
    """The version of the schema; 0 when the tables are not there yet."""
    if not await _one(connection, _MADE):
        return 0
    return int(await _one(connection, "select value from workbench.meta where key = 'schema_version'") or 0)


def row(event: AnyEvent) -> rows_of.Row:
    """The event as `insert` takes it. Raises ValueError when no such event can be kept."""
    if max(len(event.run), len(event.kind)) > _LONGEST_NAME or max(event.attempt, event.v) > _MOST:
        raise ValueError("the event's name is too long, or a number of it too large")
    _, run, attempt, seq, v, at, kind, step, body, exact = rows_of.row(event)
    if "\\u0000" in body:  # perhaps a NUL, perhaps a backslash before the letters
        exact, body = rows_of.exact(event.body), rows_of.readable(_without_nul(event.body))
    return (text(run), attempt, seq, v, at, text(kind), None if step is None else text(step), body, exact)


async def insert(connection: Connection, *, rows: Sequence[rows_of.Row]) -> frozenset[str]:
    """Put events in, each once for good, in one transaction. Those of an attempt at a run that somebody else has taken
    over are left out: the runs are given."""
    import psycopg

    async with connection.transaction():
        if any(row[5] == "budget" or row[5].startswith("memory.") for row in rows):
            await lock(connection)
        overtaken = await _overtaken(connection, {(row[0], row[1]) for row in rows})
        taken = [row for row in rows if (row[0], row[1]) not in overtaken]
        try:
            async with connection.transaction():
                await connection.execute(_INSERT, _columns(taken))
        except psycopg.DataError:
            # One body that PostgreSQL takes for no JSON must not keep everyone's events out.
            unread = [(*row[:7], None, row[8] or row[7]) for row in taken]
            await connection.execute(_INSERT, _columns(unread))
    return frozenset(run for run, _ in overtaken)


async def events_of(connection: Connection, run: str, user: str | None = None) -> list[rows_of.Row]:
    """The events of a run, in order, as rows; with `user` only what is theirs."""
    where, values = _of(user)
    query = f"{_READ} where run = %(run)s and {where} order by attempt, seq"
    return await _rows(connection, query, {"run": text(run), **values})


async def runs_like(connection: Connection, beginning: str, user: str | None = None) -> list[str]:
    """The runs whose id begins so; with `user` only theirs."""
    where, values = _of(user)
    query = f"""
        select distinct run from workbench.events
        where run >= %(first)s and run < %(last)s and starts_with(run, %(first)s) and {where} order by 1
    """  # noqa: S608 - our own words
    first = text(beginning)
    values |= {"first": first, "last": first + chr(0x10FFFF)}
    return [run for (run,) in await _rows(connection, query, values)]


async def memory_events(connection: Connection, after: int) -> Heard:
    """What changes what is remembered, behind position `after`."""
    store = await _one(connection, "select value from workbench.meta where key = 'store'")
    where = "where position > %s and kind = any(%s) order by position"
    found = await _rows(connection, _PLACED + where, [after, [str(kind) for kind in MEMORY_KINDS]])
    return Heard(
        store=str(store),
        position=max([after, *(row[0] for row in found)]),
        events=rows_of.events(row[1:] for row in found),
        erased=await erased(connection),
    )


async def hold_still(connection: Connection) -> None:
    """Begin a transaction that sees the tables as they are now, until the connection is closed."""
    await connection.execute("begin isolation level repeatable read read only")


async def page(connection: Connection, *, after: int, limit: int, user: str | None = None) -> list[rows_of.Row]:
    """Events in the order of their arrival, behind a position, each with its position first; with `user` only what is
    theirs."""
    where, values = _of(user)
    query = f"{_PLACED} where position > %(after)s and {where} order by position limit %(limit)s"
    return await _rows(connection, query, {"after": after, "limit": max(1, limit), **values})


async def erased(connection: Connection) -> frozenset[str]:
    """The ids of the runs that were erased."""
    return frozenset(run for (run,) in await _rows(connection, "select run from workbench.erased"))


async def remembered(connection: Connection, runs: Sequence[str] | None = None) -> list[rows_of.Row]:
    """The events by which something was remembered, in these runs or in all."""
    where = "where kind = 'memory.written' and (%(runs)s::text[] is null or run = any(%(runs)s))"
    return await _rows(connection, _READ + where, {"runs": runs})


async def runs(connection: Connection, limit: int, user: str | None) -> Sequence[Mapping[str, Any]]:
    """The newest runs first, with the columns of the view `runs` in DuckDB."""
    values = {"limit": max(0, limit), "user": None if user is None else text(user)}
    cursor = await connection.execute(_RUNS, values)
    names = [column.name for column in cursor.description or ()]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
    for row in rows:
        if row["usd"] is not None:
            row["usd"] = Decimal(f"{Decimal(row['usd']).normalize():f}")  # 0.25, not 0.2500000000
    return rows


async def done_before(connection: Connection, *, identities: Collection[str], user: str, limit: int) -> Sequence[str]:
    """The newest runs of a user in which a step of one of these identities is done."""
    values = {"identities": sorted(identities), "user": text(user), "limit": max(0, limit)}
    return [run for (run,) in await _rows(connection, _DONE_BEFORE, values)]


async def _overtaken(connection: Connection, attempts: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of the attempts at runs that are not the newest; what is the newest stays so until the transaction ends."""
    query = "select run, attempt from workbench.leases where run = any(%s) for share"
    rows = await _rows(connection, query, [sorted({run for run, _ in attempts})])
    newest = {run: int(attempt) for run, attempt in rows}
    return {(run, attempt) for run, attempt in attempts if newest.get(run, attempt) > attempt}


async def lock(connection: Connection) -> None:
    """Let nobody else put in events whose order matters, until the end of this transaction."""
    await connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


async def _one(connection: Connection, query: str) -> Any:
    rows = await (await connection.execute(query)).fetchall()
    return rows[0][0] if rows else None


async def _rows(
    connection: Connection, query: str, values: Sequence[Any] | Mapping[str, Any] | None = None
) -> list[rows_of.Row]:
    return await (await connection.execute(query, values)).fetchall()


def _of(user: str | None) -> tuple[str, dict[str, Any]]:
    """A condition for events, and its values: all of them, or those of one user."""
    return ("true", {}) if user is None else (_MINE, {"user": text(user)})


def _columns(rows: Sequence[rows_of.Row]) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(9)]


def text(value: str) -> str:
    return rows_of.clean(value).replace("\0", "\ufffd")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value


@cache
def _schema(name: str) -> str:
    return (Path(__file__).parent / "schema" / f"{name}.sql").read_text(encoding="utf-8")
