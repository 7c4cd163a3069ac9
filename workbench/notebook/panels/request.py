"""The request panel: a request, the plan that comes of it, the steps while they run, and the result, in one widget.

No cell waits for it. Its run goes on in the background; tables are those of the namespace at the moment of the click.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from workbench import bridge
from workbench.core.errors import Refused
from workbench.notebook import config, kernel
from workbench.notebook import line as lines
from workbench.notebook.completion import Sources, named
from workbench.notebook.panels import widget
from workbench.notebook.panels.desk import Ask, Desk
from workbench.notebook.panels.messages import FLAG, LINE, TEXT, Verb
from workbench.notebook.panels.parts import script, style
from workbench.offer import frozen
from workbench.policy.approval import Decision
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.run import Run
    from workbench.workbench import Workbench

ABOUT = "A panel for requests, which its kernel kept alive. workbench.panel() in a cell shows a new one."
FIELDS = ("request", "persona", "model", "budget")
MAX_HISTORY, MAX_COMPLETIONS = 50, 50
_LOOKED_AT = 300
"""Runs that are looked through for the requests of this notebook."""


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since its base takes a while to import."""
    import traitlets

    class RequestPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """Ask by it: `panel.request = "…"; panel.submit()`. `plan`, `state` and `run` may be observed; whoever does is
        called in a thread of the panel's own, in order, and may wait."""

        _esm = script("asks", "fields", "plan", "question", "steps", "box", "results", "request")
        _css = style("plan", "steps", "results", "desk")
        request = traitlets.Unicode().tag(sync=True)
        persona = traitlets.Unicode().tag(sync=True)
        model = traitlets.Unicode().tag(sync=True)
        budget = traitlets.Unicode().tag(sync=True)
        state = traitlets.Unicode("idle")
        plan = traitlets.Any(None, allow_none=True)
        run = traitlets.Any(None, allow_none=True)

        def __init__(self, workbench: Workbench) -> None:
            self._desk = RequestDesk(workbench, self)
            super().__init__(about=ABOUT, verbs=self._desk.verbs(), on_bug=workbench.log.bug, view=self._desk.view())

        def submit(self, *, ask: bool = True) -> Future[Run | None]:
            """Plan the request, show the steps and run them once they are approved, as the button Plan does; without
            `ask` run them at once, as Run does. The future holds the run when it is over, None when nothing came of
            it; what went wrong stands in the panel and in `run.outcome.problem`. Raises Refused."""
            return self._desk.submit(asks=ask)

        def approve(self) -> None:
            """Say yes to what the panel asks. Raises Refused when it asks nothing."""
            bridge.wait(self._desk.decide(Decision(answer="allow", by="user")))

        def deny(self) -> None:
            """Say no to it. Raises Refused when it asks nothing."""
            bridge.wait(self._desk.decide(Decision(answer="deny", by="user")))

        def cancel(self) -> None:
            """Stop what is under way; finished steps are kept."""
            bridge.wait(self._desk.stop())

    return RequestPanel


class RequestDesk(Desk):
    """What a request panel does."""

    def __init__(self, workbench: Workbench, panel: Any) -> None:
        super().__init__(workbench, panel)
        self._names = Sources()

    def verbs(self) -> dict[str, Verb]:
        """What its page may ask."""
        fields = {name: TEXT if name == "request" else LINE for name in FIELDS}
        return super().verbs() | {
            "write": Verb(do=self._write, may=fields),
            "submit": Verb(do=self._submit, takes={"asks": FLAG}, may=fields),
            "choices": Verb(do=self._choices),
            "history": Verb(do=self._history),
            "complete": Verb(do=self._complete, takes={"text": TEXT}),
        }

    def submit(self, *, asks: bool) -> Future[Run | None]:
        """Serve the request that stands in the panel. Raises Refused when it names what is not there."""
        ask = self._work()

        async def begin() -> Run | None:
            return await self.follow(self.room(asks), ask, asks)

        return bridge.submit(begin())

    def _work(self) -> Ask:
        """What serves the request, with the tables of the namespace as they are now."""
        from workbench.notebook.magic import tables

        shell, panel = kernel.shell(), self._panel
        text = panel.request
        if not text.strip():
            raise Refused("The request is empty.", hint="Write what you want, in words.")
        scope = namespace()
        offered = tables(scope)
        try:
            names = lines.named(text, offered, scope)
        except lines.BadLine as wrong:
            raise Refused(str(wrong)) from None
        frames = frozen({name: frame for name, frame in offered.items() if not names or name in names})
        usual = config.of(shell)
        return partial(
            self.workbench.ask,
            text,
            variables=frames,
            named=names,
            model=panel.model.strip() or usual.model or None,
            budget=panel.budget.strip() or usual.budget or None,
            persona=panel.persona.strip() or usual.persona,
            reuse=usual.reuse,
            replay=next((mode for mode in lines.MODES if mode == usual.replay), None),
            memory=True,
            follows=True,
            notebook=kernel.notebook(shell),
        )

    def _write(self, **fields: str) -> Coroutine[Any, Any, None]:
        for name, value in fields.items():
            setattr(self._panel, name, value)
        return _value(None)

    def _submit(self, asks: bool, **fields: str) -> Coroutine[Any, Any, None]:
        for name, value in fields.items():
            setattr(self._panel, name, value)
        # Here, where the click arrives: the tables are those of this moment.
        return self.begin(self._work(), asks=asks)

    def _choices(self) -> Coroutine[Any, Any, Mapping[str, Any]]:
        return asyncio.to_thread(choices, self.workbench, config.of(kernel.shell()))

    def _history(self) -> Coroutine[Any, Any, list[str]]:
        here = kernel.notebook(kernel.shell())

        async def requests() -> list[str]:
            bench = self.workbench
            rows = await bench.memory.runs(_LOOKED_AT, user=bench.settings.user)
            mine = [
                row["request"]
                for row in rows
                if row.get("request")
                and not row.get("imported")
                and (row.get("session") == bench.session or (here and row.get("notebook") == here))
            ]
            return list(dict.fromkeys(mine))[:MAX_HISTORY]

        return requests()

    def _complete(self, text: str) -> Coroutine[Any, Any, list[Mapping[str, str]]]:
        return asyncio.to_thread(completions, text, namespace(), self._names)


def namespace() -> dict[str, Any]:
    """The user's names as they are now, for a thread that is not theirs."""
    return dict(getattr(kernel.shell(), "user_ns", None) or {})


def choices(workbench: Workbench, usual: config.Workbench) -> dict[str, Any]:
    """What may be chosen, and what is in force when nothing is."""
    from workbench.core.errors import WorkbenchError

    try:
        found = workbench.personas().personas.items()
        personas = [{"name": clean_text(name), "summary": clean_text(one.summary)[:100]} for name, one in found]
    except WorkbenchError:  # then there is none to choose
        personas = []
    return {
        "personas": personas,
        "persona": clean_text(usual.persona or "none"),
        "model": clean_text(usual.model or workbench.status()["model"].partition(" at ")[0].partition(":")[0]),
        "budget": clean_text(usual.budget) or str(workbench.settings.budget or "no limit"),
    }


def completions(text: str, scope: Mapping[str, Any], sources: Sources) -> list[Mapping[str, str]]:
    """What the `@name` at the end of a text may become, and what each is; nothing when there is none at its end."""
    offered = named(text, scope, sources)
    found = offered.found if offered is not None else ()
    return [{"name": clean_text(one.text), "what": clean_text(one.what)} for one in found[:MAX_COMPLETIONS]]


async def _value(value: Any) -> Any:
    return value
