"""Two runs side by side: what is the same, what differs, and how much of that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import workbench
from tests.test_workbench import SALES, bench
from workbench import cli
from workbench.compare import MAX_LISTED, Comparison
from workbench.core.artifacts import ARROW, Artifact, Column
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.run import Run
from workbench.sandbox import arrow


def run_of(folder: Path, name: str, frame: pd.DataFrame, **params: object) -> Run:
    """A run of one step that gave a table."""
    table = arrow.from_pandas(frame)
    path = folder / f"{name}.arrow"
    with path.open("wb") as file:
        arrow.write_table(table, file)
    columns = tuple(Column(name=column, type="number") for column in map(str, frame.columns))
    made = Artifact(
        path=path.name, mime=ARROW, bytes=path.stat().st_size, sha256=name, rows=len(frame), columns=columns
    )
    step = StepOutcome(id="s1", task="query_data", title="", params=params, state=State.DONE, value=made)
    return Run(Outcome(run=name, request="the same", status="done", steps=(step,)), folder)


def told(comparison: Comparison) -> list[tuple[str, str, str]]:
    return [(pair.what, pair.left, pair.right) for pair in comparison.differences]


def test_values_that_differ_are_told_by_their_place(tmp_path: Path) -> None:
    a = run_of(tmp_path, "a", pd.DataFrame({"x": [1, 2, None], "y": ["p", None, "q"]}), limit=5, sql="select 1")
    b = run_of(tmp_path, "b", pd.DataFrame({"x": [1, 3, None], "y": ["p", "r", "q"]}), limit=7, sql="select 1")
    assert told(a.compare(b)) == [
        ("s1.params.limit", "5", "7"),
        ("s1 table", "3 rows, 2 columns", "3 rows, 2 columns"),
        ("s1 table, row 2, x", "2", "3"),
        ("s1 table, row 2, y", "", "r"),
    ]
    assert a.compare(a).differences == []


def test_rows_in_another_order_are_not_told_one_by_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(50), "y": range(50)})
    a, b = run_of(tmp_path, "a", frame), run_of(tmp_path, "b", frame[::-1])
    assert told(a.compare(b))[-1] == ("s1 table, rows", "the same rows", "in another order")


def test_a_list_of_differences_is_bounded_and_counted(tmp_path: Path) -> None:
    a = run_of(tmp_path, "a", pd.DataFrame({"x": range(100)}), **{f"p{n}": n for n in range(30)})
    b = run_of(tmp_path, "b", pd.DataFrame({"x": range(1, 101)}), **{f"p{n}": n + 1 for n in range(30)})
    found = told(a.compare(b))
    assert ("s1.params", "20 more differ", "") in found
    assert ("s1 table, values", "90 more differ", "") in found
    assert len(found) == 2 * MAX_LISTED + 3


def test_columns_and_rows_of_one_run_alone_are_told(tmp_path: Path) -> None:
    a = run_of(tmp_path, "a", pd.DataFrame({"x": [1, 2], "only": [1, 1]}))
    b = run_of(tmp_path, "b", pd.DataFrame({"x": [1.5, 2, 3]}))
    assert told(a.compare(b)) == [
        ("s1 table", "2 rows, 2 columns", "3 rows, 1 column"),
        ("s1 table, columns", "x, only", "x"),
        ("s1 table, x", "int64", "float64"),
        ("s1 table, row 1, x", "1", "1.5"),
    ]


def test_a_table_that_is_gone_is_said(tmp_path: Path) -> None:
    a, b = run_of(tmp_path, "a", pd.DataFrame({"x": [1]})), run_of(tmp_path, "b", pd.DataFrame({"x": [2]}))
    (tmp_path / "b.arrow").unlink()
    assert told(a.compare(b))[-1][1] == "not compared: The table b.arrow is gone."


def test_what_a_run_says_of_itself_is_shown_and_does_nothing(tmp_path: Path) -> None:
    a = run_of(tmp_path, "a", pd.DataFrame({"x": [1]}), text="<script>alert(1)</script>")
    b = run_of(tmp_path, "b", pd.DataFrame({"x": [1]}), text="\x1b[31mred\u202e")
    comparison = a.compare(b)
    html = comparison._repr_html_()
    assert "<script>" not in html
    assert "differs" in html  # also without any style
    assert "\x1b" not in repr(comparison)
    assert "\u202e" not in repr(comparison)


async def test_two_runs_of_a_workbench_are_compared_with_their_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wb = bench(tmp_path)
    changed = SALES.copy()
    changed.loc[0, "revenue"] = 1000.0
    before = await wb.ask("total revenue by region of @sales", sales=SALES)
    after = await wb.ask("total revenue by region of @sales", sales=changed)
    found = {what: (left, right) for what, left, right in told(before.compare(after))}
    assert "@sales, row 1, revenue" in found
    assert "answer" in found
    assert any(what.startswith("s1 table, row") for what in found)
    assert "request" not in found
    await wb.close()


def test_the_command_line_compares_and_tells_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = workbench.ask("total revenue by region of @sales", sales=SALES)
    second = workbench.ask("mean revenue by region of @sales", sales=SALES)
    assert cli.main(["compare", first.id, second.id]) == 0
    assert "s1.params.sql" in capsys.readouterr().out
    assert cli.main(["compare", first.id, first.id, "--json"]) == 0
    assert all(pair["same"] for pair in json.loads(capsys.readouterr().out))
    assert "query_data, version" in repr(first.why("s1"))
    assert repr(first.why()).startswith(f"Run {first.id}")
    with pytest.raises(workbench.Refused, match="no step"):
        first.why("s9")
