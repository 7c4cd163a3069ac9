"""Runs that are stopped, taken up again, and repeated: real planner seams, real workers, real memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import workbench
from workbench.configuration import load_settings
from workbench.core.events import AnyEvent, Kind
from workbench.memory import lease
from workbench.memory.base import Holder
from workbench.models.testing import TestModel
from workbench.policy.approval import Asked, Decision
from workbench.workbench import Workbench

ECHO = '''"""Gives back what it is given."""
PERMISSIONS = {}
def run(value: str = "x", after: str = "", wait: float = 0.0) -> str:
    import time
    from workbench import toolkit
    toolkit.progress("under way")
    time.sleep(wait)
    return value + after
'''
NOTE = '''"""Writes a line into a file."""
PERMISSIONS = {"write": ["notes"]}
EFFECT = "write"
def run(text: str, wait: float = 0.0) -> str:
    import time
    from workbench import toolkit
    with open(toolkit.project() / "notes" / "notes.txt", "a") as file:
        file.write(f"{toolkit.key()} {text}\\n")
    toolkit.progress("under way")
    time.sleep(wait)
    return "noted " + text
'''
CHECK = """
def check(key: str):
    from workbench import toolkit
    path = toolkit.project() / "notes" / "notes.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    return next(("noted " + line.split(" ", 1)[1] for line in lines if line.startswith(key)), None)
