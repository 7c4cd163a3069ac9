"""A run as plain cells: where nobody has the workbench they run, and give the same tables and a picture."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from workbench.bridge import wait
from workbench.cli import main
from workbench.configuration import load_settings
from workbench.core.artifacts import ARROW, Artifact
from workbench.core.errors import Refused, Unavailable
from workbench.core.events import Event, Kind
from workbench.core.outcome import Outcome, fold
from workbench.models.testing import TestModel
from workbench.plain import write
from workbench.plain.code import Names, Unwritable, prose
from workbench.run import Run
from workbench.workbench import Workbench, use

SALES = pd.DataFrame(
    {
        "region": pd.Categorical(["North", "South", "North", "East"]),
        "day": pd.to_datetime(["2025-01-05", "2025-01-20", "2025-02-03", "2024-12-31"]),
        "units": pd.array([1, None, 3, 4], dtype="Int64"),
        "revenue": [10.0, 20.0, 40.0, 2.5],
    }
)
BLOCK = """
import sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "workbench":
            raise ModuleNotFoundError("nobody has installed it here", name=name)
sys.meta_path.insert(0, Nobody())
"""
CODE = """import matplotlib.pyplot as plt
results = "my own"  # a name that the cells use
sales["price"] = sales["revenue"] / sales["units"]
plt.hist(sales["revenue"])
print("printed")
sales.groupby("region", observed=True)["revenue"].sum()"""


LAST = """
import pickle, pathlib
try:
    import workbench
except ModuleNotFoundError:
    pathlib.Path("found.pkl").write_bytes(pickle.dumps({results}))
