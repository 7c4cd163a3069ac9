"""Runs that go around failures, and runs that stop when what they may use is used up: from end to end."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.test_workbench import SALES, bench
from workbench.core.budget import Budget
from workbench.core.events import AnyEvent, Event, Kind
from workbench.models.base import Reply, Usage
from workbench.models.testing import TestModel
from workbench.policy.approval import Asked, Decision
from workbench.policy.run_budget import RunBudget
from workbench.workbench import Workbench

ECHO = '''"""Gives back what it is given; fails for what it does not like."""
PERMISSIONS = {}

def run(value: object, bad: list | None = None) -> object:
    if bad is not None and value in bad:
        raise ValueError(f"{value} is bad")
    return value
'''

NOTE = '''"""Writes a note."""
PERMISSIONS = {}
EFFECT = "write"

def run(text: str) -> str:
    return text
'''


class Metered(TestModel):
    """A scripted model whose replies cost a dime each."""

    async def complete(self, messages: Any, **options: Any) -> Reply:
        await asyncio.sleep(0)
        reply = await super().complete(messages, **options)
        return Reply(text=reply.text, model=reply.model, usage=Usage(tokens_in=100, tokens_out=10), usd="0.10")


def tooled(tmp_path: Path, *replies: Any, model: TestModel | None = None, **settings: Any) -> Workbench:
    made = bench(tmp_path, **settings).settings
    for name, source in (("echo", ECHO), ("note", NOTE)):
        (made.config / "tools" / f"{name}.py").write_text(source)
    return Workbench(made, model=model or (TestModel(replies) if replies else None))


def echo(step: str, value: Any, **fields: Any) -> dict[str, Any]:
    bad = {"bad": fields.pop("bad")} if "bad" in fields else {}
    return {"id": step, "task": "echo", "params": {"value": value, **bad}, **fields}


def plan(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"mode": "graph", "steps": list(steps), **fields}


def states(run: Any) -> dict[str, str]:
    return {step.id: step.state for step in run.steps.values()}


async def test_a_list_is_worked_through_and_a_false_condition_skips(tmp_path: Path) -> None:
    wb = tooled(
        tmp_path,
        plan(
            echo("list", {"found": [{"n": 3}, {"n": 1}, {"n": 2}], "more": []}),
            echo("each", {"$ref": "item#/n"}, foreach={"$ref": "list#/found"}, bad=[1], on_error="skip"),
            echo("more", 1, **{"if": {"$ref": "list#/more"}}),
            echo("text", "{{each}}"),
        ),
        "Done.",
    )
    run = await wb.ask("go through the list")
    assert states(run) == {"list": "done", "each": "done", "more": "skipped", "text": "done"}
    assert run.steps["each"].value == [3, 2]
    assert run.steps["text"].value == "[3, 2]"
    text = run._repr_mimebundle_()[0]["text/plain"]
    assert "for each of list#/found, if it fails: go on without it" in text
    assert "2 of 3 items" in text
    assert "skipped: list#/more is false" in text
    assert (await wb.record.show(run.id)).outcome == run.outcome
    frame = await wb.record.sql("select step, state from steps order by number")
    assert dict(zip(frame["step"], frame["state"], strict=True)) == states(run)
    why = [line.strip() for line in repr(await wb.record.why(f"{run.id}.each")).splitlines()]
    assert [line.split("  ")[0] for line in why if line.startswith("item ")] == ["item 1", "item 2", "item 3"]
    assert any(line.startswith("item 1") and line.endswith("done: 3") for line in why)
    assert any(line.startswith("item 2") and "left out: ToolFailed" in line for line in why)
    await wb.close()


async def test_a_planner_that_sees_the_error_adds_other_steps_and_nothing_is_done_twice(tmp_path: Path) -> None:
    model = TestModel(
        [
            plan(
                echo("a", 1),
                echo("b", 2, bad=[2], on_error="replan"),
                echo("c", {"$ref": "b"}),
                {"id": "n", "task": "note", "params": {"text": "once"}},
            ),
            plan(echo("d", {"$ref": "a"})),
            "One.",
        ]
    )
    wb = tooled(tmp_path, model=model)
    events: list[AnyEvent] = []
    run = await wb.ask("find it; note once", listeners=(events.append,))
    assert run.status == "done"
    assert run.answer == "One."
    assert states(run) == {"a": "done", "b": "failed", "c": "blocked", "n": "done", "d": "done"}
    looked = "\n".join(message.content for message in model.calls[1].messages)
    assert "2 is bad" in looked
    assert "in another way" in looked
    calls = [str(e.step) for e in events if e.kind == Kind.TOOL_CALLED]
    assert sorted(calls) == ["a", "b", "d", "n"]
    made = [e.body for e in events if isinstance(e, Event) and e.kind is Kind.PLAN_MADE]
    assert made[1]["mends"] == ["b", "c"]
    assert "Planned again, because b, c gave no result." in run._repr_mimebundle_()[0]["text/plain"]
    await wb.close()


async def test_steps_are_planned_again_at_most_twice(tmp_path: Path) -> None:
    def failing(name: str) -> dict[str, Any]:
        return plan(echo(name, 2, bad=[2], on_error="replan"))

    model = TestModel([failing("a"), failing("b"), failing("c"), "never asked"])
    wb = tooled(tmp_path, model=model)
    with pytest.raises(workbench.ToolFailed, match=r"c echo: .*2 is bad") as caught:
        await wb.ask("try")
    assert states(caught.value.run) == {"a": "failed", "b": "failed", "c": "failed"}
    assert len(model.calls) == 3
    await wb.close()


@pytest.mark.parametrize("second", [{"goal": "enough", "steps": []}, {"refusal": "No way.", "steps": []}])
async def test_a_planner_that_knows_no_other_way_leaves_the_first_error(tmp_path: Path, second: Any) -> None:
    wb = tooled(tmp_path, plan(echo("a", 1), echo("b", 2, bad=[2], on_error="replan")), second)
    with pytest.raises(workbench.ToolFailed, match=r"b echo: .*2 is bad .*\(1 of 2 steps finished and are kept\)"):
        await wb.ask("try")
    await wb.close()


async def test_nothing_is_planned_again_where_another_failure_ends_the_run_anyway(tmp_path: Path) -> None:
    model = TestModel([plan(echo("a", 1, bad=[1]), echo("b", 2, bad=[2], on_error="replan"))])
    wb = tooled(tmp_path, model=model)
    with pytest.raises(workbench.ToolFailed, match="1 is bad"):
        await wb.ask("try")
    assert len(model.calls) == 1
    await wb.close()


async def test_the_grammar_has_no_other_way_and_says_what_failed(tmp_path: Path) -> None:
    wb = tooled(tmp_path)
    run = await wb.ask("total revenue of @sales", sales=SALES, budget="calls=5")
    assert run.status == "done"
    assert any("Budget of the run: 5 calls." in note for note in run.outcome.notes)
    await wb.close()


async def test_a_call_that_the_plan_wants_asked_about_is_asked_about_each_time(tmp_path: Path) -> None:
    asked: list[str] = []

    async def approver(question: Asked) -> Decision:
        assert question.call is not None
        asked.append(question.call.lines()[0])
        return Decision(answer="allow", by="user")

    steps = plan(echo("a", 1, approve=True), echo("b", 1, approve=True), echo("c", 1))
    wb = tooled(tmp_path, steps, "Done.", steps)
    await wb.ask("do it", approver=approver, rounds=False)
    assert asked == ["a: the plan asks before echo is called"[:0] + line for line in asked]
    assert len(asked) == 2
    assert all("the plan asks before echo is called" in line for line in asked)
    with pytest.raises(workbench.Denied) as caught:
        await wb.ask("do it")
    assert "--yes approves without asking." in caught.value.hint
    assert states(caught.value.run) == {"a": "failed", "b": "failed", "c": "done"}
    await wb.close()


@pytest.mark.parametrize(
    ("budget", "kept", "said"),
    [
        ("steps=2", 2, "2 of 2 steps"),
        ("calls=3", 2, "3 of 3 calls"),  # the first is that of the model
        ({"tokens": 100}, 0, "and the next call of the model takes at least"),
    ],
)
async def test_a_run_that_has_used_its_budget_stops_with_what_is_done(
    tmp_path: Path, budget: Any, kept: int, said: str
) -> None:
    wb = tooled(tmp_path, plan(*(echo(f"s{n}", n) for n in range(5))), "never asked", parallel=1)
    with pytest.raises(workbench.BudgetExceeded, match=said) as caught:
        await wb.ask("do it", budget=budget)
    run = caught.value.run
    assert run.status == "budget"
    assert sum(step.state == "done" for step in run.steps.values()) == kept
    assert (await wb.record.show(run.id)).outcome == run.outcome
    assert [row["status"] for row in await wb.record.runs()] == ["budget"]
    if kept:
        assert said in run._repr_mimebundle_()[0]["text/plain"]
    await wb.close()


async def test_a_run_that_has_used_its_budget_goes_on_with_a_larger_one_and_repeats_nothing(tmp_path: Path) -> None:
    wb = tooled(tmp_path, plan(*(echo(f"s{n}", n) for n in range(4))), "Done.", parallel=1)
    with pytest.raises(workbench.BudgetExceeded) as caught:
        await wb.ask("do it", budget="steps=2")
    for budget in (None, "steps=2", "steps=3"):  # all attempts count together
        with pytest.raises(workbench.BudgetExceeded):
            await wb.resume(caught.value.run.id, budget=budget)
    run = await wb.resume(caught.value.run.id, budget="steps=4")
    assert (run.status, run.answer) == ("done", "Done.")
    frame = await wb.record.sql("select step, count(*) as n from tool_calls group by step")
    assert dict(zip(frame["step"], frame["n"], strict=True)) == {f"s{n}": 1 for n in range(4)}
    await wb.close()


async def test_a_list_that_was_half_done_is_gone_on_with_at_the_items_that_failed(tmp_path: Path) -> None:
    made = plan(echo("a", {"$ref": "item"}, foreach=[1, 2, 3], bad=[2]))
    wb = tooled(tmp_path, made, "Done.")
    with pytest.raises(workbench.ToolFailed, match=r"1 of 3 items failed; item 2: .*2 is bad") as caught:
        await wb.ask("do it")
    (wb.settings.config / "tools" / "echo.py").write_text(ECHO.replace("raise ValueError", "return (value * 10) #"))
    run = await wb.resume(caught.value.run.id, changed_tools=True)
    assert run.steps["a"].value == [1, 20, 3]
    frame = await wb.record.sql("select count(*) as n from tool_calls")
    assert frame["n"][0] == 4
    await wb.close()


async def test_a_run_that_is_out_of_time_stops_and_keeps_what_is_done(tmp_path: Path) -> None:
    slow = {"id": "slow", "task": "slow", "params": {"seconds": 100}}
    wb = tooled(tmp_path, plan(echo("a", 1), slow))
    await wb.sandbox.prepare()
    with pytest.raises(workbench.BudgetExceeded, match="used up: 3 seconds") as caught:
        await wb.ask("do it", budget="seconds=3")
    assert caught.value.run.status == "budget"
    assert states(caught.value.run) == {"a": "done", "slow": "cancelled"}
    await wb.close()


async def test_what_a_plan_asks_for_narrows_the_budget_and_never_widens_it(tmp_path: Path) -> None:
    steps = [echo(f"s{n}", n) for n in range(4)]
    wb = tooled(tmp_path, plan(*steps, budget={"steps": 2}), plan(*steps, budget={"steps": 100}), parallel=1)
    for _ in range(2):
        with pytest.raises(workbench.BudgetExceeded, match="2 of 2 steps"):
            await wb.ask("do it", budget="steps=2" if _ else "steps=3")
    await wb.close()


async def test_the_setting_is_the_budget_of_every_run_and_an_option_takes_its_place(tmp_path: Path) -> None:
    steps = plan(*(echo(f"s{n}", n) for n in range(3)))
    wb = tooled(tmp_path, steps, steps, "Done.", parallel=1, budget="steps=2")
    with pytest.raises(workbench.BudgetExceeded):
        await wb.ask("do it")
    assert (await wb.ask("do it", budget="steps=3")).status == "done"
    await wb.close()


async def test_twenty_agents_on_one_money_budget_overshoot_by_at_most_one_call(tmp_path: Path) -> None:
    def reply(messages: Any) -> Any:
        return "Done." if "answer under the results" in messages[0].content else plan(echo("a", 1))

    wb = tooled(tmp_path, model=Metered(reply))
    shared = RunBudget(Budget(usd=1.55))
    ended = await asyncio.gather(*(wb.ask(f"agent {n}", budget=shared) for n in range(20)), return_exceptions=True)
    assert any(isinstance(end, workbench.BudgetExceeded) for end in ended)
    assert all(not isinstance(end, Exception) or isinstance(end, workbench.BudgetExceeded) for end in ended)
    assert Decimal("1.50") <= shared.used.usd <= Decimal("1.60")
    frame = await wb.record.sql(
        "select sum(usd)::varchar as usd, sum(tokens_in + tokens_out) as tokens from model_calls"
    )
    assert Decimal(frame["usd"][0]) == shared.used.usd
    assert int(frame["tokens"][0]) == shared.used.tokens
    await wb.close()


async def test_many_requests_with_one_budget_share_it(tmp_path: Path) -> None:
    def reply(messages: Any) -> Any:
        return "Done." if "answer under the results" in messages[0].content else plan(echo("a", 1))

    wb = tooled(tmp_path, model=Metered(reply))
    runs = await wb.ask_many([f"agent {n}" for n in range(6)], concurrency=6, budget="usd=0.45")
    assert any(isinstance(run, workbench.BudgetExceeded) for run in runs)
    frame = await wb.record.sql("select sum(usd)::varchar as usd from model_calls")
    assert Decimal("0.40") <= Decimal(frame["usd"][0]) <= Decimal("0.50")
    await wb.close()
