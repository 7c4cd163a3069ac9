"""What was asked before in the same notebook, so that "and by month?" has something to follow.

A turn is a request and what came of it, folded from the events of its run: nothing is stored twice. The newest turns
are shown to a model as they are; older ones as a summary that grows with them (`rolled`). What stands in answers and
tables came from anywhere, so a plan made beside them is made of their sources too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.core.artifacts import Artifact
from workbench.core.errors import BudgetExceeded, Refused, TransientError, Unavailable, WorkbenchError
from workbench.core.events import AnyEvent, Kind
from workbench.core.outcome import Outcome, fold
from workbench.core.progress import State
from workbench.core.provenance import Source, from_json, to_json
from workbench.core.request import Talk, Turn
from workbench.memory.base import Memory
from workbench.models.base import Model
from workbench.planners.base import Tell
from workbench.planners.recap import recap, requests

KEPT = 4
"""Turns that are shown as they are, at least."""
MOST = 8
"""Turns beyond which the older ones are summarised: not at each request, but four at a time."""
_LOOKED_AT = 60
"""Runs of a user that are looked through for those of a notebook, when a kernel is new."""
_ANSWER, _RESULTS = 800, 12
"""Characters of an answer, and lines of results, that a turn keeps."""


class Conversation:
    """The conversations of one process, by notebook ("" where none is known). `session` is its own: its turns are
    always known; those of earlier sessions of a notebook are read from the memory."""

    def __init__(self, memory: Memory, user: str, session: str) -> None:
        self._memory = memory
        self._user = user
        self._session = session
        self._talks: dict[str, Talk] = {}
        self._read: set[str] = set()

    async def known(self, notebook: str, *, remembers: bool) -> Talk:
        """What was said here before; with `remembers` also in earlier sessions of this notebook."""
        if remembers and notebook and notebook not in self._read:
            self._read.add(notebook)
            try:
                earlier = await self._earlier(notebook)
            except WorkbenchError:  # a request goes on without what it never needed
                earlier = Talk()
            now = self._talks.get(notebook, Talk())
            self._talks[notebook] = replace(earlier, turns=(*earlier.turns, *now.turns))
        return self._talks.get(notebook, Talk())

    async def so_far(self, notebook: str, model: Model, tell: Tell, *, remembers: bool) -> Talk:
        """`known`, with a summary in place of the older turns when there are many: the model's, told as
        `conversation.summarised`; where it gives none, the older requests alone."""
        talk = await self.known(notebook, remembers=remembers)
        if len(talk.turns) <= MOST:
            return talk
        older, newer = talk.turns[:-KEPT], talk.turns[-KEPT:]
        gone = replace(talk, turns=older)
        try:
            summary, sources = await recap(model, gone, tell), gone.made_of
        except (Refused, Unavailable, TransientError, BudgetExceeded):
            summary, sources = requests(gone), talk.sources
        body = {"text": summary, "upto": older[-1].run, "sources": to_json(sources)}
        tell(Kind.CONVERSATION_SUMMARISED, body)
        self._talks[notebook] = Talk(turns=newer, summary=summary, sources=sources)
        return self._talks[notebook]

    def start_anew(self, notebook: str) -> None:
        """Follow nothing that was said here before. The record keeps it."""
        self._read.add(notebook)
        self._talks.pop(notebook, None)

    def hear(self, notebook: str, outcome: Outcome) -> None:
        """Take in a run that is over. One that came to nothing is no turn."""
        if (turn := turn_of(outcome)) is not None:
            talk = self._talks.get(notebook, Talk())
            self._talks[notebook] = replace(talk, turns=(*talk.turns, turn))

    async def _earlier(self, notebook: str) -> Talk:
        """The turns of earlier sessions of a notebook, back to the last fresh start or summary."""
        rows = await self._memory.runs(_LOOKED_AT, user=self._user)
        here = [row["run"] for row in rows if row.get("notebook") == notebook and row.get("session") != self._session]
        turns: list[Turn] = []
        summary: Mapping[str, Any] = {}
        for run in here[: MOST + KEPT]:
            if run == summary.get("upto"):
                break
            events = await self._memory.events(run)
            if (turn := turn_of(await asyncio.to_thread(fold, events))) is not None:
                turns.append(turn)
            summary = summary or _body(events, Kind.CONVERSATION_SUMMARISED) or {}
            if (_body(events, Kind.RUN_STARTED) or {}).get("fresh"):
                break
        return Talk(
            turns=tuple(reversed(turns)),
            summary=str(summary.get("text", "")),
            sources=from_json(summary.get("sources", ())),
        )


def turn_of(outcome: Outcome) -> Turn | None:
    """A run as a turn, None when nothing came of it."""
    if outcome.status not in ("done", "failed") or outcome.plan is None:
        return None
    made = [f"{step.id} {step.title}: {_made(artifact)}" for step in outcome.steps for artifact in step.artifacts]
    lost = [f"{step.id} {step.title}: {step.state}" for step in outcome.steps if step.state is not State.DONE]
    found = outcome.plan_sources.union(*(step.provenance for step in outcome.steps))
    return Turn(
        run=outcome.run,
        request=outcome.request,
        answer=outcome.answer[:_ANSWER],
        results=tuple([*made, *lost][:_RESULTS]),
        sources=frozenset(Source(kind=source.kind, label=source.label) for source in found),  # its steps are not ours
        table=outcome.frames[-1] if outcome.frames else None,
    )


def _made(artifact: Artifact) -> str:
    if artifact.is_frame:
        columns = ", ".join(column.name for column in artifact.columns[:30])
        return f"table of {artifact.rows} rows: {columns}"
    return f"{artifact.noun}: {artifact.alt}" if artifact.noun != "file" else f"file {artifact.title}"


def _body(events: Sequence[AnyEvent], kind: Kind) -> Mapping[str, Any] | None:
    return next((event.body for event in events if event.kind == kind), None)
