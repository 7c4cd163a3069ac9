"""Crash, resume, an edited tool, merge, erase and replay in any order, over a disk that loses what was not synced."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.survival.disk import Crash, FakeLog, Fuel, Log
from tests.survival.real import LossyDisk, RealLog
from tests.survival.world import EFFECTS, Somebody, Tools, World
from workbench.core.errors import Refused
from workbench.core.events import Event, Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import Plan, load
from workbench.core.progress import State
from workbench.core.provenance import Lineage
from workbench.core.recovery import Recovered, identities, known
from workbench.core.settings import Settings
from workbench.executor import Executor
from workbench.past import Present
from workbench.resume import Choices, Resumed

SETTINGS = Settings(home=Path("/nowhere/home"), project=Path("/nowhere"), config=Path("/nowhere/config"))
ITEMS = 3
REAL = int(os.environ.get("SURVIVAL_MODELS", "5"))
"""Examples over the real record; `make soak` has more."""
FUEL = st.one_of(st.integers(2, 40), st.integers(2, 40), st.none())
"""After how many things the process dies; None: it does not."""
CUT = st.none() | st.sampled_from([0.0, 0.3, 0.6, 0.9])
"""How much of what was not synced is left; None: all, the machine goes on."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Up to six steps, some of which go over a list; results are used by reference, or only waited for."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 6))):
        before = [step["id"] for step in steps]
        chosen = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        step: dict[str, Any] = {"id": f"s{number}", "task": draw(st.sampled_from(list(EFFECTS))), "params": {}}
        for name in chosen:
            task = next(one["task"] for one in steps if one["id"] == name)
            if task == "write":  # what a person says to have happened has no result
                step.setdefault("needs", []).append(name)
            else:
                step["params"][name] = {"$ref": name}
        if draw(st.integers(0, 4)) == 0:
            step |= {"foreach": list(range(ITEMS)), "params": step["params"] | {"item": {"$ref": "item"}}}
        steps.append(step)
    return load({"mode": "graph", "steps": steps})


@dataclass
class RunModel:
    """What the test knows of a run. `acknowledged`: ids of events that a barrier has promised."""

    id: str
    plan: Plan
    acknowledged: set[str] = field(default_factory=set)
    done_calls: dict[tuple[str, int | None], int] = field(default_factory=dict)


