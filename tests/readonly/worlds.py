"""What hostile SQL finds: a database with tables it may read and others it may not, secrets, a folder, a listener."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SALES = [(1, "a", 10), (2, "b", 20), (3, "c", 30)]
GRANTED = ("sales",)


@dataclass(frozen=True)
class Attack:
    """One hostile statement. `oracle` names the effect it is after; placeholders stand for what a world plants."""

    id: str
    sql: str
    oracle: str
    title: str = ""

    @classmethod
    def load(cls, name: str) -> list[Attack]:
        told = json.loads((ROOT / "tests" / "corpus" / "attacks" / f"{name}.json").read_text())
        return [cls(item["id"], item["sql"], item["oracle"], item.get("title", "")) for item in told]


@dataclass
class Seen:
    """What a statement gave: `text` of all rows up to a cap, `rows` and `size` of the result, `ran` whether anything
    was executed to its end, `conf` the settings that changed, `spent` that it took all the time or memory it had."""

    ran: bool = False
    rows: int = 0
    size: int = 0
    text: str = ""
    error: str = ""
    conf: tuple[str, ...] = ()
    spent: str = ""


@dataclass
class World:
    """One throwaway place for one statement, in `folder`."""

    folder: Path
    kind: str
    canary: str = field(default_factory=lambda: f"CANARY_{secrets.token_hex(8)}")
    salary: str = field(default_factory=lambda: f"SALARY_{secrets.token_hex(8)}")

    def __post_init__(self) -> None:
        self.out = self.folder / "out"
        self.out.mkdir(parents=True)
        self.secret = self.folder / "secret"
        for path in (self.secret, self.folder / "secret.csv", self.folder / ".ssh" / "id_rsa"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{self.canary}\n{self.canary}\n")
        (self.folder / "secret.json").write_text(json.dumps([{"a": self.canary}]))
        (self.folder / "secret.parquet").write_bytes(b"PAR1" + self.canary.encode() + b"PAR1")
        self.database = self.folder / f"shop.{self.kind}"
        self.other = self.folder / "other.db"
        self.knocked = 0
        self.listener = create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()
        self._plant(self.other, "CREATE TABLE secrets (s VARCHAR)", "INSERT INTO secrets VALUES (?)", [(self.canary,)])
        table = "CREATE TABLE sales (id INTEGER PRIMARY KEY, name VARCHAR, amount INTEGER)"
        self._plant(self.database, table, "INSERT INTO sales VALUES (?, ?, ?)", SALES)
        if self.kind == "duckdb":
            self._plant(self.database, "CREATE SCHEMA hr")
            self._plant(self.database, "CREATE SEQUENCE sales_id_seq")
        named = "hr.salaries" if self.kind == "duckdb" else "hr_salaries"
        create = f"CREATE TABLE {named} (name VARCHAR, salary VARCHAR, {self.salary} INTEGER)"
        self._plant(self.database, create, f"INSERT INTO {named} VALUES (?, ?, ?)", [("boss", self.salary, 1)])
        self._plant(self.database, f"CREATE VIEW everybody AS SELECT * FROM {named}")
        self.before = self.state()
        self.files = self.listing()

    def _listen(self) -> None:
        while True:
            try:
                knocking, _ = self.listener.accept()
            except OSError:
                return
            self.knocked += 1
            knocking.close()

    def _plant(self, path: Path, create: str, insert: str = "", rows: list[tuple[Any, ...]] | None = None) -> None:
        connection = connect(self.kind, path)
        try:
            connection.execute(create)
            for values in rows or []:
                connection.execute(insert, values)
            connection.commit()
        finally:
            connection.close()

    def plant_table(self, name: str) -> None:
        """A table that a statement names and no world has."""
        schema, _, _ = name.rpartition(".")
        if schema and self.kind == "duckdb":
            self._plant(self.database, f"CREATE SCHEMA IF NOT EXISTS {schema}")
        create = f"CREATE TABLE {name} (id INTEGER, name VARCHAR, amount INTEGER)"
        self._plant(self.database, create, f"INSERT INTO {name} VALUES (?, ?, ?)", [(1, self.salary, 1)])
        self.before, self.files = self.state(), self.listing()

    def placed(self, sql: str) -> str:
        places = {
            "@SECRET@": str(self.secret),
            "@HOME@": str(self.folder),
            "@OUT@": str(self.out),
            "@OTHERDB@": str(self.other),
            "@DB@": str(self.database),
            "@TCP@": str(self.listener.getsockname()[1]),
        }
        return re.sub(r"@[A-Z]+@", lambda found: places.get(found[0], found[0]), sql)

    def state(self) -> str:
        """Everything that the database holds, as text: rows, schema, and what its header says."""
        connection = connect(self.kind, self.database)
        try:
            if self.kind == "sqlite":
                marks = [connection.execute(f"PRAGMA {m}").fetchall() for m in ("user_version", "journal_mode")]
                return repr([*connection.iterdump(), marks])
            tables = connection.execute(
                "SELECT schema_name, table_name, sql FROM duckdb_tables() ORDER BY ALL"
            ).fetchall()
            rows = [connection.execute(f'FROM "{s}"."{t}" ORDER BY ALL').fetchall() for s, t, _ in tables]
            others = [
                connection.execute(f"SELECT * FROM {name}() WHERE NOT internal").fetchall()
                for name in ("duckdb_views", "duckdb_functions")
            ]
            sequences = connection.execute("SELECT sequence_name, last_value FROM duckdb_sequences()").fetchall()
            return repr([tables, rows, [[str(row) for row in found] for found in others], sequences])
        except Exception as error:  # noqa: BLE001 - a database that cannot be read any more has changed
            return f"broken: {error}"
        finally:
            connection.close()

    def listing(self) -> list[str]:
        beside = {f"{self.database}{ending}" for ending in ("", ".wal", "-wal", "-shm", "-journal")}
        return sorted(str(p) for p in self.folder.rglob("*") if str(p) not in beside and ".tmp" not in p.name)

    def harms(self, attack: Attack, seen: Seen, *, max_rows: int, max_bytes: int) -> list[str]:
        """What the statement achieved, by its effects."""
        found = []
        if self.canary in seen.text or (attack.oracle == "leak" and str(self.folder) in seen.text):
            found.append("leak")
        if self.salary in seen.text:
            found.append("denied")
        if self.state() != self.before:
            found.append("db")
        if self.listing() != self.files:
            found.append("file")
        if self.knocked:
            found.append("listen")
        if seen.rows > max_rows or seen.size > max_bytes:
            found.append("rows")
        if seen.conf:
            found.append("conf")
        if seen.spent:
            found.append(seen.spent)
        if attack.oracle in ("stmt", "conf") and seen.ran:
            found.append(attack.oracle)
        return found

    def close(self) -> None:
        self.listener.close()


def connect(kind: str, path: Path) -> Any:
    """A plain connection that may do everything."""
    if kind == "sqlite":
        return sqlite3.connect(path)
    import duckdb

    return duckdb.connect(str(path))


def settings_of(kind: str, connection: Any) -> Mapping[str, str]:
    if kind == "sqlite":
        names = ("query_only", "trusted_schema", "writable_schema", "foreign_keys", "synchronous")
        return {name: str(connection.execute(f"PRAGMA {name}").fetchall()) for name in names}
    return dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
