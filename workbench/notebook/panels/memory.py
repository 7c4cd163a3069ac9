"""The memory panel: what is remembered, searched with scores and reasons; pinned, forgotten, added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.notebook.panels import widget
from workbench.notebook.panels.messages import COUNT, FLAG, LINE, Verb
from workbench.notebook.panels.parts import script, style
from workbench.notebook.remembered import how, origin, state
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.memory.base import Hit
    from workbench.workbench import Workbench

ABOUT = "A panel that showed what is remembered. workbench.panel('memory') shows it again; so does %workbench memory."
PAGE = 20
_FOUND = 200
"""Memories that one search looks through at most."""


@cache
def panel_class() -> type[Any]:
    """The widget's class."""

    class MemoryPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """What is remembered."""

        _esm = script("asks", "list", "memory")
        _css = style("desk")

        def __init__(self, workbench: Workbench) -> None:
            super().__init__(about=ABOUT, verbs=Shelf(workbench).verbs(), on_bug=workbench.log.bug)

    return MemoryPanel


class Shelf:
    """What the panel's page may ask."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    def verbs(self) -> dict[str, Verb]:
        from workbench.memory.remember import KINDS

        kind = {"type": "string", "enum": list(KINDS)}
        return {
            "list": Verb(do=self._list, takes={"text": LINE, "start": COUNT}),
            "pin": Verb(do=self._pin, takes={"name": LINE, "pinned": FLAG}),
            "forget": Verb(do=self._forget, takes={"name": LINE}),
            "add": Verb(do=self._add, takes={"text": LINE, "kind": kind, "pinned": FLAG}),
            "kinds": Verb(do=self._kinds),
        }

    async def _list(self, text: str, start: int) -> Mapping[str, Any]:
        """A page of what answers a question, best first; of all that is remembered, newest first, when it is empty."""
        asks = bool(text.strip())
        hits = await (self._workbench.memories.recall(text, _FOUND) if asks else self._workbench.memories.all())
        return {
            "rows": [row(hit, scored=asks) for hit in hits[start : start + PAGE]],
            "total": len(hits),
            "start": start,
            "page": PAGE,
            "note": clean_text(self._note(text, hits)),
        }

    def _note(self, text: str, hits: Sequence[Hit]) -> str:
        compares = how(self._workbench)
        if hits:
            return compares
        about = f"about {text.strip()}. {compares}" if text.strip() else "yet."
        return f"Nothing is remembered {about}"

    async def _pin(self, name: str, pinned: bool) -> Mapping[str, str]:
        hit = await self._workbench.memories.pin(name, pinned)
        return {"said": f"{'Pinned' if pinned else 'No longer pinned'}: {clean_text(hit.text)[:200]}"}

    async def _forget(self, name: str) -> Mapping[str, str]:
        hit = await self._workbench.memories.forget(name)
        return {"said": f"Forgotten: {clean_text(hit.text)[:200]}"}

    async def _add(self, text: str, kind: str, pinned: bool) -> Mapping[str, str]:
        kept = await self._workbench.memories.remember(text, kind=kind, pinned=pinned)
        said = "Remembered" if kept.became == "new" else "Known already"
        closed = f" It takes the place of: {kept.closed[0].text}" if kept.closed else ""
        return {"said": clean_text(f"{said}: {kept.text[:200]}.{closed}".replace("..", "."))}

    async def _kinds(self) -> list[Mapping[str, str]]:
        from workbench.memory.remember import KINDS

        return [{"name": name, "what": what} for name, what in KINDS.items()]


def row(hit: Hit, *, scored: bool) -> dict[str, Any]:
    """A memory as its row."""
    return {
        "id": hit.id,
        "text": clean_text(hit.text, keep_lines=True),
        "kind": clean_text(hit.kind),
        "score": f"{hit.score:.2f}" if scored else "",
        "why": clean_text(f"{hit.why} ({hit.recall} recall)") if scored else "",
        "from": clean_text(origin(hit)),
        "since": hit.at[:10],
        "state": clean_text(state(hit)),
        "pinned": hit.pinned,
        "closed": bool(hit.closed_by),
    }
