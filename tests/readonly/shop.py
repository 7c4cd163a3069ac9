"""A PostgreSQL database to attack: tables that may be read and others that may not, a sequence, a session to end."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import SecretStr

from tests.postgres import PASSWORD, Server
from tests.readonly.worlds import Attack, Seen
from workbench import bridge
from workbench.core.connections import Connection
from workbench.policy.forward import Forward, Meter
from workbench.readonly import postgresql
from workbench.sandbox.doors import Doors
from workbench.toolkit import Failed, Table

ROLE = "shop_reader"


class Shop:
    """A database of its own on the server, and the role that reads it."""

    def __init__(self, server: Server, **facts: Any) -> None:
        self.server = server
        self.name = f"shop_{secrets.token_hex(4)}"
        self.salary = f"SALARY_{secrets.token_hex(8)}"
        self.canary = f"CANARY_{secrets.token_hex(8)}"
        self.out = server.folder / self.name
        self.out.mkdir()
        self.out.chmod(0o777)
        self.secret = server.folder / f"{self.name}.secret"
        self.secret.write_text(f"{self.canary}\n")
        self.secret.chmod(0o644)
        with suppress(Exception), server.connect() as admin:
            admin.execute("CREATE ROLE postgres SUPERUSER")
        with suppress(Exception), server.connect() as admin:
            admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
            admin.execute(f"ALTER ROLE {ROLE} SET temp_file_limit = '100MB'")  # as README advises
        with server.connect() as admin:
            admin.execute(f"CREATE DATABASE {self.name}")
        with self.admin() as admin:
            for statement in (
                "CREATE TABLE sales (id serial PRIMARY KEY, name text, amount int)",
                "INSERT INTO sales (name, amount) VALUES ('a', 10), ('b', 20), ('c', 30)",
                "CREATE SCHEMA hr",
                f"CREATE TABLE hr.salaries AS SELECT 'boss' AS name, '{self.salary}' AS salary",
                f"CREATE TABLE secret_table AS SELECT '{self.salary}' AS secret",
                "CREATE VIEW everybody AS SELECT * FROM hr.salaries",
                "CREATE FUNCTION empty_sales() RETURNS void LANGUAGE sql AS 'DELETE FROM sales'",
                "CREATE FUNCTION purge(sales) RETURNS int LANGUAGE sql AS 'SELECT pg_advisory_lock(77); SELECT 1'",
                "SELECT lo_from_bytea(4711, 'x')",
                f"GRANT SELECT ON sales TO {ROLE}",
            ):
                admin.execute(statement)
        self.connection = Connection(
            kind="postgresql", host="127.0.0.1", port=server.port, dbname=self.name, user=ROLE, secret="SHOP", **facts
        )

    def admin(self) -> Any:
        return self.server.connect(self.name)

    def plant(self, name: str, what: str) -> None:
        """A table, sequence, role or schema that a statement names and no shop has; only the owner may use it."""
        with self.admin() as admin:
            if what in ("role", "schema"):
                admin.execute(f"CREATE {what} {name}")
                return
            schema, _, _ = name.rpartition(".")
            if schema:
                admin.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            kind = "SEQUENCE" if "seq" in name else "TABLE"
            rest = "" if kind == "SEQUENCE" else f" AS SELECT 1 AS id, '{self.salary}'::text AS name, 1 AS amount"
            admin.execute(f"CREATE {kind} {name}{rest}")

    def placed(self, sql: str, port: int) -> str:
        places = {"@OUT@": str(self.out), "@SECRET@": str(self.secret), "@TCP@": str(port)}
        return re.sub(r"@[A-Z]+@", lambda found: places.get(found[0], found[0]), sql)

    def state(self) -> str:
        """What the database holds: rows, sequences, relations, functions, large objects, settings of roles."""
        with self.admin() as admin:
            names = admin.execute(
                "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid ="
                " c.relnamespace WHERE c.relkind IN ('r', 'S') AND n.nspname !~ '^(pg_|information)' ORDER BY 1"
            ).fetchall()
            rows = [admin.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for (name,) in names]
            others = [
                admin.execute(sql).fetchall()
                for sql in (
                    "SELECT relname, relkind::text, reltuples FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1",
                    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
                    "SELECT oid FROM pg_largeobject_metadata ORDER BY 1",
                    "SELECT setrole, setconfig FROM pg_db_role_setting ORDER BY 1",
                    "SELECT rolname, rolsuper FROM pg_roles ORDER BY 1",
                )
            ]
            return repr([names, rows, others])

    def burned(self) -> int:
        """The next transaction's number."""
        with self.admin() as admin:
            [(number,)] = admin.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchall()
            return int(number)

    def locks(self, pid: int) -> list[str]:
        """What the session holds beyond what reading takes."""
        with self.admin() as admin:
            found = admin.execute(
                "SELECT locktype, mode FROM pg_locks WHERE pid = %s AND mode <> 'AccessShareLock'"
                " AND locktype <> 'virtualxid'",
                [pid],
            ).fetchall()
        return ["alock" if kind == "advisory" else "info" if kind == "transactionid" else "lock" for kind, _ in found]

    @contextmanager
    def forwarded(self, connection: Connection | None = None, password: str = PASSWORD) -> Iterator[Way]:
        """A port that leads to the database as the reading role, as a worker gets it."""
        way = Way(Doors())
        way.doors.listening = True
        forward = Forward(connection or self.connection, SecretStr(password), way.meters.append)
        way.port = bridge.wait(way.doors.open(forward.serve))
        try:
            yield way
        finally:
            bridge.wait(way.doors.close())

    def read(self, sql: str, params: list[Any] | None = None, **options: Any) -> Table:
        with self.forwarded() as way, way.opened() as session:
            return postgresql.read(session, sql, params, **options)

    def close(self) -> None:
        with self.server.connect() as admin:
            admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        shutil.rmtree(self.out, ignore_errors=True)


