"""DuckDB that can only read: the tables offered, or one file, and nothing else.

The engine's own settings close files, network, extensions and themselves. Before a statement runs, DuckDB's parser
gives its tree, and every table and function in it must be one that is known to read no more than it should: tables that
were offered or granted; functions that the catalogue calls pure, or that stand in a short list. A macro is judged by
what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from workbench import toolkit
from workbench.readonly import rows as row

if TYPE_CHECKING:
    import duckdb

# The order matters: the temporary folder cannot be taken away once outside access is off, and the lock comes last.
SETTINGS = (
    "temp_directory = ''",
    "enable_external_access = false",
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "memory_limit = '1GB'",
    "threads = 1",  # one thread gives the same order and the same sums each time
    "max_expression_depth = 250",
    "enable_progress_bar = false",  # else a query of more than two seconds prints one, and it stands in the result
    f"max_execution_time = {row.SECONDS * 1000}",
    "lock_configuration = true",
)

# Functions that give rows. Others read files, run SQL from text, show what is set, or act (`checkpoint`).
_ROWS = frozenset({"generate_series", "range", "repeat", "unnest", "json_each", "json_tree"})
# Not pure, and harmless: they tell the time, draw lots, or end the query.
_HARMLESS = frozenset(
    {
        *("now", "today", "current_date", "get_current_time", "get_current_timestamp", "transaction_timestamp"),
        *("random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "error", "current_database", "current_schema"),
    }
)
# Called pure, but they plan SQL from text, which tells of tables, or look at how the engine is set.
_TELLING = frozenset({"json_serialize_plan", "in_search_path", "getenv"})


@dataclass(slots=True)
class _Named:
    """What a statement names. Tables by their path, functions and functions that give rows by their path."""

    tables: list[tuple[str, ...]] = field(default_factory=list)
    functions: list[tuple[str, ...]] = field(default_factory=list)
    row_functions: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)


def offered(tables: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """A database in memory with these DataFrames as its tables."""
    import duckdb

    connection = duckdb.connect(":memory:")
    for name, frame in tables.items():
        connection.register(name, frame)
    return _closed(connection)


def opened(path: str) -> duckdb.DuckDBPyConnection:
    """A database file. Raises Failed when it is no such file, or another program writes to it."""
    import duckdb

    try:
        return _closed(duckdb.connect(path, read_only=True))
    except duckdb.Error as error:
        said = str(error)
        if "set lock" in said:
            raise toolkit.Failed(
                "Another program has the database open for writing.", hint="Close it there, or name a copy."
            ) from None
        if "wal" in said.lower():
            hint = "Open it once with the program that wrote it, so that it finishes its work."
            raise toolkit.Failed("The database was not closed by who wrote it.", hint=hint) from None
        raise toolkit.Failed(
            "The file cannot be opened as a DuckDB database.", hint="Check the path and the kind of the connection."
        ) from None


def _closed(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    for setting in SETTINGS:
        connection.execute(f"SET {setting}")
    return connection


def read(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    params: list[Any] | None = None,
    *,
    title: str = "",
    granted: Collection[str] | None = None,
) -> toolkit.Table:
    """The rows of one statement that reads, with `params` bound to its `?` or `$1`.

    `granted`: names of tables, `name` or `schema.name`, that may be read; None for all tables of the database. Raises
    Failed in one line.
    """
    import duckdb

    values = row.check_params(params)
    names = _tables(connection, granted)
    try:
        only_reads(connection, sql, names, listed=granted is None)
        return _fetch(connection.sql(sql, params=values) if values else connection.sql(sql), title)
    except duckdb.Error as error:
        raise _failure(str(error), sorted(names)) from None


def describe(
    connection: duckdb.DuckDBPyConnection, title: str, granted: Collection[str] | None = None
) -> toolkit.Table:
    """Tables, columns and types of the database, one row a column."""
    names = _tables(connection, granted)
    found = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        " AND database_name = current_database() ORDER BY schema_name, table_name, column_index"
    ).fetchall()
    return row.describe([(_name(s, t), c, k) for s, t, c, k in found if _name(s, t) in names], title)


def _tables(connection: duckdb.DuckDBPyConnection, granted: Collection[str] | None) -> set[str]:
    """The names that may be read: `name` in the main schema, else `schema.name`."""
    if granted is not None:
        return {row.folded(name).removeprefix("main.") for name in granted}
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        " UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    return {_name(schema, table) for schema, table in found}


def _name(schema: str, table: str) -> str:
    return row.folded(table if schema == "main" else f"{schema}.{table}")


def only_reads(
    connection: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], *, listed: bool = True
) -> None:
    """Raise Failed for anything but a single statement that reads `tables`. `listed`: SHOW TABLES may run."""
    row.check_text(sql)
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise toolkit.Failed(f"Expected one statement, got {len(statements)}.", hint="Write a single SELECT.")
    kind = str(statements[0].type).rpartition(".")[2]
    if kind == "MULTI":
        raise toolkit.Failed(
            "PIVOT on its own is more than one statement.",
            hint="Name the values: SELECT * FROM (PIVOT t ON x IN ('a', 'b') USING sum(y)).",
        )
    named = _named(connection, sql)
    if kind != "SELECT" or named is None:
        raise toolkit.Failed(f"Only reading is allowed; this is {kind}.", hint="Write a SELECT.")
    catalogue = row.folded(str(connection.execute("SELECT current_database()").fetchall()[0][0]))
    for path in named.tables:
        _check_table(path, tables, catalogue)
    for name in named.lists:
        if name == "tables" and not listed:
            raise toolkit.Failed(
                "SHOW TABLES shows all tables, of which some may be read.", hint=_there_are(sorted(tables))
            )
        if name != "tables":
            raise toolkit.Failed("Only SHOW TABLES and DESCRIBE of a table are allowed.", hint="Write a SELECT.")
    for function in named.row_functions:
        if function not in _ROWS:
            raise toolkit.Failed(f"The function {function} is not allowed in FROM.", hint="Read the offered tables.")
    for function in _forbidden(connection, named.functions):
        raise toolkit.Failed(f"The function {function} is not allowed.", hint="Compute from the tables alone.")


def _check_table(path: tuple[str, ...], tables: Collection[str], catalogue: str) -> None:
    said = ".".join(path)
    parts = [row.folded(part) for part in path]
    if (len(parts) == 3 and parts[0] == catalogue) or (
        len(parts) == 2 and parts[0] == catalogue and ".".join(parts) not in tables
    ):
        parts = parts[1:]
    if len(parts) == 2 and parts[0] == "main":
        parts = parts[1:]
    if len(parts) > 2 or ".".join(parts) not in tables:
        near = get_close_matches(parts[-1], list(tables), n=1)
        raise toolkit.Failed(
            f"Table with name {said} does not exist, or is not one that may be read."
            + (f' Did you mean "{near[0]}"?' if near else ""),
            hint=_there_are(sorted(tables)),
        )


def _named(connection: duckdb.DuckDBPyConnection, sql: str) -> _Named | None:
    """What DuckDB's own parser finds in a SELECT (and in DESCRIBE and SUMMARIZE); None for anything else."""
    [(text,)] = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    try:
        tree = json.loads(text)
    except RecursionError:
        raise toolkit.Failed("The SQL is nested too deep.", hint="Write it in steps, with WITH.") from None
    if tree.get("error"):
        return None
    named = _Named()
    for node, known in _nodes(tree):
        path = _path(node)
        match node.get("type"):
            case "BASE_TABLE" if not (len(path) == 1 and row.folded(path[0]) in known):
                named.tables.append(path)
            case "SHOW_REF" if not node.get("query"):
                if node.get("show_type") == "SHOW":
                    named.tables.append(path)
                else:
                    named.lists.append(path[-1].strip('"'))
            case "TABLE_FUNCTION":
                named.row_functions.append(row.folded(_path(node.get("function") or {})[-1]))
        if "function_name" in node:
            named.functions.append(path)
    return named


