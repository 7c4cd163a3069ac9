"""The run panel: the plan with its states while it runs, what is asked, and Cancel. One widget model, keyed updates, no
build step.

What the page shows is sent whole once, when the panel is made; then only what changes (`picture.Picture`). What a row
unfolds is sent when somebody unfolds it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from workbench import bridge
from workbench.core.events import Draft, Event
from workbench.core.outcome import Outcome
from workbench.notebook.panels import detail
from workbench.notebook.panels.consent import Consent
from workbench.notebook.panels.messages import COUNT, FLAG, JSON, LINE, Verb, begun, number, said
from workbench.notebook.panels.picture import Picture, picture
from workbench.notebook.panels.presence import UNSEEN, Presence
from workbench.notebook.panels.question import checked, decision
from workbench.policy.approval import Decision

__all__ = ["Board", "make", "panel_class", "picture"]


class Board:
    """What stands behind a run panel. `send` takes a message to the page; `on_cancel` and `on_change` are called when
    somebody cancels, and when there is something new to draw beside events. All of it on the event loop, but for
    `heard`.

    `consent` asks in the panel. `hears`: whether clicks arrive while the run goes on; where they do not, nobody can
    unfold a row, so what it holds is sent unasked.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        on_cancel: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
        folder: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.picture = Picture()
        self.consent = Consent(on_change)
        self.presence = Presence(lambda: send({"call": True}))
        self.hears = False
        self._send = send
        self._on_cancel = on_cancel
        self._folder = folder
        self._log = detail.Log()
        self._unfolded: set[str] = set()
        self._outcome = Outcome(run="")
        self._seen = asyncio.Event()
        self._made = time.monotonic()

    async def is_seen(self) -> bool:
        """Whether a page has shown the panel. One that does says so; it has `UNSEEN` seconds for that: a console takes
        widgets, and shows nothing of them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._made + UNSEEN - time.monotonic())):
                await self._seen.wait()
        return self._seen.is_set()

    def hear(self, event: Event) -> None:
        """Keep what an event says of its step."""
        self._log.hear(event)

    def draw(
        self, outcome: Outcome, draft: Draft | None = None, *, cancelling: bool = False, waiting: str | None = None
    ) -> None:
        """Show what is new, if anything is."""
        self._outcome = outcome
        patch = self.picture.update(
            outcome,
            draft,
            cancelling=cancelling,
            waiting=waiting,
            question=None if cancelling else self.consent.shown,
            logged=self._log.has,
        )
        if new := self._log.new(self._unfolded if self.hears else None):
            patch["log"] = new
        if patch:
            self._send({"patch": patch})

    def end(self, model: str, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Give the page what is to stand in the place of the panel, whose widget model has this id: one that was loaded
        after the cell began does not know which output is meant."""
        self.picture.state["end"] = {"model": model, "data": dict(data), "metadata": dict(metadata)}
        self._send({"patch": {"end": self.picture.state["end"], "question": None}})

    def heard(self, content: Any) -> None:
        """Take a message of the page, in whatever thread it comes, and answer it."""
        if isinstance(content, Mapping) and content.get("do") == "cancel":
            self._on_cancel()  # at once, whatever the loop does
        bridge.submit(self._answered(content))

    async def _answered(self, content: Any) -> None:
        asked = number(content)
        try:
            reply: dict[str, Any] = {"value": await begun(content, self._verbs())}
        except Exception as error:  # noqa: BLE001 - told to the page; the run goes on
            reply = dict(said(error))
        if asked:
            self._send({"answer": asked, **reply})

    def _verbs(self) -> Mapping[str, Verb]:
        """What the page may ask."""
        return {
            "cancel": Verb(do=self._nothing),
            "seen": Verb(do=self._shown),
            "leave": Verb(do=self._left),
            "unfold": Verb(do=self._unfold, takes={"step": LINE, "on": FLAG}),
            "check": Verb(do=self._check, takes={"plan": JSON}),
            "approve": Verb(
                do=self._approve, takes={"number": COUNT}, may={"plan": JSON, "filled": {"type": "object"}}
            ),
            "deny": Verb(do=self._deny, takes={"number": COUNT}),
        }

    async def _nothing(self) -> None:
        """A cancellation is done when it is heard."""

    async def _shown(self) -> None:
        self._seen.set()
        self.presence.there()

    async def _left(self) -> None:
        self.presence.leaving()

    async def _unfold(self, step: str, on: bool) -> dict[str, Any]:
        (self._unfolded.add if on else self._unfolded.discard)(step)
        found = next((one for one in self._outcome.steps if one.id == step), None)
        if not on or found is None:
            return {"lines": [], "html": ""}
        html = await asyncio.to_thread(detail.result, found, self._folder())
        return {"lines": self._log.of(step), "html": html}

    async def _check(self, plan: Any) -> dict[str, Any]:
        return checked(self.consent.asked, plan)

    async def _approve(self, number: int, plan: Any = None, filled: Mapping[str, Any] | None = None) -> bool:
        self.consent.answer(number, decision(self.consent.open(number), plan, filled or {}))
        return True

    async def _deny(self, number: int) -> bool:
        self.consent.answer(number, Decision(answer="deny", by="user"))
        return True


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since anywidget takes a while to import."""
    import anywidget
    import traitlets

    from workbench.notebook.panels.parts import script, style

    class RunPanel(anywidget.AnyWidget):
        """Shows one run while it runs. `state` is `Picture.state`, which later messages patch."""

        _esm = script("asks", "fields", "plan", "question", "steps", "run")
        _css = style("plan", "steps", "run")
        state = traitlets.Dict().tag(sync=True)
        can_cancel = traitlets.Bool(False).tag(sync=True)

        def __init__(self, outcome: Outcome, on_cancel: Callable[[], None], on_change: Callable[[], None]) -> None:
            self.board = Board(self.send, on_cancel, on_change, _artifacts)
            self.board.picture.update(outcome)
            super().__init__(state=self.board.picture.state)
            self.on_msg(lambda widget, content, buffers: self.board.heard(content))

        def set_state(self, sync_data: Any) -> None:
            """A page changes nothing by itself: what it wants it says in a message, which is checked."""

    return RunPanel


def make(outcome: Outcome, on_cancel: Callable[[], None], on_change: Callable[[], None] = lambda: None) -> Any:
    """A panel that shows the outcome; it calls `on_cancel` when that is clicked, and `on_change` on the loop when a
    question comes or goes."""
    return panel_class()(outcome, on_cancel, on_change)


def _artifacts() -> Path | None:
    """Where the files of the runs of this kernel lie."""
    from workbench.workbench import current

    folder = getattr(current().settings, "artifacts", None)
    return folder if isinstance(folder, Path) else None
