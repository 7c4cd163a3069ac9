"""Read-only SQL over a named database connection: DuckDB, SQLite or PostgreSQL."""

from __future__ import annotations

from typing import Any

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["sql"]
EFFECT = "read"
TIMEOUT = 90
EXAMPLES = ["query the database {connection} with {sql}", "list the tables of the database {connection}"]


def run(
    connection: str = "", sql: str = "", params: list[Any] | None = None, title: str = ""
) -> toolkit.Table | list[dict[str, str]]:
    """Run one SELECT on a database and return its rows: at most 10,000. Without SQL: what there is.

    Args:
        connection: name of the connection; empty lists the connections there are.
        sql: one SELECT in the dialect of that database; empty lists its tables, columns and types.
        params: values for the placeholders in the SQL, in order: `?` in DuckDB and SQLite, `$1` in PostgreSQL.
        title: what the result shows, in a few words.
    """
    if not connection:
        return list(toolkit.call("sql.connections"))
    place = toolkit.call("sql.open", connection=connection)
    granted = place["tables"]
    title = title or ("" if sql else f"Tables of {connection}")
    match place["kind"]:
        case "duckdb":
            from workbench.readonly import duckdb

            with duckdb.opened(place["path"]) as file:
                if not sql:
                    return duckdb.describe(file, title, granted)
                return duckdb.read(file, sql, params, title=title, granted=granted)
        case "sqlite":
            from workbench.readonly import sqlite

            file_ = sqlite.opened(place["path"])
            try:
                if not sql:
                    return sqlite.describe(file_, title, granted)
                return sqlite.read(file_, sql, params, title=title, granted=granted)
            finally:
                file_.close()
        case _:
            from workbench.readonly import postgresql

            with postgresql.opened("127.0.0.1", place["port"], place["dbname"], place["user"]) as server:
                if not sql:
                    return postgresql.describe(server, title, granted)
                return postgresql.read(server, sql, params, title=title, granted=granted)
