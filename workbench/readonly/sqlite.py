"""SQLite that can only read one file.

The file is opened read-only. SQLite itself asks before each thing that a statement would do, and is told yes for
reading tables of the file and for functions of a list, and no for everything else: ATTACH, PRAGMA, VACUUM INTO,
transactions, other schemas. Limits, a ceiling on memory and a deadline bound what reading may cost.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench import toolkit
from workbench.readonly import rows as row

if TYPE_CHECKING:
    import pyarrow as pa

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 10_000_000,  # bytes of a text, a blob, a row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: row.MAX_SQL,
    sqlite3.SQLITE_LIMIT_COLUMN: row.MAX_COLUMNS,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_SETTINGS = (
    "query_only = ON",
    "trusted_schema = OFF",  # what stands in the file's own schema calls no function that acts
    "cell_size_check = ON",
    "mmap_size = 0",
    "temp_store = MEMORY",
    "hard_heap_limit = 268435456",
)
_COUNTING = 2.0
"""Seconds for counting what is beyond the cap."""

_FUNCTIONS = frozenset(
    {
        # text and values
        *("abs", "char", "coalesce", "concat", "concat_ws", "format", "glob", "hex", "ifnull", "iif", "if", "instr"),
        *("length", "like", "likelihood", "likely", "lower", "ltrim", "max", "min", "nullif", "octet_length"),
        *("printf", "quote", "random", "replace", "round", "rtrim", "sign", "soundex", "substr", "substring"),
        *("trim", "typeof", "unhex", "unicode", "unlikely", "upper"),
        # dates
        *("date", "time", "datetime", "julianday", "strftime", "unixepoch", "timediff"),
        *("current_date", "current_time", "current_timestamp"),
        # aggregates and windows
        *("avg", "count", "group_concat", "string_agg", "sum", "total", "median", "percentile", "percentile_cont"),
        *("percentile_disc", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"),
        *("first_value", "last_value", "nth_value"),
        # JSON
        *("json", "json_array", "json_array_length", "json_error_position", "json_extract", "json_insert"),
        *("json_object", "json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set"),
        *("json_type", "json_valid", "json_group_array", "json_group_object", "jsonb", "jsonb_array"),
        *("jsonb_extract", "jsonb_group_array", "jsonb_group_object", "jsonb_object", "->", "->>"),
        # numbers
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh", "degrees"),
        *("exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power", "radians", "sin", "sinh"),
        *("sqrt", "tan", "tanh", "trunc"),
        # full-text search over tables of the file
        *("match", "regexp", "bm25", "highlight", "snippet"),
    }
)
_ROW_FUNCTIONS = frozenset({"json_each", "json_tree"})
_SCHEMA = frozenset({"sqlite_master", "sqlite_schema"})


def opened(path: str) -> sqlite3.Connection:
    """A database file. Raises Failed when it is none, or is in a state that cannot be read without writing."""
    try:
        with Path(path).open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise toolkit.Failed(
            f"The database file cannot be read: {error.strerror}.", hint="Check the path of the connection."
        ) from None
    if header and not header.startswith(b"SQLite format 3\0"):
        raise toolkit.Failed("The file is not an SQLite database.", hint="Check the path and kind of the connection.")
    # With a write-ahead log, readers share memory with writers by a file beside. Where there is no log nobody writes,
    # and the file is all there is; it must then be read without that file, which a reader may not make.
    logged = header[18:19] == b"\x02"
    alone = logged and not Path(f"{path}-wal").exists()
    uri = f"file:{quote(path)}?mode=ro&readonly_shm=1" + ("&immutable=1" if alone else "")
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
        try:
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            for limit, value in _LIMITS.items():
                connection.setlimit(limit, value)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            for name in sorted(_ROW_FUNCTIONS):  # the first use declares them, which later is not allowed any more
                connection.execute(f"SELECT 1 FROM {name}('[]')").fetchall()  # noqa: S608 - names of ours
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        hint = "Open it once with the program that wrote it and close it there, or name a copy."
        said = row.one_line(str(error))
        raise toolkit.Failed(f"The database cannot be opened for reading: {said}.", hint=hint) from None
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def read(
    connection: sqlite3.Connection,
    sql: str,
    params: list[Any] | None = None,
    *,
    title: str = "",
    granted: Collection[str] | None = None,
) -> toolkit.Table:
    """The rows of one statement that reads, with `params` bound to its `?`.

    `granted`: tables that may be read, those beneath a view included; None for all. Raises Failed in one line.
    """
    values = row.check_params(params)
    row.check_text(sql)
    gate = _Gate(_tables(connection) if granted is None else {row.folded(name) for name in granted}, granted is None)
    deadline = [time.monotonic() + row.SECONDS]
    connection.set_authorizer(gate.asked)
    connection.set_progress_handler(lambda: time.monotonic() > deadline[0], 10_000)
    try:
        with closing(connection.execute(sql, values)) as cursor:
            if cursor.description is None:
                raise toolkit.Failed("Only reading is allowed.", hint="Write a SELECT.")
            return _fetch(cursor, deadline, title)
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise _failure(error, gate) from None
    finally:
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)


def describe(connection: sqlite3.Connection, title: str, granted: Collection[str] | None = None) -> toolkit.Table:
    """Tables, columns and declared types, one row a column."""
    found = connection.execute(
        "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid"
    ).fetchall()
    allowed = None if granted is None else {row.folded(name) for name in granted}
    return row.describe([(t, c, k) for t, c, k in found if allowed is None or row.folded(t) in allowed], title)


def _tables(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    return {row.folded(name) for (name,) in found}


class _Gate:
    """What SQLite asks while it prepares a statement. `refused`: the first thing that was not allowed, in words."""

    def __init__(self, tables: Collection[str], schema: bool) -> None:
        self.tables = tables
        self.schema = schema
        self.refused = ""

    def asked(self, action: int, first: str | None, second: str | None, database: str | None, source: Any) -> int:
        said = self._refusal(action, row.folded(first or ""), row.folded(second or ""), database)
        self.refused = self.refused or said
        return sqlite3.SQLITE_DENY if said else sqlite3.SQLITE_OK

    def _refusal(self, action: int, first: str, second: str, database: str | None) -> str:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return ""
        if action == sqlite3.SQLITE_FUNCTION:
            return "" if second in _FUNCTIONS else f"The function {second} is not allowed."
        if action == sqlite3.SQLITE_READ:
            known = first in self.tables or first in _ROW_FUNCTIONS or (self.schema and first in _SCHEMA)
            # A name that WITH or FROM gives to a query has no database.
            return "" if not database or (known and database == "main") else f"The table {first} may not be read."
        return "Only reading is allowed."


def _fetch(cursor: sqlite3.Cursor, deadline: list[float], title: str) -> toolkit.Table:
    """The first rows, and how many there are in all."""
    import pyarrow as pa

    names = [str(column[0]) for column in cursor.description]
    row.check_columns(len(names))
    kept: list[tuple[Any, ...]] = []
    size = 0
    for found in cursor:
        kept.append(found)
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in found)
        if size > row.MAX_BYTES:
            raise row.too_large()
        if len(kept) == row.MAX_ROWS:
            break
    total, ended = len(kept), True
    if total == row.MAX_ROWS:
        deadline[0] = time.monotonic() + _COUNTING
        try:
            for _ in cursor:
                total += 1
                if total >= row.MAX_COUNTED or (total % 1000 == 0 and time.monotonic() > deadline[0]):
                    ended = False
                    break
        except sqlite3.OperationalError:  # interrupted
            total, ended = max(total, row.MAX_ROWS + 1), False
    columns = zip(*kept, strict=True) if kept else [()] * len(names)
    return row.as_table(pa.Table.from_arrays([_array(c) for c in columns], names=names), total, title, ended=ended)


def _array(values: Collection[Any]) -> pa.Array:
    """One column by the values that it really holds: SQLite does not hold columns to a type."""
    import pyarrow as pa

    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int}:
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    return value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def _failure(error: Exception, gate: _Gate) -> toolkit.Failed:
    said = row.one_line(str(error))
    if gate.refused:
        near = f"The tables are: {', '.join(sorted(gate.tables)[:20]) or 'none'}."
        return toolkit.Failed(gate.refused, hint=near if "table" in gate.refused else "Write a SELECT over the tables.")
    if "one statement" in said:
        return toolkit.Failed("Expected one statement.", hint="Write a single SELECT.")
    if "interrupted" in said:
        hint = "Filter or group earlier, so that there is less to go through."
        return toolkit.Failed("The query took too long.", hint=hint)
    if "out of memory" in said or "too big" in said:
        return toolkit.Failed("The query needs more memory than it may use.", hint="Select less text.")
    return toolkit.Failed(said, hint="query_database without SQL lists tables and columns.")
