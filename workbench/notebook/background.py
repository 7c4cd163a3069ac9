"""Runs in the background: the cell is over at once, and what it has started is shown in it while other cells run.

The work goes on on the one loop, in a copy of the cell's context, which is how ipykernel knows whose output it is. An
interrupt of the kernel reaches only the thread that runs cells. Where nobody looks at the cells (papermill, nbclient,
nbval) such a run is waited for in its cell: a notebook that is executed must fail where a run of it failed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Generator
from concurrent import futures
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Cancelled, Refused, WorkbenchError
from workbench.core.progress import OPEN

if TYPE_CHECKING:
    from workbench.notebook.display import Display
    from workbench.run import Run

SECONDS_TO_BEGIN = 1.0
"""How long a cell waits for its run to begin: then the handle knows its id, and a refusal fails the cell."""
SECONDS_TO_STOP = 5.0
"""How long whoever stops a run by its id waits for its end."""
SECONDS_TO_HEAR = 0.2
"""How long a cell that waits for a run may not hear of an interrupt, or of a question of the run."""
BUG = "→ This is a bug of the workbench: `handle.result()` shows it whole."

_under_way: dict[int, Handle] = {}
"""The handles whose runs go on, which keeps them alive when nobody else does."""


class Handle:
    """A run in the background: `.id`, `.state`, `.run`, `.result(timeout)`, `.cancel()`; `await` it for the run."""

    def __init__(self, display: Display, run: Run | None = None) -> None:
        """On the cell's thread, for a display whose work has begun. `run`: when it is over, and stands in its cell."""
        from workbench.bridge import submit

        self._display = display
        self._shown_in = display.cell if display.is_live or display.silent or run is not None else None
        self._shown: Future[Run] = Future()  # what became of the run, once it stands in its cell
        self._shown.set_running_or_notify_cancel()
        if run is not None:
            self._shown.set_result(run)
        else:
            _under_way[id(self)] = self
            display.go_on()
            submit(self._show())

    @property
    def id(self) -> str:
        """The run's id; waits for it where the run has not begun yet, which is a moment. "" when it never began."""
        from workbench.bridge import is_here

        if not is_here():
            self._display.began.wait()
        return self._display.outcome.run

    @property
    def state(self) -> str:
        """running, or how the run ended: planned, done, failed, cancelled or budget."""
        if not self._shown.done():
            return "running"
        if (run := self.run) is not None:
            return run.status
        return "cancelled" if isinstance(self._shown.exception(), Cancelled) else "failed"

    @property
    def run(self) -> Run | None:
        """The run when it is over, also one that failed; None while it goes on, or when it never began."""
        if not self._shown.done():
            return None
        error = self._shown.exception()
        run: Run | None = self._shown.result() if error is None else getattr(error, "run", None)
        return run

    def result(self, timeout: float | None = None) -> Run:
        """The run, when it is over; waits for that. An interrupt ends the waiting, not the run.

        Raises what the run raises, as `%agent` does; TimeoutError after so many seconds; Refused where waiting would
        never end.
        """
        from workbench.bridge import is_here

        if is_here() and not self._shown.done():
            raise Refused("This code runs where the run itself does.", hint="Use `await handle`.")
        ends = time.monotonic() + (math.inf if timeout is None else timeout)
        while not self.ended(max(0.0, min(SECONDS_TO_HEAR, ends - time.monotonic()))):
            self._answerable()
            if time.monotonic() >= ends:
                raise TimeoutError(f"The run goes on: it is not over after {timeout:g} seconds.")
        return self._shown.result()

    def _answerable(self) -> None:
        """Raise Refused when the run waits for a click that cannot come while somebody waits for the run."""
        if self._display.is_stuck:
            raise Refused(
                "The run waits for your answer in its cell, and a click does not reach a busy kernel here.",
                hint="Answer there, then run this cell again.",
            )

    def __await__(self) -> Generator[Any, None, Run]:
        return self._taken().__await__()

    async def _taken(self) -> Run:
        shown = asyncio.wrap_future(self._shown)
        try:
            while not shown.done():
                # A kernel hears of an interrupt when its own loop does something: a cell that only awaits does nothing.
                await asyncio.wait([shown], timeout=SECONDS_TO_HEAR)
                if not shown.done():
                    self._answerable()
            return shown.result()
        finally:
            shown.cancel()  # whoever cancels this waiting cancels no run

    def cancel(self) -> None:
        """Stop the run; its cell shows what is done. Nothing happens when it is over."""
        if not self._shown.done():
            self._display.cancel()

    def ended(self, timeout: float) -> bool:
        """Whether the run is over, and stands in its cell, after so many seconds at most."""
        return bool(futures.wait([self._shown], timeout).done)

    async def _show(self) -> None:
        """Put what becomes of the run into its cell."""
        run: Run | None = None
        error: BaseException | None = None
        try:
            run = await asyncio.wrap_future(self._display.begun.ended)
        except (asyncio.CancelledError, CancelledError):
            error = Cancelled("Stopped. Nothing was run.")
        except BaseException as problem:  # noqa: BLE001 - it is told in the cell, and raised where the run is taken
            error = problem
        finally:
            _under_way.pop(id(self), None)
        self._display.still()
        try:
            shown = run if run is not None else getattr(error, "run", None)
            # Tables and pictures are read and drawn: not where other runs wait for their turn.
            await asyncio.to_thread(self._display.finish, shown, said=_lines(error), here=False)
        finally:
            if run is not None:
                self._shown.set_result(run)
            else:
                self._shown.set_exception(error)

    def __getattr__(self, name: str) -> Any:
        from workbench.run import Run

        if not name.startswith("_") and hasattr(Run, name):
            raise AttributeError(f"This run goes on in the background; its .{name} is that of handle.result().{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        steps = self._display.outcome.steps
        done = sum(step.state not in OPEN for step in steps)
        at = f", {done} of {len(steps)} steps finished" if steps and self.state == "running" else ""
        return f"<run {self._display.outcome.run or 'that has not begun yet'}, in the background: {self.state}{at}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.run._repr_mimebundle_() if self.run is not None else {"text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is None or self._shown_in != shell.execution_count:
            raise NotImplementedError  # IPython's word for: show the bundle as usual


def begin(display: Display, work: Coroutine[Any, Any, Run]) -> Handle:
    """The handle of a run that begins now, on the cell's thread. Raises what the work raises before the run has begun:
    then there is none."""
    begun = display.begun
    try:
        begun.start(work)
        display.began.wait(SECONDS_TO_BEGIN)
    except KeyboardInterrupt:
        display.cancel()
        Handle(display)
        raise Cancelled("Stopped.", hint="What was done stands above.") from None
    if begun.ended.done() and not display.outcome.run and (error := begun.ended.exception()) is not None:
        display.finish(None)
        raise error
    return Handle(display)


def stop(run: str) -> Handle:
    """The handle of the run of this kernel whose id begins so, stopped. Raises Refused when there is not one."""
    going = {run: handle for handle in list(_under_way.values()) if (run := handle._display.outcome.run)}
    found = [handle for name, handle in going.items() if run and name.startswith(run)]
    if len(found) != 1:
        known = f"{len(found)} runs of this kernel begin" if found else "No run of this kernel begins"
        hint = f"There are: {', '.join(going)}." if going else "There is none in the background."
        raise Refused(f"{known} with {run!r}." if run else "Which run?", hint=hint)
    found[0].cancel()
    found[0].ended(SECONDS_TO_STOP)
    return found[0]


def show(run: str) -> bool:
    """Show the panel of the run that goes on here and whose id begins so in the cell that runs now; whether there is
    one to show."""
    for handle in list(_under_way.values()):
        if run and handle._display.is_live and handle._display.outcome.run.startswith(run):
            handle._display.show_here()
            return True
    return False


def waiting() -> str:
    """The line that says how to answer what runs ask whose page has gone; "" when there is nothing to answer."""
    runs = [handle.id for handle in list(_under_way.values()) if handle._display.waits_unseen]
    return f"A run waits for your answer: %workbench show {', '.join(runs)}" if runs else ""


def _lines(error: BaseException | None) -> list[str]:
    if error is None:
        return []
    return error.lines() if isinstance(error, WorkbenchError) else [f"{type(error).__name__}: {error}", BUG]
