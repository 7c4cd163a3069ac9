"""The steps of one round are run: tables are taken, what is done is taken over, and the rest is executed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from workbench.core import provenance
from workbench.core.artifacts import Artifact, to_json
from workbench.core.events import Kind
from workbench.core.outcome import fold
from workbench.core.plan import Plan
from workbench.core.progress import State
from workbench.core.provenance import Sources, Typed
from workbench.core.recovery import identities, known
from workbench.core.tools import ToolSpec
from workbench.parts import Asked, Parts
from workbench.past import Present
from workbench.policy import planning
from workbench.policy.gate import Gate
from workbench.policy.leaks import refuse_keys
from workbench.told import tell_definitions


class Rounds:
    """The rounds of one run. `made_of`: what tables from before it are made of beyond the user's rows, by name."""

    def __init__(self, parts: Parts, asked: Asked) -> None:
        self._parts = parts
        self._asked = asked
        self._tables: dict[str, Artifact] = dict(asked.past.tables) if asked.past else {}
        self.made_of: Mapping[str, Sources] = asked.past.made_of if asked.past else {}

    async def run(
        self,
        plan: Plan,
        tools: Mapping[str, ToolSpec],
        gate: Gate,
        sources: Sources,
        made_of: Mapping[str, Sources],
        typed: Typed,
    ) -> None:
        """Return when every step of the plan has ended. `sources`: what the plan is made of, but for what is `typed`;
        `made_of`: what offered tables are. A table is taken once, as it is when a plan first uses it."""
        asked, parts, stream = self._asked, self._parts, self._asked.stream
        used = list(dict.fromkeys(ref.variable for step in plan.steps for ref in step.references() if ref.variable))
        new = [name for name in used if name not in self._tables]
        taken = await asked.offer.snapshot(new, parts.settings.artifacts, stream.run)
        await asyncio.to_thread(refuse_keys, taken, parts.secrets, parts.settings.artifacts)
        self._tables |= taken
        self._tell_tables(used, made_of)
        await asyncio.to_thread(parts.remember_typed, tell_definitions(plan, tools, stream))
        call = parts.call(asked, gate)
        same = identities(plan, tools, self._tables, known(stream.events))
        recovered = None
        if asked.past is not None:
            present = Present(
                plan=plan,
                tools=tools,
                identities=same,
                stream=stream,
                call=call,
                approver=asked.approver,
                durable=parts.memory.barrier,
            )
            recovered = await asked.past.results(present)
        outcome = fold(stream.events)
        done = {step.id: (step.task, step.value) for step in outcome.steps if step.state is State.DONE}
        lineage = planning.lineage(sources, outcome, made_of, typed)
        executor = parts.executor(call, asked.budget)
        await executor.run(plan, tools, self._tables, stream, done, lineage, recovered=recovered, identities=same)

    def _tell_tables(self, names: Iterable[str], made_of: Mapping[str, Sources]) -> None:
        """Tell which tables were taken: whoever goes on with this run, or repeats it, takes the same."""
        stream = self._asked.stream
        told = {event.body.get("variable") for event in stream.events if event.kind is Kind.ARTIFACT_MADE}
        for name in (name for name in names if name not in told):
            sources = provenance.to_json(made_of.get(name, provenance.NONE))
            stream.tell(
                Kind.ARTIFACT_MADE,
                {"variable": name, "sources": sources, **to_json(self._tables[name])["$artifact"]},
            )
