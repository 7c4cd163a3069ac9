"""What stands under a cell: live, a panel that freezes into the result; headless, one result and nothing before it."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench import bridge
from workbench.bridge import Begun, Errands
from workbench.core.artifacts import Artifact
from workbench.core.events import AnyEvent, Draft, Event, Kind
from workbench.core.outcome import Outcome, advance
from workbench.core.progress import OPEN, State
from workbench.notebook import kernel
from workbench.render import bundle, clean_text, escape, framed

if TYPE_CHECKING:
    from workbench.inkernel import OnThread
    from workbench.policy.approval import Approver
    from workbench.run import Run

SECONDS_BETWEEN = 0.1
"""At most ten updates of a panel a second, …"""
UPDATES = 50
"""… and at most so many of all panels together: a server turns away a kernel that says too much."""
NOTHING = "Nothing was run."
UNFINISHED = "Running, or never finished: the result takes the place of this line."
_live: weakref.WeakSet[Display] = weakref.WeakSet()
"""The displays that a panel shows now."""


class Display:
    """The output of one `%agent`; a `silent` one is none. Made on the cell's thread; `listen` and `watch` run on the
    event loop."""

    def __init__(self, shell: Any, *, headless: bool | None = None, silent: bool = False) -> None:
        self._shell = shell
        self.silent = silent
        self.cell: int | None = getattr(shell, "execution_count", None)
        """The number of the cell."""
        self.errands: Errands | None = None
        """What the cell's thread does for the run while it waits; None when it does not wait."""
        self._front = kernel.front(shell, headless)
        self.outcome = Outcome(run="")
        """What was heard of the run so far."""
        self.began = threading.Event()
        """Set by the first event of the run, or by its end."""
        self.begun: Begun[Run] = Begun()
        """What holds the work, to be waited for or left."""
        self.begun.ended.add_done_callback(lambda _: self.began.set())
        self._cancelling = False
        self.consent: Approver | None = None
        """What asks in the panel; None where it cannot."""
        self.takes_lines = kernel.takes_lines(shell)
        """Whether a line of text can be asked for while the cell runs."""
        self.hears = False
        """Whether a click arrives while a cell is busy."""
        self.was_left = False
        """Whether the page that asked has gone, so that the cell did not wait any longer."""
        self._waiting: str | None = None
        self._panel: Any = None
        self._handle: Any = None
        self._draft: Draft | None = None
        self._drawn = 0.0
        self._pending: asyncio.TimerHandle | None = None
        if self._front == "live" and not silent:
            try:
                self._show_panel()
            except Exception:  # noqa: BLE001 - widgets that are missing or broken must not cost the run
                self._drop_panel()
            except KeyboardInterrupt:
                self._drop_panel()
                raise

    @property
    def asks(self) -> bool:
        """Whether somebody is there to answer a question."""
        return self._front != "headless"

    @property
    def is_live(self) -> bool:
        """Whether a panel is there to show what happens."""
        return self._panel is not None

    @property
    def is_stuck(self) -> bool:
        """Whether the panel asks something that nobody can answer while a cell is busy."""
        return not self.hears and self._panel is not None and self._panel.board.consent.shown is not None

    async def is_seen(self) -> bool:
        """Whether a page shows the panel."""
        return self._panel is not None and await self._panel.board.is_seen()

    async def is_left(self) -> None:
        """Return when no page shows the panel any more, where there is one."""
        if self._panel is not None:
            await self._panel.board.presence.gone()
            self.was_left = True

    @property
    def waits_unseen(self) -> bool:
        """Whether the run asks something in a panel whose page has gone."""
        return self.was_left and self._panel is not None and self._panel.board.consent.shown is not None

    def _show_panel(self) -> None:
        from workbench.notebook.panels import run as panel

        self._panel = panel.make(self.outcome, self.cancel, self._draw_soon)
        self.hears = kernel.route_clicks(self._shell, self._panel.comm)
        self._panel.can_cancel = self._panel.board.hears = self.hears
        self.consent = self._panel.board.consent
        self.show_here()
        _live.add(self)

    def show_here(self) -> None:
        """Show the panel in the cell that runs now, and the result in its place at the end."""
        from IPython.display import display

        if self._panel is None:
            return
        data, metadata = self._panel._repr_mimebundle_()
        # The text is what stands there without widgets, and for good when the kernel dies before the end.
        self._handle = display(  # type: ignore[no-untyped-call]  # IPython leaves this one untyped
            {**data, "text/plain": UNFINISHED, "text/html": f"<p>{UNFINISHED}</p>"},
            metadata=metadata,
            raw=True,
            display_id=True,
        )

    @property
    def on_thread(self) -> OnThread | None:
        """What has the cell's thread make a call."""
        return self.errands.run if self.errands is not None else None

    def go_on(self) -> None:
        """No cell waits for the run any more: a click arrives when the kernel is free, at the latest."""
        self.errands = None
        if self._panel is not None:
            self._panel.can_cancel = self._panel.board.hears = True

    def _drop_panel(self) -> None:
        panel, self._panel = self._panel, None
        _live.discard(self)
        if panel is not None:
            with suppress(Exception):
                panel.close()

    def cancel(self) -> None:
        """Stop the work. From any thread."""
        self._cancelling = True
        self.begun.cancel()
        bridge.loop().call_soon_threadsafe(self._draw_soon)

    def still(self) -> None:
        """Draw nothing more. On the event loop."""
        if self._pending is not None:
            self._pending.cancel()

    def listen(self, event: AnyEvent) -> None:
        """Hear an event; the panel is drawn at once or a little later, and always once more at the end of a burst."""
        if not isinstance(event, Event):
            return
        self.began.set()
        self.outcome = advance(self.outcome, event)
        if self._panel is not None:
            self._panel.board.hear(event)
        self._draft = None
        if event.kind is not Kind.RUN_DONE:  # the answer is shown when it is on disk: see `finish`
            self._draw_soon()

    def watch(self, draft: Draft) -> None:
        """See what a model has said so far; events, which are final, take its place."""
        self._draft = draft
        self._draw_soon()

    @contextmanager
    def waiting(self, step: str) -> Iterator[None]:
        """While a line of text is asked for, the panel says that it waits, and which `step` does ("" for none); when
        that is given up, its field goes."""
        self._waiting = step
        self._draw_soon()
        try:
            yield
        except asyncio.CancelledError:
            if self._handle is None:
                kernel.forget_line(self._shell)
            raise
        finally:
            self._waiting = None
            self._draw_soon()

    def _draw_soon(self) -> None:
        if self._panel is not None and self._pending is None:
            between = max(SECONDS_BETWEEN, len(_live) / UPDATES)
            wait = max(0.0, self._drawn + between - time.monotonic())
            self._pending = asyncio.get_running_loop().call_later(wait, self._draw)

    def _draw(self) -> None:
        self._pending, self._drawn = None, time.monotonic()
        if self._panel is not None:
            board = self._panel.board
            board.draw(self.outcome, self._draft, cancelling=self._cancelling, waiting=self._waiting)

    def finish(self, run: Run | None, *, said: Sequence[str] = (), here: bool = True) -> None:
        """Put the result in the panel's place, or show it for the first time. None when the run gave no last word: then
        what the panel has heard is kept. `here`: whether the cell waits, and says itself what was wrong; else `said`
        does."""
        outcome, load = (run.outcome, run.load) if run is not None else (_stopped(self.outcome), _no_file)
        data, metadata = bundle(replace(outcome, problem=None), load)  # what was wrong is said below
        known = outcome.plan is not None or outcome.cost.calls > 0
        if not known:  # there is no plan to keep and no cost to tell
            data, metadata = {"text/plain": NOTHING, "text/html": f"<p>{NOTHING}</p>"}, {}
        if self._front == "terminal" and not here:  # between other lines: whose result it is
            data = data | {"text/plain": f"In the background: {clean_text(outcome.request)}\n\n{data['text/plain']}"}
        data = _with(data, said)
        self._show(data, metadata, worth_it=known or bool(said))
        if run is not None and here:
            run.shown_in = self.cell
        if self._panel is not None and self._panel.board.presence.lost_one:
            # A page that was loaded anew does not know which output is meant: it gets the result by the panel.
            bridge.loop().call_soon_threadsafe(self._panel.board.end, self._panel.model_id, data, metadata)
            self._panel = None
            _live.discard(self)
        self._drop_panel()

    def _show(self, data: dict[str, str], metadata: dict[str, Any], *, worth_it: bool) -> None:
        from IPython.display import display

        if self.silent:
            return
        if self._handle is not None:
            self._handle.update(data, metadata=metadata, raw=True)
        elif worth_it and self._front == "terminal":
            print(data["text/plain"])  # noqa: T201 - a terminal shows text
        elif worth_it:
            display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]  # as above


def _stopped(outcome: Outcome) -> Outcome:
    """The outcome of a run that was left before it ended: what was open will not be done."""
    steps = tuple(replace(step, state=State.CANCELLED) if step.state in OPEN else step for step in outcome.steps)
    return replace(outcome, steps=steps, status="cancelled" if outcome.status == "running" else outcome.status)


def _with(data: dict[str, str], lines: Sequence[str]) -> dict[str, str]:
    """What a cell shows, with lines of text below it."""
    if not lines:
        return data
    text, inner = "\n".join(map(clean_text, lines)), "<br>".join(map(escape, lines))
    return {
        "text/plain": f"{data['text/plain']}\n\n{text}",
        "text/html": data["text/html"] + framed(f'<p role="alert">{inner}</p>'),
    }


def _no_file(artifact: Artifact) -> None:
    """The files of a run that gave no last word are not shown."""
