"""Questions where a click does not reach a busy cell, and what a run in the background does with a real workbench."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from tests.browser.servers import descendants, wait_for
from tests.notebook.conftest import Outputs, papermill_outputs, text_of
from tests.notebook.test_background import Whole
from tests.processes import is_alive
from tests.toolfiles import put_slow

SETUP = """
import pandas as pd, workbench
%load_ext workbench
bench = workbench.current()
sales = pd.DataFrame({"region": ["North", "South"], "revenue": [1.0, 2.0]})
"""
UNROUTED = """
from ipykernel.comm.comm import BaseComm
route = BaseComm._reply_subshell_for
del BaseComm._reply_subshell_for  # as in an ipykernel that routes in another way
"""
ROUTED = "BaseComm._reply_subshell_for = route"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """A kernel with a real workbench and a home of its own."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "OPENAI_"))}
    places = {"HOME": home, "WORKBENCH_HOME": home / "workbench", "WORKBENCH_CONFIG": home / "config"}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=kept | {name: str(place) for name, place in places.items()})
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    whole = Whole(manager, client)
    assert whole.text(whole.run(SETUP)) == ""
    yield whole
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def panel_of(kernel: Whole, request: str) -> str:
    """The comm of the cell's panel."""
    opened = [m["content"]["comm_id"] for m in kernel.of(request, "comm_open") if "can_cancel" in str(m["content"])]
    return str(opened[0])


def click(kernel: Whole, request: str, **content: Any) -> None:
    message = {"comm_id": panel_of(kernel, request), "data": {"method": "custom", "content": content}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", message))


def asks(kernel: Whole, request: str) -> bool:
    return any("Waiting for your approval" in str(m["content"]) for m in kernel.of(request, "comm_msg"))


@pytest.mark.parametrize("stdin", [True, False], ids=["stdin", "no stdin"])
def test_where_clicks_do_not_arrive_a_question_sends_the_run_to_the_background(kernel: Whole, stdin: bool) -> None:
    kernel.run(UNROUTED)
    if not stdin:
        kernel.run("workbench.use(workbench.Workbench(bench.settings.model_copy(update={'headless': False})))")
    asked = kernel.run("h = %agent --ask total revenue of @sales", live=stdin)
    assert "the run goes on in the background and asks above" in kernel.text(asked)
    kernel.until(lambda: asks(kernel, asked))
    stuck = kernel.text(kernel.run("h.result()"))
    assert stuck.startswith("Refused: The run waits for your answer in its cell")
    click(kernel, asked, do="approve", number=1, ask=1)
    assert "✓ done" in kernel.frozen(asked)["text/plain"]
    assert kernel.text(kernel.run("h.result().status")) == "'done'"
    assert kernel.text(kernel.run(f"{ROUTED}\nworkbench.use(bench);")) == ""


def test_where_clicks_arrive_the_cell_waits(kernel: Whole) -> None:
    asked = kernel.start("run = %agent --ask total revenue of @sales")
    kernel.until(lambda: kernel.of(asked, "display_data"))
    click(kernel, asked, do="seen")
    kernel.until(lambda: asks(kernel, asked))
    click(kernel, asked, do="approve", number=1, ask=1)
    assert kernel.text(kernel.end(asked)) == ""
    assert kernel.text(kernel.run("run.status")) == "'done'"


def test_when_no_page_answers_any_more_the_cell_is_over_and_the_question_stays_open(kernel: Whole) -> None:
    asked = kernel.start("%agent --ask total revenue of @sales")
    kernel.until(lambda: kernel.of(asked, "display_data"))
    click(kernel, asked, do="seen", ask=1)
    kernel.until(lambda: asks(kernel, asked))
    click(kernel, asked, do="leave", ask=2)
    kernel.end(asked)  # nobody says that they are there when they are called
    assert "waits no longer for your answer" in str([m["content"] for m in kernel.of(asked, "error")])
    click(kernel, asked, do="approve", number=1, ask=3)
    assert "✓ done" in kernel.frozen(asked)["text/plain"]
    kernel.until(lambda: any("'end': {" in str(m["content"]) for m in kernel.heard))


def test_a_run_has_the_tables_of_when_it_was_asked(kernel: Whole) -> None:
    cell = "h = %agent --bg total revenue of @sales\nsales.loc[0, 'revenue'] = 100.0\nsales['revenue'] *= 2"
    kernel.run(cell)
    assert kernel.text(kernel.run("h.result().df.iloc[0, 0].item()")) == "3.0"


def test_a_tool_of_the_kernel_is_refused_in_the_background(kernel: Whole) -> None:
    kernel.run(
        '@workbench.tool(in_kernel=True, examples=["keep {name}"])\ndef keep(name: str) -> str:\n    return name'
    )
    asked = kernel.run("h = %agent --bg keep Ada")
    shown = kernel.frozen(asked)["text/plain"]
    assert "keep runs in your kernel, and no thread of it waits for this run." in shown
    said = kernel.text(kernel.run("h.result()"))  # waits until the run stands in its cell, whole
    assert "ToolFailed" in said or "Denied" in said
    assert kernel.text(kernel.run("h.state")) == "'failed'"


@pytest.mark.kills
def test_a_restart_leaves_a_run_to_be_resumed_and_no_process(kernel: Whole) -> None:
    tools = Path(kernel.text(kernel.run("print(workbench.current().settings.config)")).strip()) / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    put_slow(tools)
    steps = [
        {"id": "s1", "task": "slow", "params": {"seconds": 0}},
        {"id": "s2", "task": "slow", "params": {"seconds": 60}, "needs": ["s1"]},
    ]
    asked = kernel.run(f"%%agent --bg h <<\n{json.dumps(steps)}")
    kernel.until(lambda: re.search("'s2': {[^}]*'running'", str(kernel.of(asked, "comm_msg"))))
    run = kernel.text(kernel.run("print(h.id)")).strip()
    assert isinstance(kernel.manager.provisioner, LocalProvisioner)
    workers = descendants(kernel.manager.provisioner.pid or 0)
    assert workers
    kernel.manager.restart_kernel(now=False)
    wait_for(lambda: not any(map(is_alive, workers)), 10, "every process of the run to end")
    kernel.client.wait_for_ready(timeout=60)
    kernel.run(SETUP)
    resumed = kernel.run(f"h = %workbench resume --bg {run}")
    assert kernel.text(kernel.run("print(h.id)")).strip() == run
    kernel.until(lambda: re.search("'s2': {[^}]*'running'", str(kernel.of(resumed, "comm_msg"))))
    kernel.run("h.cancel()")
    shown = kernel.frozen(resumed)["text/plain"]
    assert "✓ done" in shown
    assert "■ cancelled" in shown


def test_a_cell_where_nobody_looks_fails_where_its_background_run_fails(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(
        SETUP, "%agent --bg why did revenue drop in @sales", "h = %agent --bg total revenue of @sales", "h.state"
    )
    assert "Refused" in text_of(outputs[1])
    assert [output.output_type for output in outputs[2]] == ["display_data"]
    assert text_of(outputs[3]) == "'done'"


def test_papermill_is_told_at_once_which_option_answers(tmp_path: Path) -> None:
    code, outputs = papermill_outputs(tmp_path, SETUP, "%agent --ask total revenue of @sales")
    assert code != 0
    (error,) = outputs  # nothing was planned, so there is nothing else to show
    assert error["ename"] == "Denied"
    assert "--yes" in error["traceback"][1]
