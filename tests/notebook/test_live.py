"""What a kernel says to a front end that shows widgets, message by message, and what it hears while a cell is busy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace

import workbench
from workbench.core.errors import Cancelled, Refused
from workbench.core.events import Draft, DraftStep, Kind, Stream
from workbench.core.outcome import fold
from workbench.run import Run

class Scripted:
    '''Runs a plan of two steps: the first is done at once, the second reports `lines` lines, 200 a second.'''
    settings = SimpleNamespace(headless=None)

    async def left(self):
        return []

    async def ask(self, text, *, listeners, watchers, **rest):
        if text == "refuse":
            raise Refused("No word for that.")
        if text == "break":
            raise ZeroDivisionError("a bug of ours")
        stream = Stream("r1", lambda event: None, listeners, now=lambda: "2026-01-01T00:00:00", watchers=watchers)
        stream.tell(Kind.RUN_STARTED, {"request": text})
        if "write" in text:
            for characters in (10, 2000):
                step = DraftStep(id="s1", task="one", title="Drafted")
                stream.draft(Draft(purpose="plan", characters=characters, steps=(step,) if characters > 10 else ()))
                await asyncio.sleep(0.2)
        steps = [{"id": "s1", "task": "one", "title": "First"}, {"id": "s2", "task": "two", "needs": ["s1"]}]
        stream.tell(Kind.PLAN_MADE, {"plan": {"steps": steps}, "planner": "script"})
        stream.tell(Kind.STEP_INTENT, step="s1")
        stream.tell(Kind.STEP_DONE, {"value": 1}, step="s1")
        stream.tell(Kind.STEP_INTENT, step="s2")
        try:
            for number in range(100000 if "long" in text else 300):
                stream.tell(Kind.STEP_PROGRESS, {"text": f"line {number}"}, step="s2")
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            if "stubborn" in text:
                await asyncio.sleep(2)
            stream.tell(Kind.STEP_CANCELLED, step="s2")
            stream.tell(Kind.RUN_DONE, {"status": "cancelled"})
            error = Cancelled("Stopped. 1 of 2 steps finished and are kept.")
            error.run = Run(fold(stream.events), Path("."))
            raise error from None
        stream.tell(Kind.STEP_DONE, {"value": 2}, step="s2")
        stream.tell(Kind.RUN_DONE, {"answer": {"text": "Two.", "planner": "summary"}})
        return Run(fold(stream.events), Path("."))

workbench.use(Scripted())
get_ipython().run_line_magic("load_ext", "workbench")
"""


class Front:
    """A front end that runs cells and keeps every message about them."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str, *, live: bool = True, meanwhile: Callable[[list[Any]], None] | None = None) -> list[Any]:
        """Run a cell to its end: the messages it caused. `meanwhile` is called with those so far after each."""
        asked = self.client.execute(code, allow_stdin=live)
        heard: list[Any] = []
        while True:
            message = self.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") != asked and message["msg_type"] not in (
                "comm_msg",
                "comm_close",
            ):
                continue
            heard.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return heard
            if meanwhile is not None:
                meanwhile(heard)


def under_way(message: Any) -> bool:
    """Whether this is a patch of the panel that shows the second step at work."""
    return re.search(r"line \d", str(message["content"].get("data", ""))) is not None


def kinds(heard: list[Any], *wanted: str) -> list[Any]:
    return [message for message in heard if message["msg_type"] in wanted]


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    front = Front(manager, client)
    assert kinds(front.run(SETUP), "error", "stream") == []
    yield front
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_panel_shows_the_run_and_one_plain_display_stays(front: Front) -> None:
    started = time.monotonic()
    heard = front.run("%agent do it")
    seconds = time.monotonic() - started
    (shown,) = kinds(heard, "display_data")
    (frozen,) = kinds(heard, "update_display_data")
    assert WIDGET in shown["content"]["data"]
    assert "Running" in shown["content"]["data"]["text/plain"]
    assert sorted(frozen["content"]["data"]) == ["text/html", "text/plain"]
    assert frozen["content"]["transient"] == shown["content"]["transient"]
    assert "Two." in frozen["content"]["data"]["text/plain"]
    patches = kinds(heard, "comm_msg")
    assert 3 <= len(patches) <= 10 * seconds + 2
    assert "line" in str(patches[-1]["content"]["data"])
    assert kinds(heard, "comm_close")
    assert kinds(heard, "execute_result", "stream", "error") == []
    (again,) = kinds(front.run("_"), "execute_result")
    assert again["content"]["data"] == frozen["content"]["data"]


def test_a_plan_is_seen_while_it_is_written_and_leaves_no_trace(front: Front) -> None:
    heard = front.run("%agent write it")
    patches = [str(message["content"]["data"]) for message in kinds(heard, "comm_msg")]
    assert any("Writing the plan … 10 characters" in patch for patch in patches)
    assert any("Writing the plan … 2,000 characters" in patch and "Drafted" in patch for patch in patches)
    (frozen,) = kinds(heard, "update_display_data")
    assert "Drafted" not in str(frozen["content"]["data"])


def test_without_a_front_end_nothing_of_a_draft_is_shown(front: Front) -> None:
    heard = front.run("%agent write it", live=False)
    (shown,) = kinds(heard, "display_data")
    assert "Drafted" not in str(shown["content"]["data"])
    assert kinds(heard, "comm_open", "comm_msg", "update_display_data") == []


def test_a_click_reaches_a_busy_cell(front: Front) -> None:
    """The canary for `notebook/kernel.py`: when it fails, ipykernel routes a widget's messages another way."""
    clicked: list[float] = []

    def click(heard: list[Any]) -> None:
        if not clicked and under_way(heard[-1]):
            comm = kinds(heard, "comm_open")[-1]["content"]["comm_id"]
            opened = [m["content"]["comm_id"] for m in kinds(heard, "comm_open") if "can_cancel" in str(m["content"])]
            message = {"comm_id": (opened or [comm])[0], "data": {"method": "custom", "content": {"do": "cancel"}}}
            front.client.shell_channel.send(front.client.session.msg("comm_msg", message))
            clicked.append(time.monotonic())

    heard = front.run("%agent long", meanwhile=click)
    assert time.monotonic() - clicked[0] < 3
    (error,) = kinds(heard, "error")
    assert error["content"]["ename"] == "Cancelled"
    assert len(error["content"]["traceback"]) <= 3
    (frozen,) = kinds(heard, "update_display_data")
    assert "cancelled" in frozen["content"]["data"]["text/plain"]
    assert "done" in frozen["content"]["data"]["text/plain"]


