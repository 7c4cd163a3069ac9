"""What analysts ask: the same three tables in each engine, and queries over them with the rows that are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

QUERIES: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("ordinary.json").read_text())
"""By engine: SQL, parameters, names of the columns, rows."""

TYPES = {
    "duckdb": ("VARCHAR", "DECIMAL(8, 2)", "DATE", "JSON", "?"),
    "sqlite": ("TEXT", "REAL", "TEXT", "TEXT", "?"),
    "postgresql": ("text", "numeric(8, 2)", "date", "jsonb", "%s"),
}
SALES = [
    (1, "North", "apple", 10, 1.50, "2025-01-05", "Ada", '{"colour": "red", "sizes": [3, 4]}'),
    (2, "North", "pear", 5, 2.00, "2025-01-20", "Bob", None),
    (3, "South", "apple", 7, 1.50, "2025-02-03", "Ada", None),
    (4, "South", "plum", 3, 4.00, "2025-02-14", "Cy", None),
    (5, "West", "pear", 8, 2.25, "2025-03-01", "Bob", None),
    (6, "West", "apple", None, 1.75, "2025-03-15", None, None),
]
CUSTOMERS = [("Ada", "PT"), ("Bob", "DE"), ("Dee", "JP")]
SIZES = [(170.5, "Zoë"), (182.0, "Søren")]


def plant(engine: str, execute: Callable[..., Any]) -> None:
    """Make and fill the tables."""
    text, number, day, facts, mark = TYPES[engine]
    execute(
        f"CREATE TABLE sales (id INTEGER, region {text}, product {text}, units INTEGER, price {number},"
        f" order_date {day}, customer {text}, facts {facts})"
    )
    execute(f"CREATE TABLE customers (name {text}, country {text})")
    execute(f'CREATE TABLE "größen" ("Länge cm" {number}, "naïve name" {text})')
    for table, rows in (("sales", SALES), ("customers", CUSTOMERS), ('"größen"', SIZES)):
        for row in rows:
            execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", row)


def plain(frame: pd.DataFrame) -> list[list[Any]]:
    """The rows as JSON holds them: gaps as null, days as text, six decimals."""
    return [[_plain(value) for value in row] for row in frame.itertuples(index=False)]


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return value
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    if isinstance(value, pd.Timestamp):
        return str(value.date() if value == value.normalize() else value)
    return round(value, 6) if isinstance(value, float) else value