"""
COUNT = '''"""Counts rows."""
from workbench import toolkit
PERMISSIONS = {}
def run(table: toolkit.Frame, plus: int = 0) -> int:
    return len(table) + plus
'''


class Desk:
    """A project with tools, and workbenches on one home: each is a new process for all that they know."""

    def __init__(self, folder: Path) -> None:
        self.project, self.config = folder / "project", folder / "config"
        (self.project / "notes").mkdir(parents=True)
        (self.config / "tools").mkdir(parents=True)
        self.opened: list[Workbench] = []
        self.tool("echo", ECHO)
        self.tool("note", NOTE)
        self.tool("safe_note", NOTE + CHECK)
        self.tool("count", COUNT)

    def tool(self, name: str, source: str) -> None:
        (self.config / "tools" / f"{name}.py").write_text(source)

    def bench(self, *replies: Any) -> Workbench:
        settings = load_settings({"WORKBENCH_CONFIG": str(self.config)}, self.project)
        self.opened.append(Workbench(settings, model=TestModel(replies)))
        return self.opened[-1]

    @property
    def notes(self) -> list[str]:
        path = self.project / "notes" / "notes.txt"
        return [line.partition(" ")[2] for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    for bench in made.opened:
        await bench.close()


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"mode": "graph", "steps": list(steps)}


async def stopped_at(bench: Workbench, step: str, **options: Any) -> str:
    """The id of a run that is cancelled when the tool of this step says that it is under way."""
    under_way = asyncio.Event()

    def listen(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_PROGRESS and event.step == step and event.body["text"] == "under way":
            under_way.set()

    task = asyncio.create_task(bench.ask("do it", listeners=(listen,), approver=yes, rounds=False, **options))
    await under_way.wait()
    task.cancel()
    with pytest.raises(workbench.Cancelled) as caught:
        await task
    return str(caught.value.run.id)


async def yes(asked: Asked) -> Decision:
    return Decision(answer="allow", by="option")


def answering(*answers: bool) -> Any:
    left = list(answers)
    asked: list[str] = []

    async def somebody(about: Asked) -> Decision:
        if about.step is None:
            return Decision(answer="allow", by="user")
        asked.append("\n".join([*about.step.lines, about.step.question]))
        return Decision(answer="allow" if left.pop(0) else "deny", by="user")

    return somebody, asked


def calls(events: Sequence[AnyEvent], entry: str = "run") -> list[str]:
    told = [event for event in events if event.kind == Kind.TOOL_CALLED]
    return [str(event.step) for event in told if event.body.get("entry", "run") == entry]


THREE = plan(
    {"id": "s1", "task": "echo", "params": {"value": "one"}},
    {"id": "s2", "task": "echo", "params": {"value": "two", "after": {"$ref": "s1"}, "wait": 60.0}},
    {"id": "s3", "task": "echo", "params": {"value": {"$ref": "s1"}}, "needs": ["s2"]},
)


async def test_a_stopped_run_goes_on_where_it_was_and_keeps_its_id(desk: Desk) -> None:
    run = await stopped_at(desk.bench(THREE), "s2")
    desk.tool("echo", ECHO.replace("time.sleep(wait)", "pass"))
    bench = desk.bench("All done.")
    with pytest.raises(workbench.Refused, match="s2: echo was edited since the step was planned") as caught:
        await bench.resume(run)
    assert "--changed-tools" in caught.value.hint
    done = await bench.resume(run[:20], changed_tools=True)
    assert (done.id, done.status, done.answer) == (run, "done", "All done.")
    assert [step.value for step in done.steps.values()] == ["one", "twoone", "one"]
    events = await bench.memory.events(run)
    assert [event.attempt for event in events if event.kind == Kind.RUN_RESUMED] == [2, 3]
    assert calls(events) == ["s1", "s2", "s2", "s3"]
    assert [event.seq for event in events] == list(range(len(events)))
    resumed = next(event for event in events if event.kind == Kind.RUN_RESUMED)
    assert (resumed.body["kept"], resumed.body["again"], resumed.body["uncertain"]) == (["s1"], ["s2"], [])
    assert (await bench.record.show(run)).outcome == done.outcome


async def test_what_is_done_or_was_never_planned_is_not_taken_up(desk: Desk) -> None:
    bench = desk.bench(plan({"id": "s1", "task": "echo", "params": {}}), "ok", "no plan", "no", "no")
    run = await bench.ask("do it")
    with pytest.raises(workbench.Refused, match="is done: there is nothing to resume") as caught:
        await bench.resume(run.id)
    assert "rerun" in caught.value.hint
    with pytest.raises(workbench.Refused, match="There is no run 'x'"):
        await bench.resume("x")
    with pytest.raises(workbench.WorkbenchError) as failed:
        await bench.ask("do it")
    with pytest.raises(workbench.Refused, match="had no plan yet"):
        await bench.resume(failed.value.run.id)


@pytest.mark.parametrize("has_acted", [True, False])
async def test_a_write_in_doubt_is_asked_whether_it_has_happened(desk: Desk, has_acted: bool) -> None:
    if not has_acted:
        before = '    toolkit.progress("under way")\n    time.sleep(wait)\n    with open'
        desk.tool("safe_note", NOTE.replace("    with open", before) + CHECK)
    run = await stopped_at(
        desk.bench(plan({"id": "s1", "task": "safe_note", "params": {"text": "a", "wait": 60.0}})), "s1"
    )
    assert desk.notes == (["a"] if has_acted else [])
    desk.tool("safe_note", NOTE.replace("time.sleep(wait)", "pass") + CHECK)
    bench = desk.bench("ok")
    done = await bench.resume(run, changed_tools=True, approver=yes)
    assert (done.steps["s1"].value, done.steps["s1"].outcome.said_by) == ("noted a", "check" if has_acted else "")
    assert desk.notes == ["a"]
    events = await bench.memory.events(run)
    assert calls(events, "check") == ["s1"]
    assert len(calls(events)) == (1 if has_acted else 2)


async def test_a_write_that_cannot_be_asked_is_for_a_person_to_decide(desk: Desk) -> None:
    steps = plan(
        {"id": "s1", "task": "note", "params": {"text": "a", "wait": 60.0}},
        {"id": "s2", "task": "echo", "params": {}, "needs": ["s1"]},
    )
    run = await stopped_at(desk.bench(steps), "s1")
    bench = desk.bench("ok", "ok")
    with pytest.raises(workbench.ToolFailed, match="s1 note: nobody knows whether it has happened") as caught:
        await bench.resume(run, approver=yes)  # yes to everything is no yes to this
    assert "--done s1" in caught.value.hint
    assert "--again s1" in caught.value.hint
    assert [step.state for step in caught.value.run.steps.values()] == ["uncertain", "blocked"]
    somebody, asked = answering(False, False)
    with pytest.raises(workbench.ToolFailed, match="nobody knows"):
        await bench.resume(run, approver=somebody)
    assert asked[0].startswith('s1 note: it was stopped under way.\n  {"text": "a"')
    assert [text.splitlines()[-1] for text in asked] == ["Has it happened?", "Do it again?"]
    somebody, asked = answering(True)
    done = await bench.resume(run, approver=somebody)
    assert [step.state for step in done.steps.values()] == ["done", "done"]
    assert done.steps["s1"].outcome.said_by == "user"
    assert desk.notes == ["a"]


async def test_options_decide_about_what_is_in_doubt_and_about_nothing_else(desk: Desk) -> None:
    slow = plan({"id": "s1", "task": "note", "params": {"text": "a", "wait": 60.0}})
    runs = [await stopped_at(desk.bench(slow), "s1") for _ in range(2)]
    desk.tool("note", NOTE.replace("time.sleep(wait)", "pass"))
    bench = desk.bench("ok", "ok")
    with pytest.raises(workbench.Refused, match="s9 is not in doubt") as caught:
        await bench.resume(runs[0], done=["s9"])
    assert "In doubt: s1." in caught.value.hint
    assert (await bench.resume(runs[0], done=["s1"])).status == "done"  # it is not run, so its edit does not matter
    assert len(desk.notes) == 2
    assert (await bench.resume(runs[1], again=["s1"], changed_tools=True, approver=yes)).status == "done"
    assert len(desk.notes) == 3


async def test_a_run_that_another_process_runs_is_left_to_it(desk: Desk) -> None:
    run = await stopped_at(desk.bench(THREE), "s2")
    bench = desk.bench("ok")
    other = lease.take(bench.settings.home, Holder(run=run, pid=4711, since="2026-01-01T12:00:00"))
    before = len(await bench.memory.events(run))
    with pytest.raises(workbench.Refused, match="is being run by process 4711"):
        await bench.resume(run)
    assert len(await bench.memory.events(run)) == before
    other.let_go()
    assert list((bench.settings.home / "leases").iterdir()) == []


async def test_tables_stay_as_they_were_taken(desk: Desk) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})
    steps = plan(
        {"id": "s1", "task": "echo", "params": {"wait": 60.0}},
        {"id": "s2", "task": "count", "params": {"table": {"$ref": "@t"}}, "needs": ["s1"]},
    )
    run = await stopped_at(desk.bench(steps), "s1", variables={"t": frame})
    desk.tool("echo", ECHO.replace("time.sleep(wait)", "pass"))
    done = await desk.bench("ok").resume(run, changed_tools=True, variables={"t": frame.head(1)})
    assert done.steps["s2"].value == 3


async def test_a_rerun_touches_what_changes_and_what_descends_from_it(desk: Desk) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})
    steps = plan(
        {"id": "s1", "task": "count", "params": {"table": {"$ref": "@t"}}},
        {"id": "s2", "task": "echo", "params": {"value": "two"}},
        {"id": "s3", "task": "echo", "params": {"value": {"$ref": "s2"}}},
        {"id": "s4", "task": "echo", "params": {"value": "four"}},
    )
    bench = desk.bench(steps, *["ok"] * 9)
    first = await bench.ask("do it", t=frame)

    async def again(**changes: Any) -> tuple[list[str], dict[str, Any], Any]:
        run = await bench.rerun(first.id, **changes)
        return calls(await bench.memory.events(run.id)), {s.id: s.value for s in run.steps.values()}, run

    called, values, run = await again(values={"s2.params.value": "zwei"})
    assert sorted(called) == ["s2", "s3"]
    assert values == {"s1": 3, "s2": "zwei", "s3": "zwei", "s4": "four"}
    assert run.outcome.parent == first.id
    assert run.steps["s1"].outcome.reused == f"{first.id}/s1"
    assert (await bench.record.show(run.id)).outcome == run.outcome
    assert (await again(first=["s3"]))[0] == ["s3"]
    assert sorted((await again())[0]) == ["s1", "s2", "s3", "s4"]
    called, values, _ = await again(drop=["s4"], values={"s1.params.plus": 4})
    assert (called, values) == (["s1"], {"s1": 7, "s2": "two", "s3": "two"})
    grandchild = await bench.rerun(run.id, first=["s1"])
    assert grandchild.steps["s2"].outcome.reused == f"{run.id}/s2"
    assert grandchild.steps["s4"].outcome.reused == f"{first.id}/s4"
    with pytest.raises(workbench.Refused, match="There is no step s9"):
        await bench.rerun(first.id, first=["s9"])
    with pytest.raises(workbench.PlanInvalid, match="s3: refers to s2"):
        await bench.rerun(first.id, drop=["s2"])
    with pytest.raises(workbench.Refused, match=r"s4\.params\.deep\.er: there is no deep"):
        await bench.rerun(first.id, values={"s4.params.deep.er": 1})


async def test_an_edited_request_reuses_what_computes_the_same(desk: Desk) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})

    def steps(value: str, *, first: str, plus: dict[str, int]) -> dict[str, Any]:
        return plan(
            {"id": first, "task": "count", "params": {"table": {"$ref": "@t"}, **plus}},
            {"id": "b", "task": "echo", "params": {"value": value}},
            {"id": "c", "task": "echo", "params": {"value": {"$ref": "b"}}},
            {"id": "w", "task": "note", "params": {"text": "once"}},
        )

    bench = desk.bench(
        steps("x", first="s1", plus={}),
        "ok",
        steps("y", first="a", plus={"plus": 0}),
        "ok",
        steps("y", first="a", plus={}),
        "ok",
    )
    first = await bench.ask("do it", t=frame, approver=yes, rounds=False)
    second = await bench.ask("do it", t=frame.copy(), reuse=True)
    assert sorted(calls(await bench.memory.events(second.id))) == ["b", "c"]
    assert second.steps["a"].outcome.reused == f"{first.id}/s1"
    assert desk.notes == ["once"]
    third = await bench.ask("do it", t=frame.head(2), reuse=True)
    assert calls(await bench.memory.events(third.id)) == ["a"]
    assert (third.steps["a"].value, third.steps["c"].value) == (2, "y")
    assert third.steps["c"].outcome.reused == f"{second.id}/c"


async def test_what_is_reused_may_have_been_done_any_number_of_runs_ago(desk: Desk) -> None:
    steps = plan({"id": "s1", "task": "echo", "params": {"value": "old"}})
    bench = desk.bench(steps, "ok", steps, "ok")
    first = await bench.ask("do it")
    for number in range(40):
        stream = bench.stream()
        stream.tell(Kind.RUN_STARTED, {"request": "other", "user": bench.settings.user, "number": number})
        stream.tell(Kind.STEP_DONE, {"value": 1, "identity": "other"}, step="s1")
    again = await bench.ask("do it", reuse=True)
    assert again.steps["s1"].outcome.reused == f"{first.id}/s1"


async def test_without_being_asked_to_nothing_is_reused(desk: Desk) -> None:
    steps = plan({"id": "s1", "task": "echo", "params": {}})
    bench = desk.bench(steps, "ok", steps, "ok")
    await bench.ask("do it")
    run = await bench.ask("do it")
    assert calls(await bench.memory.events(run.id)) == ["s1"]
