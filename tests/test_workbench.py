"""Requests from end to end: real planner, real workers, real memory; only the language model is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import workbench
from tests.toolfiles import put_slow
from workbench.configuration import load_settings
from workbench.core.events import AnyEvent, Kind
from workbench.models.testing import TestModel
from workbench.workbench import Workbench

SALES = pd.DataFrame(
    {
        "order_date": ["2025-01-05", "2025-01-20", "2025-02-03", "2024-12-31"],
        "region": ["North", "South", "North", "West"],
        "revenue": [10.0, 20.0, 40.0, 80.0],
    }
)

BROKEN_TOOL = '''"""Fails."""
PERMISSIONS = {}

def run(how: str) -> str:
    import os, signal
    if how == "raise":
        raise ValueError("no such thing")
    if how == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "flood":
        while True:
            print("x" * 65536)
    return "fine"
'''


def bench(tmp_path: Path, *replies: Any, **settings: Any) -> Workbench:
    config = tmp_path / "config"
    (config / "tools").mkdir(parents=True, exist_ok=True)
    put_slow(config / "tools")
    (config / "tools" / "broken.py").write_text(BROKEN_TOOL)
    (tmp_path / "project").mkdir(exist_ok=True)
    made = load_settings({"WORKBENCH_CONFIG": str(config)}, tmp_path / "project", **settings)
    return Workbench(made, model=TestModel(replies) if replies else None)


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def wb(tmp_path: Path) -> AsyncIterator[Workbench]:
    made = bench(tmp_path)
    yield made
    await made.close()


def steps(*tasks: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"mode": "graph", "steps": [{"task": task, "params": params} for task, params in tasks]}


async def test_a_question_gives_a_real_table_an_answer_and_a_picture(wb: Workbench) -> None:
    run = await wb.ask("total revenue by region in 2025 as a bar chart of @sales", sales=SALES)
    assert run.status == "done"
    assert run.df is not None
    assert sorted(run.df.iloc[:, 0]) == ["North", "South"]
    assert sorted(run.df.iloc[:, 1]) == [20.0, 50.0]
    assert run.images[0].png.startswith(b"\x89PNG")
    assert "50" in run.answer
    assert run.outcome.planner == "grammar"
    assert run.cost.calls == 0
    assert [step.state for step in run.steps.values()] == ["done", "done"]
    assert "sales" in run.steps[0].params["sql"]


async def test_a_refusal_names_its_reason_and_is_on_record(wb: Workbench) -> None:
    with pytest.raises(workbench.Refused) as caught:
        await wb.ask("Why did revenue drop in March?", sales=SALES)
    assert caught.value.hint
    shown = await wb.record.show(caught.value.run.id)
    assert shown.status == "failed"
    assert shown.outcome.problem is not None
    assert shown.outcome.problem.kind == "Refused"


async def test_a_plan_can_be_seen_without_running_it(wb: Workbench) -> None:
    run = await wb.ask("total revenue of @sales", sales=SALES, plan_only=True)
    assert run.status == "planned"
    assert run.plan is not None
    assert {step.state for step in run.steps.values()} == {"waiting"}


async def test_a_run_reads_the_same_from_the_memory_as_live(wb: Workbench) -> None:
    run = await wb.ask("total revenue by region of @sales", sales=SALES)
    assert (await wb.record.show(run.id)).outcome == run.outcome
    assert (await wb.record.show(run.id))._repr_mimebundle_() == run._repr_mimebundle_()
    assert [row["run"] for row in await wb.record.runs()] == [run.id]


async def test_the_memory_answers_sql_and_refuses_to_be_changed(wb: Workbench) -> None:
    await wb.ask("total revenue of @sales", sales=SALES)
    frame = await wb.record.sql("select status, count(*) as n from runs group by status")
    assert frame.to_dict("records") == [{"status": "done", "n": 1}]
    for query in ("delete from events", "select 1; select 2", "copy events to '/tmp/x'", "select * from nothing", ""):
        with pytest.raises(workbench.ToolFailed):
            await wb.record.sql(query)


async def test_what_is_remembered_is_recalled_by_another_workbench_on_the_same_home(tmp_path: Path) -> None:
    first, second = bench(tmp_path), bench(tmp_path)
    await first.ask("remember that our fiscal year starts in April")
    run = await second.ask("what do you remember about the fiscal year?")
    assert "April" in run.answer
    await first.close()
    await second.close()


async def test_a_models_plan_runs_and_its_cost_and_calls_are_on_record(tmp_path: Path) -> None:
    plan = {
        "steps": [
            {
                "id": "total",
                "task": "query_data",
                "params": {
                    "sql": "select sum(revenue) as total from sales",
                    "tables": {"sales": {"$ref": "@sales"}},
                },
            }
        ]
    }
    wb = bench(tmp_path, plan, "The total is 150.")
    events: list[AnyEvent] = []
    run = await wb.ask("what is the total?", sales=SALES, listeners=(events.append,))
    assert run.answer == "The total is 150."
    assert run.df is not None
    assert run.df["total"].tolist() == [150.0]
    assert run.outcome.model == "test-model"
    assert run.cost.calls == 2
    calls = [event.body for event in events if event.kind == Kind.MODEL_CALLED]
    assert [body["purpose"] for body in calls] == ["plan", "answer"]
    await wb.close()


async def test_a_failed_step_fails_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    wb = bench(tmp_path, steps(("slow", {"seconds": 0}), ("broken", {"how": "raise"})))
    with pytest.raises(workbench.ToolFailed, match="no such thing") as caught:
        await wb.ask("do it")
    run = caught.value.run
    assert run.steps["s1"].value == "waited"
    assert run.steps["s2"].state == "failed"
    assert len(caught.value.lines()) <= 3
    await wb.close()


@pytest.mark.parametrize(("how", "word"), [("signal", "SIGSEGV"), ("flood", "printed more than")])
async def test_a_tool_that_dies_or_floods_is_one_line(tmp_path: Path, how: str, word: str) -> None:
    wb = bench(tmp_path, steps(("broken", {"how": how})))
    with pytest.raises(workbench.ToolFailed, match=word):
        await wb.ask("do it")
    await wb.close()


async def test_a_tool_that_hangs_is_stopped_in_its_time(tmp_path: Path) -> None:
    plan = {"steps": [{"task": "slow", "params": {"seconds": 100}, "timeout": 1.5}]}
    wb = bench(tmp_path, plan)
    with pytest.raises(workbench.ToolFailed, match=r"longer than 1\.5 s"):
        await wb.ask("do it")
    await wb.close()


async def test_stopping_a_run_keeps_finished_steps_and_is_on_record(tmp_path: Path) -> None:
    plan = {"steps": [{"task": "slow", "params": {"seconds": 0}}, {"task": "slow", "params": {"seconds": 100}}]}
    wb = bench(tmp_path, plan)
    started = asyncio.Event()

    def listen(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_STARTED and event.step == "s2":
            started.set()

    task = asyncio.create_task(wb.ask("do it", listeners=(listen,)))
    await started.wait()
    task.cancel()
    with pytest.raises(workbench.Cancelled, match="1 of 2 steps finished") as caught:
        await task
    shown = await wb.record.show(caught.value.run.id)
    assert shown.status == "cancelled"
    assert [step.state for step in shown.steps.values()] == ["done", "cancelled"]
    await wb.close()


async def test_twenty_requests_at_once_do_not_mix(wb: Workbench) -> None:
    frames = [pd.DataFrame({"amount": [float(i), 1.0]}) for i in range(20)]
    runs = await asyncio.gather(*(wb.ask("total amount of @t", t=frame) for frame in frames))
    assert [run.df.iloc[0, 0] for run in runs if run.df is not None] == [i + 1.0 for i in range(20)]
    assert len(await wb.record.runs(100)) == 20


async def test_requests_are_held_to_the_rate(tmp_path: Path) -> None:
    wb = bench(tmp_path, requests_per_minute=2)
    for _ in range(2):
        await wb.ask("total revenue of @sales", sales=SALES, plan_only=True)
    with pytest.raises(workbench.BudgetExceeded):
        await wb.ask("total revenue of @sales", sales=SALES, plan_only=True)
    await wb.close()


async def test_a_search_without_a_key_says_how_to_get_one(wb: Workbench) -> None:
    with pytest.raises(workbench.WorkbenchError) as caught:
        await wb.ask("search the web for DuckDB release notes")
    assert "TAVILY_API_KEY" in str(caught.value)
    assert len(caught.value.lines()) <= 3


@pytest.mark.parametrize(
    "text",
    ['{"a": {"b": [1, "{x}"]}} $HOME %s {0} {{', "🦆" * 1000, "x" * 100_000, "a\x00b\udcff", "'; drop table runs; --"],
    ids=["json", "emoji", "100kB", "nul-surrogate", "sql"],
)
async def test_odd_texts_reach_the_model_byte_for_byte(tmp_path: Path, text: str) -> None:
    model = TestModel([steps(("slow", {"seconds": 0})), "done"])
    wb = bench(tmp_path)
    wb = Workbench(wb.settings, model=model)
    run = await wb.ask(text)
    clean = text.replace("\x00", "").replace("\udcff", "\ufffd")
    assert clean in model.calls[0].messages[-1].content
    assert (await wb.record.show(run.id)).outcome.request == clean
    await wb.close()


async def test_a_read_only_memory_gives_one_line_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    wb = bench(tmp_path, home=tmp_path / "file" / "home")
    with pytest.raises(workbench.Unavailable, match="WORKBENCH_HOME"):
        await wb.ask("total revenue of @sales", sales=SALES)


async def test_a_column_that_cannot_travel_is_refused_by_name(wb: Workbench) -> None:
    frame = pd.DataFrame({"revenue": [1.0], "thing": [object()]})
    with pytest.raises(workbench.Refused, match="thing"):
        await wb.ask("total revenue of @odd", odd=frame)


async def test_no_key_reaches_the_record(tmp_path: Path) -> None:
    wb = bench(tmp_path, api_key="sk-canary-1", tavily_api_key="tvly-canary-2")
    wb = Workbench(wb.settings, model=TestModel([steps(("broken", {"how": "raise"}))]))
    with pytest.raises(workbench.ToolFailed):
        await wb.ask("do it")
    await wb.close()
    kept = everything_below(tmp_path)
    assert b"broken" in kept
    assert b"canary" not in kept