class Way:
    """A port of a call, and what was carried through it."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.meters: list[Meter] = []
        self.port = 0

    def opened(self) -> Any:
        return postgresql.opened("127.0.0.1", self.port, "any", "anybody")


def bare(shop: Shop, attack: Attack, seconds: float) -> list[str]:
    """The harms of the statement as the database's owner sends it, in one transaction where it holds locks."""
    seen = Seen()

    def play(sql: str) -> tuple[Seen, list[str]]:
        nonlocal seen
        seen, held = _plainly(shop, attack, sql, seconds)
        return seen, held

    harms: list[str] = []
    for _ in range(3):
        harms = _harms(shop, attack, play)
        missing = re.search(r'(relation|role|schema) "([\w.]+)" does not exist', seen.error)
        if missing is None or harms:
            break
        shop.plant(missing[2], missing[1])
    return harms


def gated(shop: Shop, attack: Attack) -> list[str]:
    """The harms of the statement through the gate, as the role that reads."""
    return _harms(shop, attack, lambda sql: _through(shop, sql))


def _harms(shop: Shop, attack: Attack, play: Callable[[str], tuple[Seen, list[str]]]) -> list[str]:
    knocked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, shop.admin() as victim:
        listener.settimeout(0.0)
        before = shop.state()
        burned = shop.burned()
        seen, held = play(shop.placed(attack.sql, listener.getsockname()[1]))
        with suppress(BlockingIOError):
            link, address = listener.accept()
            link.close()
            knocked.append(address[1])
        found = list(held)
        try:
            victim.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - however it ended, it ended
            found.append("killed")
    if seen.rows > 10_000 or seen.size > 64_000_000:
        found.append("rows")
    if shop.canary in seen.text or (attack.oracle == "leak" and seen.ran):
        found.append("leak")
    if shop.salary in seen.text:
        found.append("denied")
    if shop.burned() > burned:
        found.append("info")
    if shop.state() != before:
        found.append("seq" if attack.oracle == "seq" else "db")
    if any(shop.out.iterdir()):
        found.append("file")
    if knocked:
        found.append("listen")
    if attack.oracle in ("stmt", "conf", "info") and seen.ran:
        found.append(attack.oracle)
    return list(dict.fromkeys([*found, *seen.conf, *([seen.spent] if seen.spent else [])]))


def _plainly(shop: Shop, attack: Attack, sql: str, seconds: float) -> tuple[Seen, list[str]]:
    seen = Seen()
    with shop.admin() as session:
        before = dict(session.execute("SELECT name, setting FROM pg_settings").fetchall())
        if attack.oracle == "lock":
            session.execute("BEGIN")
        timer = threading.Timer(seconds, session.cancel)
        timer.start()
        try:
            cursor = session.execute(sql)
            while True:
                if cursor.description:
                    for row in cursor:
                        seen.rows += 1
                        seen.text += repr(row)[:1000] if seen.rows < 1000 else ""
                if not cursor.nextset():
                    break
            seen.ran = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the statement did not run
            seen.error = str(error)
            seen.spent = "time" if "user request" in seen.error else ""
        timer.cancel()
        held = shop.locks(session.info.backend_pid)
        with suppress(Exception):
            after = dict(session.execute("SELECT name, setting FROM pg_settings").fetchall())
            seen.conf = ("conf",) if {k for k in before if before[k] != after[k]} - {"in_hot_standby"} else ()
    return seen, held


def _through(shop: Shop, sql: str) -> tuple[Seen, list[str]]:
    seen = Seen()
    with shop.forwarded() as way, way.opened() as session:
        before = session.execute("SELECT name, setting FROM pg_settings ORDER BY 1").fetchall()
        try:
            frame = postgresql.read(session, sql, granted=["sales"]).frame
            seen.ran, seen.rows = True, len(frame)
            seen.text = frame.to_csv()
            seen.size = len(seen.text)
        except Failed as error:
            seen.error = str(error)
            assert len(seen.error.splitlines()) == 1
        held = shop.locks(session.info.backend_pid)
        if session.execute("SELECT name, setting FROM pg_settings ORDER BY 1").fetchall() != before:
            seen.conf = ("conf",)
    return seen, held
