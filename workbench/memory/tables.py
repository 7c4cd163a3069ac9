"""The tables of a memory in DuckDB: making them, filling them from events, reading events and runs back.

Every function takes a connection whose current database holds the tables, so that the same words serve the shared file,
a private copy, and a memory without files.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.core.events import AnyEvent, Kind, loads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

VERSION = 3
"""Version of the schema; `schema/<number>.sql` brings a file from the version before to this one."""

MEMORY_KINDS = (Kind.MEMORY_WRITTEN, Kind.MEMORY_FORGOTTEN, Kind.MEMORY_PINNED)
"""The kinds of event that recall hears."""

_ROW = Sequence[Any]
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)
_ASCII = json.JSONEncoder(separators=(",", ":"), default=str)
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
_READ = "select run, attempt, seq, v, happened_at, kind, step, coalesce(exact, body::varchar) from events "


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
    rows = {row[0]: row for row in map(_row, events)}
    if not rows:
        return
    columns = [list(column) for column in zip(*rows.values(), strict=True)]
    # The bounds let DuckDB skip what lies outside the runs at hand: ids of runs begin with their date.
    connection.execute(_INSERT, [*columns, min(columns[1]), max(columns[1])])


def events_of(connection: Connection, run: str) -> list[AnyEvent]:
    """The events of a run, in order."""
    return _events(connection.execute(_READ + "where run = ? order by attempt, seq", [clean(run)]).fetchall())


def runs_like(connection: Connection, beginning: str) -> list[str]:
    """The runs whose id begins so."""
    query = "select distinct run from events where starts_with(run, ?) order by run"
    return [row[0] for row in connection.execute(query, [clean(beginning)]).fetchall()]


def memory_events(connection: Connection, after: int) -> tuple[str, int, list[AnyEvent]]:
    """What changes what is remembered, behind position `after`; the name of the store, and the newest position."""
    store = connection.execute("select value from meta where key = 'store'").fetchall()[0][0]
    newest = connection.execute("select coalesce(max(merged), 0) from events").fetchall()[0][0]
    where = "where merged > $1 and list_contains($2::varchar[], kind) order by merged"
    return store, newest, _events(connection.execute(_READ + where, [after, [*MEMORY_KINDS]]).fetchall())


def runs(connection: Connection, limit: int, user: str | None) -> Sequence[Mapping[str, Any]]:
    """The newest runs first, every column of `runs`."""
    query = "select * from runs where $1 is null or user = $1 order by started_at desc nulls last, run desc limit $2"
    cursor = connection.execute(query, [None if user is None else clean(user), max(0, limit)])
    names = [column[0] for column in cursor.description or ()]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        if row["usd"] is not None:
            row["usd"] = Decimal(f"{row['usd'].normalize():f}")  # 0.25, not 0.2500000000
    return rows


def clean(text: str) -> str:
    """The text with each half of a surrogate pair replaced: no database takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _row(event: AnyEvent) -> _ROW:
    exact = None
    body = _READABLE.encode(event.body)
    if (cleaned := clean(body)) != body:
        exact, body = _ASCII.encode(event.body), cleaned
    return (
        clean(event.id),
        clean(event.run),
        event.attempt,
        event.seq,
        event.v,
        _utc(event.at),
        clean(str(event.kind)),
        None if event.step is None else clean(event.step),
        body,
        exact,
    )


def _utc(at: str) -> str | None:
    try:
        moment = datetime.fromisoformat(at)
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() if moment.tzinfo else moment.isoformat()
    except (ValueError, OverflowError):
        return None


def _events(rows: Iterable[_ROW]) -> list[AnyEvent]:
    found = []
    for run, attempt, seq, v, at, kind, step, body in rows:
        moment = "" if at is None else at.replace(tzinfo=UTC).isoformat(timespec="microseconds")
        envelope = {"run": run, "attempt": attempt, "seq": seq, "v": v, "at": moment, "kind": kind, "step": step}
        found.append(loads(json.dumps(envelope)[:-1] + ', "body": ' + body + "}"))
    return found


@cache
def _schema(name: str) -> str:
    return (Path(__file__).parent / "schema" / f"{name}.sql").read_text(encoding="utf-8")
