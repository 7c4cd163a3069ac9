"""The tools panel: every tool with what it takes and may do, whether it is trusted, and a form to try it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from workbench.core import schema
from workbench.core.errors import Refused, Untrusted
from workbench.notebook import kernel
from workbench.notebook.panels import widget
from workbench.notebook.panels.desk import Desk
from workbench.notebook.panels.messages import COUNT, LINE, Verb
from workbench.notebook.panels.parts import script, style
from workbench.notebook.panels.request import namespace
from workbench.offer import frozen
from workbench.registry.grants import asks_for, may
from workbench.registry.trust import Trust
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.core.tools import ToolSpec
    from workbench.registry.discover import Found
    from workbench.workbench import Workbench

ABOUT = "A panel that showed the tools. workbench.panel('tools') shows it again; so does %workbench tools."
PAGE = 20
EFFECTS = {
    "read": "changes nothing",
    "idempotent": "changes something; twice is as good as once",
    "write": "changes something; is never repeated by itself",
}
WHERE = {
    "worker": "in a worker of its own",
    "kernel": "in this kernel: nothing confines it",
    "server": "on a server of others: nothing confines it",
}


@cache
def panel_class() -> type[Any]:
    """The widget's class."""
    import traitlets

    class ToolsPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """The tools. `state` and `run` are those of the tool that was tried last, and may be observed."""

        _esm = script("asks", "fields", "plan", "question", "steps", "results", "list", "tools")
        _css = style("plan", "steps", "results", "desk")
        state = traitlets.Unicode("idle")
        run = traitlets.Any(None, allow_none=True)

        def __init__(self, workbench: Workbench) -> None:
            bench = Bench(workbench, self)
            super().__init__(about=ABOUT, verbs=bench.verbs(), on_bug=workbench.log.bug, view=bench.view())

    return ToolsPanel


class Bench(Desk):
    """What the panel's page may ask."""

    def verbs(self) -> dict[str, Verb]:
        return super().verbs() | {
            "list": Verb(do=self._list, takes={"text": LINE, "start": COUNT}),
            "show": Verb(do=self._show, takes={"name": LINE}),
            "try": Verb(do=self._try, takes={"name": LINE, "params": {"type": "object"}}),
        }

    async def _list(self, text: str, start: int) -> Mapping[str, Any]:
        found = await asyncio.to_thread(self.workbench.found)
        words = text.casefold().split()
        rows = [
            row
            for row in listed(found)
            if all(word in f"{row['name']} {row['summary']} {row['origin']}".casefold() for word in words)
        ]
        return {
            "rows": rows[start : start + PAGE],
            "total": len(rows),
            "start": start,
            "page": PAGE,
            "note": "" if rows else f"There is no tool with {clean_text(text.strip())!r} in its name or line.",
            "notes": [clean_text(note) for note in (*found.problems, *found.shadowed)],
        }

    async def _show(self, name: str) -> Mapping[str, Any]:
        """One tool, whole."""
        settings = self.workbench.settings
        found = await asyncio.to_thread(self.workbench.found)
        spec = _named(found, name)
        waits = name not in found.tools
        trust = Trust(settings.config, settings.project)
        return {
            "name": spec.name,
            "summary": clean_text(spec.summary),
            "description": clean_text(spec.description, keep_lines=True),
            "facts": _facts(spec),
            "examples": [clean_text(example) for example in spec.examples],
            "params": spec.params,
            "waits": clean_text(
                f"Not trusted yet. {asks_for(spec, trust)} Read it, then in a terminal: workbench trust {spec.path}"
            )
            if waits
            else "",
            "tables": [f"@{table}" for table in _tables()],
        }

    def _try(self, name: str, params: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        # Here, where the click arrives: the tables are those of this moment.
        frames = frozen(_tables())
        notebook = kernel.notebook(kernel.shell())

        async def begin() -> None:
            found = await asyncio.to_thread(self.workbench.found)
            spec = _named(found, name)
            if name not in found.tools:
                raise Untrusted(f"{name} is not trusted yet.", hint=f"Read it, then: workbench trust {spec.path}")
            if problems := list(schema.check(params, spec.params, spec.name)):
                raise Refused(clean_text("; ".join(problems))[:600], hint="The form shows what it takes.")
            ask = partial(self.workbench.run_tool, name, params, variables=frames, named=tuple(frames))
            await self.begin(partial(ask, notebook=notebook), asks=False)

        return begin()


def listed(found: Found) -> list[dict[str, str]]:
    """Every tool as its row; those that wait for trust last."""
    return [
        {
            "name": spec.name,
            "summary": clean_text(spec.summary),
            "origin": spec.origin,
            "effect": spec.effect,
            "trust": trust,
            "key": f"{trust} {spec.name}",
        }
        for trust, tools in (("may be used", found.tools), ("not trusted yet", found.untrusted))
        for _, spec in sorted(tools.items())
    ]


def _named(found: Found, name: str) -> ToolSpec:
    spec = found.tools.get(name) or found.untrusted.get(name)
    if spec is None:
        raise Refused(f"There is no tool {clean_text(name)[:60]} any more.", hint="Search again.")
    return spec


def _facts(spec: ToolSpec) -> list[tuple[str, str]]:
    """What a person wants to know before they let a tool run, by name."""
    facts = [
        ("effect", f"{spec.effect}: {EFFECTS[spec.effect]}"),
        ("may use", may(spec)),
        ("runs", WHERE[spec.runs]),
        ("stops after", f"{spec.timeout:g} seconds"),
        ("comes from", f"{spec.origin}: {spec.path}" if spec.path else spec.origin),
        ("version", spec.version[:12]),
    ]
    if spec.isolation:
        facts.insert(3, ("needs", f"isolation level {spec.isolation}"))
    return [(name, clean_text(said)) for name, said in facts]


def _tables() -> dict[str, Any]:
    from workbench.notebook.attached import tables

    return tables(namespace())
