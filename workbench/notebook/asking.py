"""Who answers what a run of a cell asks: decided here, for every request, in one place.

A panel is asked where its clicks arrive: in a cell that waits only where they reach a busy kernel (`notebook.kernel`),
else in the background, to which such a run goes by itself; as it does when the page that shows the panel has gone.
Without a panel a line of text is asked for, where the front end takes one. Where nobody is, the answer is no, at once.
"""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from workbench.core.errors import Denied
from workbench.notebook import kernel
from workbench.policy.approval import Approver, Asked, Decision, chosen, nobody, prompted, within

if TYPE_CHECKING:
    from workbench.core.tape import Replay
    from workbench.notebook.display import Display
    from workbench.notebook.line import Line
    from workbench.workbench import Workbench

Who = Literal["panel", "background", "line", "nobody"]


def who(*, watched: bool, panel: bool, clicks: bool, waits: bool, lines: bool) -> Who:
    """Who is asked: the `panel`, the panel once the run is in the `background`, a `line` of text, or `nobody`.

    `watched`: somebody looks at the cell. `panel`: one is shown that can ask. `clicks`: they reach a busy cell.
    `waits`: the cell waits for the run. `lines`: the front end takes a line of text while a cell runs.
    """
    if not watched:
        return "nobody"
    if panel:
        return "panel" if clicks or not waits else "background"
    return "line" if lines and waits else "nobody"


def require_somebody(
    shell: Any, workbench: Workbench, options: argparse.Namespace | Line, replay: Replay | None = None
) -> None:
    """Raise Denied when steps are to be asked about (`--ask`) where nobody can answer: before anything is planned,
    which costs time and money. A strict replay has the answers on record."""
    if not options.ask or options.yes or options.deny or workbench.replays.mode(replay) == "strict":
        return
    front = kernel.front(shell, workbench.settings.headless)
    hint = "--yes approves the steps without asking; without --ask nothing asks about them."
    if front == "headless":
        raise Denied("Nobody is here to approve the steps. Nothing was run.", hint=hint)
    if front == "terminal" and options.bg:
        raise Denied("A run in the background cannot ask in a terminal. Nothing was run.", hint=hint)


def approver(options: argparse.Namespace | Line, display: Display) -> Approver:
    """What answers for a run that `display` shows: an option that was given, else who is there (`who`)."""
    from workbench.render import plan_text

    show = partial(plan_text, full=True)
    if options.yes or options.deny:
        return chosen(yes=options.yes, deny=options.deny, line=None, show=show)

    def patient(approver: Approver) -> Approver:  # patience begins when somebody is asked
        return approver if options.timeout is None else within(approver, options.timeout)

    async def answered(asked: Asked) -> Decision:
        errands, consent = display.errands, display.consent
        # Where clicks do not arrive, nobody can say that a page shows the panel.
        shown = display.is_live and (not display.hears or await display.is_seen())
        there = who(
            watched=display.asks,
            panel=shown and consent is not None,
            clicks=display.hears,
            waits=errands is not None,
            lines=display.takes_lines,
        )
        if there == "background" and errands is not None:
            errands.leave()
        if consent is not None and there in ("panel", "background"):
            alone = asyncio.ensure_future(_left_alone(display)) if there == "panel" else None
            try:
                return await patient(consent)(asked)
            finally:
                if alone is not None:
                    alone.cancel()
        if there == "line" and errands is not None:
            typed = prompted(errands.input, show)

            async def lined(asked: Asked) -> Decision:
                with display.waiting(asked.waits):  # within the patience: it hears that the line is given up
                    return await typed(asked)

            return await patient(lined)(asked)
        return await nobody(asked)

    return answered


async def _left_alone(display: Display) -> None:
    """Let the cell go when no page shows the question any more: one that is loaded anew hears nothing of a panel before
    the kernel is free."""
    if display.errands is not None:
        await display.is_left()
    if display.errands is not None:
        display.errands.leave()
