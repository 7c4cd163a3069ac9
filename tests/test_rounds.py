"""A planner that looks at results before it goes on: further steps are data, checked and kept like the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

import workbench
from tests.test_workbench import SALES, bench
from workbench.core.events import AnyEvent, Kind
from workbench.models.base import Message
from workbench.models.testing import TestModel
from workbench.planners.model import ModelPlanner
from workbench.policy.approval import Asked, Decision
from workbench.workbench import Workbench


def query(step: str, sql: str, *tables: str, **more: Any) -> dict[str, Any]:
    refs = {name: {"$ref": "@sales" if name == "sales" else name} for name in tables}
    return {"id": step, "task": "query_data", "params": {"sql": sql, "tables": refs}, **more}


FIRST = {"look": True, "steps": [query("best", "select region from sales order by revenue desc limit 1", "sales")]}
SECOND = {
    "steps": [query("total", "select sum(revenue) as total from sales semi join best using (region)", "sales", "best")]
}


def scripted(tmp_path: Path, *replies: Any, **settings: Any) -> tuple[Workbench, TestModel]:
    model = TestModel(replies)
    return Workbench(bench(tmp_path, **settings).settings, planner=ModelPlanner(model)), model


async def test_the_second_round_sees_the_first_ones_results_and_both_are_on_record(tmp_path: Path) -> None:
    wb, model = scripted(tmp_path, FIRST, SECOND, "West made 80.")
    events: list[AnyEvent] = []
    run = await wb.ask("total of the region with the largest order", sales=SALES, listeners=(events.append,))
    assert run.df is not None
    assert run.df["total"].tolist() == [80.0]
    assert [(step.id, step.state) for step in run.steps.values()] == [("best", "done"), ("total", "done")]
    looked = "\n".join(message.content for message in model.calls[1].messages)
    assert '["West"]' in looked
    assert "total of the region with the largest order" in looked
    assert [event.body["purpose"] for event in events if event.kind == Kind.MODEL_CALLED] == ["plan", "look", "answer"]
    assert [event.body["round"] for event in events if event.kind == Kind.PLAN_MADE] == [1, 2]
    assert (await wb.record.show(run.id)).outcome == run.outcome
    text = run._repr_mimebundle_()[0]["text/plain"]
    assert text.index("best") < text.index("total")
    assert "looks at the results" in text
    await wb.close()


async def test_a_look_that_finds_enough_goes_to_the_answer(tmp_path: Path) -> None:
    wb, model = scripted(tmp_path, FIRST, {"goal": "enough", "steps": []}, "It is West.")
    run = await wb.ask("the region with the largest order", sales=SALES)
    assert run.answer == "It is West."
    assert len(run.steps) == 1
    assert len(model.calls) == 3
    await wb.close()


async def test_rounds_are_bounded_and_the_last_one_says_so(tmp_path: Path) -> None:
    again = {"look": True, "steps": [{"task": "slow", "params": {"seconds": 0}}]}
    wb, model = scripted(tmp_path, again, again, "Enough.", rounds=2)
    run = await wb.ask("go on")
    assert list(run.steps) == ["s1", "s2"]
    assert len(model.calls) == 3
    assert any("the last one" in note for note in run.outcome.notes)
    await wb.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": [query("best", "select 1")]},
        {"steps": [query("x", "select * from nobody", "nobody")]},
        {"steps": [{"id": "x", "task": "no_such_tool"}]},
        "I am done looking.",
    ],
    ids=["an id again", "an unknown step", "an unknown tool", "prose"],
)
async def test_a_wrong_further_round_is_mended_or_fails_and_the_first_is_kept(tmp_path: Path, wrong: Any) -> None:
    wb, _ = scripted(tmp_path, FIRST, wrong, SECOND, "West made 80.")
    assert (await wb.ask("x", sales=SALES)).df is not None
    await wb.close()
    wb, model = scripted(tmp_path, FIRST, wrong, wrong, wrong)
    with pytest.raises(workbench.PlanInvalid) as caught:
        await wb.ask("x", sales=SALES)
    assert caught.value.run.steps["best"].state == "done"
    assert len(model.calls) == 4
    await wb.close()


async def test_a_plan_only_request_shows_that_there_may_be_more(tmp_path: Path) -> None:
    wb, _ = scripted(tmp_path, FIRST)
    run = await wb.ask("x", sales=SALES, plan_only=True)
    assert run.plan is not None
    assert run.plan.look
    assert any("may add more" in note for note in run.outcome.notes)
    await wb.close()


async def test_a_failed_first_round_is_not_looked_at(tmp_path: Path) -> None:
    wb, model = scripted(tmp_path, {"look": True, "steps": [query("best", "select nothing from sales", "sales")]})
    with pytest.raises(workbench.ToolFailed):
        await wb.ask("x", sales=pd.DataFrame({"a": [1]}))
    assert len(model.calls) == 1
    await wb.close()


SEARCH = {
    "look": True,
    "goal": "Which region is the note about, and what did it sell?",
    "steps": [{"id": "note", "task": "search_documents", "params": {"query": "quiet region", "folder": "notes"}}],
}


def chosen_from_the_search(messages: Sequence[Message]) -> Any:
    """A model that searches, reads in the results which region is meant, queries that one, and words the answer."""
    said = "\n".join(message.content for message in messages)
    if "# result" not in said:
        return SEARCH
    if "# result 02" in said or "Not approved" in said:
        return "Done."
    region = next(name for name in ("North", "South", "West") if f"about {name}" in said)
    return {"steps": [query("total", f"select sum(revenue) as total from sales where region = '{region}'", "sales")]}


@pytest.mark.parametrize("second", ["allow", "deny"])
async def test_a_search_chooses_the_query_and_a_denied_second_round_keeps_the_search(
    tmp_path: Path, second: Literal["allow", "deny"]
) -> None:
    settings = bench(tmp_path).settings
    notes = settings.project / "notes"
    notes.mkdir()
    (notes / "one.md").write_text("# The quiet region\n\nThis note is about South, the quiet region.\n", "utf-8")
    (notes / "two.md").write_text("# Lunch\n\nOn Fridays there is soup.\n", "utf-8")
    wb = Workbench(settings, planner=ModelPlanner(TestModel(chosen_from_the_search)))
    asked: list[Asked] = []

    async def approver(what: Asked) -> Decision:
        asked.append(what)
        return Decision(answer="allow" if what.round == 1 else second, by="user", reason="as written down")

    run = await wb.ask("what did the quiet region sell?", sales=SALES, approver=approver)
    assert [(one.round, [step.id for step in one.plan.steps]) for one in asked] == [(1, ["note"]), (2, ["total"])]
    assert run.steps["note"].state == "done"
    assert (await wb.record.show(run.id)).outcome == run.outcome
    rounds = [event.body["round"] for event in await wb.memory.events(run.id) if event.kind == Kind.PLAN_MADE]
    assert rounds == [1, 2]
    if second == "allow":
        assert run.df is not None
        assert run.df["total"].tolist() == [20.0]
    else:
        assert run.steps["total"].state == "cancelled"
        assert "South" in str(run.steps["note"].value)
    await wb.close()
