"""Requests that a persona serves: its words in the prompts, its tools, its model, its memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import Command, command
from tests.test_workbench import SALES, bench
from workbench.core.errors import BudgetExceeded, PlanInvalid, Refused, Untrusted
from workbench.core.provenance import SourceKind
from workbench.models.base import Message
from workbench.models.testing import TestModel
from workbench.planners.given import GivenPlanner
from workbench.workbench import Workbench

__all__ = ["command"]
PLAN = {"steps": [{"id": "s1", "task": "query_data", "params": {"sql": "SELECT 1 AS n", "tables": {}}}]}


def put(tmp_path: Path, where: str, name: str, text: str) -> Path:
    path = tmp_path / where / "personas" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Heard:
    """A model that keeps what it was sent and answers with a plan, then with words."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, messages: Sequence[Message]) -> Any:
        self.prompts.append("\n".join(message.content for message in messages))
        return PLAN if len(self.prompts) == 1 else "It is 1."


async def test_its_instructions_are_a_part_of_every_prompt_and_its_tools_the_only_ones(tmp_path: Path):
    heard = Heard()
    made = Workbench(bench(tmp_path).settings, model=TestModel(heard))
    run = await made.ask("one", persona="analyst")
    assert len(heard.prompts) == 2
    assert all("# persona\nYou work as a data analyst." in prompt for prompt in heard.prompts)
    assert "# tool query_data" in heard.prompts[0]
    assert "# tool web_search" not in heard.prompts[0]
    assert "As analyst." in run.outcome.notes
    await made.close()


async def test_a_tool_that_it_may_not_use_is_not_there(tmp_path: Path):
    put(tmp_path, "config", "narrow", "---\ntools: plot\n---\nx")
    made = bench(tmp_path, *[PLAN] * 3)
    with pytest.raises(PlanInvalid, match="there is no tool 'query_data'"):
        await made.ask("one", persona="narrow")
    with pytest.raises(PlanInvalid):
        await made.run_tool("slow", {"seconds": 0.0}, persona="narrow")
    await made.close()


async def test_a_plan_that_was_made_beside_a_file_of_the_project_is_not_the_users_alone(tmp_path: Path):
    path = put(tmp_path, "project", "local", "Say please.")
    made = bench(tmp_path, PLAN, "It is 1.", PLAN, "It is 1.")
    with pytest.raises(Untrusted):
        await made.ask("one", persona="local")
    from workbench.registry.personas import load
    from workbench.registry.trust import Trust

    Trust(made.settings.config, made.settings.project).pin("persona local", load(path, "project")[1])
    run = await made.ask("one", persona="local")
    assert any(s.kind is SourceKind.DESCRIPTION and "local" in s.label for s in run.outcome.plan_sources)
    plain = await made.ask("one")
    assert not any("persona" in s.label for s in plain.outcome.plan_sources)
    await made.close()


async def test_it_may_keep_what_it_remembers_for_itself(tmp_path: Path):
    put(tmp_path, "config", "own", "---\nmemory: own\n---\nx")
    put(tmp_path, "config", "without", "---\nmemory: none\n---\nx")
    made = bench(tmp_path)
    await made.run_tool("remember", {"text": "The fiscal year starts in April."}, persona="own")
    await made.run_tool("remember", {"text": "The office is in Lisbon."})
    own = await made.run_tool("recall", {"question": "fiscal year"}, persona="own")
    both = await made.run_tool("recall", {"question": "office in Lisbon"}, persona="own")
    shared = await made.run_tool("recall", {"question": "fiscal year"})
    assert "April" in own.answer
    assert "Lisbon" in both.answer
    assert "April" not in shared.answer
    with pytest.raises(PlanInvalid):
        await made.run_tool("recall", {"question": "office"}, persona="without")
    await made.close()


async def test_its_budget_stops_a_request_that_would_use_more(tmp_path: Path):
    put(tmp_path, "config", "thrifty", "---\nbudget: steps=1\n---\nx")
    made = bench(tmp_path)
    steps = [{"task": "slow", "params": {"seconds": 0.0}}, {"task": "slow", "params": {"seconds": 0.0}}]
    with pytest.raises(BudgetExceeded, match="step"):
        await made.ask("twice", planner=GivenPlanner(steps), persona="thrifty")
    assert (await made.ask("twice", planner=GivenPlanner(steps))).status == "done"
    await made.close()


async def test_a_persona_that_is_not_there_is_refused_before_anything_begins(tmp_path: Path):
    made = bench(tmp_path)
    with pytest.raises(Refused, match="did you mean analyst"):
        await made.ask("total revenue of @sales", sales=SALES, persona="analist")
    assert await made.record.runs() == []
    await made.close()


def test_the_command_line_lists_trusts_and_uses_them(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".workbench").mkdir()
    path = put(tmp_path, ".", "local", "---\nsummary: Local.\ntools: query_data\n---\nBe kind.")
    (tmp_path / "sales.csv").write_text("region,revenue\nNorth,3\n")
    monkeypatch.chdir(tmp_path)
    asked = ("ask", "--persona", "local", "total revenue of @sales", "--data", "sales=sales.csv")
    code, out, _ = command("personas")
    assert (code, "analyst" in out, "not trusted" in out) == (0, True, True)
    assert command(*asked)[0] == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, _ = command("trust", str(path), "--yes")
    assert (code, "Be kind." in out) == (0, True)
    code, out, err = command(*asked)
    assert (code, err) == (0, "")
    assert "As local" in out
