"""The canary for ipykernel's private routing of clicks, and what happens where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace

from tests.notebook.conftest import Outputs, text_of
from workbench.notebook import kernel

CANARY = """
import inspect, threading
from types import SimpleNamespace
from ipykernel.kernelbase import Kernel
from workbench.notebook import kernel
from workbench.notebook.panels import run as panel
from workbench.core.outcome import Outcome

shell, heard = get_ipython(), threading.Event()
made = panel.make(Outcome(run=""), heard.set)
spots = {
    "Kernel._supports_kernel_subshells": lambda: shell.kernel._supports_kernel_subshells is True,
    "Kernel.shell_channel_thread.manager.control_to_shell_channel.from_socket":
        lambda: hasattr(shell.kernel.shell_channel_thread.manager.control_to_shell_channel.from_socket, "send_json"),
    "Kernel.control_thread.io_loop": lambda: callable(shell.kernel.control_thread.io_loop.add_callback),
    "comm._reply_subshell_for(data, default)":
        lambda: list(inspect.signature(type(made.comm)._reply_subshell_for).parameters) == ["self", "data", "default"],
    "the kernel asks the comm for its route":
        lambda: "_reply_subshell_for" in inspect.getsource(Kernel.shell_channel_thread_main),
    "a subshell is made": lambda: kernel.route_clicks(shell, made.comm, 60.0),  # late on a busy machine
    "a comm is pinned to it": lambda: made.comm._reply_subshell_for(None, "main") not in (None, "main"),
}
for what, holds in spots.items():
    try:
        print(what if not holds() else "ok", sep="")
    except Exception as error:
        print(what, type(error).__name__)
"""

LATE = """
class Slow:  # a kernel whose control thread is busy with something else
    _supports_kernel_subshells = True
    shell_channel_thread = shell.kernel.shell_channel_thread
    class control_thread:
        class io_loop:
            calls = []
            add_callback = calls.append
slow = SimpleNamespace(kernel=Slow())
print("late", kernel.route_clicks(slow, made.comm, 0.01))
print("still", kernel.route_clicks(slow, made.comm, 0.01))
shell.kernel.control_thread.io_loop.add_callback(Slow.control_thread.io_loop.calls[0])
print("then", kernel.route_clicks(slow, made.comm, 60.0), len(Slow.control_thread.io_loop.calls))
"""
FALLBACK = """
class Old:  # a kernel without subshells
    _supports_kernel_subshells = False
class Changed:  # one whose private parts are elsewhere
    _supports_kernel_subshells = True
print("old", kernel.route_clicks(SimpleNamespace(kernel=Old()), made.comm))
print("changed", kernel.route_clicks(SimpleNamespace(kernel=Changed()), made.comm))
print("no comm hook", kernel.route_clicks(shell, object()))
"""


def test_clicks_can_be_routed_to_a_busy_kernel(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(CANARY, FALLBACK, LATE)
    changed = [line for line in text_of(outputs[0]).splitlines() if line != "ok"]
    assert changed == [], (
        f"ipykernel {version('ipykernel')} changed how it routes a widget's messages: a click no longer reaches a busy "
        "cell, and questions go to the background. Mend workbench/notebook/kernel.py, whose head says how."
    )
    assert text_of(outputs[1]).splitlines() == ["old False", "changed False", "no comm hook False"]
    assert text_of(outputs[2]).splitlines() == ["late False", "still False", "then True 1"], "made once, and used late"


def test_who_looks_is_told_by_whether_they_can_be_asked() -> None:
    def shell(content: object) -> SimpleNamespace:
        return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: {"content": content}))

    assert kernel.front(SimpleNamespace()) == "terminal"
    assert kernel.front(shell({"allow_stdin": True})) == "live"
    assert kernel.front(shell({"allow_stdin": False})) == "headless"
    assert kernel.front(shell({})) == "headless"
    assert kernel.front(shell(None)) == "headless"
    assert kernel.front(shell({"allow_stdin": True}), headless=True) == "headless"
    assert kernel.front(shell({"allow_stdin": False}), headless=False) == "live"
