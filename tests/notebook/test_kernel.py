"""The canary for ipykernel's private routing of clicks, and what happens where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from tests.notebook.conftest import Outputs, text_of
from workbench.notebook import kernel

CANARY = """
import asyncio, threading
from ipykernel.kernelbase import Kernel
from workbench.notebook import kernel
from workbench.notebook.panels import run as panel
from workbench.core.outcome import Outcome

heard = threading.Event()
made = panel.make(Outcome(run=""), heard.set)
print("routed", kernel.route_clicks(get_ipython(), made.comm))
print("pinned", made.comm._reply_subshell_for(None, "main") not in (None, "main"))
"""

FALLBACK = """
from types import SimpleNamespace
shell = get_ipython()
class Old:  # a kernel without subshells
    _supports_kernel_subshells = False
print("old", kernel.route_clicks(SimpleNamespace(kernel=Old()), made.comm))
print("no comm hook", kernel.route_clicks(shell, object()))
"""


def test_clicks_can_be_routed_to_a_busy_kernel(run_cells: Callable[..., Outputs]) -> None:
    """When this fails, ipykernel changed its private parts: see notebook/kernel.py."""
    outputs = run_cells(CANARY, FALLBACK)
    assert text_of(outputs[0]).split() == ["routed", "True", "pinned", "True"]
    assert text_of(outputs[1]).splitlines() == ["old False", "no comm hook False"]


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
