"""A run that a cell waits for: shown while it goes on, stoppable, and with its result in the cell at the end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from workbench.notebook.display import Display
from workbench.notebook.options import Line

if TYPE_CHECKING:
    from workbench.run import Run


def watched(
    shell: Any,
    headless: bool | None,
    work: Callable[[Display, Line | None], Coroutine[Any, Any, Run]],
    *,
    silent: bool = False,
) -> Run:
    """The run that `work` gives. It gets the display that its events belong to, and what asks the user for a line of
    text, None where nobody is there to answer. With `silent` nothing is shown. Raises what the work raises, when the
    display is finished."""
    from workbench.bridge import Errands, wait
    from workbench.core.errors import Cancelled, WorkbenchError

    errands = Errands()
    try:
        display = Display(shell, headless=headless, silent=silent)
    except KeyboardInterrupt:
        raise Cancelled("Stopped. Nothing was run.") from None
    display.on_thread = errands.run
    try:
        run = wait(display.cancellable(work(display, errands.input if display.asks else None)), errands=errands)
    except WorkbenchError as error:
        display.finish(error.run)
        raise
    except KeyboardInterrupt:
        display.finish(None)
        raise Cancelled("Stopped, but the run did not end in time: a step of it may go on for a while.") from None
    except BaseException:
        display.finish(None)
        raise
    display.finish(run)
    return run
