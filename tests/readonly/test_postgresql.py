"""Read-only SQL on a real PostgreSQL: hostile statements, ordinary ones, the way there, and the tool."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from tests.postgres import PASSWORD, Server, running
from tests.readonly.ordinary import QUERIES, plain, plant
from tests.readonly.shop import ROLE, Shop, bare, gated
from tests.readonly.test_tokens import BLANK, FORBIDDEN
from tests.readonly.worlds import Attack
from workbench.core.connections import Connection
from workbench.readonly import postgresql
from workbench.toolkit import Failed

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]
ATTACKS = Attack.load("sql_postgres") + Attack.load("sql_postgres_more")


@pytest.fixture(scope="module")
def shop(postgres: Server) -> Iterator[Shop]:
    shop = Shop(postgres)
    with shop.admin() as admin:
        admin.execute("CREATE SCHEMA plain; SET search_path = plain")
        plant("postgresql", admin.execute)
        admin.execute(f"GRANT USAGE ON SCHEMA plain TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA plain TO {ROLE}")
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def session(shop: Shop) -> Iterator[Any]:
    with shop.forwarded() as way, way.opened() as session:
        yield session


def refusal(session: Any, sql: str, params: list[Any] | None = None, **options: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        postgresql.read(session, sql, params, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint
    return caught.value


def test_each_hostile_statement_does_its_harm_without_the_gate_and_none_with_it(postgres: Server):
    harmless, through = [], {}
    shop = Shop(postgres)
    for attack in ATTACKS:
        if gated(shop, attack):  # the same shop as long as nothing was done to it
            shop.close()
            shop = Shop(postgres)
            # A stranger on this machine may have knocked at the port; what a statement does, it does again.
            if harms := gated(shop, attack):
                through[attack.id] = harms
                shop.close()
                shop = Shop(postgres)
    shop.close()
    for attack in ATTACKS:
        shop = Shop(postgres)
        try:
            if not bare(shop, attack, seconds=3.0):
                harmless.append(attack.id)
        finally:
            shop.close()
    assert through == {}
    assert len(harmless) * 3 <= len(ATTACKS), harmless


def test_what_analysts_ask_is_answered(postgres: Server):
    shop = Shop(postgres)
    with shop.admin() as admin:
        admin.execute("DROP TABLE sales CASCADE")
        plant("postgresql", admin.execute)
        admin.execute(f'GRANT SELECT ON sales, customers, "größen" TO {ROLE}')
    assert len(QUERIES["postgresql"]) >= 30
    with shop.forwarded() as way, way.opened() as session:
        for query in QUERIES["postgresql"]:
            found = postgresql.read(session, query["sql"], query["params"]).frame
            assert (list(found.columns), plain(found)) == (query["columns"], query["rows"]), query["sql"]
    shop.close()


@pytest.mark.parametrize(
    "call",
    [
        *("pg_sleep(9)", "nextval('sales_id_seq')", "setval('sales_id_seq', 9)", "lastval()", "pg_advisory_lock(1)"),
        *("pg_try_advisory_xact_lock(1)", "lo_get(4711)", "lo_import('/etc/passwd')", "pg_read_file('/etc/passwd')"),
        *("pg_ls_dir('/')", "set_config('work_mem', '1GB', false)", "current_setting('data_directory')"),
        *("txid_current()", "pg_current_xact_id()", "pg_terminate_backend(1)", "pg_cancel_backend(1)"),
        *(
            "pg_reload_conf()",
            "pg_notify('a', 'b')",
            "pg_export_snapshot()",
            "query_to_xml('SELECT 1', true, true, '')",
        ),
        *("table_to_xml('sales', true, true, '')", "database_to_xml(true, true, '')", "ts_stat('SELECT 1')"),
        *("pg_get_viewdef('everybody'::regclass)", "pg_relation_filepath('sales')", "empty_sales()"),
        *("public.empty_sales()", '"public"."empty_sales"()', "inet_server_addr()", "pg_stat_get_activity(NULL)"),
        *("current_query()", "pg_create_restore_point('x')", "pg_postmaster_start_time()"),
    ],
)
def test_functions_that_act_or_tell_are_refused_wherever_they_stand(session: Any, call: str):
    for sql in (f"SELECT {call}", f"SELECT * FROM {call} x", f"SELECT 1 FROM sales WHERE {call} IS NULL"):
        assert "not allowed" in str(refusal(session, sql))


def test_a_function_of_a_row_is_seen_behind_a_dot(session: Any):
    assert "purge" in str(refusal(session, "SELECT s.purge FROM sales s"))
    assert "purge" in str(refusal(session, 'SELECT (s)."purge" FROM sales s'))


@pytest.mark.parametrize("table", ["pg_settings", "pg_stat_activity", "pg_shadow", "pg_hba_file_rules", "pg_roles"])
def test_tables_of_the_server_itself_are_not_read(session: Any, table: str):
    refusal(session, f"SELECT * FROM {table}")
    refusal(session, f"SELECT * FROM pg_catalog.{table}")


def test_only_granted_tables_are_read_and_those_beneath_a_granted_view(shop: Shop):
    with shop.admin() as admin:
        admin.execute(f"GRANT SELECT ON everybody TO {ROLE}; CREATE TABLE IF NOT EXISTS other (x int)")
        admin.execute(f"GRANT SELECT ON other TO {ROLE}")
    granted = ["sales", "everybody"]
    assert len(shop.read("SELECT * FROM everybody", granted=granted).frame) == 1
    assert len(shop.read("SELECT * FROM public.sales", granted=granted).frame) == 3
    with shop.forwarded() as way, way.opened() as session:
        for sql in (
            "SELECT * FROM other",
            "WITH sales AS (SELECT * FROM other) SELECT * FROM sales",
            "SELECT 1 FROM sales WHERE EXISTS (TABLE other)",
            "SELECT * FROM pg_class",
        ):
            assert "may be read" in str(refusal(session, sql, granted=granted))
        assert "everybody" not in str(refusal(session, "SELECT * FROM everybody, hr.salaries", granted=granted))


def test_rows_columns_and_bytes_are_capped(shop: Shop, session: Any):
    table = postgresql.read(session, "SELECT * FROM generate_series(1, 30000) i", title="Numbers")
    assert (len(table.frame), table.title) == (10_000, "Numbers (first 10,000 of 30,000 rows)")
    many = ", ".join(f"{n} AS c{n}" for n in range(501))
    assert "501 columns" in str(refusal(session, f"SELECT {many}"))
    assert "larger than 64 MB" in str(refusal(session, "SELECT repeat('x', 70000000)"))
    assert "larger than 64 MB" in str(refusal(session, "SELECT repeat('x', 3000000) FROM generate_series(1, 90)"))


def test_types_are_kept(session: Any):
    found = postgresql.read(
        session,
        "SELECT 1::int AS i, NULL::bigint AS gap, 1.5::numeric AS n, sum(7::bigint) AS s, 2.0::float8 AS f, true AS b,"
        " DATE '2025-02-03' AS d, TIMESTAMPTZ '2025-02-03 04:05+02' AS t, 'infinity'::date AS far, '1 day'::interval AS"
        " span, '{1,2}'::int[] AS list, 'NaN'::numeric AS nan",
    ).frame
    kinds = [str(kind) for kind in found.dtypes]
    assert kinds[:8] == [
        *("int64", "Int64", "float64", "int64", "float64", "bool", "datetime64[us]", "datetime64[us, UTC]")
    ]
    assert found.iloc[0, 7].isoformat() == "2025-02-03T02:05:00+00:00"
    assert found.iloc[0, 8:11].tolist() == ["infinity", "1 day", "{1,2}"]


@given(statement=st.sampled_from(FORBIDDEN), data=st.data())
@budget(max_examples=30)
def test_no_disguise_changes_the_database(shop: Shop, session: Any, statement: str, data: st.DataObject):
    sql = "".join(part for word in statement.split(" ") for part in (word, data.draw(BLANK)))
    with pytest.raises(Failed):
        postgresql.read(session, sql)
    assert session.execute("SELECT count(*) FROM sales").fetchone() == (3,)


@pytest.mark.parametrize(
    ("grant", "says"),
    [("INSERT ON sales", "may write to public.sales"), ("", "rights over the whole server")],
)
def test_a_role_that_may_do_more_than_read_is_refused(shop: Shop, grant: str, says: str):
    name = "writer" if grant else "admin"
    with shop.admin() as admin:
        if grant:
            admin.execute(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
            admin.execute(f"GRANT {grant} TO writer")
    try:
        there = shop.connection.model_copy(update={"user": name})
        with shop.forwarded(there) as way, pytest.raises(Failed, match=says) as caught:
            way.opened()
        assert "GRANT SELECT" in caught.value.hint
    finally:
        with shop.admin() as admin:
            admin.execute("DROP OWNED BY writer; DROP ROLE writer" if grant else "SELECT 1")


def test_a_query_that_takes_too_long_is_cancelled_on_the_server(shop: Shop, session: Any):
    endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.a * b.b = 7"
    asked = threading.Thread(target=lambda: refusal(session, endless))
    with shop.admin() as admin:
        asked.start()
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND query LIKE 'FETCH%%' AND state = 'active'"
        )
        while admin.execute(running, [ROLE]).fetchone() == (0,):
            assert asked.is_alive()
        session.cancel_safe()
        asked.join(30)
        assert admin.execute(running, [ROLE]).fetchone() == (0,)
    assert not asked.is_alive()


class TestForward:
    def test_the_worker_reaches_the_declared_database_whatever_it_asks_for(self, shop: Shop):
        import psycopg

        with shop.forwarded() as way:
            with psycopg.connect(host="127.0.0.1", port=way.port, user="admin", dbname="postgres") as session:
                found = session.execute("SELECT current_user, current_database()").fetchone()
            assert found == (ROLE, shop.name)
        assert way.meters[0].received > 0
        assert way.meters[0].error == ""

    def test_a_wrong_password_is_told_without_it(self, shop: Shop):
        with shop.forwarded(password="wrong-0123") as way, pytest.raises(Failed) as caught:
            way.opened()
        assert "password authentication failed" in str(caught.value)
        assert "wrong-0123" not in str(caught.value)

    def test_a_server_that_is_not_there_is_one_line(self, shop: Shop):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        there = shop.connection.model_copy(update={"port": port})
        with shop.forwarded(there) as way, pytest.raises(Failed, match="cannot be reached") as caught:
            way.opened()
        assert str(port) not in str(caught.value)

    def test_a_server_that_takes_any_proof_and_gives_none_is_turned_away(self, shop: Shop):
        def answer(listener: socket.socket) -> None:
            with listener.accept()[0] as link:
                link.recv(4096)
                ask = b"\0\0\0\x0aSCRAM-SHA-256\0\0"
                link.sendall(b"R" + (len(ask) + 4).to_bytes(4, "big") + ask)
                link.recv(4096)
                link.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
                link.recv(4096)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=answer, args=(listener,), daemon=True)
            thread.start()
            there = shop.connection.model_copy(update={"port": listener.getsockname()[1]})
            with shop.forwarded(there) as way, pytest.raises(Failed, match="did not prove who it is"):
                way.opened()
            thread.join(10)

    def test_a_cancel_with_a_made_up_key_goes_nowhere(self, shop: Shop):
        with shop.forwarded() as way:
            with socket.create_connection(("127.0.0.1", way.port)) as link:
                link.sendall(b"\0\0\0\x10\x04\xd2\x16\x2e" + b"\0\0\0\x01\0\0\0\x02")
                assert link.recv(10) == b""
            assert way.meters[0].sent == 0

    @pytest.mark.parametrize(
        "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x04", b"\x7f\xff\xff\xff", b"\0\0\0\x09\0\0\0\0\0"]
    )
    def test_what_is_no_startup_is_turned_away(self, shop: Shop, noise: bytes):
        with shop.forwarded() as way, socket.create_connection(("127.0.0.1", way.port)) as link:
            link.sendall(noise)
            link.shutdown(socket.SHUT_WR)
            assert link.recv(1)[:1] in (b"E", b"")

    @pytest.mark.parametrize("method", ["md5", "password", "scram-sha-256"])
    def test_every_way_of_asking_for_a_password_is_answered(self, postgres: Server, shop: Shop, method: str):
        rules = postgres.folder / "data" / "pg_hba.conf"
        before = rules.read_text()
        with shop.admin() as admin:
            secret = PASSWORD.replace("'", "''")
            stored = "md5" if method == "md5" else "scram-sha-256"
            admin.execute(f"SET password_encryption = '{stored}'; CREATE ROLE asked LOGIN PASSWORD '{secret}'")
            try:
                rules.write_text(f"host all asked 127.0.0.1/32 {method}\n{before}")
                admin.execute("SELECT pg_reload_conf()")
                there = shop.connection.model_copy(update={"user": "asked"})
                with shop.forwarded(there) as way, way.opened() as session:
                    assert postgresql.read(session, "SELECT 1 AS n").frame["n"].tolist() == [1]
            finally:
                rules.write_text(before)
                admin.execute("SELECT pg_reload_conf()")
                admin.execute("DROP ROLE asked")

    def test_tls_is_verified_by_name_and_by_certificate(self, postgres: Server):
        with encrypted() as (port, ca):
            facts: dict[str, Any] = {
                "kind": "postgresql",
                "host": "localhost",
                "port": port,
                "dbname": "postgres",
                "user": "admin",
            }
            shop = Shop.__new__(Shop)
            trusted = Connection(**facts, secret="X", tls="verify", ca=ca)
            with shop.forwarded(trusted) as way, pytest.raises(Failed, match="rights over the whole server"):
                way.opened()  # it was let in, and is the superuser
            unknown = trusted.model_copy(update={"ca": None})
            with shop.forwarded(unknown) as way, pytest.raises(Failed, match="certificate is not valid"):
                way.opened()
            another = trusted.model_copy(update={"host": "127.0.0.1"})
            with shop.forwarded(another) as way, pytest.raises(Failed, match="certificate is not valid"):
                way.opened()
        plain = Connection(**{**facts, "port": postgres.port}, secret="X", tls="verify")
        with shop.forwarded(plain) as way, pytest.raises(Failed, match="speaks no TLS"):
            way.opened()


@contextmanager
def encrypted() -> Iterator[tuple[int, Path]]:
    """A server with a certificate for `localhost` that it signed itself: its port and the certificate."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    place = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    place.chmod(0o755)
    try:
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")]
        subprocess.run(
            [*made, "-addext", "subjectAltName=DNS:localhost", *files], check=True, capture_output=True, timeout=60
        )
        for path in (place, place / "key.pem", place / "cert.pem"):
            shutil.chown(path, user)
        (place / "key.pem").chmod(0o600)
        tls = {"ssl": "on", "ssl_key_file": str(place / "key.pem"), "ssl_cert_file": str(place / "cert.pem")}
        with running(place, tls, user) as port:
            yield port, place / "cert.pem"
    finally:
        shutil.rmtree(place, ignore_errors=True)
