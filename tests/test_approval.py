"""Nothing of a plan runs before the approver has said yes; without anybody to ask the answer is no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

import workbench
from tests.notebook.conftest import run_cells as run_cells
from tests.notebook.conftest import text_of
from tests.test_rounds import FIRST, SECOND, scripted
from tests.test_workbench import SALES, bench
from workbench import bridge, cli
from workbench.core.events import AnyEvent, Kind
from workbench.core.plan import load
from workbench.policy import approval
from workbench.policy.approval import Asked, Decision


async def test_an_approver_sees_the_steps_and_its_yes_is_on_record(tmp_path: Path) -> None:
    wb = bench(tmp_path)
    seen: list[Asked] = []
    events: list[AnyEvent] = []

    async def yes(asked: Asked) -> Decision:
        assert not any(event.kind == Kind.STEP_INTENT for event in events)
        seen.append(asked)
        return Decision(answer="allow", by="user")

    run = await wb.ask("total revenue of @sales", sales=SALES, approver=yes, listeners=(events.append,))
    assert run.status == "done"
    assert [step.task for step in seen[0].plan.steps] == ["query_data"]
    (told,) = [event.body for event in events if event.kind == Kind.APPROVAL]
    assert (told["decision"], told["by"], told["round"]) == ("allow", "user", 1)
    await wb.close()


async def test_a_no_runs_nothing_and_names_the_option(tmp_path: Path) -> None:
    wb = bench(tmp_path)
    with pytest.raises(workbench.Denied, match="--yes") as caught:
        await wb.ask("total revenue of @sales", sales=SALES, approver=approval.nobody)
    run = caught.value.run
    assert {step.state for step in run.steps.values()} == {"cancelled"}
    assert (await wb.record.show(run.id)).outcome == run.outcome
    await wb.close()


async def test_a_no_to_the_second_round_keeps_the_first(tmp_path: Path) -> None:
    wb, _ = scripted(tmp_path, FIRST, SECOND, "It is West.")

    async def once(asked: Asked) -> Decision:
        return Decision(answer="allow" if asked.round == 1 else "deny", by="user", reason="enough")

    run = await wb.ask("x", sales=SALES, approver=once)
    assert [(step.id, step.state) for step in run.steps.values()] == [("best", "done"), ("total", "cancelled")]
    assert run.answer == "It is West."
    assert "Not approved: enough" in run.outcome.notes
    await wb.close()


async def test_an_approver_that_fails_is_not_a_yes(tmp_path: Path) -> None:
    wb = bench(tmp_path)
    events: list[AnyEvent] = []

    async def broken(asked: Asked) -> Decision:
        raise EOFError

    with pytest.raises(EOFError):
        await wb.ask("total revenue of @sales", sales=SALES, approver=broken, listeners=(events.append,))
    assert not any(event.kind == Kind.STEP_INTENT for event in events)
    await wb.close()


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", "allow"), (" YES ", "allow"), ("", "deny"), ("n", "deny"), ("yep", "deny")]
)
async def test_only_a_clear_yes_is_one(typed: str, answer: str) -> None:
    questions: list[str] = []

    async def ask(question: str) -> str:
        questions.append(question)
        return typed

    plan = load([{"task": "read"}])
    decided = await approval.prompted(ask, lambda plan: "THE PLAN")(Asked(run="r", request="x", plan=plan, round=1))
    assert decided.answer == answer
    assert questions == ["THE PLAN\nRun these steps? [y/N] "]


def test_the_waiting_thread_runs_errands_and_their_errors_come_back() -> None:
    import threading

    errands = bridge.Errands()

    def fails() -> None:
        raise LookupError("no")

    async def work() -> tuple[str, str]:
        name = await errands.run(lambda: threading.current_thread().name)
        try:
            await errands.run(fails)
        except LookupError as error:
            return name, str(error)
        return name, "nothing"

    assert bridge.wait(work(), errands=errands) == (threading.current_thread().name, "no")


def test_a_stop_while_a_question_waits_ends_the_work() -> None:
    errands, ended = bridge.Errands(), []

    def interrupted() -> None:
        raise KeyboardInterrupt

    async def work() -> None:
        try:
            await errands.run(interrupted)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    with pytest.raises(KeyboardInterrupt):
        bridge.wait(work(), errands=errands)
    assert ended == [True]


SETUP = """
import pandas as pd
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South"], "revenue": [1.0, 2.0]})
"""


def test_headless_nobody_is_asked(run_cells: Callable[..., Any]) -> None:
    outputs = run_cells(
        SETUP, "%agent --ask total revenue of @sales", "%agent --ask --yes total revenue of @sales", "_.status"
    )
    assert "--yes" in text_of(outputs[1])
    assert [output.output_type for output in outputs[1]] == ["error"]  # at once: nothing was planned for nobody
    assert len("\n".join(outputs[1][0].traceback).splitlines()) <= 3
    assert text_of(outputs[3]) == "'done'"


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    """A real kernel whose user can be asked for input."""
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def answered(kernel: BlockingKernelClient, cell: str, typed: str) -> tuple[str, list[str]]:
    """How a cell ended whose every question got the same answer, and what it asked."""
    questions: list[str] = []

    def answer(message: dict[str, Any]) -> None:
        questions.append(message["content"]["prompt"])
        kernel.input(typed)

    kernel.execute_interactive(SETUP, timeout=60, output_hook=lambda message: None)
    reply = kernel.execute_interactive(
        cell, allow_stdin=True, timeout=60, stdin_hook=answer, output_hook=lambda message: None
    )
    return reply["content"]["status"], questions


@pytest.mark.parametrize(("typed", "status"), [("y", "ok"), ("no", "error")])
def test_a_person_is_asked_in_the_cell(kernel: BlockingKernelClient, typed: str, status: str) -> None:
    ended, questions = answered(kernel, "%agent --ask total revenue by region of @sales", typed)
    assert ended == status
    assert len(questions) == 1
    assert "query_data" in questions[0]
    assert questions[0].endswith("Run these steps? [y/N] ")


def test_in_a_pipe_nobody_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, samples: Path
) -> None:
    data = f"sales={samples / 'sales.csv'}"
    assert cli.main(["ask", "--ask", "total revenue of @sales", "--data", data]) == 1
    assert "--yes" in capsys.readouterr().err
    assert cli.main(["ask", "--ask", "--yes", "total revenue of @sales", "--data", data]) == 0


ASKS = '[policy]\nask = ["tool:query_data"]\n'
"""A rule that asks about a call that would be free."""


def configured(home: Path) -> None:
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "config.toml").write_text(ASKS)


@pytest.mark.parametrize(("typed", "status"), [("y", "ok"), ("", "error")])
def test_a_call_that_policy_asks_about_is_asked_in_the_cell_without_any_option(
    own_home: Path, kernel: BlockingKernelClient, typed: str, status: str
) -> None:
    configured(own_home)
    ended, questions = answered(kernel, "%agent total revenue by region of @sales", typed)
    assert ended == status
    assert len(questions) == 1
    assert 'your settings ask about "tool:query_data"' in questions[0]
    assert "select" in questions[0].lower(), "the value is shown"
    assert questions[0].endswith("Allow this call? [y/N] ")


def test_a_question_that_nobody_answers_in_time_is_a_no_and_the_cell_goes_on(
    own_home: Path, kernel: BlockingKernelClient
) -> None:
    configured(own_home)
    questions: list[str] = []
    kernel.execute_interactive(SETUP, timeout=60, output_hook=lambda message: None)
    reply = kernel.execute_interactive(
        "%agent --timeout 0.5 total revenue by region of @sales",
        allow_stdin=True,
        timeout=60,
        stdin_hook=lambda message: questions.append(message["content"]["prompt"]),
        output_hook=lambda message: None,
    )
    assert len(questions) == 1
    assert reply["content"]["status"] == "error"
    assert "No answer within 0.5 seconds" in "\n".join(reply["content"]["traceback"])
    after = kernel.execute_interactive("1 + 1", timeout=60, output_hook=lambda message: None)
    assert after["content"]["status"] == "ok", "the kernel is as it was"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--yes"], 0, ""),
        (["--deny"], 1, "You said --deny."),
        ([], 1, "--yes approves"),
        (["--ask", "--deny"], 1, "--deny"),
    ],
)
def test_on_the_command_line_the_options_answer(
    own_home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    samples: Path,
    options: list[str],
    code: int,
    said: str,
) -> None:
    configured(own_home)
    data = f"sales={samples / 'sales.csv'}"
    assert cli.main(["ask", *options, "total revenue of @sales", "--data", data]) == code
    assert said in capsys.readouterr().err


async def test_a_call_that_is_denied_costs_its_descendants_and_nothing_else(tmp_path: Path) -> None:
    plan = {
        "steps": [
            {"id": "no", "task": "query_data", "params": {"sql": "select 1 as a", "tables": {}, "title": "no"}},
            {"id": "after", "task": "plot", "params": {"data": {"$ref": "no"}}},
            {"id": "yes", "task": "query_data", "params": {"sql": "select 2 as a", "tables": {}, "title": "yes"}},
        ]
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(ASKS)
    wb, _ = scripted(tmp_path, plan, "Two.")
    events: list[AnyEvent] = []

    async def only_yes(asked: Asked) -> Decision:
        assert asked.call is not None
        own = any(part.value == "yes" for part in asked.call.arguments)
        return Decision(answer="allow" if own else "deny", by="user", reason="not that one")

    with pytest.raises(workbench.Denied, match="not that one") as caught:
        await wb.ask("x", sales=SALES, approver=only_yes, rounds=False, listeners=(events.append,))
    run = caught.value.run
    assert [(step.id, step.state) for step in run.steps.values()] == [
        ("no", "failed"),
        ("after", "blocked"),
        ("yes", "done"),
    ]
    told = {event.step: event.body for event in events if event.kind == Kind.APPROVAL}
    assert {step: body["decision"] for step, body in told.items()} == {"no": "deny", "yes": "allow"}
    assert (await wb.record.show(run.id)).outcome == run.outcome
    await wb.close()


async def test_a_later_round_shows_what_is_new_and_what_it_derives_from(tmp_path: Path) -> None:
    wb, _ = scripted(tmp_path, FIRST, SECOND, "It is West.")
    seen: list[Asked] = []

    async def yes(asked: Asked) -> Decision:
        seen.append(asked)
        return Decision(answer="allow", by="user")

    run = await wb.ask("total of the best region", sales=SALES, approver=yes)
    assert list(seen[0].difference) == []
    (line,) = seen[1].difference
    assert line.startswith("+ total query_data: ")
    assert "sql, written by the planner from " in line
    assert "tables by @sales, best from " in line
    assert "table @sales" in line
    assert line in approval.question(seen[1], lambda plan: "THE PLAN")
    assert {str(source.kind) for source in run.outcome.plan_sources} == {"user", "frame", "description"}
    assert {str(source.kind) for source in run.steps["total"].outcome.provenance} == {"user", "frame", "description"}
    await wb.close()


def test_errands_that_nobody_waits_for_any_more_are_interrupted() -> None:
    errands, done = bridge.Errands(), []

    def hangs() -> None:
        import threading

        try:
            threading.Event().wait(60)
        except KeyboardInterrupt:
            done.append("interrupted")
            raise

    async def work() -> str:
        try:
            async with asyncio.timeout(0.2):
                await errands.run(hangs)
        except TimeoutError:
            pass
        return await errands.run(lambda: "and the next one is made")

    assert bridge.wait(work(), errands=errands) == "and the next one is made"
    assert done == ["interrupted"]