class Survival(RuleBasedStateMachine):
    """The machine over the simplest record there is; `opened` makes another."""

    runs = Bundle("runs")

    def opened(self) -> Log:
        return FakeLog()

    @initialize()
    def begin(self) -> None:
        self.log = self.opened()
        self.world = World()
        self.models: list[RunModel] = []
        self.erased: list[RunModel] = []

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.close()

    @rule(target=runs, plan=plans(), fuel=FUEL, cut=CUT)
    def start(self, plan: Plan, fuel: int | None, cut: float | None) -> Any:
        model = RunModel(f"r{len(self.models) + len(self.erased)}", plan)
        self.models.append(model)

        async def first(stream: Stream, tools: Tools) -> Outcome:
            stream.tell(Kind.RUN_STARTED, {"request": "x", "user": SETTINGS.user})
            versions = {name: tool.version for name, tool in self.world.tools().items()}
            stream.tell(Kind.PLAN_MADE, {"plan": plan.dump(), "tools": versions})
            return await self._execute(model, stream, tools, None)

        self._live(model, (), first, fuel, cut)
        return model

    @rule(
        model=runs,
        fuel=FUEL,
        cut=CUT,
        changed=st.booleans(),
        lazy=st.booleans(),
    )
    def resume(self, model: RunModel, fuel: int | None, cut: float | None, changed: bool, lazy: bool) -> None:
        events = self.log.read(model.id)
        try:
            past = Resumed(events, SETTINGS, Choices(changed_tools=changed))
        except Refused:
            status = fold(events).status
            assert model in self.erased or status == "done" or fold(events).plan is None
            return
        assert model not in self.erased, "an erased run is taken up again"
        somebody = Somebody(self.world, model.id, lazy=lazy)
        pinned = {step.id: past.left.pinned[step.id] for step in past.kept.planned.plan.steps}
        now = self.world.tools()
        open_steps = [s for s in past.kept.planned.plan.steps if s.id not in past.left.done]
        edited = [step.id for step in open_steps if now[step.task].version != pinned[step.id]]

        async def further(stream: Stream, tools: Tools) -> Outcome:
            stream.tell(Kind.RUN_RESUMED, past.opening("me"))
            plan = past.kept.planned.plan
            present = Present(
                plan=plan,
                tools=now,
                identities=identities(plan, now, {}, known(stream.events)),
                stream=stream,
                call=tools,
                approver=somebody if changed else None,
                durable=self.log.barrier,
            )
            left = await past.results(present)
            return await self._execute(model, stream, tools, left)

        refused = self._live(model, past.events, further, fuel, cut)
        assert refused is None or (edited and not changed and "--changed-tools" in refused.hint)
        if edited and not changed and fuel is None:
            assert refused is not None, "a step runs with a tool that was edited, and nobody was told"

    @rule(tool=st.sampled_from(list(EFFECTS)))
    def edit(self, tool: str) -> None:
        self.world.versions[tool] += 1

    @rule()
    def merge(self) -> None:
        self.log.merge()

    @rule()
    def compact(self) -> None:
        self.log.compact()

    @rule()
    def lose(self) -> None:
        self.log.lose()

    @precondition(lambda self: len(self.models) > 2)
    @rule(model=runs)
    def erase(self, model: RunModel) -> None:
        if model in self.models:
            self.log.erase(model.id)
            self.models.remove(model)
            self.erased.append(model)

    @rule(model=runs)
    def replay(self, model: RunModel) -> None:
        """What is on record gives one outcome, as often as it is read, and no tool is called for it."""
        before = dict(self.world.calls)
        once, twice = fold(self.log.read(model.id)), fold(self.log.read(model.id))
        assert once == twice
        assert dict(self.world.calls) == before

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for model in getattr(self, "models", ()):
            there = {event.id for event in self.log.read(model.id)}
            assert model.acknowledged <= there
        for model in getattr(self, "erased", ()):
            assert list(self.log.read(model.id)) == []

    @invariant()
    def no_write_is_repeated(self) -> None:
        if hasattr(self, "world"):
            assert all(count == 1 for count in self.world.acts.values())

    @invariant()
    def what_is_done_is_never_called_again(self) -> None:
        for model in getattr(self, "models", ()):
            for place in _done(self.log.read(model.id)):
                calls = self.world.calls[model.id, *place]
                assert model.done_calls.setdefault(place, calls) == calls

    def _live(self, model: RunModel, earlier: Any, work: Any, fuel: int | None, cut: float | None) -> Refused | None:
        """One life of a process: it does the work, and is gone when its fuel is."""
        burning = Fuel(fuel)
        self.log.open(burning)
        stream = Stream(
            model.id, self.log.append, now=lambda: "2026-01-01", attempt=_next_attempt(earlier), earlier=list(earlier)
        )
        tools = Tools(self.world, self.log, burning, stream)
        refused: Refused | None = None

        async def life() -> None:
            nonlocal refused
            try:
                outcome = await work(stream, tools)
                self._is_as_it_should_be(model, outcome)
                status = "done" if all(step.state is State.DONE for step in outcome.steps) else "failed"
            except Refused as error:
                refused, status = error, "failed"
            stream.tell(Kind.RUN_DONE, {"status": status})
            await self._durable(model, stream)

        try:
            asyncio.run(life())
        except Crash:
            self.log.crash(cut)
        else:
            self.log.crash(0.0)  # whatever comes: it said that all is durable
        return refused

    async def _execute(self, model: RunModel, stream: Stream, tools: Tools, left: Recovered | None) -> Outcome:
        async def durable() -> None:
            await self._durable(model, stream)

        specs = self.world.tools()
        same = identities(model.plan, specs, {}, known(stream.events))
        executor = Executor(tools, durable=durable, on_bug=_raise)
        await executor.run(model.plan, specs, {}, stream, {}, Lineage(), recovered=left, identities=same)
        return fold(stream.events)

    async def _durable(self, model: RunModel, stream: Stream) -> None:
        told = {event.id for event in stream.events}
        await self.log.barrier()
        model.acknowledged |= told

    def _is_as_it_should_be(self, model: RunModel, outcome: Outcome) -> None:
        """Every result that a call gave is what it is in a run that nothing happened to."""
        ideal: dict[str, Any] = {}
        for step in model.plan.steps:
            params = {name: ideal[name] for name in step.params if name != "item"}
            if step.foreach is None:
                ideal[step.id] = {"step": step.id, "of": params}
            else:
                ideal[step.id] = [{"step": step.id, "of": params | {"item": item}} for item in range(ITEMS)]
        for found in outcome.steps:
            if found.state is not State.DONE:
                continue
            values = found.value if isinstance(found.value, list) else [found.value]
            wanted = ideal[found.id] if isinstance(found.value, list) else [ideal[found.id]]
            for value, want in zip(values, wanted, strict=True):
                assert value == want or (value is None and found.task == "write"), found


def _raise(bug: BaseException) -> None:
    raise bug


def _next_attempt(earlier: Any) -> int:
    return 1 + max((event.attempt for event in earlier), default=0)


def _done(events: Any) -> set[tuple[str, int | None]]:
    """The places that are done as the record says, but for frames of a list."""
    lists = {event.step for event in events if event.kind in (Kind.ITEM_INTENT, Kind.ITEM_DONE)}
    found: set[tuple[str, int | None]] = set()
    for event in events:
        if isinstance(event, Event) and event.kind is Kind.STEP_DONE and event.step not in lists:
            found.add((str(event.step), None))
        elif isinstance(event, Event) and event.kind is Kind.ITEM_DONE:
            found.add((str(event.step), int(event.body["item"])))
    return found


class RealSurvival(Survival):
    """The machine over journals, merges, snapshots and erasures as they are."""

    def opened(self) -> Log:
        return RealLog()


class Forgetful(LossyDisk):
    """A disk whose sync does nothing: as if the journal had left it out."""

    def sync(self, descriptor: int) -> None:
        self._burns()


class ForgetfulLog(RealLog):
    disk = Forgetful


class Forgotten(Survival):
    def opened(self) -> Log:
        return ForgetfulLog()


TestSurvival = Survival.TestCase
TestSurvival.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestRealSurvival = pytest.mark.timeout(3600)(RealSurvival.TestCase)
TestRealSurvival.settings = settings(max_examples=REAL, stateful_step_count=15, deadline=None)


def test_a_record_that_is_not_synced_is_found_out() -> None:
    quickly = settings(max_examples=50, stateful_step_count=4, deadline=None, database=None, phases=[Phase.generate])
    with pytest.raises((AssertionError, Flaky)):
        run_state_machine_as_test(Forgotten, settings=quickly)
