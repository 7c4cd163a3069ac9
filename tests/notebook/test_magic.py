"""The magics in a real kernel without a front end: one display a cell, one line for what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.notebook.conftest import Outputs, papermill_outputs, text_of
from workbench.notebook.line import OPTIONS

SETUP = """
import pandas as pd, workbench
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
number = 3
"""


def test_a_request_gives_exactly_one_display_and_the_run_is_a_value(
    run_cells: Callable[..., Outputs], level: str
) -> None:
    outputs = run_cells(
        SETUP,
        "%agent total revenue by region of @sales",
        "_.df.iloc[0, 0], _.status",
        "kept = %agent total revenue of @sales",
        "kept",
        "%%agent named <<\ntotal revenue\nof @sales",
        "named.answer",
        "%agent --plan total revenue of @sales",
        "before = workbench.current().tools()\nprint('noise')\n%agent top {{number}} region by revenue in @sales",
    )
    (shown,) = outputs[1]
    assert shown.output_type == "display_data"
    assert sorted(shown.data) == ["text/html", "text/plain"]
    assert shown.metadata["workbench"]["isolation"] == level
    assert "transient" not in shown
    assert text_of(outputs[2]) == "('North', 'done')"
    assert len(outputs[3]) == 1
    (again,) = outputs[4]
    assert again.output_type == "execute_result"
    assert again.data == outputs[3][0].data
    assert len(outputs[5]) == 1
    assert "7" in text_of(outputs[6])
    assert "Nothing was run" in text_of(outputs[7])
    assert [output.output_type for output in outputs[8]] == ["stream", "display_data"]
    assert "LIMIT 3" in text_of(outputs[8])


MISUSE = {
    "%agent": "asks for something",
    "%agent --plna total revenue": "--plan",
    "%agent total of @slaes": "did you mean @sales?",
    "%agent total of @number": "not a DataFrame",
    "%agent {{nope}} revenue": "NameError",
    "%%agent\n   \n": "empty",
    '%agent say "unbalanced': "OPENAI_API_KEY",
    '%agent {"a": {"b": [1]}} $HOME {x} \U0001f986': "OPENAI_API_KEY",
    "%agent --model": "name",
    "%agent search the web for DuckDB release notes": "TAVILY_API_KEY",
    "%workbench frobnicate": "there are",
    "%workbench rnus": "runs",
    "%workbench show nothing": "no run",
    "%workbench sql drop table events": "SELECT",
    "%%agent\n" + "x" * 100_000: "OPENAI_API_KEY",
    "%%agent\n" + "x" * 300_000: "200,000",
}


def test_misuse_gives_one_line_and_the_fix(run_cells: Callable[..., Outputs]) -> None:
    cells = list(MISUSE)
    outputs = run_cells(SETUP, *cells, "%agent total revenue of @sales")
    for cell, shown in zip(cells, outputs[1:], strict=False):
        text = text_of(shown)
        assert MISUSE[cell] in text, (cell[:60], text[:400])
        assert "Traceback" not in text
        assert "File " not in text
        if cell != "%agent":
            errors = [output for output in shown if output.output_type == "error"]
            assert sum(len("\n".join(error.traceback).splitlines()) for error in errors) <= 3, text[:400]
            assert len(text) < 1000
    assert "7" in text_of(outputs[-1])


def test_the_verbs_show_tables(run_cells: Callable[..., Outputs], level: str) -> None:
    outputs = run_cells(
        SETUP,
        "__session__ = 'notes/seven.ipynb'\n%agent total revenue of @sales",
        "%workbench",
        "%workbench tools",
        "%workbench runs",
        "%workbench sql select count(*) as n, any_value(notebook) as notebook from runs",
        "%workbench show {}".format("2"),
        "%agent?",
    )
    for words, shown in zip(
        (
            ("model", "isolation", level),
            ("query_data", "shipped"),
            ("done", "total revenue"),
            ("1", "notes/seven.ipynb"),
            ("query_data",),
        ),
        outputs[2:7],
        strict=True,
    ):
        for word in words:
            assert word in text_of(shown)


def test_a_failed_run_fails_the_cell_and_papermill(tmp_path: Path, samples: Path) -> None:
    code, outputs = papermill_outputs(tmp_path, SETUP, "%agent why did revenue drop in @sales")
    assert code != 0
    (error,) = [output for output in outputs if output["output_type"] == "error"]
    assert error["ename"] == "Refused"
    assert len("\n".join(error["traceback"]).splitlines()) <= 3


def test_loading_twice_is_silent_and_unloading_takes_the_magics_away(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(
        "%load_ext workbench\n%load_ext workbench",
        "%reload_ext workbench",
        "%unload_ext workbench",
        "%agent anything",
    )
    assert outputs[1] == outputs[2] == []
    assert "already loaded" in text_of(outputs[0]) or outputs[0] == []
    assert "not found" in text_of(outputs[3])


@pytest.mark.parametrize("line", ["%agent --pl", "%workbench ru"])
def test_options_and_verbs_complete(line: str) -> None:
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "workbench")
print(shell.complete({line.split()[-1]!r}, {line!r}, {len(line)})[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"%agent --pl": "'--plan'", "%workbench ru": "'runs'"}[line] in done.stdout


def test_a_request_without_a_plan_shows_its_cost_and_says_once_what_was_wrong(
    run_cells: Callable[..., Outputs],
) -> None:
    no_plan = """
from workbench.models.testing import TestModel
bench = workbench.use(workbench.Workbench(model=TestModel(lambda messages: {"steps": [{"task": "no_such_tool"}]})))
"""
    shown = run_cells(SETUP, no_plan, "%agent anything at all")[2]
    text = text_of(shown)
    assert text.count("no_such_tool") == 1, text
    assert "3 model calls" in text


def test_a_budget_that_is_used_up_is_told_once_with_what_to_do(run_cells: Callable[..., Outputs]) -> None:
    text = text_of(run_cells(SETUP, "%agent --budget calls=1 total revenue by region of @sales as a bar chart")[1])
    assert text.count("What is done is kept") == 1, text
    assert "BudgetExceeded: The budget of this run is used up" in text


def test_the_help_lists_the_options_in_the_order_they_are_told(run_cells: Callable[..., Outputs]) -> None:
    text = text_of(
        run_cells(SETUP, "AgentMagics = get_ipython().find_line_magic('agent')\nprint(AgentMagics.__doc__)")[1]
    )
    places = [text.index(f"\n  --{name}") for name in OPTIONS]
    assert places == sorted(places)
    assert "--timeout SECONDS" in text