def _path(node: Mapping[str, Any]) -> tuple[str, ...]:
    """The full name in a node, from the catalogue to the name itself."""
    path = (node.get("qualified_name") or {}).get("path")
    if path:
        return tuple(map(str, path))
    return (str(node.get("function_name") or node.get("table_name") or "?"),)


def _nodes(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every node of the tree with the names that WITH gave to queries there. A name is known after its own query, and
    inside of it only when that is recursive: everywhere else it stands for a table."""
    pending: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while pending:
        node, known = pending.pop()
        if isinstance(node, list):
            pending += [(item, known) for item in node]
            continue
        if not isinstance(node, dict):
            continue
        if node.get("type") == "RECURSIVE_CTE_NODE":
            known |= {row.folded(str(node.get("cte_name")))}
        rest = dict(node)
        for entry in (rest.pop("cte_map", None) or {}).get("map") or []:
            pending.append((entry.get("value"), known))
            known |= {row.folded(str(entry.get("key")))}
        if node is not tree:
            yield node, known
        # A function in FROM is judged as such, not as a value; what it is given is judged as usual.
        if node.get("type") == "TABLE_FUNCTION" and isinstance(call := rest.get("function"), dict):
            rest["function"] = {key: value for key, value in call.items() if key != "function_name"}
        pending += [(value, known) for value in rest.values()]


def _forbidden(connection: duckdb.DuckDBPyConnection, called: Collection[tuple[str, ...]]) -> Iterator[str]:
    """Those of the functions that may not be called, and those that nobody knows."""
    pending = {row.folded(path[-1]) for path in called}
    judged: set[str] = set()
    while pending:
        names = sorted(pending - judged)
        judged |= pending
        pending = set()
        found = connection.execute(
            "SELECT lower(function_name), function_type, stability, coalesce(has_side_effects, false), internal,"
            " macro_definition FROM duckdb_functions() WHERE list_contains(?, lower(function_name))",
            [names],
        ).fetchall()
        yield from sorted(set(names) - {name for name, *_ in found} - _SYNTAX)
        for name, kind, stability, acts, internal, definition in found:
            if name in _TELLING:
                yield name
            elif (name in _SYNTAX and internal) or (kind == "macro" and internal and name in _HARMLESS):
                continue
            elif kind == "macro":
                inner = _named(connection, f"SELECT {definition}")
                if inner is None or inner.tables or inner.row_functions or inner.lists:
                    yield name
                else:
                    pending |= {row.folded(path[-1]) for path in inner.functions if path[0] != "system"}
            elif kind in ("scalar", "aggregate", "window"):
                if not internal or (name not in _HARMLESS and (acts or stability not in (None, "CONSISTENT"))):
                    yield name
            elif not any(other == name and what in ("scalar", "aggregate", "macro") for other, what, *_ in found):
                yield name  # a name that exists only as a function in FROM or as a PRAGMA


# What the parser calls functions although the catalogue has no such name.
_SYNTAX = frozenset({"coalesce", "count_star", "struct_pack", "unnest", "unlist", "grouping", "grouping_id", "columns"})


def _fetch(relation: duckdb.DuckDBPyRelation, title: str) -> toolkit.Table:
    """The first rows, and how many there are in all."""
    import pyarrow as pa

    row.check_columns(len(relation.columns))
    reader = relation.to_arrow_reader(2048)
    kept: list[pa.RecordBatch] = []
    total = size = 0
    ended = True
    for batch in reader:
        if total < row.MAX_ROWS:
            kept.append(batch.slice(0, row.MAX_ROWS - total))
            size += batch.nbytes
        total += batch.num_rows
        if size > row.MAX_BYTES:
            raise row.too_large()
        if total >= row.MAX_COUNTED:
            total, ended = row.MAX_COUNTED, False
            break
    return row.as_table(pa.Table.from_batches(kept, reader.schema), total, title, ended=ended)


def _failure(message: str, names: list[str]) -> toolkit.Failed:
    """DuckDB's message as one line, without its drawing of the place, with what to do about it."""
    said = message.partition("\n\nLINE ")[0].partition("Candidate functions:")[0]
    hint = _there_are(names)
    if said.startswith("Permission Error"):
        said = "SQL reads the offered tables only, no files and no addresses."
    elif "No function matches" in said and "VARCHAR" in said:
        hint = "Cast text first, for example order_date::DATE or units::INTEGER."
    elif "max_execution_time" in said or "INTERRUPT" in said:
        hint = "Filter or group earlier, so that there is less to go through."
    elif "Max expression depth" in said:
        said, hint = "The SQL is nested too deep.", "Write it in steps, with WITH."
    return toolkit.Failed(row.one_line(said), hint=hint)


def _there_are(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"The tables are: {', '.join(names[:20]) or 'none'}{more}."
