"""One tool, run once: planned by the user, and held to everything that a request is held to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import workbench
from tests.test_workbench import SALES, bench
from workbench import toolkit
from workbench.bridge import Errands, wait
from workbench.core.errors import Denied, PlanInvalid, ToolFailed
from workbench.core.events import Kind
from workbench.core.provenance import SourceKind
from workbench.registry import cells
from workbench.run import Run
from workbench.workbench import Workbench

WRITER = '''"""Writes a line."""
PERMISSIONS = {"write": ["out"]}
EFFECT = "write"
def run(text: str) -> str:
    from workbench import toolkit
    (toolkit.project() / "out" / "line.txt").write_text(text)
    return text
'''
gone_in: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_defined() -> Iterator[None]:
    yield
    gone_in.clear()
    for spec in cells.defined():
        cells.forget(spec.name)


def run_here(workbench: Workbench, name: str, params: dict[str, Any], **options: Any) -> Run:
    """As a cell does: this thread waits, and makes the calls that belong to it."""
    errands = Errands()
    return wait(workbench.run_tool(name, params, on_thread=errands.run, **options), errands=errands)


async def test_one_tool_is_one_step_and_the_run_is_on_record(tmp_path: Path):
    made = bench(tmp_path)
    sql = "SELECT sum(revenue) AS total FROM sales"
    run = await made.run_tool("query_data", {"sql": sql, "tables": {"sales": {"$ref": "@sales"}}}, sales=SALES)
    assert run.df is not None
    assert (run.df["total"].item(), run.outcome.planner, run.status) == (150.0, "you", "done")
    kinds = [event.kind for event in await made.memory.events(run.id)]
    assert kinds.count(Kind.TOOL_CALLED) == 1
    assert kinds.count(Kind.MODEL_CALLED) == 0
    await made.close()


async def test_wrong_parameters_and_wrong_names_are_told_before_anything_runs(tmp_path: Path):
    made = bench(tmp_path)
    with pytest.raises(PlanInvalid, match=r"params\.seconds: expected number"):
        await made.run_tool("slow", {"seconds": "three"})
    with pytest.raises(PlanInvalid, match="did you mean slow"):
        await made.run_tool("slo", {})
    await made.close()


async def test_what_the_user_calls_is_theirs_and_what_a_stranger_calls_is_asked_about(tmp_path: Path):
    made = bench(tmp_path)
    (tmp_path / "config" / "tools" / "writer.py").write_text(WRITER)
    (tmp_path / "project" / "out").mkdir()
    run = await made.run_tool("writer", {"text": "mine"})
    assert (tmp_path / "project" / "out" / "line.txt").read_text() == "mine"
    with pytest.raises(Denied, match="nobody is there to be asked"):
        await made.run_tool("writer", {"text": "theirs"}, stranger="a client")
    assert (tmp_path / "project" / "out" / "line.txt").read_text() == "mine"
    assert SourceKind.VALUE not in {source.kind for source in run.outcome.plan_sources}
    await made.close()


async def test_a_function_of_a_cell_runs_in_a_worker_and_its_source_is_journalled(tmp_path: Path, level: str):
    made = bench(tmp_path)

    @workbench.tool
    def add_vat(orders: pd.DataFrame, rate: float = 0.2) -> pd.DataFrame:
        """Adds a column with VAT."""
        return orders.assign(vat=orders["revenue"] * rate)

    run = await made.run_tool("add_vat", {"orders": {"$ref": "@sales"}}, sales=SALES)
    assert run.df is not None
    assert run.df["vat"].tolist() == [2.0, 4.0, 8.0, 16.0]
    events = await made.memory.events(run.id)
    (defined,) = [event for event in events if event.kind is Kind.TOOL_DEFINED]
    (called,) = [event for event in events if event.kind is Kind.TOOL_CALLED]
    assert called.body["isolation"] == level
    assert called.body["version"] == defined.body["version"]
    assert "Adds a column with VAT." in defined.body["source"]
    await made.close()


def test_a_function_in_the_kernel_is_called_on_the_thread_that_waits_with_what_the_kernel_holds(tmp_path: Path):
    made = bench(tmp_path)

    @workbench.tool(in_kernel=True)
    def put(orders: pd.DataFrame, text: str) -> dict[str, Any]:
        """Puts things away."""
        gone_in.append((threading.current_thread(), text, orders["revenue"].sum()))
        print("noise")  # noqa: T201 - what is printed is kept
        return {"table": orders.head(1), "text": text}

    run = run_here(made, "put", {"orders": {"$ref": "@sales"}, "text": "hello"}, sales=SALES)
    assert gone_in == [(threading.main_thread(), "hello", 150.0)]
    value = run.steps[0].value
    assert (value["text"], len(value["table"]), run.steps[0].text) == ("hello", 1, "noise\n")
    assert "Nothing confines put" in "\n".join(run.outcome.notes)
    (called,) = [event for event in wait(made.memory.events(run.id)) if event.kind is Kind.TOOL_CALLED]
    assert called.body["isolation"] == "none"
    wait(made.close())


async def test_a_function_in_the_kernel_is_refused_where_no_thread_waits(tmp_path: Path):
    made = bench(tmp_path)

    @workbench.tool(in_kernel=True, effect="read")
    def put() -> None:
        gone_in.append(1)

    with pytest.raises(Denied, match="no thread of it waits"):
        await made.run_tool("put", {})
    assert gone_in == []
    await made.close()


def test_what_a_function_in_the_kernel_raises_costs_its_step_and_a_call_that_takes_too_long_is_interrupted(
    tmp_path: Path,
):
    made = bench(tmp_path)

    @workbench.tool(in_kernel=True)
    def fails(how: str) -> Any:
        if how == "value":
            raise ValueError("no such thing")
        if how == "said":
            raise toolkit.Failed("will not", hint="Do not ask.")
        if how == "leave":
            raise SystemExit(3)
        return object()

    @workbench.tool(in_kernel=True, timeout=0.2)
    def sleeps() -> None:
        threading.Event().wait(60)

    for how, said in {
        "value": "ValueError: no such thing",
        "said": "will not",
        "leave": "SystemExit: 3",
        "object": "is a object",
    }.items():
        with pytest.raises(ToolFailed, match=said):
            run_here(made, "fails", {"how": how})
    with pytest.raises(ToolFailed, match=r"longer than 0\.2 seconds"):
        run_here(made, "sleeps", {})
    wait(made.close())


async def test_a_secret_in_a_parameter_of_a_tool_of_the_kernel_is_not_handed_over(tmp_path: Path):
    made = bench(tmp_path, api_key="sk-verysecretverysecret")

    @workbench.tool(in_kernel=True)
    def put(text: str) -> None:
        gone_in.append(text)

    async def here(errand: Any) -> Any:
        return await asyncio.to_thread(errand)

    with pytest.raises(Denied, match="value of a key"):
        await made.run_tool("put", {"text": json.dumps(["sk-verysecretverysecret"])}, on_thread=here)
    assert gone_in == []
    await made.close()


async def test_what_a_stranger_asked_for_stays_theirs_when_the_run_is_repeated_or_taken_up(tmp_path: Path):
    made = bench(tmp_path)
    (tmp_path / "config" / "tools" / "writer.py").write_text(WRITER)
    (tmp_path / "project" / "out").mkdir()
    with pytest.raises(Denied) as denied:
        await made.run_tool("writer", {"text": "theirs"}, stranger="a client")
    for again in (made.rerun, made.resume):
        with pytest.raises(Denied, match="nobody is there to be asked"):
            await again(denied.value.run.id)
    assert not (tmp_path / "project" / "out" / "line.txt").exists()
    await made.close()
