"""The tables of a memory in DuckDB: making them, filling them from events, reading events and runs back.

Every function takes a connection whose current database holds the tables, so that the same words serve the shared file,
a private copy, and a memory without files.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent
from workbench.memory import rows as rows_of
from workbench.memory.base import MEMORY_KINDS
from workbench.memory.rows import clean

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

VERSION = 4
"""Version of the schema; `schema/<number>.sql` brings a file from the version before to this one."""

_INSERT = """
insert into events
select
    (select coalesce(max(merged), 0) from events) + row_number() over (),
    id, run, attempt, seq, v, try_cast(happened_at as timestamp), kind, step,
    -- One body that DuckDB takes for no JSON must not keep everyone's events out.
    case when json_valid(body) then body end, case when json_valid(body) then exact else coalesce(exact, body) end
from (
    select
        unnest($1::varchar[]) as id, unnest($2::varchar[]) as run, unnest($3::integer[]) as attempt,
        unnest($4::bigint[]) as seq, unnest($5::integer[]) as v, unnest($6::varchar[]) as happened_at,
        unnest($7::varchar[]) as kind, unnest($8::varchar[]) as step, unnest($9::varchar[]) as body,
        unnest($10::varchar[]) as exact
) as new
where not exists (select 1 from events as old where old.id = new.id and old.run between $11 and $12)
"""
OWNER = """case
    when kind = 'run.started' then body->>'$.user'
    when kind like 'memory.%' then coalesce(body->>'$.scope.user', body->>'$.user')
    when kind like 'edit.%' then body->>'$.by'
end"""
"""Whose an event says it is; null when it says nothing of that."""

RUNS_OF_USER = f"""(
    select run from events where kind = 'run.started' and body->>'$.user' = $user
    union
    select run from events
    where (kind like 'memory.%' or kind like 'edit.%') and {OWNER} = $user
    and run not in (select run from events where kind = 'run.started')
)"""  # noqa: S608 - ours
"""The runs of `$user`: those they started, and what they remembered, forgot and applied outside of any run."""

MINE = f"(case when ({OWNER}) is null then run in {RUNS_OF_USER} else ({OWNER}) = $user end)"
"""Whether an event is `$user`'s to read."""

# The kind first: only of what it lets through the body is read.
_DONE_BEFORE = """
with told as (
    select distinct run, step from events
    where kind in ('step.intent', 'step.done') and list_contains($identities::varchar[], body->>'$.identity')
)
select event.run from events as event
where event.kind = 'run.started' and event.run in (select run from told) and event.body->>'$.user' = $user
    and exists (
        select 1 from told join events as ended using (run, step)
        where run = event.run and ended.kind = 'step.done'
    )
group by event.run order by max(event.happened_at) desc nulls last, event.run desc limit $limit
"""
_COLUMNS = "run, attempt, seq, v, happened_at, kind, step, coalesce(exact, body::varchar)"
_READ = f"select {_COLUMNS} from events "  # noqa: S608 - ours


def prepare(connection: Connection) -> None:
    """Make or upgrade the tables. Raises Unavailable when a newer version of the program made them."""
    found = version(connection)
    if found == VERSION:
        return
    if found > VERSION:
        raise Unavailable(
            f"memory.duckdb has schema version {found}, this program knows up to {VERSION}.",
            hint="Upgrade agent-workbench, or set WORKBENCH_HOME to another folder.",
        )
    connection.execute("begin")
    for number in range(found + 1, VERSION + 1):
        connection.execute(_schema(str(number)))
    connection.execute(_schema("views"))
    connection.execute("delete from meta where key = 'schema_version'")
    connection.execute("insert into meta values ('schema_version', ?)", [str(VERSION)])
    if not found:
        connection.execute("insert into meta values ('store', ?)", [uuid.uuid4().hex])
    connection.execute("commit")
    # A write-ahead log with DDL in it is not left for the next process to replay (duckdb issue 22044).
    connection.execute("checkpoint")


def version(connection: Connection) -> int:
    """The version of the schema; 0 when the tables are not there yet."""
    made = "select count(*) from duckdb_tables() where database_name = current_database() and table_name = 'meta'"
    if not connection.execute(made).fetchall()[0][0]:
        return 0
    rows = connection.execute("select value from meta where key = 'schema_version'").fetchall()
    return int(rows[0][0]) if rows else 0


def insert(connection: Connection, events: Iterable[AnyEvent]) -> None:
    """Put events in, each once for good: those that are there already, by id, are left out."""
    rows = {row[0]: row for row in map(rows_of.row, events)}
    if not rows:
        return
    columns = [list(column) for column in zip(*rows.values(), strict=True)]
    # The bounds let DuckDB skip what lies outside the runs at hand: ids of runs begin with their date.
    connection.execute(_INSERT, [*columns, min(columns[1]), max(columns[1])])


