"""One run of a panel on its way: begun, watched, asked about, stopped, ended. It knows no widget.

Everything here happens on the event loop. A question of the run waits until a person answers it in the panel; the
answer names the question, so that one that comes late answers nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal

from workbench.core.errors import Cancelled, Refused, WorkbenchError
from workbench.notebook.panels.live import Live
from workbench.notebook.panels.messages import said
from workbench.policy.approval import Asked, Decision

if TYPE_CHECKING:
    from workbench.core.events import AnyEvent, Listener, Watcher
    from workbench.policy.approval import Approver
    from workbench.run import Run

State = Literal["idle", "planning", "waiting", "running", "stopping", "done", "failed", "cancelled", "budget"]
"""waiting: a person is asked, for the steps or one call. stopping: it was told to stop and has not yet. The last four
are ends, as those of a run."""

UNDER_WAY: frozenset[State] = frozenset({"planning", "waiting", "running", "stopping"})


class Course:
    """One run. On the loop `draw` is called when there is something new to draw, not too often, and `moved` at once
    when state or plan may be others. `asks`: whether a person is asked before its steps."""

    def __init__(self, draw: Callable[[], None], moved: Callable[[], None], *, asks: bool = False) -> None:
        self.live = Live(draw)
        self._moved = moved
        self.run: Run | None = None
        self.problem: Mapping[str, str] = {}
        """What went wrong, as `messages.said` tells it; empty when nothing has."""
        self.question: Asked | None = None
        self.number = 0
        """The number of the newest question."""
        self._asks = asks
        self._ended: State | None = None
        self._stopping = False
        self._answer: asyncio.Future[Decision] | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def state(self) -> State:
        if self._ended is not None:
            return self._ended
        if self._stopping:
            return "stopping"
        if self.question is not None:
            return "waiting"
        seen = self.live.outcome.plan is not None and not (self._asks and self.number == 0)
        return "running" if seen else "planning"

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def has_begun(self) -> bool:
        """Whether a step may have run: not while a person is asked about the first steps."""
        asked = self.question
        return asked is None or asked.call is not None or asked.step is not None or asked.round > 1

    async def follow(self, work: Callable[[Approver, Listener, Watcher], Coroutine[Any, Any, Run]]) -> Run | None:
        """Run it to its end. What goes wrong is told by `problem`, with what had come of the run by then; None when
        nothing had. Never raises but when it is cancelled from outside of `stop`."""
        self._task = asyncio.current_task()
        try:
            self.run = await work(self._approve, self._listen, self.live.watch)
            self._ended = _end(self.run)
        except WorkbenchError as error:
            self.run = error.run
            self._ended = "cancelled" if isinstance(error, Cancelled) else _end(self.run)
            self.problem = said(error)
        except asyncio.CancelledError:
            self._ended, self.problem = "cancelled", {"problem": "Stopped before anything was run.", "hint": ""}
            if not self._stopping:
                raise
        except Exception as bug:
            self._ended, self.problem = "failed", said(bug)
            raise
        finally:
            self.live.stop()
            self.question = None
        return self.run

    def stop(self) -> None:
        """Stop it; finished steps are kept. A second time changes nothing."""
        if self._ended is None and not self._stopping and self._task is not None:
            self._stopping = True
            self._task.cancel()
            self._changed()

    def answer(self, number: int, decision: Decision) -> None:
        """Answer the question of that number. Raises Refused when it is not open any more."""
        if self._answer is None or self._answer.done() or number != self.number:
            raise Refused("This question is not open any more.", hint="What the panel shows now is in force.")
        self._answer.set_result(decision)

    async def _approve(self, asked: Asked) -> Decision:
        self.question, self.number = asked, self.number + 1
        self._answer = asyncio.get_running_loop().create_future()
        self._changed()
        try:
            return await self._answer
        finally:
            self.question, self._answer = None, None
            self._changed()

    def _listen(self, event: AnyEvent) -> None:
        self.live.listen(event)
        self._moved()

    def _changed(self) -> None:
        self.live.soon()
        self._moved()


def _end(run: Run | None) -> State:
    """How a run ended; one that never was has failed."""
    if run is None:
        return "failed"
    ended = run.status
    return ended if ended in ("done", "failed", "cancelled", "budget") else "done"  # type: ignore[return-value]