def test_stop_ends_the_run_in_one_line(front: Front) -> None:
    stopped: list[float] = []

    def stop(heard: list[Any]) -> None:
        if not stopped and under_way(heard[-1]):
            front.manager.interrupt_kernel()
            stopped.append(time.monotonic())

    heard = front.run("%agent long", meanwhile=stop)
    assert time.monotonic() - stopped[0] < 3
    (error,) = kinds(heard, "error")
    assert error["content"]["traceback"] == ["Cancelled: Stopped. 1 of 2 steps finished and are kept."]


def test_stop_before_the_run_has_begun_is_one_line_too(front: Front) -> None:
    stopped: list[float] = []

    def stop(heard: list[Any]) -> None:
        if not stopped and heard[-1]["msg_type"] == "comm_open":
            front.manager.interrupt_kernel()
            stopped.append(time.monotonic())

    heard = front.run("%agent long", meanwhile=stop)
    (error,) = kinds(heard, "error")
    assert error["content"]["traceback"][0].startswith("Cancelled: Stopped.")
    assert len(error["content"]["traceback"]) == 1
    assert WIDGET not in str(kinds(heard, "update_display_data"))


def test_a_run_that_will_not_end_leaves_its_plan(front: Front) -> None:
    stopped: list[float] = []

    def stop(heard: list[Any]) -> None:
        if not stopped and under_way(heard[-1]):
            front.manager.interrupt_kernel()
            stopped.append(time.monotonic())

    heard = front.run(
        "from workbench import bridge\nbridge.wait.__kwdefaults__['patience'] = 0.2\n%agent long stubborn",
        meanwhile=stop,
    )
    front.run("bridge.wait.__kwdefaults__['patience'] = 5.0")
    (error,) = kinds(heard, "error")
    assert error["content"]["traceback"][0].startswith("Cancelled: Stopped, but the run did not end")
    (frozen,) = kinds(heard, "update_display_data")
    assert "First" in frozen["content"]["data"]["text/plain"]
    assert "■ cancelled" in frozen["content"]["data"]["text/plain"]


def test_a_refusal_says_itself_once(front: Front) -> None:
    heard = front.run("%agent refuse")
    (frozen,) = kinds(heard, "update_display_data")
    assert frozen["content"]["data"]["text/plain"] == "Nothing was run."
    (error,) = kinds(heard, "error")
    assert error["content"]["traceback"] == ["Refused: No word for that."]


def test_a_bug_of_ours_is_shown_whole(front: Front) -> None:
    (error,) = kinds(front.run("%agent break"), "error")
    assert error["content"]["ename"] == "ZeroDivisionError"
    assert len(error["content"]["traceback"]) > 1


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("sys.modules['anywidget'] = None\nworkbench.notebook.panels.run.panel_class.cache_clear()", "%agent do it"),
        ("", "%%capture kept\n%agent do it"),
    ],
    ids=["without widgets", "captured"],
)
def test_without_a_panel_there_is_one_plain_display(front: Front, before: str, code: str) -> None:
    front.run(before)
    heard = front.run(code)
    if "capture" in code:
        assert kinds(heard, "display_data", "update_display_data", "error") == []
        heard = front.run("kept.show()")
    # IPython keeps what it printed of the run's value too, which is nothing.
    (shown,) = [message for message in kinds(heard, "display_data") if message["content"]["data"]]
    assert sorted(shown["content"]["data"]) == ["text/html", "text/plain"]
    assert kinds(heard, "update_display_data", "comm_open", "error") == []
    front.run("sys.modules.pop('anywidget', None)")


def test_headless_there_is_one_display_and_no_widget(front: Front) -> None:
    heard = front.run("%agent do it", live=False)
    (shown,) = kinds(heard, "display_data")
    assert sorted(shown["content"]["data"]) == ["text/html", "text/plain"]
    assert not shown["content"]["transient"]
    assert kinds(heard, "update_display_data", "comm_open", "execute_result", "error") == []
