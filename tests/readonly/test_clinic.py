"""What analysts ask about a clinical study: each is answered, with as many rows and columns as the engine gives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb as duckdb_library
import pytest

from tests.postgres import Server
from tests.readonly.shop import ROLE, Shop
from workbench.readonly import duckdb, postgresql, sqlite

CLINIC: dict[str, dict[str, list[Any]]] = json.loads(Path(__file__).with_name("clinic.json").read_text("utf-8"))
GRANTED = [*CLINIC["rows"]]


def plant(engine: str, execute: Callable[..., Any]) -> None:
    """Make and fill the tables."""
    mark = "%s" if engine == "postgresql" else "?"
    for create in CLINIC["tables"][engine]:
        execute(create)
    for table, rows in CLINIC["rows"].items():
        for row in rows:
            values = [json.dumps(value) if isinstance(value, list) and engine == "sqlite" else value for value in row]
            execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", values)


@pytest.mark.parametrize("granted", [None, GRANTED], ids=["all", "granted"])
@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_files_answer_with_all_rows_and_columns(engine: str, granted: list[str] | None, tmp_path: Path) -> None:
    path = tmp_path / f"clinic.{engine}"
    plain: Any = duckdb_library.connect(str(path)) if engine == "duckdb" else sqlite3.connect(path)
    plant(engine, plain.execute)
    plain.commit()
    expected = {}
    for sql in CLINIC["queries"][engine]:
        answer = plain.execute(sql)
        expected[sql] = (len(answer.fetchall()), len(answer.description))
    plain.close()
    read = duckdb.read if engine == "duckdb" else sqlite.read
    session: Any = duckdb.opened(str(path)) if engine == "duckdb" else sqlite.opened(str(path))
    assert len(expected) >= 40
    for sql, shape in expected.items():
        if sql == "SHOW TABLES" and granted is not None:
            continue  # tells of all tables
        assert read(session, sql, granted=granted).frame.shape == shape, sql
    session.close()


@pytest.mark.peers
def test_postgresql_answers_with_all_rows_and_columns(postgres: Server) -> None:
    shop = Shop(postgres)
    expected = {}
    with shop.admin() as admin:
        plant("postgresql", admin.execute)
        admin.execute(f"GRANT SELECT ON {', '.join(GRANTED)} TO {ROLE}")
        for sql in CLINIC["queries"]["postgresql"]:
            answer = admin.execute(sql)
            expected[sql] = (len(answer.fetchall()), len(answer.description))
    assert len(expected) >= 40
    with shop.forwarded() as way, way.opened() as session:
        for sql, shape in expected.items():
            assert postgresql.read(session, sql, granted=GRANTED).frame.shape == shape, sql
    shop.close()