"""


def executed(path: Path, *, kernel: bool = False) -> tuple[dict[str, Any], Any]:
    """What the notebook has found where nobody has the workbench, and the notebook as it ran: in a kernel, or its code
    cells in one plain Python, which starts sooner."""
    blocked = path.parent / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "sitecustomize.py").write_text(BLOCK)
    environment = {**os.environ, "PYTHONPATH": str(blocked), "MPLBACKEND": "agg"}
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    results = "results_" if "results_ = {}" in notebook.cells[1].source else "results"
    last = LAST.format(results=results)
    if kernel:
        environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        notebook.cells.append(nbformat.v4.new_code_cell(last))  # type: ignore[no-untyped-call]  # as above
        client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, kernel_name="python3")
        client.extra_arguments = ["--log-level=ERROR"]
        client.execute(env=environment)
    else:
        code = "\n".join([*(cell.source for cell in notebook.cells if cell.cell_type == "code"), last])
        subprocess.run([sys.executable, "-c", code], check=True, cwd=path.parent, env=environment, capture_output=True)
    found: dict[str, Any] = pickle.loads((path.parent / "found.pkl").read_bytes())  # noqa: S301 - our own
    return found, notebook


def pictures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_dtype=False, check_categorical=False)


def query(sql: str, **tables: str) -> dict[str, Any]:
    return {"sql": sql, "tables": {name: {"$ref": ref} for name, ref in tables.items()}}


@pytest.fixture
async def made(tmp_path: Path, own_home: Path) -> AsyncIterator[Callable[..., Any]]:
    benches = []

    async def ask(*plans: Any, text: str = "go", **settings: Any) -> Run:
        config = load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path, **settings)
        bench = use(Workbench(config, model=TestModel([*plans, "The answer."]) if plans else None))
        benches.append(bench)
        return await bench.ask(text, sales=SALES)

    yield ask
    for bench in benches:
        await bench.close()


async def test_sql_python_and_a_chart_run_without_the_workbench_and_give_the_same(made, tmp_path):
    sql = "select region, sum(revenue) as revenue, sum(units) as n from sales where revenue > ? group by 1 order by 1"
    python = {"code": CODE, "tables": {"sales": {"$ref": "@sales"}}}
    chart = {"data": {"$ref": "s1"}, "kind": "bar", "title": "A $ and a $"}
    steps = [
        {"id": "s1", "task": "query_data", "params": {**query(sql, sales="@sales"), "params": [5]}},
        {"id": "s2", "task": "run_python", "params": python},
        {"id": "s3", "task": "query_data", "params": query("select * from t where revenue > 15", t="s2#/value")},
        {"id": "s4", "task": "plot", "params": chart},
        {"id": "s5", "task": "query_data", "params": query("select count(*) as n from sales", sales="@sales")},
    ]
    run = await made({"mode": "graph", "steps": steps})
    found, notebook = executed(run.to_notebook(tmp_path / "notes" / "plain.ipynb"), kernel=True)
    same(found["s1"], run.steps["s1"].df)
    same(found["s2"]["value"], run.steps["s2"].df)
    same(found["s3"], run.steps["s3"].df)
    assert found["s5"].iloc[0, 0] == 4, "code that changes its table changes no other's"
    assert pictures(notebook) == 2, "the histogram of the code, and the chart"
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "The answer" in text
    assert "with your own rights" in text


async def test_a_table_can_be_read_from_a_file_of_the_user_s_own(made, tmp_path):
    SALES.to_csv(tmp_path / "mine.csv", index=False)
    run = await made(text="total revenue by region as a bar chart of @sales")
    path = run.to_notebook(tmp_path / "plain.ipynb", inputs={"sales": tmp_path / "mine.csv"})
    assert not (tmp_path / "plain_data").exists()
    found, notebook = executed(path)
    same(found["s1"], run.df)
    assert "plot.bar" in notebook.cells[-2].source
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for wrong, said in (("other.csv", "has no column"), ("gone.csv", "no file"), ("plain.ipynb", "no table")):
        with pytest.raises(Refused, match=said):
            run.to_notebook(tmp_path / "more.ipynb", inputs={"sales": tmp_path / wrong})
    with pytest.raises(Refused, match="already"):
        run.to_notebook(path)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
async def test_a_database_is_read_from_the_file_that_is_named_and_else_its_result_is_kept(made, tmp_path, kind):
    database = tmp_path / f"shop.{kind}"
    with duckdb.connect(str(database)) if kind == "duckdb" else sqlite3.connect(database) as connection:
        connection.execute("create table orders (id integer, price double)")
        connection.execute("insert into orders values (1, 2.5), (2, 4.0)")
    asked = {"connection": "shop", "sql": "select id, price * 2 as twice from orders where id > ?", "params": [0]}
    plan = {"steps": [{"id": "s1", "task": "query_database", "params": asked}]}
    run = await made(plan, connections={"shop": {"kind": kind, "path": str(database)}})
    for name, inputs in (("with", {"shop": database}), ("without", None)):
        found, notebook = executed(run.to_notebook(tmp_path / name / "plain.ipynb", inputs=inputs))
        same(found["s1"], run.df)
        said = "does not know where the database" in notebook.cells[2].source
        assert said == (inputs is None)


def told(steps: list[dict[str, Any]], **values: Any) -> Outcome:
    plan = {"mode": "graph", "steps": steps}
    ends = [(Kind.STEP_DONE, {"value": value}, step) for step, value in values.items()]
    said: list[tuple[Kind, dict[str, Any], str | None]]
    said = [(Kind.RUN_STARTED, {"request": "x"}, None), (Kind.PLAN_MADE, {"plan": plan, "planner": "m"}, None), *ends]
    return fold(Event(run="r1", seq=n, at="", kind=k, body=body, step=step) for n, (k, body, step) in enumerate(said))


def test_a_tool_that_reaches_elsewhere_becomes_its_recorded_result_and_a_sentence(tmp_path):
    found = {"results": [{"title": 'A "quoted" \\ title', "url": "https://example.org"}], "long": "x" * 5000}
    small = {"answer": ["it's", None, True, 1.5]}
    steps = [
        {"id": "s1", "task": "web_search", "params": {"query": "a"}},
        {"id": "s2", "task": "web_search", "params": {"query": "{{s1#/results/0/title}}"}},
        {"id": "s3", "task": "run_python", "params": {"code": "1 + 1", "tables": {}}},
    ]
    outcome = told(steps, s1=found, s2=small)
    gave, notebook = executed(write(outcome, tmp_path, tmp_path / "plain.ipynb"))
    assert gave == {"s1": found, "s2": small}
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert sum("cannot be written as plain code" in said for said in text) == 2
    assert "The step gave no result: it is waiting." in text[-1]


def test_references_and_templates_become_places_in_earlier_results():
    values = {"s1": {"rows": [{"a/b": 1}, {"2": "x"}]}}
    names = Names(["results = 1"])
    assert names.expression({"$ref": "s1#/rows/0/a~1b"}, values) == "results_['s1']['rows'][0]['a/b']"
    assert names.expression({"$ref": "s1#/rows/1/2"}, values) == "results_['s1']['rows'][1]['2']"
    assert names.expression(["{{@t}} of {{s1#/rows/1/2}}", {"$ref": "@t"}], values) == (
        "[str(offered['t']) + ' of ' + str(results_['s1']['rows'][1]['2']), offered['t']]"
    )
    with pytest.raises(Unwritable, match="not in the recorded result"):
        names.expression({"$ref": "s1#/rows/7"}, values)


def test_what_strangers_wrote_is_text_in_markdown_and_a_literal_in_code(tmp_path):
    evil = 'x"""\n\r![p](https://evil/x.png) <img src=x> $a$ \u202e [l](https://evil)\nimport os; os.abort()'
    steps = [
        {"id": "s1", "task": "query_data", "title": evil, "params": {"sql": evil, "tables": {evil: {"$ref": "s0"}}}},
        {"id": "s0", "task": evil, "title": evil, "params": {}},
    ]
    outcome = told(steps, s0=evil, s1=evil)
    path = write(outcome, tmp_path, tmp_path / "plain.ipynb")
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(cell.source, "cell", "exec")
            assert "\nimport os; os.abort()" not in cell.source
        else:
            assert "![p]" not in cell.source
            assert "<img" not in cell.source.replace(r"\<", "")
            assert "\u202e" not in cell.source
    assert prose("[a](https://b) $x$") == r"\[a\]\(https\://b\) \$x\$"


def test_a_table_that_is_gone_and_a_run_without_a_plan_are_told(tmp_path):
    steps = [{"id": "s1", "task": "query_data", "params": {"sql": "", "tables": {"t": {"$ref": "@t"}}}}]
    with pytest.raises(Unavailable, match="@t is not on record"):
        write(told(steps), tmp_path, tmp_path / "plain.ipynb")
    with pytest.raises(Refused, match="has no plan"):
        write(Outcome(run="r1"), tmp_path, tmp_path / "plain.ipynb")
    gone = Artifact(path="r1/gone.arrow", mime=ARROW, bytes=1, sha256="0" * 64, rows=1)
    lost = replace(told(steps), inputs={"t": gone})
    with pytest.raises(Unavailable, match="gone"):
        write(lost, tmp_path, tmp_path / "lost.ipynb")


def test_notebook_is_a_verb_of_the_command_line_and_of_the_notebook(tmp_path, capsys, own_home, monkeypatch):
    from workbench.notebook import verbs

    monkeypatch.chdir(tmp_path)
    bench = use(Workbench(load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path)))
    run = wait(bench.ask("total revenue of @sales", sales=SALES))
    assert main(["notebook", run.id, "mine.ipynb"]) == 0
    assert capsys.readouterr().out == "mine.ipynb\n"
    assert main(["notebook", run.id, "mine.ipynb"]) == 1
    assert main(["notebook", run.id, "--input", "sales"]) == 1
    assert f"{run.id}.ipynb" in repr(verbs.notebook(bench, run.id))
    assert (tmp_path / f"{run.id}.ipynb").exists()
