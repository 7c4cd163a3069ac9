"""Many requests at once, from Python and from the command line: real runs, in order, each by itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import workbench
from tests.toolfiles import put_slow
from workbench import many
from workbench.cli import main
from workbench.configuration import load_settings
from workbench.core.errors import Cancelled, Refused, WorkbenchError
from workbench.core.events import AnyEvent, Kind
from workbench.memory.duckdb import DuckDBMemory
from workbench.models.testing import TestModel
from workbench.run import Run
from workbench.scheduler.local import Local
from workbench.workbench import Workbench

SALES = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [10.0, 20.0, 40.0]})


def bench(tmp_path: Path, **options: Any) -> Workbench:
    config = tmp_path / "config"
    (config / "tools").mkdir(parents=True, exist_ok=True)
    put_slow(config / "tools")
    (tmp_path / "project").mkdir(exist_ok=True)
    model = options.pop("model", None)
    made = load_settings({"WORKBENCH_CONFIG": str(config)}, tmp_path / "project", **options)
    return Workbench(made, model=model)


async def test_results_come_in_the_order_of_the_requests_and_a_failure_costs_no_other(tmp_path):
    wb = bench(tmp_path)
    heard: dict[int, object] = {}
    requests: list[many.Request] = [
        "total revenue of @sales",
        "Why did revenue drop in March?",
        {"request": "total revenue by region of @sales", "plan_only": True},
        "average revenue of @sales",
    ]
    runs = await wb.ask_many(requests, concurrency=3, variables={"sales": SALES}, ended=heard.__setitem__)
    total, refused, planned, average = runs
    assert isinstance(total, Run)
    assert total.df is not None
    assert total.df.iloc[0, 0] == 70.0
    assert isinstance(refused, Refused)
    assert refused.run.status == "failed"
    assert isinstance(planned, Run)
    assert planned.status == "planned"
    assert isinstance(average, Run)
    assert "23.3" in average.answer
    assert runs.failed == [refused]
    assert heard == dict(enumerate(runs))
    assert "Why did revenue drop" in repr(runs)
    assert "<table>" in runs._repr_html_()
    await wb.close()
    reader = DuckDBMemory(wb.settings.home)
    for result in runs:
        run = result.run if isinstance(result, WorkbenchError) else result
        assert (await reader.events(run.id))[-1].kind == Kind.RUN_DONE
    await reader.close()


async def test_more_requests_than_a_user_may_start_in_a_minute_wait_for_their_turn():
    waits: list[float] = []

    async def ask(text: str) -> Run:
        if not waits:
            waits.append(1)
            raise workbench.BudgetExceeded("used up; the next is possible in 0 s", seconds=0)
        return text  # type: ignore[return-value]  # any result will do

    runs = await many.ask_many(ask, ["a"], Local(1), {})
    assert waits == [1]
    assert len(runs) == 1


@pytest.mark.parametrize("wrong", ["", "  ", 7, {"text": "total"}, {"request": ""}])
async def test_what_is_no_request_is_refused_before_anything_runs(tmp_path, wrong):
    wb = bench(tmp_path)
    with pytest.raises(Refused, match="is no request"):
        await wb.ask_many(["total revenue of @sales", wrong], sales=SALES)
    assert not (wb.settings.home / "journal").exists()
    await wb.close()


def slow(seconds: float) -> dict[str, Any]:
    return {"steps": [{"task": "slow", "params": {"seconds": seconds}}]}


async def test_closing_the_workbench_stops_what_runs_and_loses_nothing_that_was_told(tmp_path):
    wb = bench(tmp_path, model=TestModel([slow(50.0)] * 4))
    begun = asyncio.Event()

    def hear(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_STARTED:
            begun.set()

    work = asyncio.create_task(wb.ask_many(["sleep"] * 4, concurrency=2, listeners=(hear,)))
    await begun.wait()
    await wb.close()
    with pytest.raises(Cancelled, match="0 of 4") as caught:
        await work
    results = caught.value.data["runs"]
    assert all(isinstance(result, Cancelled) for result in results)
    ran = [result.run for result in results if result.run is not None]
    assert 1 <= len(ran) <= 2, "the others were never started"
    reader = DuckDBMemory(wb.settings.home)
    for run in ran:
        events = await reader.events(run.id)
        assert events[-1].kind == Kind.RUN_DONE
        assert run.status == "cancelled"
    await reader.close()


def test_a_file_of_requests_prints_one_line_of_json_each_and_exits_1_when_one_failed(tmp_path, capsys, own_home):
    SALES.to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "asked.txt").write_text(
        '# what we always ask\ntotal revenue of @sales\n\n{"request": "average revenue of @sales"}\nWhy is it so?\n'
    )
    workbench.use(Workbench(load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path)))
    data = ["--data", f"sales={tmp_path / 'sales.csv'}"]
    assert main(["ask-many", str(tmp_path / "asked.txt"), *data, "--json"]) == 1
    said = sorted(map(json.loads, capsys.readouterr().out.splitlines()), key=lambda one: one["number"])
    assert [one["status"] for one in said] == ["done", "done", "failed"]
    assert said[2]["error"]["kind"] == "Refused"
    assert main(["ask-many", str(tmp_path / "asked.txt"), *data]) == 1
    captured = capsys.readouterr()
    assert "total revenue of @sales" in captured.out
    assert main(["show", captured.out.splitlines()[2].split()[0]]) == 0, "each line begins with the id of its run"
    capsys.readouterr()
    assert "1 of 3 requests failed." in captured.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"request": 1}', "Line 1"),
        ('{"request"', "no JSON"),
        ('{"request": "a", "yes": true}', "yes cannot"),
        ("", ""),
    ],
)
def test_a_line_that_is_no_request_is_named(tmp_path, capsys, line, said):
    (tmp_path / "asked.txt").write_text(line)
    assert main(["ask-many", str(tmp_path / "asked.txt")]) == 1
    assert said in capsys.readouterr().err


SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal: a shell's background job ignores it
import workbench
from workbench.models.testing import TestModel
from tests.test_many import bench, slow
folder = Path(sys.argv[1])
workbench.use(bench(folder, model=TestModel([slow(50.0)] * 9)))
def hear(event):
    if event.kind == "step.started":
        print("begun", event.run, flush=True)
workbench.ask_many(["sleep"] * 9, concurrency=2, seconds=float(sys.argv[2]), listeners=(hear,))
"""


@pytest.mark.kills
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_end_does_so_soon_and_its_runs_are_on_record(tmp_path, how):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "0.2"]
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert process.stdout is not None
    runs = {process.stdout.readline().split()[1] for _ in range(2)}
    process.send_signal(how)
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()  # it has ended, or it never will
    assert process.returncode == (143 if how is signal.SIGTERM else 1), said
    assert how is signal.SIGTERM or "Stopped. 0 of 9 requests were finished." in said

    async def endings() -> list[tuple[object, object]]:
        reader = DuckDBMemory(bench(tmp_path).settings.home)
        found = [(await reader.events(run))[-1] for run in sorted(runs)]
        await reader.close()
        return [(event.kind, event.body.get("status")) for event in found]

    assert asyncio.run(endings()) == [(Kind.RUN_DONE, "cancelled")] * 2
