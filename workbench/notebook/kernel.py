"""What a cell may expect of its kernel: who looks at it, and whether a click reaches it while the cell runs.

ipykernel 7.4 hands a widget's messages to the shell that last published, which is the busy one. So the panel's comm is
pinned to a subshell (a second thread that takes messages) of our own. Both spots are private to ipykernel: they are
looked for, never assumed, and where they are missing no button is shown. `tests/notebook/test_kernel.py` is the canary.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Literal

Front = Literal["live", "headless", "terminal"]
"""live: somebody looks and can click. headless: papermill, nbclient, nbval: nobody does. terminal: plain IPython."""

SECONDS_FOR_A_SUBSHELL = 2.0
"""How long a cell waits until clicks can be routed: no longer than a person would for a panel with a Cancel button."""
_subshells: dict[int, Future[str]] = {}
_making = threading.Lock()


def front(shell: Any, headless: bool | None = None) -> Front:
    """Who shows the output of the cell that runs now. `headless` decides when it is not None."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    if type(getattr(shell, "display_pub", None)).__name__ == "CapturingDisplayPublisher":
        return "headless"  # under %%capture: what is kept there must be a result, never a panel
    if headless is not None:
        return "headless" if headless else "live"
    # Whoever can be asked for input is a person in front of a notebook.
    return "live" if takes_lines(shell) else "headless"


def takes_lines(shell: Any) -> bool:
    """Whether a line of text may be asked for while the cell that runs now does."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return True
    with suppress(Exception):
        return bool(kernel.get_parent()["content"].get("allow_stdin", False))
    return False


def shell() -> Any:
    """The shell that runs this process's cells, None outside of IPython."""
    import sys

    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def notebook(shell: Any) -> str:
    """The path of the notebook whose cell runs, as the front end has told ipykernel; "" when it has not."""
    return str((getattr(shell, "user_ns", None) or {}).get("__session__", ""))


def forget_line(shell: Any) -> None:
    """Take away the field of a line of text that nobody waits for any more: JupyterLab leaves it. All that the cell has
    shown goes with it, so only where it has shown nothing: its first words ask us."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return
    with suppress(Exception):
        code = str(kernel.get_parent()["content"].get("code", ""))
        if code.lstrip().startswith(("%agent", "%%agent", "%workbench")):
            shell.display_pub.clear_output()


def route_clicks(shell: Any, comm: Any, seconds: float = SECONDS_FOR_A_SUBSHELL) -> bool:
    """Let a comm's messages arrive while a cell runs. False where this kernel does not allow that, or takes longer than
    so many seconds."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None or not getattr(kernel, "_supports_kernel_subshells", False):
        return False
    if not hasattr(type(comm), "_reply_subshell_for") and not hasattr(comm, "_reply_subshell_for"):
        return False
    subshell = _subshell(kernel, seconds)
    if subshell is None:
        return False
    comm._reply_subshell_for = lambda data, default: subshell
    return True


def _subshell(kernel: Any, seconds: float) -> str | None:
    """The id of this kernel's subshell for clicks, made at the first call; None when it cannot be had in good time. One
    that comes late serves the next panel."""
    with _making:
        made = _subshells.get(id(kernel))
        if made is None or (made.done() and made.exception() is not None):
            made = _subshells[id(kernel)] = _made(kernel)
    try:
        return made.result(seconds)
    except Exception:  # noqa: BLE001 - then clicks cannot be routed, and no button is shown
        return None


def _made(kernel: Any) -> Future[str]:
    """The id of a subshell that is being made."""
    made: Future[str] = Future()

    def make() -> None:
        # On the control thread, as ipykernel's own handler does: the socket belongs to that thread.
        try:
            socket = kernel.shell_channel_thread.manager.control_to_shell_channel.from_socket
            socket.send_json({"type": "create"})
            made.set_result(socket.recv_json()["subshell_id"])
        except Exception as error:  # noqa: BLE001 - private parts: anything may have changed
            made.set_exception(error)

    try:
        kernel.control_thread.io_loop.add_callback(make)
    except Exception as error:  # noqa: BLE001 - as above
        made.set_exception(error)
    return made
