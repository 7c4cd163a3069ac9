"""PostgreSQL that can only read, as a role that can only read.

    role        checked: no superuser, no right to write to a table or to read the server's files
    transaction READ ONLY, with the session's limits set inside of it
    statement   one, by the extended protocol; its words judged before it is sent, its functions by the server's own
                catalogue (volatile ones are refused but for a few, stable ones allowed by name, others' are refused)
    tables      the server parses the statement without running it; the locks say which tables it names
    result      a cursor on the server, fetched up to the caps; a second connection cancels what takes too long

The role is the boundary: settings alone are none, since any role may change them.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import toolkit
from workbench.readonly import rows as row
from workbench.readonly.tokens import Token, tokens

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

_VOLATILE = frozenset(
    {
        *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7"),
        *("bernoulli", "system", "array_shuffle", "array_sample"),
    }
)
_STABLE = frozenset(
    {
        *("age", "array_to_json", "array_to_string", "col_description", "concat", "concat_ws", "convert_from"),
        *("convert_to", "current_database", "current_schema", "date", "date_add", "date_bin", "date_part"),
        *("date_subtract", "date_trunc", "enum_first", "enum_last", "enum_range", "extract", "format"),
        *("format_type", "generate_series", "length", "make_timestamptz", "money", "now", "numeric"),
        *("obj_description", "overlaps", "pg_column_size", "pg_typeof", "phraseto_tsquery", "plainto_tsquery"),
        *("quote_literal", "quote_nullable", "row_to_json", "statement_timestamp", "time", "timestamp"),
        *("timestamptz", "timetz", "timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number"),
        *("to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp", "ts_headline"),
        *("websearch_to_tsquery", "xml_is_well_formed"),
    }
)
_STABLE_FAMILIES = ("json_", "jsonb_")
_PG_IMMUTABLE = frozenset({"pg_size_pretty", "pg_size_bytes"})
"""Of the server's own functions (`pg_…`) that count as pure; the others look at or act on the server."""

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
    """A connection to a port that needs no password. Raises Failed or, when the server may come back, Try."""
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
            _check_functions(connection, statement)
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


class Statement:
    """One statement by its words. Making it raises Failed for what does not read, or is more than one.

    `calls`: what is called like a function, as (schema or "", name). `fields`: names after a dot, which may be calls
    too: `sales.evil` is `evil(sales)`. `names`: every name in it.
    """

    def __init__(self, sql: str) -> None:
        row.check_text(sql)
        found = tokens(sql)
        while found and found[-1].is_mark(";"):
            found.pop()
        if not found or any(token.is_mark(";") for token in found):
            raise toolkit.Failed("Expected one statement.", hint="Write a single SELECT.")
        self.sql = sql
        self.names = {token.text for token in found if token.is_name}
        self.calls = list(_calls(found))
        self.fields = {b.text for a, b in itertools.pairwise(found) if a.is_mark(".") and b.is_name}
        _check_words(found)


def _check_words(found: list[Token]) -> None:
    first = next((token for token in found if not token.is_mark("(")), found[0])
    if not first.is_word("select", "with", "values", "table"):
        raise toolkit.Failed(f"Only reading is allowed; this begins with {first.text[:40]!r}.", hint="Write a SELECT.")
    depth = 0
    end = Token("mark", "")
    for at, token in enumerate(found):
        before = found[at - 1] if at else end
        after = [*found[at + 1 : at + 4], end, end, end]
        depth += token.is_mark("(") - token.is_mark(")")
        if depth > 200:
            raise toolkit.Failed("The SQL is nested too deep.", hint="Write it in steps, with WITH.")
        if token.is_word("into") and not before.is_mark("."):
            raise toolkit.Failed("Only reading is allowed; INTO writes.", hint="Write a SELECT.")
        if token.is_word("insert", "update", "delete", "merge") and after[0].is_name and _begins(before):
            raise toolkit.Failed(f"Only reading is allowed; {token.text.upper()} writes.", hint="Write a SELECT.")
        if token.is_word("for") and _locks(after):
            raise toolkit.Failed("FOR UPDATE and FOR SHARE lock rows.", hint="Leave them out.")


def _begins(before: Token) -> bool:
    return before.is_mark("(") or before.is_mark(")")


def _locks(after: list[Token]) -> bool:
    """Whether the words after FOR make it a lock: [NO KEY] UPDATE, [KEY] SHARE."""
    words = [token.text if token.kind == "name" else "" for token in after]
    return words[0] in ("update", "share") or words[:2] == ["no", "key"] or words[:2] == ["key", "share"]


def _calls(found: list[Token]) -> Iterator[tuple[str, str]]:
    for at, token in enumerate(found[:-1]):
        if token.is_name and found[at + 1].is_mark("("):
            qualified = at >= 2 and found[at - 1].is_mark(".") and found[at - 2].is_name
            yield (found[at - 2].text if qualified else "", token.text)


def _check_functions(connection: psycopg.Connection[Any], statement: Statement) -> None:
    """Raise Failed for a call that the server's catalogue does not show to be harmless."""
    if not statement.calls and not statement.fields:
        return
    called = connection.execute(
        """
        SELECT p.proname::text, n.nspname::text, p.provolatile::text, pg_function_is_visible(p.oid),
               p.pronargs - p.pronargdefaults <= 1 AND (p.pronargs = 0 OR t.typtype IN ('c', 'p'))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        LEFT JOIN pg_type t ON p.pronargs > 0 AND t.oid = p.proargtypes[0]
        WHERE p.proname::text = ANY(%s)
        """,
        [[*{name for _, name in statement.calls}, *statement.fields]],
    ).fetchall()
    unqualified = {name for schema, name in statement.calls if not schema}
    qualified = set(statement.calls)
    for name, schema, volatility, visible, of_a_row in called:
        meant = (schema, name) in qualified or (visible and name in unqualified)
        if (meant or (of_a_row and name in statement.fields)) and not _is_harmless(name, schema, volatility):
            raise toolkit.Failed(f"The function {name} is not allowed.", hint="Compute from the tables alone.")


def _is_harmless(name: str, schema: str, volatility: str) -> bool:
    if schema != "pg_catalog":
        return False
    match volatility:
        case "i":
            return not name.startswith(("pg_", "txid_")) or name in _PG_IMMUTABLE
        case "s":
            return name in _STABLE or name.startswith(_STABLE_FAMILIES)
        case _:
            return name in _VOLATILE


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
