"""Calls a function of the kernel itself, on the thread that waits for the run: the way out for `in_kernel=True`.

The layers around a call are the same as for every other (audit, policy, budgets, limits); only the worker is not there.
Nothing confines the function, its output is captured, and it is told with isolation `none`. Tables and pictures come
and go as for a tool in a worker, so that a later step may run in one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from workbench import toolkit
from workbench.calls import Call
from workbench.core import artifacts as handles
from workbench.core.artifacts import Artifact
from workbench.core.errors import WorkbenchError
from workbench.core.tools import Status, ToolCall, ToolResult
from workbench.registry.cells import function_of
from workbench.sandbox import views
from workbench.sandbox.files import Outputs
from workbench.sandbox.values import NotPlain, plain

T = TypeVar("T")

MAX_TEXT = 100_000
"""Characters that a function may print and that are kept."""


class OnThread(Protocol):
    """Has the thread that waits for the run make a call, and gives its result (`bridge.Errands.run`)."""

    def __call__(self, errand: Callable[[], T], /) -> Awaitable[T]: ...


def in_kernel(on_thread: OnThread | None, folder: Path) -> Call:
    """Calls functions on that thread; without one each call is denied. `folder`: that of the runs' files."""

    async def call(what: ToolCall) -> ToolResult:
        function = function_of(what.tool)
        if on_thread is None:
            return _ended(
                "denied",
                f"{what.tool.name} runs in your kernel, and no thread of it waits for this run.",
                "Ask with %agent or workbench.ask; a run in the background uses tools that run in workers.",
            )
        if function is None:
            return _ended("failed", f"{what.tool.name} was defined anew since.", "Ask again.")
        try:
            params = await asyncio.to_thread(handles.replace, what.params, lambda artifact: _open(artifact, folder))
            async with asyncio.timeout(what.timeout):
                made = await on_thread(lambda: _made(function, params))
        except TimeoutError:
            return _ended("timeout", f"{what.tool.name} took longer than {what.timeout:g} seconds.")
        except WorkbenchError as error:
            return _ended("failed", error.message, error.hint)
        return await asyncio.to_thread(_result, made, what, folder)

    return call


@dataclass(frozen=True, slots=True)
class _Made:
    """What a function gave: a value or an error, what it printed, and the seconds it took."""

    value: Any
    error: BaseException | None
    text: str
    seconds: float


def _made(function: Callable[..., Any], params: Mapping[str, Any]) -> _Made:
    """On the user's thread. An interrupt goes on upwards: it is the user's, or that of a call that took too long."""
    printed, started = io.StringIO(), time.monotonic()
    value, failed = None, None
    with contextlib.redirect_stdout(printed):
        try:
            value = function(**params)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the function does costs one step
            failed = error
        else:
            value = _as_told(value)
    return _Made(value, failed, printed.getvalue()[:MAX_TEXT], round(time.monotonic() - started, 6))


def _as_told(value: Any) -> Any:
    """What stands for an object where the user has told IPython how its type is shown (`for_type`); the value itself
    where not. On the user's thread: so are the functions that were told."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or type(value).__module__.partition(".")[0] in ("builtins", "pandas", "numpy", "workbench"):
        return value
    ways = {}
    for mime in views.METHODS:
        with contextlib.suppress(Exception):  # there is none for this type
            ways[mime] = partial(shell.display_formatter.formatters[mime].lookup(value), value)
    return views.view(value, ways) if ways else value


def _result(made: _Made, what: ToolCall, folder: Path) -> ToolResult:
    if made.error is not None:
        return _failed(made)
    with Outputs(folder, what.run, what.step) as outputs:
        try:
            value = plain(made.value, lambda item: _keep(item, outputs))
        except (NotPlain, WorkbenchError) as error:
            return _ended("failed", str(error))
    return ToolResult(
        status="ok",
        value=value,
        text=made.text,
        artifacts=tuple(handles.find(value)),
        seconds=made.seconds,
        isolation="none",
    )


def _failed(made: _Made) -> ToolResult:
    match made.error:
        case toolkit.Try() as error:
            return ToolResult(
                status="transient",
                error=str(error),
                hint=error.hint,
                retry_after=error.after,
                text=made.text,
                isolation="none",
            )
        case toolkit.Failed() as error:
            said, hint = str(error), error.hint
        case error:
            said, hint = f"{type(error).__name__}: {error}".rstrip(": "), ""
    return ToolResult(status="failed", error=said, hint=hint, text=made.text, seconds=made.seconds, isolation="none")


def _ended(status: Status, error: str, hint: str = "") -> ToolResult:
    return ToolResult(status=status, error=error, hint=hint, isolation="none")


def _open(artifact: Artifact, folder: Path) -> Any:
    """A parameter as the function gets it."""
    if artifact.is_frame:
        from workbench.sandbox.frames import read_frame

        return read_frame(folder / artifact.path)
    made = toolkit.Audio if artifact.is_sound else toolkit.Image
    return made((folder / artifact.path).read_bytes(), title=artifact.title, alt=artifact.alt)


def _keep(item: Any, outputs: Outputs) -> Artifact | None:
    """A table, picture or sound as a file of the run; None for anything else."""
    if isinstance(item, Artifact):
        return item
    if isinstance(item, toolkit.Image | toolkit.Audio):
        is_image = isinstance(item, toolkit.Image)
        number, fd = outputs.open("image" if is_image else "sound", title=item.title, alt=item.alt)
        with os.fdopen(fd, "wb") as file:
            file.write(item.png if isinstance(item, toolkit.Image) else item.data)
        return outputs.settle(number)
    import pandas as pd

    table = item if isinstance(item, toolkit.Table) else toolkit.Table(item)
    if not isinstance(table.frame, pd.DataFrame | pd.Series):
        return None
    from workbench.sandbox import arrow, frames

    made = arrow.from_pandas(table.frame if isinstance(table.frame, pd.DataFrame) else table.frame.to_frame())
    number, fd = outputs.open("frame", title=table.title)
    with os.fdopen(fd, "wb") as file:
        arrow.write_table(made, file)
    return outputs.keep(number, frames.described(made))