def move(connection: Connection, taken: Mapping[str, int], now: datetime) -> None:
    """Write down how far journals were taken over, in bytes."""
    connection.execute("delete from journal_offsets where list_contains($1::varchar[], journal)", [[*taken]])
    connection.execute(
        "insert into journal_offsets select unnest($1::varchar[]), unnest($2::bigint[]), $3::timestamp",
        [[*taken], [*taken.values()], now.astimezone(UTC).replace(tzinfo=None)],
    )


def events_of(connection: Connection, run: str, user: str | None = None) -> list[AnyEvent]:
    """The events of a run, in order; with `user` only what is theirs."""
    where, values = _of(user)
    query = f"{_READ} where run = $run and {where} order by attempt, seq"
    return rows_of.events(connection.execute(query, {"run": clean(run), **values}).fetchall())


def runs_like(connection: Connection, beginning: str, user: str | None = None) -> list[str]:
    """The runs whose id begins so; with `user` only theirs."""
    where, values = _of(user)
    query = f"select distinct run from events where starts_with(run, $run) and {where} order by run"  # noqa: S608 - ours
    return [row[0] for row in connection.execute(query, {"run": clean(beginning), **values}).fetchall()]


def page(connection: Connection, after: int, limit: int, user: str | None) -> tuple[list[AnyEvent], int]:
    """The events behind position `after` in the order in which they came, and the position of the last of them."""
    where, values = _of(user)
    query = f"select {_COLUMNS}, merged from events where merged > $after and {where} order by merged limit $limit"  # noqa: S608 - ours
    rows = connection.execute(query, {"after": after, "limit": max(1, limit), **values}).fetchall()
    return rows_of.events(row[:-1] for row in rows), rows[-1][-1] if rows else after


def erased(connection: Connection) -> frozenset[str]:
    """The runs that were erased."""
    return frozenset(row[0] for row in connection.execute("select run from erased").fetchall())


def erase(connection: Connection, runs: Iterable[str], wanted: Callable[[Iterable[str]], Collection[str]]) -> None:
    """Delete the events of these runs, in a transaction, and remember which they were. `wanted` gives the hashes under
    which the texts that stay have their vectors; all other vectors go too."""
    names = sorted({clean(run) for run in runs})
    texts = "select body->>'$.text' from events where kind = 'memory.written' and body->>'$.text' is not null"
    connection.execute("begin")
    connection.execute("delete from events where run in (select unnest($1::varchar[]))", [names])
    connection.execute(
        "insert into erased select name, $2::timestamp from (select unnest($1::varchar[]) as name)"
        " where name not in (select run from erased)",
        [names, datetime.now(UTC).replace(tzinfo=None)],
    )
    hashes = wanted(row[0] for row in connection.execute(texts).fetchall())
    connection.execute(
        "delete from embeddings where content_hash not in (select unnest($1::varchar[]))", [sorted(hashes)]
    )
    connection.execute("commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a store has to say of memories: its name, the newest position in it, what changes what is
    remembered, and the runs that were erased."""

    store: str
    position: int
    events: list[AnyEvent]
    erased: frozenset[str]


def memory_events(connection: Connection, after: int) -> Heard:
    """What changes what is remembered, behind position `after`."""
    store = connection.execute("select value from meta where key = 'store'").fetchall()[0][0]
    newest = connection.execute("select coalesce(max(merged), 0) from events").fetchall()[0][0]
    where = "where merged > $1 and list_contains($2::varchar[], kind) order by merged"
    events = rows_of.events(connection.execute(_READ + where, [after, [*MEMORY_KINDS]]).fetchall())
    return Heard(store=store, position=newest, events=events, erased=erased(connection))


def runs(connection: Connection, limit: int, user: str | None) -> Sequence[Mapping[str, Any]]:
    """The newest runs first, every column of `runs`; `imported`: whose run it was elsewhere, None for one from here."""
    query = (
        "select *, (select any_value(body->>'$.imported.user') from events"
        " where events.run = runs.run and kind = 'run.started') as imported"
        " from runs where $1 is null or user = $1 order by started_at desc nulls last, run desc limit $2"
    )
    cursor = connection.execute(query, [None if user is None else clean(user), max(0, limit)])
    names = [column[0] for column in cursor.description or ()]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        if row["usd"] is not None:
            row["usd"] = Decimal(f"{row['usd'].normalize():f}")  # 0.25, not 0.2500000000
    return rows


def done_before(connection: Connection, identities: Collection[str], user: str, limit: int) -> Sequence[str]:
    """The newest runs of a user in which a step of one of these identities is done."""
    values = {"identities": sorted(identities), "user": clean(user), "limit": max(0, limit)}
    return [row[0] for row in connection.execute(_DONE_BEFORE, values).fetchall()]


def _of(user: str | None) -> tuple[str, dict[str, str]]:
    """A condition for events, and its values: all of them, or those of one user."""
    return ("true", {}) if user is None else (MINE, {"user": clean(user)})


@cache
def _schema(name: str) -> str:
    return (Path(__file__).parent / "schema" / f"{name}.sql").read_text(encoding="utf-8")
