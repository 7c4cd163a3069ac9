"""The composition root: what a request goes through, on one screen."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import bridge, embedders
from workbench.calls import audited, limited, sandboxed
from workbench.configuration import load_settings
from workbench.core import refs
from workbench.core.artifacts import Artifact
from workbench.core.errors import (
    Denied,
    PlanInvalid,
    Refused,
    TransientError,
    Unavailable,
    WorkbenchError,
)
from workbench.core.events import Event, Kind, Listener, Stream
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
from workbench.models.openai import OpenAIModel
from workbench.offer import Offer
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned, Planner
from workbench.planners.grammar import GrammarPlanner
from workbench.planners.model import ModelPlanner
from workbench.policy.approval import Approver, Asked
from workbench.policy.limits import RateLimiter
from workbench.policy.sanitize import clean_prompt
from workbench.policy.secrets import redactor
from workbench.record import Record
from workbench.registry.discover import Found, discover
from workbench.run import Run
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import beside, best
from workbench.services import host_services
from workbench.status import in_force
from workbench.telemetry.logs import EventLog
from workbench.told import closing, failure, made, stopped

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
        self._planners: dict[str | None, Planner] = {}
        self._models: list[Model] = []
        self.memories = Memories(self.remembering, lambda: self.scope, lambda: self._stream(()), self._secrets)
        self._limits = RateLimiter(self.settings.requests_per_minute, self.settings.calls_per_minute)
        self._log = EventLog(self.settings.log, redactor(self._secrets().values()))

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
        listeners: tuple[Listener, ...] = (),
        notebook: str = "",
        **frames: pd.DataFrame,
    ) -> Run:
        """The run of one request. Tables are offered by keyword (`sales=df`) or in `variables`; those in `named`, given
        by keyword, or written `@name` in the text may be shown to a remote model with their first rows. With an
        `approver`, each round of steps runs only when it says yes.

        Raises Refused when the request cannot be served, ToolFailed when a step failed, Cancelled when it was stopped,
        another WorkbenchError otherwise; each carries `.run` with what was finished.
        """
        started = time.monotonic()
        beside(self.sandbox.prepare())  # workers get ready while the planner plans
        prompt = clean_prompt(text)
        self._limits.admit_request(self.settings.user)
        offer = Offer({**(variables or {}), **frames}, {*named, *frames, *_mentioned(prompt.text)})
        stream = self._stream(listeners)
        stream.tell(Kind.RUN_STARTED, self._opening(prompt.text, notebook))
        answer, status = Answer(text="", planner=""), "failed"
        problem: Exception | None = None
        try:
            asked = _Asked(prompt.text, prompt.notes, offer, stream, model, plan_only, approver)
            status, answer, problem = await self._serve(asked)
        except asyncio.CancelledError:
            status, problem = "cancelled", stopped(stream)
        except WorkbenchError as error:
            problem = error
        except Exception as bug:  # noqa: BLE001 - recorded and logged here, raised again below
            self._log.bug(bug)
            problem = bug
        stream.tell(Kind.RUN_DONE, closing(status, answer, problem, started))
        await self.memory.barrier()
        run = Run(fold(stream.events), self.settings.artifacts)
        if problem is None:
            return run
        if isinstance(problem, WorkbenchError):
            problem.run = run
        raise problem

    async def _serve(self, asked: _Asked) -> tuple[RunStatus, Answer, WorkbenchError | None]:
        offer, stream = asked.offer, asked.stream
        tools = self.tools()
        planner = self._planner or self._planner_for(asked.model)
        request = Request(
            text=asked.text,
            scope=self.scope,
            today=datetime.now().astimezone().date().isoformat(),
            variables=await asyncio.to_thread(offer.variables),
        )
        planned: Planned | None = await planner.plan(request, tools, stream.tell)
        inputs: dict[str, Artifact] = {}
        number = 1
        while planned is not None:
            last = number == self.settings.rounds
            level = self.sandbox.level if asked.plan_only else await self.sandbox.prepare()
            told = made(planned, number, asked.notes if number == 1 else (), last)
            stream.tell(Kind.PLAN_MADE, told | {"isolation": level})
            if asked.plan_only:
                return "planned", Answer(text="", planner=""), None
            if asked.approver and (no := await self._denied(asked, planned.plan, number)):
                if number == 1:
                    raise no
                break  # what the earlier rounds found is still there
            new = [name for name in _used(planned.plan) if name not in inputs]
            inputs |= await offer.snapshot(new, self.settings.artifacts, stream.run)
            done = {step.id: (step.task, step.value) for step in fold(stream.events).steps if step.state is State.DONE}
            await self._executor(stream).run(planned.plan, tools, inputs, stream, done)
            outcome = fold(stream.events)
            if (problem := failure(outcome)) is not None:
                return "failed", summarise(outcome), problem
            looks = planned.plan.look and not last
            planned = await planner.look(request, outcome, tools, stream.tell) if looks else None
            number += 1
        return "done", await self._answer(planner, fold(stream.events), stream), None

    async def _denied(self, asked: _Asked, plan: Plan, number: int) -> Denied | None:
        """Ask for approval of a round; None when it was given, else why not, with its steps told as cancelled."""
        if asked.approver is None:
            return None
        await self.memory.barrier()  # a person may take their time
        run = asked.stream.run
        decision = await asked.approver(Asked(run=run, request=asked.text, plan=plan, round=number))
        body = {"decision": decision.answer, "by": decision.by, "reason": decision.reason, "round": number}
        asked.stream.tell(Kind.APPROVAL, body)
        if decision.answer == "allow":
            return None
        for step in plan.steps:
            asked.stream.tell(Kind.STEP_CANCELLED, {"reason": "not approved"}, step=step.id)
        return Denied(f"The steps were not approved. {decision.reason}".strip(), hint="Nothing was run.")

    async def _answer(self, planner: Planner, outcome: Outcome, stream: Stream) -> Answer:
        try:
            return await planner.answer(outcome, stream.tell)
        except (Refused, Unavailable, TransientError, PlanInvalid) as error:
            # The results are there; a model that will not word them does not take them away.
            summary = summarise(outcome)
            why = f"The model did not word this answer ({error.message}); it is put together from the results."
            return Answer(text=f"{summary.text}\n\n{why}", planner=summary.planner)

    def _executor(self, stream: Stream) -> Executor:
        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            return stream.tell(kind, body, step=step)

        bases = {"api.tavily.com": self.settings.tavily_base_url}
        services = host_services(self.remembering, self.scope, self._secrets(), bases, tell)
        inner = sandboxed(self.sandbox, services, self.settings.artifacts, tell)
        admitted = limited(inner, lambda: self._limits.admit_call(self.settings.user))
        return Executor(
            audited(admitted, tell),
            durable=self.memory.barrier,
            parallel=self.settings.parallel,
            on_bug=self._log.bug,
        )

    def _stream(self, listeners: tuple[Listener, ...]) -> Stream:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:10]}"
        return Stream(
            name,
            self.memory.append,
            (self._log, *listeners),
            now=lambda: datetime.now(UTC).isoformat(timespec="microseconds"),
            on_error=self._log.bug,
        )

    def _opening(self, text: str, notebook: str) -> dict[str, Any]:
        return {
            "request": text,
            "user": self.settings.user,
            "session": self.session,
            "workspace": self.scope.workspace,
            "isolation": self.sandbox.level,
            "notebook": notebook,
        }

    def _planner_for(self, model: str | None) -> Planner:
        if model not in self._planners:
            settings = self.settings.model_copy(update={"model": model}) if model else self.settings
            chosen = choose(settings) if model or self._model is None else self._model
            if chosen is not None:
                self._models.append(chosen)
            self._planners[model] = ModelPlanner(chosen) if chosen is not None else GrammarPlanner()
        return self._planners[model]

    def _secrets(self) -> dict[str, Any]:
        named = {"OPENAI_API_KEY": self.settings.api_key, "TAVILY_API_KEY": self.settings.tavily_api_key}
        named["WORKBENCH_EMBED_API_KEY"] = self.settings.embed_api_key
        return {name: secret for name, secret in named.items() if secret is not None}

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
        for model in self._models:
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
