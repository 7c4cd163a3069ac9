"""The tool as users get it: by the name of a connection, in a worker of the best level that this machine gives."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from tests.postgres import PASSWORD, Server, postgres
from tests.readonly.shop import Shop
from tests.tools.test_in_workers import tool
from workbench.core import schema
from workbench.core.connections import Connection
from workbench.core.tools import ToolCall, ToolResult
from workbench.policy.connections import connection_services, granting
from workbench.sandbox.choose import ChosenSandbox
from workbench.sandbox.doors import Doors
from workbench.sandbox.frames import read_frame

__all__ = ["postgres"]


class Desk:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.sandbox = ChosenSandbox(self.home, folder / "project")
        self.connections: dict[str, Connection] = {}
        self.exchanges: list[Any] = []

    async def run(self, seconds: float = 60.0, **params: Any) -> ToolResult:
        call = ToolCall(run="r1", step="s1", tool=tool("query_database"), params=params, timeout=seconds)
        assert list(schema.check(params, call.tool.params, resolved=True)) == []
        call, doors = granting(self.connections, call), Doors()
        services = connection_services(
            self.connections, {"SHOP": SecretStr(PASSWORD)}, call, doors, self.exchanges.append
        )
        return await self.sandbox.run(call, services, self.home / "artifacts", doors=doors)

    async def rows(self, **params: Any) -> list[list[Any]]:
        result = await self.run(**params)
        assert result.status == "ok", result.error
        rows: list[list[Any]] = read_frame(self.home / "artifacts" / result.artifacts[0].path).to_numpy().tolist()
        return rows


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "project").mkdir()
    desk = Desk(tmp_path)
    yield desk
    await desk.sandbox.close()


@pytest.fixture
def shop(postgres: Server) -> Iterator[Shop]:
    shop = Shop(postgres)
    yield shop
    shop.close()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A DuckDB file that another program has open for writing."""
    path = tmp_path / "busy.duckdb"
    holder = "import duckdb,sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield path
        process.communicate()


def duck(path: Path) -> None:
    with duckdb.connect(str(path)) as made:
        made.execute("CREATE TABLE sales AS SELECT i AS id, i * 1.5 AS amount FROM range(4) t(i)")


def lite(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE sales (id INTEGER, amount REAL)")
        made.executemany("INSERT INTO sales VALUES (?, ?)", [(i, i * 1.5) for i in range(4)])
    made.close()


@pytest.mark.parametrize(("kind", "make"), [("duckdb", duck), ("sqlite", lite)])
async def test_a_file_is_described_queried_and_kept_as_it_is(desk: Desk, tmp_path: Path, kind: Any, make: Any):
    path = tmp_path / "elsewhere" / f"shop.{kind}"
    path.parent.mkdir()
    make(path)
    before = path.read_bytes()
    desk.connections["shop"] = Connection(kind=kind, path=path)
    listed = await desk.run()
    assert listed.value == [{"name": "shop", "kind": kind}]
    assert {(table, column) for table, column, _ in await desk.rows(connection="shop")} == {
        ("sales", "id"),
        ("sales", "amount"),
    }
    assert await desk.rows(connection="shop", sql="SELECT sum(amount) FROM sales WHERE id > ?", params=[1]) == [[7.5]]
    refused = await desk.run(connection="shop", sql="DELETE FROM sales")
    assert (refused.status, refused.error.partition(";")[0].rstrip(".")) == ("failed", "Only reading is allowed")
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


async def test_a_log_beside_the_file_is_read_too(desk: Desk, tmp_path: Path):
    path = tmp_path / "busy.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("INSERT INTO t VALUES (42)")
    desk.connections["busy"] = Connection(kind="sqlite", path=path)
    assert await desk.rows(connection="busy", sql="SELECT x FROM t") == [[42]]
    writer.execute("INSERT INTO t VALUES (43)")
    assert await desk.rows(connection="busy", sql="SELECT sum(x) FROM t") == [[85]]
    writer.close()


async def test_a_duckdb_file_that_another_program_writes_is_one_line(desk: Desk, held: Path):
    desk.connections["busy"] = Connection(kind="duckdb", path=held)
    result = await desk.run(connection="busy", sql="SELECT 1")
    assert result.error == "Another program has the database open for writing."
    assert result.hint


async def test_unknown_connections_and_missing_files_are_one_line(desk: Desk, tmp_path: Path):
    desk.connections["gone"] = Connection(kind="sqlite", path=tmp_path / "gone.sqlite")
    unknown = await desk.run(connection="nope", sql="SELECT 1")
    gone = await desk.run(connection="gone", sql="SELECT 1")
    assert unknown.error == "There is no connection 'nope'."
    assert "gone" in unknown.hint
    assert "is not there" in gone.error


@pytest.mark.peers
async def test_a_server_is_read_through_a_port_of_the_call(desk: Desk, shop: Shop):
    desk.connections["shop"] = shop.connection
    assert ["sales", "amount", "integer"] in await desk.rows(connection="shop")
    sql = "SELECT name, amount FROM sales WHERE amount > $1 ORDER BY 2"
    assert await desk.rows(connection="shop", sql=sql, params=[10]) == [["b", 20], ["c", 30]]
    refused = await desk.run(connection="shop", sql="SELECT * FROM secret_table")
    assert "permission denied" in refused.error
    assert all(exchange["host"] == "shop" and exchange["bytes_in"] > 0 for exchange in desk.exchanges)
    assert PASSWORD not in repr((refused, desk.exchanges))


@pytest.mark.peers
async def test_when_a_call_ends_early_the_server_runs_nothing_of_it(desk: Desk, shop: Shop):
    desk.connections["shop"] = shop.connection
    endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.a * b.b = 7"
    await desk.run()  # whatever is slow the first time is over
    result = await desk.run(seconds=5.0, connection="shop", sql=endless)
    assert result.status == "timeout"
    running = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'FETCH%%' AND state = 'active'"
    with shop.admin() as admin:
        until = time.monotonic() + 5
        while (left := admin.execute(running, [shop.name]).fetchone()) != (0,) and time.monotonic() < until:
            pass  # the server ends the query when it sees the request, which is sent by now
        assert left == (0,)
