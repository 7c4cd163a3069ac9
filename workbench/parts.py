"""The composition root: every part of a workbench, and what is put together anew for each run."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench import stores
from workbench.calls import Call, approved, audited, budgeted, cleaned, granted, limited, recalled, routed, sandboxed
from workbench.configuration import load_secrets, load_settings, server_environment
from workbench.connected import Connected
from workbench.conversation import Conversation
from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, Event, Kind, Listener, Stream, Watcher
from workbench.core.persona import Persona
from workbench.core.provenance import Sources
from workbench.core.request import Quoted, Scope
from workbench.core.settings import Settings
from workbench.core.tape import Tape
from workbench.core.tools import ToolResult, ToolSpec
from workbench.edits import Edits
from workbench.erasure import Erasure
from workbench.executor import Executor
from workbench.inkernel import OnThread, in_kernel
from workbench.mcp.servers import Servers
from workbench.memories import Memories
from workbench.memory.base import Holder, Lease, Leases, Memory
from workbench.memory.lease import FileLeases
from workbench.memory.remember import Remembering
from workbench.models.base import Model
from workbench.models.replay import ReplayModel
from workbench.planners.base import Planner
from workbench.planners.grammar import GrammarPlanner
from workbench.planners.model import ModelPlanner
from workbench.policy.budgets import Budgets, limits_of
from workbench.policy.connections import granting
from workbench.policy.gate import Gate
from workbench.policy.leaks import clean_result
from workbench.policy.limits import RateLimiter
from workbench.policy.recording import counted
from workbench.policy.rules import Rules
from workbench.policy.run_budget import RunBudget
from workbench.record import Record
from workbench.registry import cells, plugged
from workbench.registry.discover import Found, discover
from workbench.registry.personas import FoundPersonas, find
from workbench.registry.recorded import recorded
from workbench.registry.trust import Trust
from workbench.replay.erasing import erase_recordings
from workbench.replay.parcels import Parcels
from workbench.replay.results import Recall, responses
from workbench.replay.session import Replays
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import best
from workbench.scheduler.local import Local
from workbench.services import Means, bases, host_services, narrowed
from workbench.status import in_force
from workbench.telemetry.audit import trail_of
from workbench.telemetry.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.offer import Offer
    from workbench.past import Past
    from workbench.policy.approval import Approver


ADJUSTABLE = ("parallel", "rounds", "policy")
"""Settings that are read anew for each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request on its way. `text` is clean, `notes` say what cleaning did; the rest as in `Workbench.ask`."""

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
    planner: Planner | None = None
    on_thread: OnThread | None = None
    stranger: str = ""
    persona: Persona | None = None
    notebook: str = ""
    follows: bool = False
    quoted: Sequence[Quoted] = ()
    made_of: Mapping[str, Sources] = field(default_factory=dict)
    past: Past | None = None
    rebuilt: Sequence[ToolSpec] = ()
    tape: Tape = field(default_factory=Tape)
    budget: RunBudget = field(default_factory=RunBudget)


class Parts:
    """The parts that runs share. Every one can be handed in; what is not is made from the settings."""

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
        self.memory = memory or _plugged_memory(self.settings) or stores.choose(self.settings)
        self.sandbox = sandbox or best(self.settings)
        self.remembering = Remembering(self.memory)
        private = (self.settings.home, self.settings.config)
        self.edits = Edits(self.settings.project, private, self.settings.user, self.stream, self.memory.barrier)
        self.record = Record(self.memory, self.sandbox, self.settings, self.edits)
        self.replays = Replays(self.settings, self.memory)
        self.session = uuid.uuid4().hex
        self._planner = planner
        self.secrets = load_secrets(self.settings)
        self.parcels = Parcels(self.settings, self.memory, self.secrets)
        self.servers = Servers(self.settings, self.secrets, server_environment())
        self.trail = trail_of(self.settings.home, self.settings.config)
        self.erasure = Erasure(self.memory, self.settings, self.trail, erase_recordings)
        self.budgets = Budgets(limits_of(self.settings), self.settings.user, self.memory.spent)
        self.models = Connected(self.settings, model, self.budgets, self.secrets)
        self.memories = Memories(self.remembering, lambda: self.scope, lambda: self.stream(), self.secrets)
        self.conversation = Conversation(self.memory, self.settings.user, self.session)
        self.limits = RateLimiter(self.settings.requests_per_minute, self.settings.calls_per_minute)
        self.log = EventLog(self.settings.log, self.secrets.redact)
        self.under_way: set[Local] = set()
        """What runs many requests now."""

    @property
    def scope(self) -> Scope:
        """Whose memory this workbench reads and writes."""
        return Scope(user=self.settings.user, workspace=self.settings.project.name, session=self.session)

    def scope_of(self, asked: Asked) -> Scope:
        """Whose memory one request reads and writes."""
        own = asked.persona is not None and asked.persona.memory == "own"
        return replace(self.scope, persona=asked.persona.name) if asked.persona and own else self.scope

    def personas(self) -> FoundPersonas:
        """Every persona there is, trusted or not, with what is wrong with other files."""
        return find(self.settings.project, self.settings.config)

    def found(self, rebuilt: Sequence[ToolSpec] = ()) -> Found:
        """Every tool that was found, trusted or not, with what is wrong with the others. `rebuilt`: functions of cells
        that a run on record has used; what is defined now stands in for them."""
        own = {spec.name: spec for spec in (*rebuilt, *cells.defined())}
        found = discover(self.settings.project, self.settings.config, cells=list(own.values()))
        offered = self.servers.offered()
        return replace(found, tools={**found.tools, **offered.tools}, problems=(*found.problems, *offered.notes))

    def tools(self, rebuilt: Sequence[ToolSpec] = ()) -> Mapping[str, ToolSpec]:
        """The tools that may be used now, by name. `rebuilt`: see `found`."""
        served = self.bases()
        return {name: narrowed(tool, served) for name, tool in self.found(rebuilt).tools.items()}

    def rebuilt(self, events: Sequence[AnyEvent]) -> tuple[ToolSpec, ...]:
        """The functions of cells that a run has used, from its events, as far as they are the user's. Blocks."""
        return recorded(events, Trust(self.settings.config, self.settings.project).was_typed)

    def remember_typed(self, used: Sequence[ToolSpec]) -> None:
        """Remember which functions of cells are the user's, so that `rebuilt` knows them again. Blocks."""
        for spec in used:
            if spec.origin == "cell" and spec.runs == "worker":
                Trust(self.settings.config, self.settings.project).typed(spec)

    def bases(self) -> Mapping[str, str]:
        """A host that tools declare → the URL where the user has it served."""
        return bases(self.settings)

    def status(self) -> Mapping[str, str]:
        """What is in force, in words, by part: model, isolation, memory, tools."""
        return in_force(
            self.settings, model=self.models.usual(), sandbox=self.sandbox, memory=self.memory, found=self.found()
        )

    def adjust(self, **values: Any) -> None:
        """Other values of `ADJUSTABLE` settings from the next run on: for this workbench alone, and written nowhere.
        Raises Refused."""
        if wrong := sorted(set(values) - set(ADJUSTABLE)):
            raise Refused(f"{wrong[0]} cannot be changed while it works.", hint=f"There are: {', '.join(ADJUSTABLE)}.")
        try:
            self.settings = Settings.model_validate({**dict(self.settings), **values})
        except ValidationError as error:
            first = error.errors()[0]
            said = first["msg"].removeprefix("Value error, ")
            raise Refused(f"{'.'.join(map(str, first['loc'][:1]))}: {said}.", hint="Nothing was changed.") from None

    def stream(
        self,
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        earlier: Sequence[Event] = (),
        attempt: int = 0,
    ) -> Stream:
        """The stream of a new run, or of a further attempt at the run whose events are `earlier`; its number may be
        given."""
        now = datetime.now(UTC)
        name = f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:10]}"
        return Stream(
            earlier[0].run if earlier else name,
            self._take,
            (self.log, *listeners),
            now=lambda: datetime.now(UTC).isoformat(timespec="microseconds"),
            on_error=self.log.bug,
            redact=self.secrets.redacted,
            watchers=watchers,
            attempt=max(attempt, 1 + max((event.attempt for event in earlier), default=0)),
            earlier=earlier,
        )

    @property
    def _leases(self) -> Leases:
        """Who runs which run: that of a memory which other machines share, else files."""
        return getattr(self.memory, "leases", None) or FileLeases(self.settings.home)

    @asynccontextmanager
    async def leased(self, run: str, notebook: str = "") -> AsyncIterator[Lease]:
        """Be the one process that runs this run. Raises Refused naming the one that does, Unavailable."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        user, session = self.settings.user, self.session
        holder = Holder(run=run, pid=os.getpid(), session=session, notebook=notebook, user=user, since=since)
        held = await self._leases.claim(holder)
        try:
            yield held
        finally:
            await held.release()

    async def left(self) -> list[Holder]:
        """This user's runs whose process died before they ended, oldest first. Reads the memory only where there are
        some; raises Unavailable when it cannot."""
        leases, found = self._leases, []
        for holder in await leases.left():
            if holder.user not in ("", self.settings.user):
                continue
            events = await self.memory.events(holder.run)
            if any(event.kind == Kind.RUN_DONE for event in events[-1:]) or not events:
                await leases.drop(holder.run)  # it died after its last word, or before its first
                continue
            began = events[0].body  # a lease file may be damaged
            whose, where = began.get("user", holder.user), holder.notebook or str(began.get("notebook", ""))
            if whose == self.settings.user:
                found.append(replace(holder, notebook=where, since=holder.since or events[0].at))
        return found

    def _take(self, event: AnyEvent) -> None:
        self.trail(event)  # first: nothing is done that leaves no record
        self.memory.append(event)

    def opening(self, text: str, notebook: str, *, fresh: bool = False) -> dict[str, Any]:
        """The body of a run's first event."""
        return {
            "request": text,
            "user": self.settings.user,
            "session": self.session,
            "workspace": self.scope.workspace,
            "isolation": self.sandbox.level,
            "notebook": notebook,
            **({"fresh": True} if fresh else {}),
        }

    def planner(self, asked: Asked) -> Planner:
        """Who plans a run: the planner that was handed in, else who did when it was recorded, else a model, else the
        grammar."""
        if (given := asked.planner or self._planner) is not None:
            return given
        chosen = self.recalling(asked.model, asked.stream, asked.budget, asked.tape)
        instructions = asked.persona.instructions if asked.persona is not None else ""
        return ModelPlanner(chosen, instructions, asked.quoted) if chosen is not None else GrammarPlanner()

    def recalling(self, name: str | None, stream: Stream, budget: RunBudget, tape: Tape) -> Model | None:
        """The model of a request for what belongs to the run's own story: it answers from the record where it can."""
        chosen, recorded = self.models.model(name, stream, budget), tape.inputs.get("planner")
        if recorded == GrammarPlanner.name or (chosen is None and recorded != ModelPlanner.name):
            return None
        return ReplayModel(chosen, tape)

    def gate(self, asked: Asked, words: str) -> Gate:
        """The policy of one run. `words`: what of the request the user has typed."""
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

    def call(self, asked: Asked, gate: Gate) -> Call:
        """One call of a tool with the layers around it, for one run."""
        stream = asked.stream

        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            return stream.tell(kind, body, step=step)

        def clean(result: ToolResult) -> ToolResult:
            return clean_result(result, self.secrets, folder)

        folder, counts = self.settings.artifacts, counted(stream.events)
        means = Means(
            memory=self.remembering,
            scope=self.scope_of(asked),
            secrets=self.secrets,
            bases=self.bases(),
            model=self.models.model(asked.model, stream, asked.budget),
            images=self.models.images(stream, asked.budget),
            speech=self.models.speech(stream, asked.budget),
            transcription=self.models.transcription(stream, asked.budget),
            room=self.budgets.room_for,
            artifacts=folder,
            guard=gate.guard,
            connections=self.settings.connections,
            recorded=responses(asked.tape),
        )
        worker = sandboxed(self.sandbox, host_services(means, stream, counts), folder, tell)
        elsewhere = {"kernel": in_kernel(asked.on_thread, folder), "server": self.servers.served(gate, folder, tell)}
        inner = cleaned(routed(worker, elsewhere), clean)
        admitted = limited(inner, lambda: self.limits.admit_call(self.settings.user))
        paid = budgeted(audited(admitted, tell), self.budgets, tell, folder)
        live = granted(approved(paid, gate, tell), partial(granting, self.settings.connections))
        return recalled(live, Recall(asked.tape, stream, folder, counts, clean))

    def executor(self, call: Call, budget: RunBudget) -> Executor:
        """What runs the plans of one run."""
        return Executor(
            call,
            durable=self.memory.barrier,
            parallel=self.settings.parallel,
            budget=budget,
            on_bug=self.log.bug,
        )

    async def close(self) -> None:
        """Make everything durable and end what runs. Idempotent."""
        for scheduler in list(self.under_way):
            scheduler.stop()
            await scheduler.over()
        await self.sandbox.close()
        await self.servers.close()
        await self.models.close()
        await self.memory.close()


def _plugged_memory(settings: Settings) -> Memory | None:
    """The memory of the plug-in that the settings name, None when they name none. Raises Unavailable."""
    if not settings.memory_plugin:
        return None
    make: Callable[[Settings], Memory] | None = plugged.load("workbench.memory", settings.memory_plugin)
    if make is None:
        raise Unavailable(
            f"There is no plug-in {settings.memory_plugin} that keeps a memory.", hint="See WORKBENCH_MEMORY_PLUGIN."
        )
    return make(settings)
