"""What is shown of a plan while a model writes it: whole steps in their order, and nothing that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planners.requests import GOOD, REQUEST, TEXT, TOOLS, Told, Watching
from tests.planners.test_model_planner import OUTCOME
from tests.test_workbench import SALES, bench
from workbench.core.events import Draft, DraftStep
from workbench.models.testing import TestModel
from workbench.notebook.panels.run import picture
from workbench.planners.draft import Drafting
from workbench.planners.model import ModelPlanner
from workbench.workbench import Workbench

STEPS = (DraftStep(id="total", task="query_data", title=""), DraftStep(id="chart", task="plot", title=""))


@given(st.lists(st.integers(0, len(TEXT))))
def test_steps_appear_one_after_the_other_however_the_text_is_cut(cuts):
    drafting, seen = Drafting("plan"), [0]
    for end in [*sorted(cuts), len(TEXT)]:
        draft = drafting.after(TEXT[:end])
        assert draft.steps == STEPS[: len(draft.steps)]
        seen.append(len(draft.steps))
    assert seen == sorted(seen)
    assert seen[-1] == 2


@given(st.text(alphabet='{}[]",:steps\\ 1a', max_size=80))
def test_no_text_breaks_it(text):
    drafting = Drafting("plan")
    for end in range(len(text) + 1):
        drafting.after(text[:end])
        drafting.after('{"steps": [' + text[:end])


def test_a_new_try_begins_anew():
    drafting = Drafting("plan")
    assert drafting.after(TEXT).steps == STEPS
    assert drafting.after(TEXT[:20]).steps == ()


async def test_a_plan_and_an_answer_are_seen_while_they_are_written():
    told = Watching()
    model = TestModel([GOOD, "There are 42."])
    planned = await ModelPlanner(model).plan(REQUEST, TOOLS, told)
    assert planned.plan.dump()["goal"] == GOOD["goal"]
    counts = [len(draft.steps) for draft in told.drafts]
    assert (counts[0], counts[-1]) == (0, 2)
    assert 1 in counts
    told.drafts.clear()
    await ModelPlanner(model).answer(OUTCOME, told)
    assert [draft.text for draft in told.drafts] == ["There ar", "There are 42."]
    assert {draft.purpose for draft in told.drafts} == {"answer"}


async def test_unwatched_nothing_is_streamed():
    class Whole(TestModel):
        async def complete(self, messages, *, schema=None, max_tokens=None, heard=None):
            assert heard is None
            return await super().complete(messages, schema=schema, max_tokens=max_tokens)

    await ModelPlanner(Whole([GOOD])).plan(REQUEST, TOOLS, Told())


async def test_a_run_is_watched_and_what_was_seen_is_no_event(tmp_path: Path):
    params = {"sql": "select 1 as one from sales", "tables": {"sales": {"$ref": "@sales"}}}
    reply = {"steps": [{"task": "query_data", "params": params}]}
    wb = Workbench(bench(tmp_path).settings, planner=ModelPlanner(TestModel([reply, "It is 1."])))
    seen: list[Draft] = []

    def broken(draft: Draft) -> None:
        raise RuntimeError("a watcher must not cost the run")

    run = await wb.ask("one", sales=SALES, watchers=(broken, seen.append))
    assert run.answer == "It is 1."
    assert [draft.purpose for draft in (seen[0], seen[-1])] == ["plan", "answer"]
    assert not any("characters" in event.body for event in await wb.memory.events(run.id))
    await wb.close()


@pytest.mark.parametrize("purpose", ["plan", "answer"])
def test_the_panel_shows_a_draft_as_one(purpose: str):
    draft = Draft(purpose=purpose, characters=1234, steps=STEPS, text="<b>It</b> is\x1b[31m")
    shown = picture(OUTCOME, draft)
    assert shown["line"] == f"Writing the {purpose} … 1,234 characters"
    assert [step["state"] for step in shown["steps"]] == ["done", "draft", "draft"]
    assert "\x1b" not in shown["said"]
    assert picture(OUTCOME)["said"] == ""
