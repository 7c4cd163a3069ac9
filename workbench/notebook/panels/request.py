"""The request panel: a request, the plan that comes of it, the steps while they run, and the result, in one widget.

No cell waits for it. Its run goes on in the background; tables are those of the namespace at the moment of the click.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from workbench import bridge
from workbench.core.errors import Refused
from workbench.notebook import kernel
from workbench.notebook import line as lines
from workbench.notebook.panels import results, shown, widget
from workbench.notebook.panels.course import Course
from workbench.notebook.panels.messages import COUNT, FLAG, JSON, LINE, TEXT, Verb
from workbench.notebook.panels.parts import script, style
from workbench.policy.approval import Decision
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.core.events import Listener, Watcher
    from workbench.policy.approval import Approver
    from workbench.run import Run
    from workbench.workbench import Workbench

Ask = Callable[..., "Coroutine[Any, Any, Run]"]
ABOUT = "A panel for requests, which its kernel kept alive. workbench.panel() in a cell shows a new one."
FIELDS = ("request", "persona", "model", "budget")
FILLED = {"type": "object", "additionalProperties": LINE}
MAX_HISTORY, MAX_COMPLETIONS = 50, 50
_TYPED = re.compile(r"(?<![\w.@/])@(\w*)\Z")
_LOOKED_AT = 300
"""Runs that are looked through for the requests of this notebook."""


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since its base takes a while to import."""
    import traitlets

    class RequestPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """Ask by it: `panel.request = "…"; panel.submit()`. `plan`, `state` and `run` may be observed; whoever does is
        called in a thread of the panel's own, in order, and may wait."""

        _esm = script("asks", "question", "box", "results", "request")
        _css = style("results", "desk")
        request = traitlets.Unicode().tag(sync=True)
        persona = traitlets.Unicode().tag(sync=True)
        model = traitlets.Unicode().tag(sync=True)
        budget = traitlets.Unicode().tag(sync=True)
        state = traitlets.Unicode("idle")
        plan = traitlets.Any(None, allow_none=True)
        run = traitlets.Any(None, allow_none=True)

        def __init__(self, workbench: Workbench) -> None:
            self._desk = Desk(workbench, self)
            super().__init__(about=ABOUT, verbs=self._desk.verbs(), on_bug=workbench.log.bug, view=self._desk.view())

        def submit(self, *, ask: bool = True) -> Future[Run | None]:
            """Plan the request, show the steps and run them once they are approved, as the button Plan does; without
            `ask` run them at once, as Run does. The future holds the run when it is over, None when nothing came of
            it; what went wrong stands in the panel and in `run.outcome.problem`. Raises Refused."""
            return self._desk.begin(ask=ask)

        def approve(self) -> None:
            """Say yes to what the panel asks. Raises Refused when it asks nothing."""
            self._desk.decide(Decision(answer="allow", by="user"))

        def deny(self) -> None:
            """Say no to it. Raises Refused when it asks nothing."""
            self._desk.decide(Decision(answer="deny", by="user"))

        def cancel(self) -> None:
            """Stop what is under way; finished steps are kept."""
            self._desk.cancel()

    return RequestPanel


