"""Read-only SQL (DuckDB) over the tables you offer."""

from __future__ import annotations

from typing import Any

from workbench import toolkit
from workbench.readonly import duckdb as readonly

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["total revenue by region", "the ten largest orders of 2025"]


def run(sql: str, tables: dict[str, toolkit.Frame], title: str = "", params: list[Any] | None = None) -> toolkit.Table:
    """Run one SELECT and return its rows: at most 10,000, decimals as floating point.

    Args:
        sql: one SELECT, WITH, VALUES, DESCRIBE or SUMMARIZE in DuckDB's dialect over the names in `tables`; text that
            holds dates needs a cast, as in order_date::DATE.
        tables: name in the SQL → table, for example {"sales": {"$ref": "@sales"}}.
        title: what the result shows, in a few words.
        params: values for `?` in the SQL, in order.
    """
    return readonly.read(readonly.offered(tables), sql, params, title=title)
