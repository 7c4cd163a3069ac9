"""What a panel does that runs something: one run at a time, asked about, watched and stopped in the panel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused
from workbench.notebook.panels import question, results, shown
from workbench.notebook.panels.course import Course
from workbench.notebook.panels.messages import COUNT, JSON, LINE, Verb
from workbench.policy.approval import Decision

if TYPE_CHECKING:
    from workbench.core.events import Listener, Watcher
    from workbench.policy.approval import Approver
    from workbench.run import Run
    from workbench.workbench import Workbench

Ask = Callable[..., "Coroutine[Any, Any, Run]"]
"""`Workbench.ask` or one like it, with all but `approver`, `rounds`, `listeners` and `watchers`."""
FILLED: Mapping[str, Any] = {"type": "object", "additionalProperties": LINE}


class Desk:
    """The runs of one panel. `panel` is its widget; where that has the traits `state`, `plan` and `run` they are kept,
    in a thread of their own: whoever observes them may wait."""

    def __init__(self, workbench: Workbench, panel: Any) -> None:
        self.workbench = workbench
        self._panel = panel
        self._course: Course | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._telling = ThreadPoolExecutor(1, thread_name_prefix="workbench-panel")
        self._told: dict[str, Any] = {}

    def verbs(self) -> dict[str, Verb]:
        """What a page may ask of a run."""
        return {
            "approve": Verb(do=self._approve, takes={"number": COUNT}, may={"plan": JSON, "filled": FILLED}),
            "deny": Verb(do=self._deny, takes={"number": COUNT}),
            "check": Verb(do=self._check, takes={"plan": JSON}),
            "result": Verb(do=self._result, takes={"message": {"type": "object"}}),
            "cancel": Verb(do=self.stop),
        }

    def view(self) -> dict[str, Any]:
        """What the page draws of the run, as JSON."""
        return shown.course(self._course)

    def room(self, asks: bool) -> Course:
        """A course for a new run; on the loop. A plan that was only looked at makes room for it. Raises Refused while
        steps run."""
        if self._course is not None and self._course.is_under_way:
            if self._course.has_begun:
                raise Refused("A run is under way in this panel.", hint="Cancel it, or open another panel.")
            self._course.stop()
        self._course = Course(self.draw, self._moved, asks=asks)
        self._tell(plan=None, run=None)
        self.draw()
        self._moved()
        return self._course

    async def begin(self, ask: Ask, *, asks: bool) -> None:
        """Start a run and return. Raises Refused while another is under way."""
        task = asyncio.create_task(self.follow(self.room(asks), ask, asks))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def follow(self, course: Course, ask: Ask, asks: bool) -> Run | None:
        """A run to its end; None when nothing came of it."""

        def work(approver: Approver, listen: Listener, watch: Watcher) -> Coroutine[Any, Any, Run]:
            return ask(approver=approver, rounds=asks, listeners=(listen,), watchers=(watch,))

        try:
            return await course.follow(work)
        except Exception as bug:  # noqa: BLE001 - it is told in the panel, and stands in the log
            self.workbench.log.bug(bug)
            return None
        finally:
            if self._course is course:
                if course.run is not None:
                    self._tell(run=course.run)
                self.draw()
                self._moved()

    async def decide(self, decision: Decision) -> None:
        """Answer what is asked now. Raises Refused when nothing is."""
        self._open().answer(self._open().number, decision)

    async def stop(self) -> None:
        """Stop what is under way."""
        if self._course is not None:
            self._course.stop()

    def draw(self) -> None:
        """Draw what is new."""
        self._panel.view = self.view()

    def _moved(self) -> None:
        """Tell those who observe what is new."""
        if (course := self._course) is not None:
            if course.live.outcome.plan is not None:
                self._tell(plan=course.live.outcome.plan)
            self._tell(state=course.state)

    def _tell(self, **traits: Any) -> None:
        new = {name: value for name, value in traits.items() if self._told.get(name) is not value}
        self._told |= new
        if new := {name: value for name, value in new.items() if self._panel.has_trait(name)}:
            self._telling.submit(copy_context().run, partial(self._set, new))

    def _set(self, traits: Mapping[str, Any]) -> None:
        for name, value in traits.items():
            try:
                setattr(self._panel, name, value)
            except Exception as error:  # noqa: BLE001 - the code of somebody who observes
                self.workbench.log.bug(error)

    def _open(self) -> Course:
        if self._course is None or self._course.question is None:
            raise Refused("This panel asks nothing now.", hint="What it shows now is in force.")
        return self._course

    async def _approve(self, number: int, plan: Any = None, filled: Mapping[str, Any] | None = None) -> None:
        course = self._open()
        course.answer(number, question.decision(course.question, plan, filled or {}))

    async def _deny(self, number: int) -> None:
        self._open().answer(number, Decision(answer="deny", by="user"))

    async def _check(self, plan: Any) -> Mapping[str, Any]:
        return question.checked(self._open().question, plan)

    async def _result(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._course is None or self._course.run is None:
            raise Refused("This panel shows no result now.", hint="Run a request first.")
        return await results.answer(self._course.run, message)
