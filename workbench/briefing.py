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
from workbench.planners.given import GivenPlanner
from workbench.planners.grammar import GrammarPlanner
from workbench.replay import inputs

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
        remembers = not isinstance(planner, GrammarPlanner | GivenPlanner)
        unread = [one for one in asked.quoted if not one.table]
        if isinstance(planner, GrammarPlanner) and unread:
            raise Refused(
                f"{unread[0].name} is for a language model to read, and none is connected.",
                hint="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own.",
            )
        recorded = await asyncio.to_thread(inputs.talk, asked.tape, parts.settings.artifacts, asked.stream.run)
        talk = await self._talk(recorded) if remembers and (asked.follows or recorded is not None) else Talk()
        request = Request(
            text=asked.text,
            scope=scope,
            today=datetime.now().astimezone().date().isoformat(),
            talk=talk,
            variables=await asyncio.to_thread(asked.offer.variables),
            connections=tuple((name, there.kind) for name, there in sorted(parts.settings.connections.items())),
            quoted=tuple(asked.quoted),
            memories=await parts.memories.for_planning(asked.text, scope) if remembers and self._may_recall else (),
        )
        return inputs.taken(asked.tape, request)

    async def note(self) -> None:
        """Remember what the user's words say for good, where they have switched that on."""
        asked, parts = self._asked, self._parts
        model = self._model()
        if asked.tape.own is not None:
            inputs.again(asked.tape, "extract", asked.stream)  # what was remembered then is not remembered once more
        elif parts.settings.extract and self._may_recall and model is not None:
            tell, scope = asked.stream.tell, parts.scope_of(asked)
            with suppress(Refused, Unavailable, TransientError, BudgetExceeded):  # the answer is there all the same
                await parts.memories.note(await extract(model, asked.text, tell), tell, asked.stream.run, scope)

    async def _talk(self, recorded: Talk | None) -> Talk:
        """What was asked here before; its last table is offered as `previous`."""
        asked, parts = self._asked, self._parts
        model = self._model()
        if recorded is not None:
            talk = recorded
            inputs.again(asked.tape, "recap", asked.stream)
        elif model is None:
            return Talk()
        else:
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
        asked = self._asked
        return self._parts.recalling(asked.model, asked.stream, asked.budget, asked.tape)
