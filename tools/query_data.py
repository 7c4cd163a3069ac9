"""Read-only SQL (DuckDB) over the tables you offer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from workbench import toolkit

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["total revenue by region", "the ten largest orders of 2025"]

MAX_SQL = 20_000
MAX_ROWS = 10_000
MAX_COLUMNS = 500

# The order matters: the temporary folder cannot be taken away once outside access is off, and the lock comes last.
SETTINGS = (
    "temp_directory = ''",
    "enable_external_access = false",
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "memory_limit = '1GB'",
    "threads = 1",
    "lock_configuration = true",
)


def run(sql: str, tables: dict[str, toolkit.Frame], title: str = "") -> toolkit.Table:
    """Run one SELECT and return its rows.

    Args:
        sql: one SELECT statement in DuckDB's dialect over the names in `tables`.
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
        statement = one_statement(connection, sql)
        reader = connection.execute(statement)
        frame = reader.fetch_df_chunk(MAX_ROWS // 2048 + 1)
    except duckdb.Error as error:
        raise toolkit.Failed(one_line(str(error)), hint=f"The tables are: {', '.join(tables) or 'none'}.") from None
    if len(frame.columns) > MAX_COLUMNS:
        raise toolkit.Failed(f"The result has {len(frame.columns):,} columns; at most {MAX_COLUMNS} are shown.")
    if len(frame) > MAX_ROWS:
        title = f"{title or 'Result'} (first {MAX_ROWS:,} rows)"
        frame = frame.head(MAX_ROWS)
    return toolkit.Table(plain_numbers(frame), title=title)


def one_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The single reading statement in the text. Raises Failed for anything else."""
    if len(sql.encode()) > MAX_SQL:
        raise toolkit.Failed(f"The SQL is longer than {MAX_SQL:,} bytes.")
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise toolkit.Failed(f"Expected one statement, got {len(statements)}.", hint="Write a single SELECT.")
    kind = str(statements[0].type).rpartition(".")[2].upper()
    summary = re.match(r"\s*(?:summarize|describe|show)\b", sql, re.IGNORECASE)
    if kind != "SELECT" and not (summary and kind in ("EXPLAIN", "SHOW", "PRAGMA")):
        raise toolkit.Failed(f"Only reading is allowed, this is {kind}.", hint="Write a SELECT.")
    if not summary:
        # DuckDB's own parser refuses to serialise what is not a plain SELECT, for example one that changes settings.
        [(tree,)] = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
        said = json.loads(tree)
        if said.get("error"):
            raise toolkit.Failed(one_line(str(said.get("error_message", "not a SELECT"))), hint="Write a SELECT.")
    return statements[0]


def plain_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with sums of integers as integers again: DuckDB widens them to 128 bits."""
    import pandas as pd

    for label in frame.columns:
        values = frame[label]
        if pd.api.types.is_object_dtype(values) and values.map(lambda v: isinstance(v, int)).all() and len(values):
            frame[label] = values.astype("int64")
    return frame


def one_line(text: str) -> str:
    """DuckDB's message without its drawing of the place, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("LINE")]
    lines = [line for line in lines if set(line) - {"^", " "}]
    return " ".join(lines)[:300]
