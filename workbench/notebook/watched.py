"""A run of a cell: shown while it goes on, stoppable, and with its result in the cell at the end.

The cell waits for it, or leaves it to the background: see there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from workbench.notebook.background import Handle, begin
from workbench.notebook.display import Display

if TYPE_CHECKING:
    from workbench.run import Run

LEFT = (
    "No click reaches this cell while it is busy: the run goes on in the background and asks above.\n"
    "The value of this cell is its handle, and `.result()` of that the run."
)

GONE = "The page that asked you is gone (loaded anew, or closed), so this cell waits no longer for your answer."


def watched(
    shell: Any,
    headless: bool | None,
    work: Callable[[Display], Coroutine[Any, Any, Run]],
    *,
    background: bool = False,
    silent: bool = False,
) -> Run | Handle:
    """The run that `work` gives, which gets the display that its events belong to; its handle when it goes on in the
    `background`, or has to, because a question can only be answered when the cell is over. With `silent` nothing is
    shown. Raises what the work raises, when the display is finished, and Unavailable when the run goes on in the
    background because nobody sees its question any more.
    """
    from workbench.bridge import Errands, Left, wait
    from workbench.core.errors import Cancelled, Unavailable, WorkbenchError

    try:
        display = Display(shell, headless=headless, silent=silent)
    except KeyboardInterrupt:
        raise Cancelled("Stopped. Nothing was run.") from None
    if background and display.asks:
        return begin(display, work(display))
    # Where nobody looks a run in the background is waited for too, with no more than it could have there.
    errands = display.errands = None if background else Errands()
    try:
        run = wait(work(display), errands=errands, begun=display.begun)
    except Left:
        handle = Handle(display)
        if display.was_left:  # an error: what waits for this cell is not run without the result of it
            raise Unavailable(
                GONE, hint=f"It goes on in the background. To answer: %workbench show {handle.id}"
            ) from None
        print(LEFT)  # noqa: T201 - for who looks at this cell, and no part of a result
        return handle
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
    return Handle(display, run) if background else run