class Desk:
    """What a request panel does. `panel` is its widget."""

    def __init__(self, workbench: Workbench, panel: Any) -> None:
        self._workbench = workbench
        self._panel = panel
        self._course: Course | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._telling = ThreadPoolExecutor(1, thread_name_prefix="workbench-panel")
        self._told: dict[str, Any] = {}

    def verbs(self) -> Mapping[str, Verb]:
        """What its page may ask."""
        fields = {name: TEXT if name == "request" else LINE for name in FIELDS}
        return {
            "write": Verb(do=self._write, may=fields),
            "submit": Verb(do=self._submit, takes={"asks": FLAG}, may=fields),
            "approve": Verb(do=self._approve, takes={"number": COUNT}, may={"plan": JSON, "filled": FILLED}),
            "deny": Verb(do=self._deny, takes={"number": COUNT}),
            "result": Verb(do=self._result, takes={"message": {"type": "object"}}),
            "cancel": Verb(do=self._stop),
            "choices": Verb(do=self._choices),
            "history": Verb(do=self._history),
            "complete": Verb(do=self._complete, takes={"text": TEXT}),
        }

    def begin(self, *, ask: bool) -> Future[Run | None]:
        """Serve the request that stands in the panel. Raises Refused when it names what is not there."""
        work = self._work()

        async def begin() -> Run | None:
            return await self._follow(self._room(ask), work, ask)

        return bridge.submit(begin())

    def decide(self, decision: Decision) -> None:
        """Answer what is asked now, from any thread that may wait. Raises Refused."""

        async def answer() -> None:
            self._open.answer(self._open.number, decision)

        bridge.wait(answer())

    def cancel(self) -> None:
        """Stop what is under way, from any thread that may wait."""
        bridge.wait(self._stop())

    def view(self) -> dict[str, Any]:
        """What the page draws, as JSON."""
        return shown.course(self._course)

    def _work(self) -> Ask:
        """What serves the request, with the tables of the namespace as they are now."""
        from workbench.notebook.magic import tables

        shell, panel = kernel.shell(), self._panel
        text = panel.request
        if not text.strip():
            raise Refused("The request is empty.", hint="Write what you want, in words.")
        scope = dict(getattr(shell, "user_ns", None) or {})
        offered = tables(scope)
        try:
            names = lines.named(text, offered, scope)
        except lines.BadLine as wrong:
            raise Refused(str(wrong)) from None
        frames = {name: frame.copy(deep=False) for name, frame in offered.items() if not names or name in names}
        return partial(
            self._workbench.ask,
            text,
            variables=frames,
            named=names,
            model=panel.model.strip() or None,
            budget=panel.budget.strip() or None,
            persona=panel.persona.strip(),
            memory=True,
            follows=True,
            notebook=kernel.notebook(shell),
        )

    def _room(self, asks: bool) -> Course:
        """A course for a new request. A plan that was only looked at makes room for it. Raises Refused."""
        if self._course is not None and self._course.is_under_way:
            if self._course.has_begun:
                raise Refused("A run is under way in this panel.", hint="Cancel it, or open another panel.")
            self._course.stop()
        self._course = Course(self._draw, self._moved, asks=asks)
        self._tell(plan=None, run=None)
        self._draw()
        self._moved()
        return self._course

    async def _follow(self, course: Course, ask: Ask, asks: bool) -> Run | None:
        """Serve a request to its end."""

        def work(approver: Approver, listen: Listener, watch: Watcher) -> Coroutine[Any, Any, Run]:
            return ask(approver=approver, rounds=asks, listeners=(listen,), watchers=(watch,))

        try:
            return await course.follow(work)
        except Exception as bug:  # noqa: BLE001 - it is told in the panel, and stands in the log
            self._workbench.log.bug(bug)
            return None
        finally:
            if self._course is course:
                if course.run is not None:
                    self._tell(run=course.run)
                self._draw()
                self._moved()

    def _draw(self) -> None:
        self._panel.view = self.view()

    def _moved(self) -> None:
        """Tell those who observe what is new."""
        if (course := self._course) is not None:
            if course.live.outcome.plan is not None:
                self._tell(plan=course.live.outcome.plan)
            self._tell(state=course.state)

    def _tell(self, **traits: Any) -> None:
        """Set traits that may be observed, in a thread in which whoever observes may wait."""
        new = {name: value for name, value in traits.items() if self._told.get(name) is not value}
        self._told |= new
        if new:
            self._telling.submit(copy_context().run, partial(self._set, new))

    def _set(self, traits: Mapping[str, Any]) -> None:
        for name, value in traits.items():
            try:
                setattr(self._panel, name, value)
            except Exception as error:  # noqa: BLE001 - the code of somebody who observes
                self._workbench.log.bug(error)

    # What the page asks.

    def _write(self, **fields: str) -> Coroutine[Any, Any, None]:
        for name, value in fields.items():
            setattr(self._panel, name, value)
        return _nothing()

    def _submit(self, asks: bool, **fields: str) -> Coroutine[Any, Any, None]:
        for name, value in fields.items():
            setattr(self._panel, name, value)
        ask = self._work()  # here, where the click arrives: the tables are those of this moment

        async def begin() -> None:
            task = asyncio.create_task(self._follow(self._room(asks), ask, asks))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return begin()

    @property
    def _open(self) -> Course:
        if self._course is None or self._course.question is None:
            raise Refused("This panel asks nothing now.", hint="What it shows now is in force.")
        return self._course

    async def _approve(self, number: int, plan: Any = None, filled: Mapping[str, Any] | None = None) -> None:
        self._open.answer(number, shown.decision(self._open.question, filled or {}))

    async def _deny(self, number: int) -> None:
        self._open.answer(number, Decision(answer="deny", by="user"))

    async def _result(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._course is None or self._course.run is None:
            raise Refused("This panel shows no result now.", hint="Run a request first.")
        return await results.answer(self._course.run, message)

    async def _stop(self) -> None:
        if self._course is not None:
            self._course.stop()

    async def _choices(self) -> Mapping[str, Any]:
        return await asyncio.to_thread(choices, self._workbench)

    def _history(self) -> Coroutine[Any, Any, list[str]]:
        here = kernel.notebook(kernel.shell())

        async def requests() -> list[str]:
            rows = await self._workbench.memory.runs(_LOOKED_AT, user=self._workbench.settings.user)
            mine = [
                row["request"]
                for row in rows
                if row.get("request")
                and not row.get("imported")
                and (row.get("session") == self._workbench.session or (here and row.get("notebook") == here))
            ]
            return list(dict.fromkeys(mine))[:MAX_HISTORY]

        return requests()

    def _complete(self, text: str) -> Coroutine[Any, Any, list[Mapping[str, str]]]:
        return _value(completions(text, dict(getattr(kernel.shell(), "user_ns", None) or {})))


def choices(workbench: Workbench) -> dict[str, Any]:
    """What may be chosen, and what is in force when nothing is."""
    from workbench.core.errors import WorkbenchError

    try:
        personas = [
            {"name": clean_text(name), "summary": clean_text(one.summary)[:100]}
            for name, one in workbench.personas().personas.items()
        ]
    except WorkbenchError:  # then there is none to choose
        personas = []
    return {
        "personas": personas,
        "model": clean_text(workbench.status()["model"].partition(" at ")[0].partition(":")[0]),
        "budget": str(workbench.settings.budget or "no limit"),
    }


def completions(text: str, scope: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the `@name` at the end of a text may become, and what each is; nothing when there is none at its end."""
    from workbench.notebook.magic import tables

    typed = _TYPED.search(text)
    if typed is None:
        return []
    return [
        {"name": f"@{name}", "what": f"{_count(len(frame), 'row')}, {_count(len(frame.columns), 'column')}"}
        for name, frame in tables(dict(scope)).items()
        if name.casefold().startswith(typed[1].casefold())
    ][:MAX_COMPLETIONS]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


async def _nothing() -> None:
    """There is nothing to wait for."""


async def _value(value: Any) -> Any:
    return value
