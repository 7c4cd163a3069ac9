"""Read-only SQL (DuckDB) over the tables you offer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench import toolkit

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["total revenue by region", "the ten largest orders of 2025"]

MAX_SQL = 20_000
MAX_ROWS = 10_000
MAX_COUNTED = 5_000_000
MAX_BYTES = 64_000_000
MAX_COLUMNS = 500

# The order matters: the temporary folder cannot be taken away once outside access is off, and the lock comes last.
SETTINGS = (
    "temp_directory = ''",
    "enable_external_access = false",
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "memory_limit = '1GB'",
    "threads = 1",  # one thread gives the same order and the same sums each time
    "max_execution_time = 50000",
    "lock_configuration = true",
)
# Functions that give rows. Others read files, run SQL from text, or act (`checkpoint`, `enable_logging`).
ROW_FUNCTIONS = frozenset({"generate_series", "range", "repeat", "unnest"})


def run(sql: str, tables: dict[str, toolkit.Frame], title: str = "") -> toolkit.Table:
    """Run one SELECT and return its rows: at most 10,000, decimals as floating point.

    Args:
        sql: one SELECT, WITH, VALUES, DESCRIBE or SUMMARIZE in DuckDB's dialect over the names in `tables`; text that
            holds dates needs a cast, as in order_date::DATE.
        tables: name in the SQL → table, for example {"sales": {"$ref": "@sales"}}.
        title: what the result shows, in a few words.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    for name, frame in tables.items():
        connection.register(name, frame)
    for setting in SETTINGS:
        connection.execute(f"SET {setting}")
    try:
        only_reads(connection, sql)
        rows, total = fetch(connection.sql(sql))
    except duckdb.Error as error:
        raise failure(str(error), list(tables)) from None
    if total > len(rows):
        counted = f"{total:,}" if total < MAX_COUNTED else f"more than {MAX_COUNTED:,}"
        title = f"{title or 'Result'} (first {len(rows):,} of {counted} rows)"
    return toolkit.Table(as_frame(rows), title=title)


def only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise Failed for anything but a single statement that reads."""
    if len(sql.encode("utf-8", "replace")) > MAX_SQL:
        raise toolkit.Failed(f"The SQL is longer than {MAX_SQL:,} bytes.")
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise toolkit.Failed(f"Expected one statement, got {len(statements)}.", hint="Write a single SELECT.")
    kind = str(statements[0].type).rpartition(".")[2]
    if kind == "MULTI":
        raise toolkit.Failed(
            "PIVOT on its own is more than one statement.",
            hint="Name the values: SELECT * FROM (PIVOT t ON x IN ('a', 'b') USING sum(y)).",
        )
    # DuckDB's own parser gives the tree of a SELECT (and of DESCRIBE and SUMMARIZE), and of nothing else.
    [(text,)] = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(text)
    if kind != "SELECT" or tree.get("error"):
        raise toolkit.Failed(f"Only reading is allowed; this is {kind}.", hint="Write a SELECT.")
    for function in row_functions(tree):
        if function not in ROW_FUNCTIONS:
            raise toolkit.Failed(f"The function {function} is not allowed in FROM.", hint="Read the offered tables.")


def row_functions(tree: Any) -> Iterator[str]:
    """The names of all functions that stand where a table could."""
    if isinstance(tree, dict):
        if tree.get("type") == "TABLE_FUNCTION":
            yield str(tree.get("function", {}).get("function_name", "?")).lower()
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            yield from row_functions(item)


def fetch(relation: duckdb.DuckDBPyRelation) -> tuple[pa.Table, int]:
    """The first rows, and how many there are in all."""
    import pyarrow as pa

    if len(relation.columns) > MAX_COLUMNS:
        raise toolkit.Failed(f"The result has {len(relation.columns):,} columns; at most {MAX_COLUMNS} are shown.")
    reader = relation.to_arrow_reader(2048)
    kept: list[pa.RecordBatch] = []
    total = size = 0
    for batch in reader:
        if total < MAX_ROWS:
            kept.append(batch.slice(0, MAX_ROWS - total))
            size += batch.nbytes
        total += batch.num_rows
        if size > MAX_BYTES:
            raise toolkit.Failed(f"The result is larger than {MAX_BYTES // 1_000_000} MB.", hint="Select less text.")
        if total >= MAX_COUNTED:
            break
    return pa.Table.from_batches(kept, reader.schema), total


def as_frame(rows: pa.Table) -> pd.DataFrame:
    """The rows as a DataFrame whose column names differ and whose columns hold ordinary types."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        label, number = name, 1
        while label in columns:
            label, number = f"{name}_{number}", number + 1
        columns[label] = ordinary(column)
    return pd.DataFrame(columns, index=pd.RangeIndex(rows.num_rows))


def ordinary(column: pa.ChunkedArray) -> Any:
    """One column for pandas: whole numbers stay whole, also with gaps; dates become timestamps; rare types text."""
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind):
        # A sum of integers comes as a decimal of 38 digits and is an integer again wherever it fits.
        try:
            column = column.cast(pa.int64() if kind.scale == 0 else pa.float64())
        except pa.ArrowInvalid:
            column = column.cast(pa.float64())
    elif isinstance(kind, pa.BaseExtensionType) or pa.types.is_interval(kind) or pa.types.is_map(kind):
        return pd.Series([None if value is None else str(value) for value in column.to_pylist()], dtype="str")
    if pa.types.is_signed_integer(column.type) and column.null_count:
        return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return column.to_pandas(date_as_object=False)


def failure(message: str, names: list[str]) -> toolkit.Failed:
    """DuckDB's message as one line, without its drawing of the place, with what to do about it."""
    said = message.partition("\n\nLINE ")[0].partition("Candidate functions:")[0]
    hint = f"The tables are: {', '.join(names) or 'none'}."
    if said.startswith("Permission Error"):
        said = "SQL reads the offered tables only, no files and no addresses."
    elif "No function matches" in said and "VARCHAR" in said:
        hint = "Cast text first, for example order_date::DATE or units::INTEGER."
    elif "max_execution_time" in said or "INTERRUPT" in said:
        hint = "Filter or group earlier, so that there is less to go through."
    return toolkit.Failed(" ".join(said.split())[:300], hint=hint)
