import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.tools.conftest import ROOT, load
from workbench import toolkit

query_data = load("query_data")


@pytest.fixture
def sales() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "region": ["North", "South", None],
            "units": [1, 2, 3],
            "day": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01"]),
            "text_day": ["2025-01-01", "2025-02-01", "2025-03-01"],
            "rating": pd.array([1, None, 3], dtype="Int64"),
        }
    )


def ask(sql: str, **tables: pd.DataFrame) -> pd.DataFrame:
    frame: pd.DataFrame = query_data.run(sql, tables).frame
    return frame


def refusal(sql: str, **tables: pd.DataFrame) -> toolkit.Failed:
    with pytest.raises(toolkit.Failed) as caught:
        query_data.run(sql, tables)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_rows_keep_their_types(sales):
    found = ask("SELECT * FROM sales", sales=sales)
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "region": "str",
        "units": "int64",
        "day": "datetime64[us]",
        "text_day": "str",
        "rating": "Int64",
    }


def test_sums_of_integers_are_integers_and_decimals_are_floats(sales):
    found = ask("SELECT sum(units) s, sum(units::DECIMAL(10, 2)) d, avg(units) a FROM sales", sales=sales)
    assert [str(kind) for kind in found.dtypes] == ["int64", "float64", "float64"]
    assert found.iloc[0].tolist() == [6, 6.0, 2.0]


def test_a_sum_too_large_for_an_integer_is_a_float():
    assert ask("SELECT sum(x) s FROM (VALUES (9223372036854775807), (9223372036854775807)) t(x)")["s"].item() > 1.8e19


def test_columns_of_one_name_are_told_apart(sales):
    assert list(ask("SELECT units, units, units FROM sales", sales=sales)) == ["units", "units_1", "units_2"]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM sales",
        "VALUES (1, 2)",
        "SUMMARIZE sales",
        "SELECT * FROM (SUMMARIZE sales)",
        "DESCRIBE sales",
        "SHOW TABLES",
        "WITH x AS (SELECT 1 a) SELECT * FROM x",
        "-- why not\nSELECT 1;",
        "SELECT unnest([1, 2])",
        "SELECT * FROM range(3)",
        "SELECT * FROM (PIVOT sales ON region IN ('North', 'South') USING sum(units))",
    ],
)
def test_what_reads_may_run(sql, sales):
    assert len(ask(sql, sales=sales))


def test_a_long_result_is_cut_at_ten_thousand_rows_and_says_of_how_many():
    numbers = pd.DataFrame({"i": range(100_000)})
    table = query_data.run("SELECT * FROM numbers WHERE i % 3 = 0", {"numbers": numbers}, title="Thirds")
    assert len(table.frame) == 10_000
    assert table.title == "Thirds (first 10,000 of 33,334 rows)"


def test_counting_a_result_without_end_stops():
    assert query_data.run("SELECT * FROM range(20000000000)", {}).title.endswith("of more than 5,000,000 rows)")


def test_a_giant_cell_is_refused():
    assert "larger than 64 MB" in str(refusal("SELECT repeat('A', 200000000) AS x"))


def test_an_unknown_column_is_told_with_near_ones(sales):
    error = refusal("SELECT unit FROM sales", sales=sales)
    assert '"units"' in str(error)
    assert "LINE" not in str(error)


def test_an_unknown_table_is_told_with_those_there_are(sales):
    error = refusal("SELECT * FROM sale", sales=sales)
    assert 'Did you mean "sales"' in str(error)
    assert error.hint == "The tables are: sales."


def test_dates_in_text_ask_for_a_cast(sales):
    assert "::DATE" in refusal("SELECT date_trunc('month', text_day) FROM sales", sales=sales).hint
    assert len(ask("SELECT date_trunc('month', text_day::DATE) FROM sales", sales=sales)) == 3


def test_a_pivot_without_values_says_how_to_name_them(sales):
    assert "IN (" in refusal("PIVOT sales ON region USING sum(units)", sales=sales).hint


@pytest.mark.parametrize("sql", ["", "/* nothing */", "SELEC 1", "SELECT 1; SELECT 2", "EXPLAIN SELECT 1", "SELECT $1"])
def test_anything_else_is_refused_in_one_line(sql, sales):
    assert str(refusal(sql, sales=sales))


def test_long_sql_is_refused():
    assert "20,000" in str(refusal("SELECT 1 --" + "x" * 20_000))


@pytest.mark.parametrize("function", ["query('SELECT 1')", "duckdb_settings()", "checkpoint()", "glob('/*')"])
def test_functions_that_reach_further_may_not_stand_for_a_table(function):
    sql = f"SELECT (SELECT count(*) FROM {function})"
    assert "not allowed in FROM" in str(refusal(sql))


@pytest.mark.parametrize("variable", ["frame", "rows", "tables", "query_data"])
def test_variables_of_the_tool_itself_cannot_be_read(variable, sales):
    assert f"Table with name {variable} does not exist" in str(refusal(f"FROM {variable}", sales=sales))


ATTACKS = json.loads((ROOT / "tests/corpus/attacks/sql_duckdb.json").read_text())
# Ends after 40 s of honest work within its memory; the deadline of the worker is what ends such a query sooner.
SLOW = {"d09"}
TRY_ALL = """
import json, resource, sys
sys.path.insert(0, "tools")
import pandas as pd
import query_data
from workbench import toolkit
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
for number, sql in json.load(sys.stdin):
    sales = pd.DataFrame({"id": [1, 2], "name": ["a", "b"], "amount": [1, 2]})
    try:
        rows, kept = len(query_data.run(sql, {"sales": sales}).frame), sales["amount"].tolist() == [1, 2]
        print(json.dumps([number, "ran", rows if kept else -1]))
    except toolkit.Failed as error:
        print(json.dumps([number, "refused", str(error)]))
"""


@pytest.mark.timeout(300)
def test_of_the_hostile_statements_none_reads_a_file_or_changes_anything(tmp_path: Path):
    secret = tmp_path / "secret"
    for path in (secret, tmp_path / "secret.csv", tmp_path / "secret.json"):
        path.write_text("canary")
    (tmp_path / "out").mkdir()
    places = {"@SECRET@": str(secret), "@HOME@": str(tmp_path), "@OUT@": str(tmp_path / "out"), "@TCP@": "9"}
    places["@OTHERDB@"] = str(tmp_path / "other.db")
    before = sorted(tmp_path.rglob("*"))

    def placed(sql: str) -> str:
        for name, path in places.items():
            sql = sql.replace(name, path)
        return sql

    tried = [[attack["id"], placed(attack["sql"])] for attack in ATTACKS if attack["id"] not in SLOW]
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL], input=json.dumps(tried), cwd=ROOT, capture_output=True, text=True, check=True
    )
    ended = {number: (how, what) for number, how, what in map(json.loads, done.stdout.splitlines())}
    assert set(ended) == {number for number, _ in tried}
    # Twenty million rows may be asked for: ten thousand come.
    assert {number: what for number, (how, what) in ended.items() if how == "ran"} == {"d02": 10_000}
    assert "canary" not in done.stdout
    assert sorted(tmp_path.rglob("*")) == before
