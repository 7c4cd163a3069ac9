"""What a planner is told of a request: the tables offered, what was asked before, what is remembered.

Everything that can differ from one run of the same notebook to the next comes in here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from workbench.core.errors import BudgetExceeded, Refused, TransientError, Unavailable
from workbench.core.provenance import Sources
from workbench.core.request import Request, Talk
from workbench.models.base import Model
from workbench.parts import Asked, Parts
from workbench.planners.base import Planner
from workbench.planners.extract import extract
from workbench.planners.fixed import FixedPlanner
from workbench.planners.given import GivenPlanner
from workbench.planners.grammar import GrammarPlanner

PREVIOUS = "previous"
"""The name under which a request that follows another is offered the other's last table."""


class Briefing:
    """The briefing for one request. `made`: offered tables that earlier runs have made → what those are made of."""

    def __init__(self, parts: Parts, asked: Asked) -> None:
        self._parts = parts
        self._asked = asked
        self.made: Mapping[str, Sources] = {}

    async def request(self, planner: Planner) -> Request:
        """The request as the planner gets it. The grammar is told of nothing but the tables."""
        asked, parts = self._asked, self._parts
        scope = parts.scope_of(asked)
        remembers = not isinstance(planner, GrammarPlanner | GivenPlanner | FixedPlanner)
        talk = await self._talk() if remembers and asked.follows else Talk()
        return Request(
            text=asked.text,
            scope=scope,
            today=datetime.now().astimezone().date().isoformat(),
            talk=talk,
            variables=await asyncio.to_thread(asked.offer.variables),
            connections=tuple((name, there.kind) for name, there in sorted(parts.settings.connections.items())),
            memories=await parts.memories.for_planning(asked.text, scope) if remembers and self._may_recall else (),
        )

    async def note(self) -> None:
        """Remember what the user's words say for good, where they have switched that on."""
        asked, parts = self._asked, self._parts
        model = self._model()
        if parts.settings.extract and self._may_recall and model is not None:
            tell, scope = asked.stream.tell, parts.scope_of(asked)
            with suppress(Refused, Unavailable, TransientError, BudgetExceeded):  # the answer is there all the same
                await parts.memories.note(await extract(model, asked.text, tell), tell, asked.stream.run, scope)

    async def _talk(self) -> Talk:
        """What was asked here before; its last table is offered as `previous`."""
        asked, parts = self._asked, self._parts
        model = self._model()
        if model is None:
            return Talk()
        talk = await parts.conversation.so_far(asked.notebook, model, asked.stream.tell, remembers=asked.memory)
        table = talk.turns[-1].table if talk.turns else None
        if table is not None and await asyncio.to_thread(asked.offer.add, PREVIOUS, table, parts.settings.artifacts):
            self.made = {PREVIOUS: talk.made_of}
        return talk

    @property
    def _may_recall(self) -> bool:
        """Whether the memory has a part in this request: the user wants it, and so does the persona."""
        persona = self._asked.persona
        return self._asked.memory and (persona is None or persona.memory != "none")

    def _model(self) -> Model | None:
        return self._parts.model(self._asked.model, self._asked.stream, self._asked.budget)
