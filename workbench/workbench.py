"""The composition root: what a request goes through, on one screen."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench import bridge, embedders
from workbench.calls import approved, audited, budgeted, cleaned, granted, limited, sandboxed
from workbench.configuration import load_secrets, load_settings
from workbench.core import provenance, refs
from workbench.core.artifacts import Artifact
from workbench.core.errors import (
    BudgetExceeded,
    Denied,
    PlanInvalid,
    Refused,
    TransientError,
    Unavailable,
    WorkbenchError,
)
from workbench.core.events import AnyEvent, Event, Kind, Listener, Stream, Watcher
from workbench.core.outcome import Outcome, RunStatus, fold
from workbench.core.plan import Plan
from workbench.core.progress import State
from workbench.core.request import Request, Scope
from workbench.core.settings import Settings
from workbench.core.tools import ToolSpec
from workbench.executor import Executor
from workbench.memories import Memories
from workbench.memory.base import Memory
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.remember import Remembering
from workbench.models.base import Model
from workbench.models.choose import choose
from workbench.models.held import HeldModel
from workbench.models.openai import OpenAIModel
from workbench.offer import Offer
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Planner
from workbench.planners.grammar import GrammarPlanner
from workbench.planners.model import ModelPlanner
from workbench.policy import planning
from workbench.policy.approval import Approver, Asked
from workbench.policy.budgets import Budgets, limits_of
from workbench.policy.connections import granting
from workbench.policy.gate import Gate
from workbench.policy.leaks import clean_error, clean_result, refuse_keys
from workbench.policy.limits import RateLimiter
from workbench.policy.rules import Rules
from workbench.policy.sanitize import clean_prompt
from workbench.record import Record
from workbench.registry.discover import Found, discover
from workbench.registry.trust import Trust
from workbench.run import Run
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import beside, best
from workbench.services import Means, host_services
from workbench.status import in_force
from workbench.telemetry.audit import trail_of
from workbench.telemetry.logs import EventLog
from workbench.told import closing, failure, made, shown, stopped

if TYPE_CHECKING:
    import pandas as pd


class Workbench:
    """Plans and runs requests. Every part can be handed in; what is not is made from the settings.

    One instance serves many requests at once. It may be used from any event loop; `close` it when done, or leave it to
    the end of the process.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        model: Model | None = None,
        planner: Planner | None = None,
        memory: Memory | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.memory = memory or DuckDBMemory(self.settings.home, embedder=embedders.choose(self.settings))
        self.sandbox = sandbox or best(self.settings)
        self.remembering = Remembering(self.memory)
        self.record = Record(self.memory, self.sandbox, self.settings)
        self.session = uuid.uuid4().hex
        self._model = model
        self._planner = planner
        self._models: dict[str | None, Model | None] = {}
        self.secrets = load_secrets(self.settings)
        self.trail = trail_of(self.settings.home, self.settings.config)
        self.budgets = Budgets(limits_of(self.settings), self.settings.user, self.memory.spent)
        self.memories = Memories(self.remembering, lambda: self.scope, lambda: self._stream((), ()), self.secrets)
        self._limits = RateLimiter(self.settings.requests_per_minute, self.settings.calls_per_minute)
        self._log = EventLog(self.settings.log, self.secrets.redact)

    async def ask(
        self,
        text: str,
        /,
        *,
        variables: Mapping[str, pd.DataFrame] | None = None,
        named: Collection[str] = (),
        plan_only: bool = False,
        model: str | None = None,
        approver: Approver | None = None,
        rounds: bool = True,
        inserted: Sequence[str] = (),
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        notebook: str = "",
        memory: bool = False,
        **frames: pd.DataFrame,
    ) -> Run:
        """The run of one request. Tables are offered by keyword (`sales=df`) or in `variables`; those in `named`, given
        by keyword, or written `@name` in the text may be shown to a remote model with their first rows. The
        `approver` says yes or no where policy asks, and with `rounds` also before each round of steps; without one
        policy hears no, and rounds run. `inserted`: texts in the request that came from values, not from the keyboard.
        `watchers` see plan and answer while a model writes. `notebook`: the path of the notebook that asks, for the
        record; "" when there is none, or nobody has said. With `memory` a model also sees what the user has asked to be
        remembered and may matter; without it no run changes because the memory has grown.

        Raises Refused when the request cannot be served, ToolFailed when a step failed, Cancelled when it was stopped,
        another WorkbenchError otherwise; each carries `.run` with what was finished.
        """
        started = time.monotonic()
        await beside(self.sandbox.prepare())  # workers get ready while the planner plans
        prompt = clean_prompt(text)
        self._limits.admit_request(self.settings.user)
        await self.budgets.admit()
        offer = Offer({**(variables or {}), **frames}, {*named, *frames, *_mentioned(prompt.text)})
        stream = self._stream(listeners, watchers)
        stream.tell(Kind.RUN_STARTED, self._opening(prompt.text, notebook))
        answer, status = Answer(text="", planner=""), "failed"
        problem: Exception | None = None
        try:
            how = (model, plan_only, approver, rounds, inserted, memory)
            status, answer, problem = await self._serve(_Asked(prompt.text, prompt.notes, offer, stream, *how))
        except asyncio.CancelledError:
            status, problem = "cancelled", stopped(stream)
        except WorkbenchError as error:
            problem = error
        except Exception as bug:  # noqa: BLE001 - recorded and logged here, raised again below
            self._log.bug(bug)
            problem = bug
        stream.tell(Kind.RUN_DONE, closing(status, answer, problem, started))
        await asyncio.gather(self.memory.barrier(), asyncio.to_thread(self.trail.sync))
        run = Run(fold(stream.events), self.settings.artifacts)
        if problem is None:
            return run
        clean_error(problem, self.secrets)
        if isinstance(problem, WorkbenchError):
            problem.run = run
        raise problem

    async def _serve(self, asked: _Asked) -> tuple[RunStatus, Answer, WorkbenchError | None]:
        offer, stream = asked.offer, asked.stream
        tools = self.tools()
        await asyncio.to_thread(self.secrets.read, {name for t in tools.values() for name in t.permissions.secrets})
        planner = self._planner or self._planner_for(asked.model, stream)
        remembers = asked.memory and not isinstance(planner, GrammarPlanner)
        request = Request(
            text=asked.text,
            scope=self.scope,
            today=datetime.now().astimezone().date().isoformat(),
            variables=await asyncio.to_thread(offer.variables),
            connections=tuple((name, there.kind) for name, there in sorted(self.settings.connections.items())),
            memories=await self.memories.for_planning(asked.text) if remembers else (),
        )
        planned: Planned | None = await planner.plan(request, tools, stream)
        inputs: dict[str, Artifact] = {}
        words, foreign = planning.inserted(asked.text, asked.inserted)
        gate, outcome = self._gate(asked, words), fold(stream.events)
        notes, number = [*asked.notes, *shown(request.memories)], 1
        while planned is not None:
            last = number == self.settings.rounds
            sources = planning.seen(request, tools, outcome) | planned.sources | foreign
            level = self.sandbox.level if asked.plan_only else await self.sandbox.prepare()
            body = made(planned, number, notes if number == 1 else (), last)
            stream.tell(Kind.PLAN_MADE, body | {"sources": provenance.to_json(sources), "isolation": level})
            if asked.plan_only:
                return "planned", Answer(text="", planner=""), None
            lineage = planning.lineage(sources, outcome)
            news = planning.difference(planned.plan, lineage) if number > 1 else ()
            gate.enter(planned.plan, number, news)
            if no := await self._denied(asked, planned.plan, number, news):
                if number == 1:
                    raise no
                break  # what the earlier rounds found is still there
            new = [name for name in _used(planned.plan) if name not in inputs]
            taken = await offer.snapshot(new, self.settings.artifacts, stream.run)
            await asyncio.to_thread(refuse_keys, taken, self.secrets, self.settings.artifacts)
            inputs |= taken
            done = {step.id: (step.task, step.value) for step in fold(stream.events).steps if step.state is State.DONE}
            executor = self._executor(stream, gate, asked.model)
            await executor.run(planned.plan, tools, inputs, stream, done, lineage)
            outcome = fold(stream.events)
            if (problem := failure(outcome)) is not None:
                return "failed", summarise(outcome), problem
            looks = planned.plan.look and not last
            planned = await planner.look(request, outcome, tools, stream) if looks else None
            number += 1
        return "done", await self._answer(planner, fold(stream.events), stream), None

    async def _denied(self, asked: _Asked, plan: Plan, number: int, news: Sequence[str]) -> Denied | None:
        """Ask for approval of a round; None when it was given, else why not, with its steps told as cancelled."""
        if asked.approver is None or not asked.rounds:
            return None
        await self.memory.barrier()  # a person may take their time
        run = asked.stream.run
        decision = await asked.approver(Asked(run=run, request=asked.text, plan=plan, round=number, difference=news))
        body = {"decision": decision.answer, "by": decision.by, "reason": decision.reason, "round": number}
        asked.stream.tell(Kind.APPROVAL, body | {"difference": list(news)})
        if decision.answer == "allow":
            return None
        for step in plan.steps:
            asked.stream.tell(Kind.STEP_CANCELLED, {"reason": "not approved"}, step=step.id)
        return Denied(f"The steps were not approved. {decision.reason}".strip(), hint="Nothing was run.")

    async def _answer(self, planner: Planner, outcome: Outcome, stream: Stream) -> Answer:
        try:
            return await planner.answer(outcome, stream)
        except (Refused, Unavailable, TransientError, PlanInvalid, BudgetExceeded) as error:
            # The results are there; a model that will not word them does not take them away.
            summary = summarise(outcome)
            why = f"The model did not word this answer ({error.message}); it is put together from the results."
            return Answer(text=f"{summary.text}\n\n{why}", planner=summary.planner)

    def _gate(self, asked: _Asked, words: str) -> Gate:
        return Gate(
            run=asked.stream.run,
            request=asked.text,
            words=words,
            rules=Rules(self.settings.policy, str(self.settings.project)),
            redact=self.secrets.redact,
            holds_key=self.secrets.holds_key,
            level=lambda: self.sandbox.level,
            tell=lambda kind, body, step: asked.stream.tell(kind, body, step=step),
            approver=asked.approver,
            durable=self.memory.barrier,
            servers=[name for name, there in self.settings.connections.items() if not there.is_file],
            first_use=Trust(self.settings.config, self.settings.project).first_use,
        )

    def _executor(self, stream: Stream, gate: Gate, model: str | None) -> Executor:
        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            return stream.tell(kind, body, step=step)

        folder = self.settings.artifacts
        means = Means(
            memory=self.remembering,
            scope=self.scope,
            secrets=self.secrets,
            bases={"api.tavily.com": self.settings.tavily_base_url},
            model=self._chosen(model, stream),
            artifacts=folder,
            guard=gate.guard,
            connections=self.settings.connections,
        )
        inner = sandboxed(self.sandbox, host_services(means, stream), folder, tell)
        clean = cleaned(inner, lambda result: clean_result(result, self.secrets, folder))
        admitted = limited(clean, lambda: self._limits.admit_call(self.settings.user))
        counted = budgeted(audited(admitted, tell), self.budgets, tell, folder)
        return Executor(
            granted(approved(counted, gate, tell), partial(granting, self.settings.connections)),
            durable=self.memory.barrier,
            parallel=self.settings.parallel,
            on_bug=self._log.bug,
        )

    def _stream(self, listeners: tuple[Listener, ...], watchers: tuple[Watcher, ...]) -> Stream:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:10]}"
        return Stream(
            name,
            self._take,
            (self._log, *listeners),
            now=lambda: datetime.now(UTC).isoformat(timespec="microseconds"),
            on_error=self._log.bug,
            redact=self.secrets.redacted,
            watchers=watchers,
        )

    def _take(self, event: AnyEvent) -> None:
        self.trail(event)  # first: nothing is done that leaves no record
        self.memory.append(event)

    def _opening(self, text: str, notebook: str) -> dict[str, Any]:
        return {
            "request": text,
            "user": self.settings.user,
            "session": self.session,
            "workspace": self.scope.workspace,
            "isolation": self.sandbox.level,
            "notebook": notebook,
        }

    def _planner_for(self, model: str | None, stream: Stream) -> Planner:
        chosen = self._chosen(model, stream)
        return ModelPlanner(chosen) if chosen is not None else GrammarPlanner()

    def _chosen(self, name: str | None, stream: Stream) -> Model | None:
        """The model of a request, by its name, for the calls of one run; None when none is connected."""
        if name not in self._models:  # kept: a model has found out what its endpoint can do
            settings = self.settings.model_copy(update={"model": name}) if name else self.settings
            self._models[name] = choose(settings) if name or self._model is None else self._model
        chosen = self._models[name]
        admit = self.budgets.for_model(stream.tell)
        return chosen and HeldModel(chosen, admit, self.secrets.redact, self.secrets.begun)

    @property
    def scope(self) -> Scope:
        """Whose memory this workbench reads and writes."""
        return Scope(user=self.settings.user, workspace=self.settings.project.name, session=self.session)

    def found(self) -> Found:
        """Every tool that was found, trusted or not, with what is wrong with the others."""
        return discover(self.settings.project, self.settings.config)

    def tools(self) -> Mapping[str, ToolSpec]:
        """The tools that may be used now, by name."""
        return self.found().tools

    def status(self) -> Mapping[str, str]:
        """What is in force, in words, by part: model, isolation, memory, tools."""
        model = self._model or choose(self.settings)
        return in_force(self.settings, model=model, sandbox=self.sandbox, memory=self.memory, found=self.found())

    async def close(self) -> None:
        """Make everything durable and end what runs. Idempotent."""
        await self.sandbox.close()
        for model in self._models.values():
            if isinstance(model, OpenAIModel):
                await model.close()
        await self.memory.close()


def _mentioned(text: str) -> set[str]:
    import re

    return set(re.findall(rf"@({refs.VARIABLE})", text))


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request on its way through `_serve`."""

    text: str
    notes: Sequence[str]
    offer: Offer
    stream: Stream
    model: str | None
    plan_only: bool
    approver: Approver | None
    rounds: bool
    inserted: Sequence[str]
    memory: bool


def _used(plan: Plan) -> list[str]:
    """The offered variables that a plan refers to, each once."""
    found = (ref.variable for step in plan.steps for ref in refs.find(step.params) if ref.variable)
    return list(dict.fromkeys(found))


_current: Workbench | None = None


def current() -> Workbench:
    """This process's workbench, made from the settings at the first use."""
    global _current
    if _current is None:
        _current = Workbench()
    return _current


def use(workbench: Workbench) -> Workbench:
    """Make a workbench of your own the one that `%agent` and `workbench.ask` use; returns it."""
    global _current
    _current = workbench
    return workbench


def ask(text: str, /, **options: Any) -> Run:
    """`Workbench.ask` of this process's workbench for code without `await`: the run of one request."""
    return bridge.wait(current().ask(text, **options))
