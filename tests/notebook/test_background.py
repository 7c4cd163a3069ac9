"""Runs in the background: what a kernel says of them, message by message, and to which cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.notebook.test_live import SETUP, WIDGET, Front, kinds


class Whole:
    """A front end that keeps every message of its kernel, by the request that it belongs to."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager, self.client = manager, client
        self.heard: list[Any] = []

    def start(self, code: str, *, live: bool = True) -> str:
        """Run a cell, and return its request."""
        return str(self.client.execute(code, allow_stdin=live))

    def of(self, request: str, *wanted: str) -> list[Any]:
        own = [message for message in self.heard if message["parent_header"].get("msg_id") == request]
        return kinds(own, *wanted) if wanted else own

    def until(self, happened: Any, seconds: float = 30) -> None:
        """Hear messages until it happened."""
        while not happened():
            self.heard.append(self.client.get_iopub_msg(timeout=seconds))

    def run(self, code: str, *, live: bool = True) -> str:
        """Run a cell to its end, and return its request."""
        return self.end(self.start(code, live=live))

    def end(self, request: str) -> str:
        """Hear a cell to its end."""
        self.until(lambda: any(m["content"]["execution_state"] == "idle" for m in self.of(request, "status")))
        return request

    def frozen(self, request: str) -> Any:
        """What the cell shows at the end, when it is there."""
        self.until(lambda: self.of(request, "update_display_data"))
        (shown,) = self.of(request, "update_display_data")
        return shown["content"]["data"]

    def text(self, request: str) -> str:
        """What the cell has said as text: its values, streams and errors."""
        parts = []
        for message in self.of(request, "execute_result", "stream", "error"):
            content = message["content"]
            said = content.get("text") or content.get("data", {}).get("text/plain") or "\n".join(content["traceback"])
            parts.append(re.sub(r"\x1b\[[\d;]*m", "", said))
        return "\n".join(parts)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Whole]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    assert kinds(Front(manager, client).run(SETUP), "error", "stream") == []
    yield Whole(manager, client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_cell_is_over_at_once_and_its_result_lands_in_it_while_another_runs(kernel: Whole) -> None:
    asked = kernel.run("h = %agent --bg do it")
    assert WIDGET in kernel.of(asked, "display_data")[0]["content"]["data"]
    assert kernel.text(kernel.run("print(repr(h))")).startswith("<run r1, in the background: running, 1 of 2 steps")
    busy = kernel.run("import time\nwhile h.state == 'running': time.sleep(0.05)\nprint('over')")
    frozen = kernel.frozen(asked)
    assert sorted(frozen) == ["text/html", "text/plain"]
    assert "Two." in frozen["text/plain"]
    assert kernel.text(busy) == "over\n"
    assert (
        kernel.text(kernel.run("print(h.result().answer, h.run.status, h.id, (await h).answer)"))
        == "Two. done r1 Two.\n"
    )


def test_two_runs_and_a_busy_cell_say_nothing_in_a_foreign_cell(kernel: Whole) -> None:
    first = kernel.run("a = %agent --bg do it")
    second = kernel.run("b = %agent --bg write it")
    before = len(kernel.heard)
    busy = kernel.run("import time\nfor n in range(20):\n    print(n)\n    time.sleep(0.1)\nx = a.result(), b.result()")
    kernel.frozen(first), kernel.frozen(second)
    late = kernel.heard[before:]
    parents = {message["parent_header"].get("msg_id") for message in late}
    assert parents == {first, second, busy}
    assert {message["msg_type"] for message in kernel.of(busy)} == {"status", "execute_input", "stream"}
    for request in (first, second):
        patches = [message for message in kinds(late, "comm_msg") if message["parent_header"]["msg_id"] == request]
        assert len(patches) > 3


def test_an_error_stands_in_its_cell_and_is_raised_where_the_run_is_taken(kernel: Whole) -> None:
    asked = kernel.run("h = %agent --bg long")
    assert "r1" in kernel.text(kernel.run("%workbench cancel r1"))
    frozen = kernel.frozen(asked)
    said = "Cancelled: Stopped. 1 of 2 steps finished and are kept."
    assert frozen["text/plain"].endswith(said)
    assert said in frozen["text/html"]
    assert kernel.text(kernel.run("h.result()")) == said
    assert kernel.text(kernel.run("await h")).endswith(said)
    assert kernel.text(kernel.run("print(h.state, h.run.status)")) == "cancelled cancelled\n"


def test_what_is_refused_before_it_begins_fails_its_own_cell(kernel: Whole) -> None:
    asked = kernel.run("%agent --bg refuse")
    assert kernel.frozen(asked)["text/plain"] == "Nothing was run."
    assert kernel.text(asked) == "Refused: No word for that."


def test_an_error_that_nobody_takes_is_in_no_log(kernel: Whole) -> None:
    kernel.run("import gc, logging\nlines = []\nhandler = logging.Handler()\nhandler.emit = lines.append")
    kernel.run("logging.getLogger('asyncio').addHandler(handler)")
    asked = kernel.run("%agent --bg lost << long")
    kernel.run("lost.cancel()")
    kernel.frozen(asked)
    assert kernel.text(kernel.run("del lost; gc.collect(); print(lines)")) == "[]\n"


def test_an_interrupt_ends_what_waits_and_not_the_run(kernel: Whole) -> None:
    asked = kernel.run("h = %agent --bg long")
    for waits, ends in (("h.result()", "KeyboardInterrupt"), ("await h", "CancelledError")):
        waiting = kernel.start(f"print('now')\n{waits}")
        kernel.until(lambda request=waiting: kernel.of(request, "stream"))
        kernel.manager.interrupt_kernel()
        assert ends in kernel.text(kernel.end(waiting))
        assert kernel.text(kernel.run("print(h.state)")) == "running\n"
    kernel.run("h.cancel()")
    assert "■ cancelled" in kernel.frozen(asked)["text/plain"]


def test_a_click_stops_a_run_in_the_background_while_another_cell_is_busy(kernel: Whole) -> None:
    asked = kernel.run("h = %agent --bg long")
    (comm,) = [m["content"]["comm_id"] for m in kernel.of(asked, "comm_open") if "can_cancel" in str(m["content"])]
    busy = kernel.start("import time\nwhile h.state == 'running': time.sleep(0.05)\nprint(h.state)")
    message = {"comm_id": comm, "data": {"method": "custom", "content": {"do": "cancel"}}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", message))
    assert "■ cancelled" in kernel.frozen(asked)["text/plain"]
    assert kernel.text(kernel.end(busy)) == "cancelled\n"


def test_where_nobody_looks_the_cell_waits_and_fails_with_its_run(kernel: Whole) -> None:
    asked = kernel.run("h = %agent --bg do it", live=False)
    (shown,) = kernel.of(asked, "display_data")
    assert sorted(shown["content"]["data"]) == ["text/html", "text/plain"]
    assert kernel.of(asked, "comm_open", "update_display_data", "execute_result", "error") == []
    assert kernel.text(kernel.run("print(h.state, h.result().answer)", live=False)) == "done Two.\n"
    assert kernel.text(kernel.run("%agent --bg refuse", live=False)) == "Refused: No word for that."


def test_a_handle_says_where_the_results_are(kernel: Whole) -> None:
    kernel.run("h = %agent --bg do it")
    assert kernel.text(kernel.run("h.df")).endswith("its .df is that of handle.result().df")
    assert "TimeoutError: The run goes on: it is not over after 0.01 seconds." in kernel.text(
        kernel.run("h.result(0.01)")
    )
    assert "Two." in kernel.text(kernel.run("await h"))
    assert "Two." in kernel.text(kernel.run("h"))


def test_thirty_runs_at_once_say_no_more_than_a_server_lets_through(kernel: Whole) -> None:
    begin = "for n in range(30): get_ipython().run_line_magic('agent', '--bg do it')"
    asked = kernel.run(begin)
    panels = len(kernel.of(asked, "display_data"))
    kernel.until(lambda: len(kernel.of(asked, "update_display_data")) == panels)
    said = kinds(kernel.of(asked), "comm_msg", "update_display_data", "comm_close", "stream")
    seconds = Counter(int(message["header"]["date"].timestamp()) for message in said)
    assert panels == 30
    assert len(said) > 90
    assert max(seconds.values()) <= 300  # of which the patches are 50 at most
