"""Results that stand in a notebook already, brought to life by JupyterLab's extension (`labextension/`).

The extension opens a comm and asks about runs by their ids, which it has from the outputs' metadata. Anybody may have
written those: a run is looked up, by its whole id, among those of the user, and what is shown comes from the record.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.run import Run

TARGET = "workbench.results"
_open: set[str] = set()
"""The ids of the comms over which pages ask now."""


def is_open() -> bool:
    """Whether a page is there that brings results to life by itself."""
    return bool(_open)


def register(shell: Any) -> None:
    """Let a front end ask. Light: nothing is imported before somebody does. Does nothing without a kernel."""
    comms = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    if comms is not None:
        comms.register_target(TARGET, _opened)


def unregister(shell: Any) -> None:
    """Take that back. What is open stays open."""
    comms = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    if comms is not None:
        comms.targets.pop(TARGET, None)


def _opened(comm: Any, message: Any) -> None:
    _open.add(comm.comm_id)
    comm.on_close(lambda message: _open.discard(comm.comm_id))
    comm.on_msg(lambda said: _asked(comm, said["content"]["data"]))
    # Told on the thread that will hear the questions: a second one hears them also while a cell runs.
    comm.send({"hello": {"while_busy": threading.current_thread() is not threading.main_thread()}})


def _asked(comm: Any, data: Any) -> None:
    from workbench import bridge

    async def answered() -> None:
        comm.send({"answer": data.get("id"), "value": await answer(data)})

    if isinstance(data, Mapping):
        bridge.submit(answered())


async def answer(data: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to `{run, message}`: as `results.answer`, and to `{do: "described"}` what there is to see. Nothing is
    raised."""
    from workbench.notebook.panels import results

    message = data.get("message")
    try:
        run = await _run(data.get("run"))
        if not isinstance(message, Mapping):
            message = {}
        return results.described(run) if message.get("do") == "described" else await results.answer(run, message)
    except Exception as error:  # noqa: BLE001 - as in `results.answer`
        return results.told(error)


async def _run(name: Any) -> Run:
    from workbench.core.errors import Refused
    from workbench.workbench import current

    if not isinstance(name, str):
        raise Refused("Which run?")
    run = await current().record.show(name)
    if run.id != name:  # the record takes the beginning of an id, which is for people
        raise Refused(f"There is no run {name[:100]!r}.")
    return run
