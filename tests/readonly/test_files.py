"""Read-only SQL on files: what DuckDB and SQLite answer, what they refuse, and in which words."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb as duckdb_library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.readonly.ordinary import QUERIES, plain, plant
from workbench.readonly import duckdb, sqlite
from workbench.toolkit import Failed, Table

Read = Callable[..., Table]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    with duckdb_library.connect(str(folder / "shop.duckdb")) as made:
        plant("duckdb", made.execute)
        made.execute("CREATE SCHEMA hr; CREATE TABLE hr.salaries AS SELECT 'boss' AS name, 1 AS salary")
        made.execute("CREATE VIEW everybody AS SELECT * FROM hr.salaries; CREATE SEQUENCE numbers")
        made.execute("CREATE MACRO twice(x) AS x * 2; CREATE MACRO spy() AS (SELECT max(salary) FROM hr.salaries)")
        made.execute("CREATE MACRO hidden() AS current_setting('threads')")
    connection = sqlite3.connect(folder / "shop.sqlite")
    plant("sqlite", connection.execute)
    connection.execute("CREATE TABLE salaries (name, salary)")
    connection.commit()
    connection.close()
    return {"duckdb": folder / "shop.duckdb", "sqlite": folder / "shop.sqlite"}


@pytest.fixture(params=["duckdb", "sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def reads(files: dict[str, Path]) -> Iterator[dict[str, Read]]:
    duck, lite = duckdb.opened(str(files["duckdb"])), sqlite.opened(str(files["sqlite"]))
    yield {"duckdb": partial(duckdb.read, duck), "sqlite": partial(sqlite.read, lite)}
    duck.close()
    lite.close()


@pytest.fixture
def read(engine: str, reads: dict[str, Read]) -> Read:
    return reads[engine]


def refusal(read: Read, sql: str, params: list[Any] | None = None, **options: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        read(sql, params, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint
    return caught.value


def test_what_analysts_ask_is_answered(engine: str, read: Read):
    assert len(QUERIES[engine]) >= 30
    for query in QUERIES[engine]:
        found = read(query["sql"], query["params"]).frame
        assert (list(found.columns), plain(found)) == (query["columns"], query["rows"]), query["sql"]


def test_a_long_result_is_cut_and_says_of_how_many(read: Read):
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n"
    table = read(sql, title="Numbers")
    assert len(table.frame) == 10_000
    assert table.title == "Numbers (first 10,000 of 20,000 rows)"


def test_column_names_are_clean_and_differ(read: Read):
    found = read('SELECT 1 AS "a\x1b[31m\u202eb", 2 AS "a[31mb", 3 AS "\u200b", 4 AS "two\nlines"').frame
    assert list(found.columns) == ["a[31mb", "a[31mb_1", "column", "two lines"]


def test_texts_hide_nothing(read: Read):
    found = read("SELECT ? AS t, ? AS u", ["a\x1b[2J\u202eb", "fünf\tZeilen\n👩‍👩‍👧"]).frame
    assert found.iloc[0].tolist() == ["a\ufffd[2J\ufffdb", "fünf\tZeilen\n👩‍👩‍👧"]


def test_parameters_are_values_and_never_sql(read: Read):
    assert read("SELECT count(*) AS n FROM sales WHERE region = ?", ["x' OR '1'='1"]).frame["n"].tolist() == [0]
    assert read("SELECT ? AS a, ? AS b, ? AS c", ["x", 2.5, None]).frame.iloc[0, :2].tolist() == ["x", 2.5]


@pytest.mark.parametrize("params", [[1], [1, 2, 3], [[1], 2], [{"a": 1}, 2]])
def test_wrong_parameters_are_refused_in_one_line(read: Read, params: list[Any]):
    refusal(read, "SELECT ? AS a, ? AS b", params)


@pytest.mark.parametrize("sql", ["", ";", "-- nothing", "SELEC 1", "SELECT 1; SELECT 2", "SELECT", "SELECT '\ud800'"])
def test_what_is_no_statement_is_refused_in_one_line(read: Read, sql: str):
    refusal(read, sql)


def test_long_and_deep_sql_is_refused(read: Read):
    refusal(read, "SELECT 1 --" + "x" * 20_000)
    refusal(read, f"SELECT {'(' * 2000}1{')' * 2000}")
    refusal(read, f"SELECT {'NOT ' * 2000}1")


def test_tables_beyond_the_granted_ones_are_refused(engine: str, read: Read):
    denied = "hr.salaries" if engine == "duckdb" else "salaries"
    assert len(read("SELECT * FROM SALES", granted=["sales"]).frame) == 6
    for sql in (
        f"SELECT * FROM {denied}",
        f"WITH sales AS (SELECT * FROM {denied}) SELECT * FROM sales",
        f"SELECT * FROM sales WHERE id = (SELECT max(salary) FROM {denied})",
        "SELECT * FROM customers",
        "SELECT * FROM sqlite_master",
    ):
        error = refusal(read, sql, granted=["sales"])
        assert "may" in str(error)
        assert "customers" not in error.hint


WRITES = [
    "INSERT INTO sales (id) VALUES (9)",
    "DELETE FROM sales",
    "UPDATE sales SET id = 9",
    "DROP TABLE sales",
    "CREATE TABLE t AS SELECT 1",
    "ATTACH ':memory:' AS m",
    "PRAGMA user_version = 7",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "WITH x AS (SELECT 1) DELETE FROM sales",
]
SPACE = st.sampled_from([" ", "\n", "\t", " /* SELECT */ ", " -- SELECT 1\n", "  \r\n"])


@st.composite
def disguised(draw: st.DrawFn, statements: list[str]) -> str:
    """One of the statements with other space, comments and case, alone or behind a harmless one."""
    words = draw(st.sampled_from(statements)).split(" ")
    mixed = ["".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in w) if w.isalpha() else w for w in words]
    text = draw(SPACE) + "".join(part for word in mixed for part in (word, draw(SPACE)))
    return draw(st.sampled_from(["", "SELECT 1;", ";"])) + text + draw(st.sampled_from(["", ";", ";;"]))


@given(sql=disguised(WRITES))
def test_no_disguise_lets_a_write_through(files: dict[str, Path], reads: dict[str, Read], sql: str):
    for name, read in reads.items():
        before = files[name].read_bytes()
        with pytest.raises(Failed):
            read(sql)
        assert files[name].read_bytes() == before


@given(data=st.data())
def test_space_comments_and_case_keep_no_reader_out(reads: dict[str, Read], data: st.DataObject):
    words = ["SELECT", "count", "(", "*", ")", "FROM", "sales", "WHERE", "id", ">", "2"]
    sql = "".join(part for word in words for part in (word.lower(), data.draw(SPACE)))
    for read in reads.values():
        assert read(sql).frame.iloc[0, 0] == 4


class TestDuckDB:
    @pytest.fixture
    def engine(self) -> str:
        return "duckdb"

    @pytest.mark.parametrize(
        "call",
        [
            "getenv('HOME')",
            "current_setting('threads')",
            "getvariable('x')",
            "nextval('numbers')",
            "currval('numbers')",
            "setseed(0.5)",
            "sleep_ms(1)",
            "pg_sleep(1)",
            "write_log('x')",
            "txid_current()",
            "current_query()",
            "json_serialize_plan('SELECT 1')",
            "'threads'.current_setting()",
            "main.current_setting('threads')",
            "spy()",
            "hidden()",
            "list_transform(['threads'], lambda s: current_setting(s))",
            "no_such_function(1)",
        ],
    )
    def test_functions_that_tell_or_act_are_refused_wherever_they_stand(self, read: Read, call: str):
        for sql in (f"SELECT {call}", f"SELECT 1 FROM sales WHERE {call} IS NULL", f"FROM sales ORDER BY {call}"):
            assert "not allowed" in str(refusal(read, sql))

    @pytest.mark.parametrize(
        "function",
        [
            "duckdb_settings()",
            "duckdb_secrets()",
            "query('SELECT 1')",
            "query_table('sales')",
            "glob('/*')",
            "read_text('/etc/passwd')",
            "pragma_table_info('sales')",
            "histogram('sales', id)",
            "json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        ],
    )
    def test_functions_in_from_are_few(self, read: Read, function: str):
        assert "not allowed" in str(refusal(read, f"SELECT * FROM {function}"))

    def test_a_macro_is_judged_by_what_stands_in_it(self, read: Read):
        assert read("SELECT twice(21) AS n").frame["n"].tolist() == [42]

    @pytest.mark.parametrize("sql", ["SHOW ALL TABLES", "SHOW DATABASES", "SHOW TABLES", "DESCRIBE hr.salaries"])
    def test_lists_do_not_tell_of_tables_that_were_not_granted(self, read: Read, sql: str):
        refusal(read, sql, granted=["sales"])

    def test_every_way_to_write_a_name_is_the_same_table(self, read: Read):
        for name in ("sales", '"Sales"', "main.sales", "shop.main.sales", "shop.sales"):
            assert len(read(f"SELECT * FROM {name}", granted=["sales"]).frame) == 6
        for name in ('"hr"."salaries"', "shop.hr.salaries", "HR.Salaries"):
            refusal(read, f"SELECT * FROM {name}", granted=["sales"])
            assert len(read(f"SELECT * FROM {name}", granted=["hr.salaries"]).frame) == 1

    def test_a_name_of_with_hides_a_table_only_where_it_is_known(self, read: Read):
        sql = "SELECT * FROM (WITH customers AS (SELECT 1) SELECT * FROM customers), customers"
        refusal(read, sql, granted=["sales"])
        refusal(read, "WITH customers AS (SELECT * FROM customers) SELECT 1", granted=["sales"])
        assert len(read("WITH customers AS (SELECT 1) SELECT * FROM customers", granted=["sales"]).frame) == 1

    def test_a_database_that_is_being_written_says_so(self, tmp_path: Path):
        path = tmp_path / "busy.duckdb"
        holder = "import duckdb,sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(Failed, match="open for writing"):
                duckdb.opened(str(path))
            process.communicate()

    def test_the_tables_are_described(self, tmp_path: Path):
        path = tmp_path / "two.duckdb"
        with duckdb_library.connect(str(path)) as made:
            made.execute("CREATE SCHEMA hr; CREATE TABLE hr.salaries (salary INTEGER); CREATE TABLE customers (x INT)")
        connection = duckdb.opened(str(path))
        found = duckdb.describe(connection, "t").frame
        assert ["hr.salaries", "salary", "INTEGER"] in found.to_numpy().tolist()
        assert set(duckdb.describe(connection, "t", ["customers"]).frame["table"]) == {"customers"}
        connection.close()


class TestSQLite:
    @pytest.fixture
    def engine(self) -> str:
        return "sqlite"

    @pytest.mark.parametrize(
        "call", ["load_extension('x')", "zeroblob(9)", "randomblob(9)", "sqlite_version()", "changes()", "nothing(1)"]
    )
    def test_functions_that_are_not_listed_are_refused(self, read: Read, call: str):
        refusal(read, f"SELECT {call}")

    def test_pragmas_are_refused_in_every_form(self, read: Read):
        refusal(read, "PRAGMA table_info(sales)")
        refusal(read, "SELECT * FROM pragma_database_list")

    def test_the_tables_are_described(self, files: dict[str, Path]):
        connection = sqlite.opened(str(files["sqlite"]))
        found = sqlite.describe(connection, "t").frame
        assert ["sales", "units", "INTEGER"] in found.to_numpy().tolist()
        assert set(sqlite.describe(connection, "t", ["customers"]).frame["table"]) == {"customers"}
        connection.close()

    def test_whole_numbers_with_gaps_stay_whole_and_mixed_values_are_text(self, read: Read):
        found = read("SELECT units, CASE WHEN id < 3 THEN id ELSE region END AS mixed FROM sales ORDER BY id").frame
        assert str(found["units"].dtype) == "Int64"
        assert found["mixed"].tolist()[:3] == ["1", "2", "South"]

    @pytest.mark.parametrize("left_open", [True, False])
    def test_a_write_ahead_log_is_read_and_nothing_is_left_beside_it(self, tmp_path: Path, left_open: bool):
        path = tmp_path / "log.sqlite"
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (42)")
        if not left_open:
            writer.close()
        before = sorted(tmp_path.iterdir())
        connection = sqlite.opened(str(path))
        assert sqlite.read(connection, "SELECT x FROM t").frame["x"].tolist() == [42]
        connection.close()
        assert sorted(tmp_path.iterdir()) == before
        writer.close()

    @pytest.mark.parametrize("content", [b"no database at all" * 9, b"SQLite format 3\0" + b"\xff" * 200])
    def test_a_file_of_another_kind_says_so(self, tmp_path: Path, content: bytes):
        path = tmp_path / "x.sqlite"
        path.write_bytes(content)
        with pytest.raises(Failed) as caught:
            sqlite.opened(str(path))
        assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_no_duckdb_database_says_so(tmp_path: Path):
    path = tmp_path / "x.duckdb"
    path.write_bytes(b"nothing" * 999)
    with pytest.raises(Failed, match="cannot be opened as a DuckDB database"):
        duckdb.opened(str(path))


def test_show_tables_over_granted_tables_names_those(reads: dict[str, Read]):
    error = refusal(reads["duckdb"], "SHOW TABLES", granted=["sales"])
    assert error.hint == "The tables are: sales."
