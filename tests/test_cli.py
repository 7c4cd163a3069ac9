"""The command line as a user meets it: what it prints, how it ends, and one line for what is wrong."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import cli

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], samples: Path) -> Command:
    """Run one command in this process with a memory of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(samples.parents[1])

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_ask_prints_plan_table_answer_and_cost(command: Command) -> None:
    code, out, err = command("ask", "total revenue by region of @sales", "--data", "sales=data/samples/sales.csv")
    assert (code, err) == (0, "")
    for word in ("query_data", "North", "revenue", "grammar", "$0"):
        assert word in out


def test_ask_as_json_is_json(command: Command) -> None:
    code, out, _ = command("ask", "--json", "how many orders", "--data", "orders=data/samples/sales.csv")
    run = json.loads(out)
    assert code == 0
    assert run["status"] == "done"
    assert run["plan"]["steps"][0]["task"] == "query_data"


def test_who_trusts_a_tool_is_told_which_folders_it_reads_and_writes(command: Command, tmp_path: Path) -> None:
    tool = tmp_path / "keeper.py"
    tool.write_text("PERMISSIONS = {'read': ['data'], 'write': ['out']}\ndef run(): ...")
    code, out, _ = command("trust", str(tool))
    assert (code, "It asks for: read data, write out." in out) == (0, True)


def test_runs_show_and_sql_read_the_record(command: Command) -> None:
    command("ask", "total revenue of @sales", "--data", "sales=data/samples/sales.csv")
    code, out, _ = command("runs", "--json")
    (row,) = json.loads(out)
    assert code == 0
    assert re.search(r"done +2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d +[\d.]{1,5} ", command("runs")[1]), "as a person reads it"
    code, shown, _ = command("show", row["run"][:17])
    assert code == 0
    assert "revenue" in shown
    code, out, _ = command("sql", "--json", "select count(*) as n from steps where state = 'done'")
    assert json.loads(out) == [{"n": 1}]


def test_tools_lists_what_is_shipped(command: Command) -> None:
    code, out, _ = command("tools")
    assert code == 0
    for name in ("query_data", "plot", "search_documents", "web_search", "remember", "recall"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("ask", "Why did revenue drop?", "--data", "sales=data/samples/sales.csv"), "OPENAI_API_KEY"),
        (("ask", "total of @x", "--data", "x=nowhere.csv"), "no file"),
        (("ask", "total of @x", "--data", "x=README.md"), "not a table"),
        (("ask", "total of @x", "--data", "nonsense"), "NAME=FILE"),
        (("show", "no-such-run"), "no run"),
        (("sql", "delete from events"), "SELECT"),
        (("sql", "select * from nothing"), "nothing"),
        (("trust", "README.md"), "README.md"),
    ],
)
def test_what_cannot_be_done_is_at_most_three_lines_and_exit_code_1(
    command: Command, arguments: tuple[str, ...], word: str
) -> None:
    code, _, err = command(*arguments)
    assert code == 1
    assert word in err
    assert len(err.strip().splitlines()) <= 3
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("aks", "x"), "ask"), (("ask", "x", "--jsn"), "--json"), (("ask",), "--help"), (("frobnicate",), "--help")],
)
def test_a_wrong_command_line_is_one_line_with_a_near_match(
    command: Command, arguments: tuple[str, ...], word: str
) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert word in err
    assert len(err.strip().splitlines()) == 1


def test_the_installed_command_starts_light() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "workbench.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("workbench ")
    assert not any(f" {name}\n" in done.stderr for name in ("pandas", "openai", "duckdb", "pydantic"))


class Keyboard(io.StringIO):
    """A terminal at which somebody has typed a line."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "options", "code"), [("y\n", [], 0), ("\n", [], 1), ("", ["--yes"], 0)])
def test_at_a_terminal_trust_says_what_the_tool_asks_for_and_waits_for_a_yes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    options: list[str],
    code: int,
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "tools").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tools" / "weather.py"
    path.write_text('"""Weather."""\nPERMISSIONS = {"network": ["a.example"]}\ndef run() -> str:\n    return "fine"\n')
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    assert cli.main(["trust", str(path), *options]) == code
    said = capsys.readouterr()
    assert "It asks for: network a.example." in said.out
    assert ("Trusted" in said.out) == (code == 0)
    assert cli.main(["tools"]) == 0
    listed = capsys.readouterr()
    assert "network a.example" in listed.out
    assert ("workbench trust" in listed.err) == (code == 1)
