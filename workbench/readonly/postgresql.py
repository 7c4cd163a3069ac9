"""PostgreSQL that can only read, as a role that can only read.

    role        checked: no superuser, no right to write to a table or to read the server's files
    transaction READ ONLY, with the session's limits set inside of it
    statement   one, by the extended protocol; judged before it is sent (`readonly.statement`)
    tables      the server parses the statement without running it; the locks say which tables it names
    result      a cursor on the server, fetched up to the caps; a second connection cancels what takes too long

The role is the boundary: settings alone are none, since any role may change them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import toolkit
from workbench.readonly import rows as row
from workbench.readonly.statement import Statement, check_functions

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from psycopg.pq.abc import PGconn, PGresult

_SETTINGS = (
    "standard_conforming_strings = on",  # the gate reads strings this way
    "datestyle = 'ISO'",
    "intervalstyle = 'postgres'",
    f"statement_timeout = '{row.SECONDS}s'",
    "lock_timeout = '5s'",
    "idle_in_transaction_session_timeout = '60s'",
)
_COUNTING = 2
"""Seconds for counting what is beyond the cap."""

_SYSTEM_TABLES = frozenset(
    {
        *("information_schema.tables", "information_schema.columns", "information_schema.schemata"),
        *("information_schema.views", "information_schema.table_constraints", "information_schema.key_column_usage"),
        *("pg_catalog.pg_class", "pg_catalog.pg_namespace", "pg_catalog.pg_attribute", "pg_catalog.pg_type"),
        *("pg_catalog.pg_tables", "pg_catalog.pg_views", "pg_catalog.pg_constraint", "pg_catalog.pg_description"),
        *("pg_catalog.pg_index", "pg_catalog.pg_indexes"),
    }
)
"""Those that say which tables there are. Others show settings, sessions, roles and what others run."""


def opened(host: str, port: int, dbname: str, user: str) -> psycopg.Connection[Any]:
    """A connection to a port that needs no password. Raises Failed."""
    try:
        import psycopg
    except ImportError:
        raise toolkit.Failed(
            "PostgreSQL needs the package psycopg.", hint="pip install 'agent-workbench[postgres]'"
        ) from None
    try:
        connection = psycopg.connect(
            host=host,
            port=port,
            dbname=dbname,
            user=user,
            autocommit=True,
            sslmode="disable",  # the host speaks TLS with the server; this is its own port
            gssencmode="disable",
            passfile="/no/such/file",
            connect_timeout=20,
            client_encoding="UTF8",
        )
    except psycopg.OperationalError as error:
        raise toolkit.Failed(
            f"The database did not let us in: {row.one_line(str(error))}", hint="Check the connection in config.toml."
        ) from None
    try:
        _check_role(connection)
    except psycopg.Error as error:
        connection.close()
        raise _failure(error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _check_role(connection: psycopg.Connection[Any]) -> None:
    [(name, mighty, reads_files, writes)] = connection.execute(
        """
        SELECT current_user::text,
               r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
               EXISTS (SELECT FROM pg_roles m WHERE m.rolname IN ('pg_read_server_files', 'pg_write_server_files',
                       'pg_execute_server_program', 'pg_write_all_data', 'pg_signal_backend', 'pg_checkpoint',
                       'pg_maintain') AND pg_has_role(r.oid, m.oid, 'MEMBER')),
               (SELECT min(format('%I.%I', n.nspname, c.relname)) FROM pg_class c JOIN pg_namespace n
                ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^pg_'
                AND n.nspname <> 'information_schema'
                AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
        FROM pg_roles r WHERE r.rolname = current_user
        """
    ).fetchall()
    what = (
        "has rights over the whole server"
        if mighty
        else "may act on the server's files or sessions"
        if reads_files
        else f"may write to {writes}"
        if writes
        else ""
    )
    if what:
        raise toolkit.Failed(
            f"The role {name} {what}; a connection needs a role that only reads.",
            hint="CREATE ROLE reader LOGIN PASSWORD '…'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;",
        )


def read(
    connection: psycopg.Connection[Any],
    sql: str,
    params: list[Any] | None = None,
    *,
    title: str = "",
    granted: Collection[str] | None = None,
) -> toolkit.Table:
    """The rows of one statement that reads, with `params` bound to its `$1`, `$2`, ….

    `granted`: names of tables, `name` or `schema.name`; None for all that the role may read. Raises Failed in one line.
    """
    import psycopg

    values = row.check_params(params)
    statement = Statement(sql)
    try:
        with _reading(connection), _cancelled_after(connection, row.SECONDS + 5):
            check_functions(connection, statement)
            _prepare(connection, statement, granted)
            return _fetch(connection, statement.sql, [_bound(value) for value in values], title)
    except psycopg.Error as error:
        raise _failure(error) from None


def describe(connection: psycopg.Connection[Any], title: str, granted: Collection[str] | None = None) -> toolkit.Table:
    """Tables, columns and types that the role may read, one row a column."""
    with _reading(connection):
        found = connection.execute(
            """
            SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
              AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
            ORDER BY n.nspname, c.relname, a.attnum LIMIT 20000
            """
        ).fetchall()
    return row.describe([(_name(s, t), c, k) for s, t, c, k in found if _is_granted(s, t, granted)], title)


def _name(schema: str, table: str) -> str:
    return table if schema == "public" else f"{schema}.{table}"


def _is_granted(schema: str, table: str, granted: Collection[str] | None) -> bool:
    return granted is None or f"{schema}.{table}" in granted or (schema == "public" and table in granted)


def _prepare(connection: psycopg.Connection[Any], statement: Statement, granted: Collection[str] | None) -> None:
    """Let the server parse the statement without running it; then its locks say which tables it names."""
    _answer(connection, lambda pgconn: pgconn.send_prepare(b"", statement.sql.encode()))
    described = _answer(connection, lambda pgconn: pgconn.send_describe_prepared(b""))
    row.check_columns(described.nfields)
    locked = [
        oid
        for (oid,) in connection.execute(
            "SELECT relation FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
        ).fetchall()
    ]
    for schema, table in connection.execute(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = ANY(%s)",
        [locked],
    ).fetchall():
        # A table that is not named is read through a view, and who granted the view granted that.
        if table not in statement.names:
            continue
        if schema.startswith("pg_") or schema == "information_schema":
            allowed = granted is None and f"{schema}.{table}" in _SYSTEM_TABLES
        else:
            allowed = _is_granted(schema, table, granted)
        if not allowed:
            raise toolkit.Failed(
                f"The table {_name(schema, table)} is not one that may be read.",
                hint="query_database without SQL lists those that may.",
            )


@contextmanager
def _reading(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A READ ONLY transaction under our limits, always rolled back."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        for setting in _SETTINGS:
            connection.execute(f"SET LOCAL {setting}".encode())
        yield
    finally:
        with suppress(Exception):
            connection.execute("ROLLBACK")


@contextmanager
def _cancelled_after(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Cancel from outside what runs for too long: what a session sets for itself is no limit."""
    timer = threading.Timer(seconds, connection.cancel_safe)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _bound(value: Any) -> bytes | None:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return None if value is None else str(value).encode()


def _fetch(connection: psycopg.Connection[Any], sql: str, values: list[bytes | None], title: str) -> toolkit.Table:
    import psycopg
    import pyarrow as pa

    declared = f"DECLARE workbench NO SCROLL CURSOR FOR {sql}".encode()
    _answer(connection, lambda pgconn: pgconn.send_query_params(declared, values))
    kept: list[list[str | None]] = []
    described: list[tuple[str, int, int]] = []
    count = size = 0
    step = 20
    while True:
        found = _run(connection, f"FETCH {step} FROM workbench")
        if not described:
            described = [_column(found, at) for at in range(found.nfields)]
            kept = [[] for _ in described]
        for at, column in enumerate(kept):
            texts = [found.get_value(number, at) for number in range(found.ntuples)]
            size += sum(map(len, filter(None, texts)))
            column += [None if text is None else text.decode("utf-8", "replace") for text in texts]
        count += found.ntuples
        if size > row.MAX_BYTES:
            raise row.too_large()
        if found.ntuples < step or count >= row.MAX_ROWS:
            break
        # No fetch should bring much more than what is still free.
        step = max(1, min(1000, row.MAX_ROWS - count, (row.MAX_BYTES - size) * count // (4 * max(size, 1))))
    total, ended = count, True
    if count >= row.MAX_ROWS:
        try:
            connection.execute(f"SET LOCAL statement_timeout = '{_COUNTING}s'")
            moved = _run(connection, f"MOVE {row.MAX_COUNTED} FROM workbench")
            more = int((moved.command_status or b"MOVE 0").split()[-1])
            total, ended = min(count + more, row.MAX_COUNTED), more < row.MAX_COUNTED
        except psycopg.errors.QueryCanceled:
            total, ended = count + 1, False
    arrays = [_array(texts, kind, scale) for texts, (_, kind, scale) in zip(kept, described, strict=True)]
    table = pa.Table.from_arrays(arrays, names=[name for name, _, _ in described])
    return row.as_table(table, total, title, ended=ended)


def _column(found: PGresult, at: int) -> tuple[str, int, int]:
    """Name, type and, for a numeric of declared scale, its scale; else -1."""
    modifier = found.fmod(at)
    scale = (modifier - 4) & 0x7FF if modifier >= 4 else -1
    return (found.fname(at) or b"").decode("utf-8", "replace"), found.ftype(at), scale


def _array(texts: list[str | None], kind: int, scale: int) -> pa.Array:
    """One column from PostgreSQL's text form; what no Arrow type holds, such as `infinity`, stays text."""
    import pyarrow as pa

    match kind:
        case 16:
            return pa.array([None if text is None else text == "t" for text in texts], pa.bool_())
        case 20 | 21 | 23 | 26:
            return pa.array([None if text is None else int(text) for text in texts], pa.int64())
        case 700 | 701:
            return pa.array([None if text is None else float(text) for text in texts], pa.float64())
        case 1700:
            whole = scale == 0 or (scale < 0 and not any(text and not _is_whole(text) for text in texts))
            return pa.array(
                [None if text is None else int(text) if whole else float(text) for text in texts],
                pa.int64() if whole else pa.float64(),
            )
        case 1082 | 1114 | 1184:
            with suppress(ValueError, OverflowError):
                moments = [None if text is None else _moment(text) for text in texts]
                return pa.array(moments, pa.timestamp("us", "UTC") if kind == 1184 else pa.timestamp("us"))
    return pa.array(texts, pa.string())


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _run(connection: psycopg.Connection[Any], command: str) -> PGresult:
    return _answer(connection, lambda pgconn: pgconn.send_query_params(command.encode(), []))


def _answer(connection: psycopg.Connection[Any], send: Callable[[PGconn], None]) -> PGresult:
    """What the server answers to a message. The wait is psycopg's own: libpq's would keep every other thread waiting,
    the one that cancels included. Raises what the server sent as an error."""
    import psycopg
    from psycopg import generators
    from psycopg.pq import ExecStatus

    send(connection.pgconn)
    results: list[PGresult] = connection.wait(generators.execute(connection.pgconn))
    [result] = results
    if result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        return result
    raise psycopg.errors.error_from_result(result, encoding="utf-8")


def _failure(error: psycopg.Error) -> toolkit.Failed:
    """The server's message as one line with what to do about it."""
    import psycopg

    said = error.diag.message_primary or str(error)
    hint = error.diag.message_hint or "query_database without SQL lists tables and columns."
    if error.sqlstate == "57014":
        said, hint = "The query took too long.", "Filter or group earlier, so that there is less to go through."
    elif error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        said, hint = "The connection to the database ended.", "Select less text, or look after the server."
    elif error.sqlstate == "42883":
        hint = "Cast the values, for example x::numeric or day::date."
    return toolkit.Failed(row.one_line(said), hint=row.one_line(hint))
