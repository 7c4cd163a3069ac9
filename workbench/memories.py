"""What is remembered, for the person whose memory it is: recalled, added to, forgotten, listed and looked through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from workbench.core.errors import Refused, WorkbenchError
from workbench.core.events import Kind, Stream
from workbench.core.request import Scope
from workbench.memory.audit import Finding, audit
from workbench.memory.base import Hit
from workbench.memory.remember import Kept, Note, Remembering, Tell
from workbench.policy.secrets import Secrets

_ASKED, _SHOWN = 20, 5
"""Memories that are looked through for a plan, and those that it gets at most."""
_NEAR = 0.3
"""Likeness below which a text has nothing to do with a request, where meanings are compared."""
_SHORTEST = 4
"""Characters of an id that are enough when only one memory begins so."""


class Memories:
    """The memories of one scope. `stream` makes the stream of events of one act; `secrets` are values that must never
    be remembered."""

    def __init__(
        self,
        remembering: Remembering,
        scope: Callable[[], Scope],
        stream: Callable[[], Stream],
        secrets: Secrets,
    ) -> None:
        self._remembering = remembering
        self._scope = scope
        self._stream = stream
        self._secrets = secrets

    async def recall(self, question: str, limit: int = 5) -> Sequence[Hit]:
        """What answers a question, best first."""
        if not question.strip():
            raise Refused("There is nothing to look for.", hint="Say what, in words.")
        return await self._remembering.memory.recall(question, self._scope(), limit)

    async def for_planning(self, request: str, scope: Scope | None = None) -> tuple[str, ...]:
        """What may matter for a request, best first, in `scope` or in the usual one: only what the user said. Texts
        that tools have remembered come from anywhere, and reach a plan by its own step `recall`. Empty when the memory
        cannot be asked."""
        try:
            hits = await self._remembering.memory.recall(request, scope or self._scope(), _ASKED)
        except WorkbenchError:  # a request goes on without what it never needed
            return ()
        near = (hit for hit in hits if hit.pinned or hit.recall == "lexical" or (hit.cosine or 0) >= _NEAR)
        return tuple(hit.text for hit in near if hit.by in ("user", "model") and not hit.closed_by)[:_SHOWN]

    async def note(self, found: Sequence[tuple[str, str]], tell: Tell, run: str, scope: Scope | None = None) -> None:
        """Remember what a model has taken out of the user's words, kind and text each; keys are never remembered."""
        for kind, text in found:
            if self._secrets.redact(text) == text:
                note = Note(text=text, scope=scope or self._scope(), source=run, by="model", kind=kind)
                await self._remembering.remember(note, tell, run=run)

    async def remember(self, text: str, *, kind: str = "fact", pinned: bool = False, replaces: str = "") -> Kept:
        """What became of a text that the user wants remembered. `replaces`: the memory that it corrects, by its id.
        Raises Refused."""
        if self._secrets.redact(text) != text:
            raise Refused("This holds one of your keys: it is not remembered.", hint="Write it without the key.")
        old = (await self._named(replaces),) if replaces else ()
        note = Note(
            text=text,
            scope=self._scope(),
            source="the user",
            by="user",
            kind=kind,
            pinned=pinned,
            replaces=tuple(hit.id for hit in old),
        )
        return await self._remembering.remember(note, self._stream().tell)

    async def forget(self, name: str) -> Hit:
        """Hide a memory, by its id or the beginning of it, at once and for every process; the memory it was. What says
        exactly the same goes with it. Raises Refused when there is none, or several."""
        gone = await self._named(name)
        tell = self._stream().tell
        for hit in await self._remembering.memory.memories(self._scope()):
            if hit.id == gone.id or hit.text == gone.text:
                tell(Kind.MEMORY_FORGOTTEN, {"id": hit.id, "user": self._scope().user})
        await self._remembering.memory.barrier()
        return gone

    async def pin(self, name: str, pinned: bool = True) -> Hit:
        """Put a memory a little ahead of others, by its id or the beginning of it, or no longer; the memory as it is
        then. Raises Refused when there is none, or several."""
        hit = await self._named(name)
        self._stream().tell(Kind.MEMORY_PINNED, {"id": hit.id, "pinned": pinned, "user": self._scope().user})
        await self._remembering.memory.barrier()
        return replace(hit, pinned=pinned)

    async def all(self) -> Sequence[Hit]:
        """All that is remembered, newest first; also what was closed by a correction."""
        return await self._remembering.memory.memories(self._scope())

    async def audit(self) -> Sequence[Finding]:
        """Duplicates, loops, secrets and what has grown old, the gravest first."""
        return await audit(
            self._remembering.memory,
            self._scope(),
            redact=self._secrets.redact,
            likeness=self._remembering.likeness,
            now=datetime.now(UTC),
        )

    async def _named(self, name: str) -> Hit:
        hits = await self.all()
        named = [hit for hit in hits if hit.id == name] or [
            hit for hit in hits if len(name) >= _SHORTEST and hit.id.startswith(name)
        ]
        if len(named) == 1:
            return named[0]
        if named:
            raise Refused(f"{len(named)} memories begin with {name!r}.", hint="Give more of the id.")
        raise Refused(f"There is no memory {name!r}.", hint="`%workbench memory` lists them with their ids.")
