"""`workbench tool`, `workbench tools --schema` and `--new`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_cli import Command, command
from workbench.core.errors import Refused
from workbench.notebook import onetool
from workbench.registry.spec import describe

__all__ = ["command"]


def test_a_tool_is_run_once_and_shown(command: Command) -> None:
    tables = 'tables={"sales": {"$ref": "@sales"}}'
    sql = "sql=SELECT count(*) AS orders FROM sales"
    code, out, err = command(
        "tool", "query_data", "--data", "sales=data/samples/sales.csv", "--param", sql, "--param", tables
    )
    assert (code, err) == (0, "")
    assert "3,003" in out
    assert "Planned by you" in out


def test_a_table_is_given_by_its_name_and_the_run_printed_as_json(command: Command) -> None:
    code, out, _ = command(
        *("tool", "plot", "--data", "sales=data/samples/sales.csv", "--param", "data=@sales", "--json"),
        *("--param", "kind=hist", "--param", "x=revenue"),
    )
    run = json.loads(out)
    assert code == 0
    assert run["artifacts"][0]["mime"] == "image/png"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tool", "recall"), "recall.question: missing"),
        (("tool", "plto"), "did you mean plot"),
        (("tool", "recall", "--param", "question"), "is not NAME=VALUE"),
        (("tool", "recall", "--param", "question=a", "--param", "question=b"), "given twice"),
        (("tools", "--schema", "nothing_such"), "no tool nothing_such"),
        (("tools", "--new", "not a name"), "no name for a tool"),
        (("tools", "--new", "plot"), "already"),
    ],
)
def test_what_is_wrong_is_one_line_and_the_fix(command: Command, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.strip().splitlines()) == 2


def test_the_schema_of_a_tool_is_json(command: Command) -> None:
    code, out, _ = command("tools", "--schema", "plot")
    found = json.loads(out)
    assert code == 0
    assert found["params"]["properties"]["data"]["anyOf"][0] == {"x-frame": True}


def test_a_new_tool_is_a_tool_that_asks_for_trust(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".workbench").mkdir()
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("tools", "--new", "word_count")
    path = tmp_path / "tools" / "word_count.py"
    assert (code, str(path) in out) == (0, True)
    spec = describe(path.read_bytes(), path, "project")
    assert spec is not None
    assert (spec.name, spec.summary, spec.grants) == (
        "word_count",
        "Word count: say here what it does, in one line.",
        (),
    )
    assert "is not trusted yet" in command("tool", "word_count", "--param", "text=a")[2]
    assert command("trust", str(path), "--yes")[0] == 0
    assert "a a" in command("tool", "word_count", "--param", "text=a", "--param", "times=2")[1]


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text()))
def test_a_parameter_that_takes_text_gets_it_as_it_was_typed(params: dict[str, str]) -> None:
    typed = [f"{name}={text}" for name, text in params.items()]
    kinds = {name: {"type": "string"} for name in params}
    assert onetool.given(typed, kinds) == params


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_parameter_of_any_other_kind_is_read_as_json(value: object) -> None:
    assert onetool.given([f"x={json.dumps(value)}"], {"x": {"anyOf": []}}) == {"x": value}


def test_a_pair_that_is_none_is_named() -> None:
    with pytest.raises(Refused, match="--param x"):
        onetool.given(["x"], {})
