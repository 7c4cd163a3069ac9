"""Runs that are taken up or repeated while a cassette is on: recorded as what they are, and replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.replay.support import ANSWER, PLAN, QUESTION, SALES, bench, shown, step
from tests.replay.test_replay import NoWorkers
from workbench.core.events import AnyEvent, Kind
from workbench.policy.approval import Asked, Decision
from workbench.workbench import Workbench

NOTE = '''"""Writes a line, and fails after it while something is missing."""
PERMISSIONS = {"read": ["."], "write": ["notes"]}
EFFECT = "write"

def run(text: str) -> str:
    from workbench import toolkit
    with open(toolkit.project() / "notes" / "notes.txt", "a") as file:
        file.write(text + "\\n")
    if not (toolkit.project() / "fixed").exists():
        raise toolkit.Failed("the printer is on fire")
    return "noted"
'''
LATE = NOTE.replace('"write": ["notes"]', '"write": []').replace('EFFECT = "write"', 'EFFECT = "read"')
LATE = "\n".join(line for line in LATE.splitlines() if "open(" not in line and "file.write" not in line)


TOP = "SELECT region, revenue FROM t ORDER BY revenue DESC LIMIT 2"
TWO = {
    "steps": [PLAN["steps"][0], step("s2", "query_data", sql=TOP, tables={"t": {"$ref": "s1"}})],
}


class Desk:
    """Homes of their own, each as a fresh clone would have it, and one cassette."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Workbench] = []

    def bench(self, name: str, *replies: Any) -> Workbench:
        for tool, source in (("note", NOTE), ("late", LATE)):
            tools = self.folder / name / "config" / "tools"
            tools.mkdir(parents=True, exist_ok=True)
            (tools / f"{tool}.py").write_text(source)
        (self.folder / name / "project" / "notes").mkdir(parents=True, exist_ok=True)
        self.opened.append(bench(self.folder / name, *replies))
        self.opened[-1].replays.on(self.folder / "x.cassette")
        return self.opened[-1]

    def fresh(self, name: str, *, strict: bool = True) -> Workbench:
        """Where no tool can run and no model can be asked."""
        made = self.bench(name)
        made.sandbox = NoWorkers()  # type: ignore[assignment]
        made.replays.on(self.folder / "x.cassette", "strict" if strict else None)
        return made

    def fixed(self, name: str) -> None:
        (self.folder / name / "project" / "fixed").touch()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    for wb in made.opened:
        await wb.close()


def person(*answers: bool) -> Any:
    left = list(answers)

    async def answered(asked: Asked) -> Decision:
        if asked.step is None:
            return Decision(answer="allow", by="user")
        return Decision(answer="allow" if left.pop(0) else "deny", by="user")

    return answered


async def yes(asked: Asked) -> Decision:
    return Decision(answer="allow", by="user")


async def failed(wb: Workbench, **options: Any) -> Any:
    with pytest.raises(workbench.ToolFailed) as caught:
        await wb.ask(QUESTION, sales=SALES, **options)
    return shown(caught.value.run)


async def test_a_rerun_is_replayed_as_it_was_and_one_with_other_changes_is_a_miss(desk: Desk) -> None:
    wb = desk.bench("recorder", TWO, ANSWER, "One.", "Once more.")
    first = shown(await wb.ask(QUESTION, sales=SALES))
    one = shown(await wb.rerun("last", values={"s2.params.sql": TOP[:-1] + "1"}))
    again = shown(await wb.rerun((await wb.record.runs())[-1]["run"], first=["s2"]))
    assert len({first[1], one[1], again[1]}) == 3
    other = desk.fresh("reader")
    run = await other.ask(QUESTION, sales=SALES)
    assert shown(run) == first
    assert shown(await other.rerun(run.id, values={"s2.params.sql": TOP[:-1] + "1"})) == one
    assert shown(await other.rerun(run.id, first=["s2"])) == again
    with pytest.raises(workbench.ReplayMiss, match="this request, rerun s2") as caught:
        await other.rerun(run.id, values={"s2.params.sql": TOP[:-1] + "3"})
    assert caught.value.data["part"] == "changes"


async def test_a_run_that_failed_and_was_resumed_is_replayed_as_both(desk: Desk) -> None:
    plan = {"mode": "graph", "steps": [PLAN["steps"][0], {**step("s3", "late", text="x"), "needs": ["s1"]}]}
    wb = desk.bench("recorder", plan, ANSWER)
    before = await failed(wb)
    desk.fixed("recorder")
    after = shown(await wb.resume("last"))
    other = desk.fresh("reader")
    assert await failed(other) == before
    assert shown(await other.resume("last")) == after
    # Where it is not recorded yet it is done once more, and not taken from the failure on the same cassette.
    (desk.folder / "x.cassette").unlink()
    live = desk.bench("live", plan, ANSWER, ANSWER)
    await failed(live)
    desk.fixed("live")
    assert (await live.resume("last")).status == "done"


async def test_of_a_run_that_was_stopped_and_resumed_the_whole_is_on_the_cassette(desk: Desk) -> None:
    wb = desk.bench("recorder", TWO, ANSWER)
    first_done = asyncio.Event()

    def listen(event: AnyEvent) -> None:
        if event.kind == Kind.STEP_DONE and event.step == "s1":
            first_done.set()

    task = asyncio.create_task(wb.ask(QUESTION, sales=SALES, listeners=(listen,)))
    await first_done.wait()
    task.cancel()
    with pytest.raises(workbench.Cancelled):
        await task
    after = shown(await wb.resume("last"))
    replayed = await desk.fresh("reader").ask(QUESTION, sales=SALES)
    assert (shown(replayed)[0], shown(replayed)[2]) == (after[0], after[2])


@pytest.mark.parametrize("happened", [True, False])
async def test_what_a_person_said_of_a_step_in_doubt_is_said_again(desk: Desk, happened: bool) -> None:
    plan = {"mode": "graph", "steps": [step("s1", "note", text="x")]}
    wb = desk.bench("recorder", plan, ANSWER)
    await failed(wb, approver=yes)
    desk.fixed("recorder")
    after = shown(await wb.resume("last", approver=person(*([True] if happened else [False, True]))))
    notes = (desk.folder / "recorder" / "project" / "notes" / "notes.txt").read_text().splitlines()
    assert len(notes) == (1 if happened else 2)
    other = desk.fresh("reader")
    await failed(other, approver=yes)
    assert shown(await other.resume("last", approver=person())) == after
