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
    assert [output.output_type for output in outputs[1]] == ["display_data", "error"]
    assert len("\n".join(outputs[1][1].traceback).splitlines()) <= 3
    assert text_of(outputs[3]) == "'done'"


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    """A real kernel whose user can be asked for input."""
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(("typed", "status"), [("y", "ok"), ("no", "error")])
def test_a_person_is_asked_in_the_cell(kernel: BlockingKernelClient, typed: str, status: str) -> None:
    questions: list[str] = []

    def answer(message: dict[str, Any]) -> None:
        questions.append(message["content"]["prompt"])
        kernel.input(typed)

    kernel.execute_interactive(SETUP, timeout=60, output_hook=lambda message: None)
    reply = kernel.execute_interactive(
        "%agent --ask total revenue by region of @sales",
        allow_stdin=True,
        timeout=60,
        stdin_hook=answer,
        output_hook=lambda message: None,
    )
    assert reply["content"]["status"] == status
    assert len(questions) == 1
    assert "query_data" in questions[0]
    assert questions[0].endswith("Run these steps? [y/N] ")


def test_in_a_pipe_nobody_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, samples: Path
) -> None:
    from workbench import workbench as root

    monkeypatch.setattr(root, "_current", None)
    data = f"sales={samples / 'sales.csv'}"
    assert cli.main(["ask", "--ask", "total revenue of @sales", "--data", data]) == 1
    assert "--yes" in capsys.readouterr().err
    assert cli.main(["ask", "--ask", "--yes", "total revenue of @sales", "--data", data]) == 0
    if root._current is not None:
        bridge.wait(root._current.close())
