"""The story of one run, on one screen: planned, approved, executed, looked at, answered.

Everything that it knows of its past it folds from the events of its stream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from workbench.briefing import Briefing
from workbench.consent import Consent, put, warnings
from workbench.core import provenance
from workbench.core.errors import (
    BudgetExceeded,
    PlanInvalid,
    Refused,
    TransientError,
    Unavailable,
    WorkbenchError,
)
from workbench.core.events import Kind, Stream
from workbench.core.outcome import Outcome, RunStatus, fold
from workbench.core.provenance import NONE, Sources
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.parts import Asked, Parts
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Planner
from workbench.planners.given import NAME, given
from workbench.policy import planning
from workbench.policy.leaks import clean_error
from workbench.replay import inputs
from workbench.rounds import Rounds
from workbench.run import Run
from workbench.told import (
    REPLANS,
    closing,
    failure,
    made,
    partial,
    replans,
    shown,
    spoken_as,
    stopped,
    to_mend,
)

Ending = tuple[RunStatus, Answer, WorkbenchError | None]


class Story:
    """One run of `asked` with the parts of a workbench."""

    def __init__(self, parts: Parts, asked: Asked) -> None:
        self._parts = parts
        self._asked = asked
        self._stream: Stream = asked.stream
        self._rounds = Rounds(parts, asked)
        self._consent = Consent(parts, asked)

    async def run(self) -> Run:
        """The run, when it is over and on disk. Raises as `Workbench.ask` does, with `.run` in each error of ours."""
        parts, stream = self._parts, self._stream
        started = time.monotonic()
        answer, status = Answer(text="", planner=""), "failed"
        problem: Exception | None = None
        try:
            async with self._asked.budget.on_time():
                status, answer, problem = await self._serve()
        except asyncio.CancelledError:
            status, problem = "cancelled", stopped(stream)
        except WorkbenchError as error:
            problem = error
        except Exception as bug:  # noqa: BLE001 - recorded and logged here, raised again below
            parts.log.bug(bug)
            problem = bug
        if problem is not None and problem is self._asked.budget.exceeded:
            status, answer = "budget", partial(fold(stream.events))
        stream.tell(Kind.RUN_DONE, closing(status, answer, problem, started))
        await asyncio.gather(parts.memory.barrier(), asyncio.to_thread(parts.trail.sync))
        run = Run(fold(stream.events), parts.settings.artifacts, parts.edits, parts.record.why)
        if self._asked.follows:
            parts.conversation.hear(self._asked.notebook, run.outcome)
        problem = await parts.replays.kept(self._asked.tape, stream.events, run.outcome) or problem
        if problem is None:
            return run
        clean_error(problem, parts.secrets)
        if isinstance(problem, WorkbenchError):
            problem.run = run
        raise problem

    async def _serve(self) -> Ending:
        asked, parts, stream = self._asked, self._parts, self._stream
        persona = asked.persona
        found = parts.tools(asked.rebuilt)
        usable = persona.may_use(found) if persona is not None else found
        tools = inputs.offered(asked.tape, usable)
        await asyncio.to_thread(parts.secrets.read, {name for t in tools.values() for name in t.permissions.secrets})
        inner = parts.planner(asked)
        planner = asked.planner or given(asked.text, inner)
        briefing = Briefing(parts, asked)
        request = await briefing.request(planner)
        kept, price = asked.past.kept if asked.past else None, inputs.price(asked.tape, parts.models.price(asked.model))
        pictures = await asyncio.to_thread(inputs.pictures, asked.quoted, parts.settings.artifacts, stream.run)
        stream.tell(Kind.INPUTS, inputs.told(request, tools, inner.name, asked.model, price, pictures))
        planned: Planned | None = kept.planned if kept else await planner.plan(request, tools, stream)
        words, foreign = planning.inserted(asked.text, asked.inserted, asked.stranger)
        foreign |= inputs.foreign(asked.tape) | (persona.sources if persona is not None else NONE)
        gate, number = parts.gate(asked, words), kept.round if kept else 1
        mends: Sequence[str] = ()
        while planned is not None:
            last = number == parts.settings.rounds
            outcome = fold(stream.events)
            is_given = planned.planner == NAME  # then nothing but the request is in it
            seen = provenance.REQUEST if is_given else planning.seen(request, tools, outcome)
            sources = kept.sources if kept else seen | planned.sources | foreign
            made_of = {**self._rounds.made_of, **asked.made_of, **briefing.made}
            notes = [*asked.notes, *shown(request, planned), *spoken_as(persona, planned)] if number == 1 else []
            notes += warnings(planned.plan, tools, asked, price)
            if not (kept and kept.told):
                await self._tell_plan(made(planned, number, notes, last, tools, mends), sources)
            if asked.plan_only:
                return "planned", Answer(text="", planner=""), None
            news = planning.difference(planned.plan, planning.lineage(sources, outcome, made_of)) if number > 1 else ()
            question = put(asked, request, planned.plan, tools, outcome, number, news)
            agreed = await self._consent.of(question, kept, price)
            if agreed.no is not None:
                if number == 1 or mends:
                    raise agreed.no
                break  # what the earlier rounds found is still there
            kept, plan = None, agreed.plan
            asked.budget.narrow(plan.budget)
            gate.enter(plan, number, news)
            await self._rounds.run(plan, tools, gate, sources, made_of, agreed.typed)
            outcome = fold(stream.events)
            mends = to_mend(outcome) if replans(stream.events) < REPLANS else ()
            if (problem := failure(outcome)) is not None and not mends:
                return "failed", summarise(outcome), asked.budget.exceeded or problem
            looks = bool(mends) or (plan.look and not last)
            planned = await self._look(planner, request, outcome, tools) if looks else None
            if problem is not None and planned is None:
                return "failed", summarise(outcome), problem
            number += 1
        answer = await self._answer(planner, fold(stream.events))
        await briefing.note()
        return "done", answer, None

    async def _tell_plan(self, body: Mapping[str, object], sources: Sources) -> None:
        sandbox = self._parts.sandbox
        runs = not (self._asked.plan_only or self._asked.tape.is_strict)
        level = await sandbox.prepare() if runs else sandbox.level
        more = {"sources": provenance.to_json(sources), "isolation": level}
        self._stream.tell(Kind.PLAN_MADE, {**body, **more})

    async def _look(
        self, planner: Planner, request: Request, outcome: Outcome, tools: Mapping[str, ToolSpec]
    ) -> Planned | None:
        """Further steps, None when there are none. Where steps have failed, a planner that knows no way around them is
        not what the run fails with."""
        try:
            return await planner.look(request, outcome, tools, self._stream)
        except (Refused, PlanInvalid):
            if failure(outcome) is None:
                raise
            return None

    async def _answer(self, planner: Planner, outcome: Outcome) -> Answer:
        try:
            return await planner.answer(outcome, self._stream)
        except (Refused, Unavailable, TransientError, PlanInvalid, BudgetExceeded) as error:
            # The results are there; a model that will not word them does not take them away.
            summary = summarise(outcome)
            why = f"The model did not word this answer ({error.message}); it is put together from the results."
            return Answer(text=f"{summary.text}\n\n{why}", planner=summary.planner)
