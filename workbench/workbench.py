"""The one door: a request in, a run out. What it goes through is told in `story`, what with in `parts`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench import bridge, many
from workbench.core import refs
from workbench.core.budget import Budget
from workbench.core.errors import WorkbenchError
from workbench.core.events import AnyEvent, Kind, Listener, Watcher
from workbench.core.provenance import Sources
from workbench.core.request import Quoted
from workbench.core.tape import Replay, Tape
from workbench.inkernel import OnThread
from workbench.many import Request, Runs
from workbench.offer import Offer
from workbench.parts import Asked, Parts
from workbench.planners.base import Planner
from workbench.planners.given import GivenPlanner, in_words
from workbench.policy.approval import Approver
from workbench.policy.run_budget import RunBudget, budget_of
from workbench.policy.sanitize import clean_prompt
from workbench.rerun import Changes, Rerun
from workbench.resume import Choices, Resumed
from workbench.reuse import Reused
from workbench.run import Run
from workbench.sandbox.choose import beside
from workbench.scheduler.local import Local
from workbench.story import Story

if TYPE_CHECKING:
    import pandas as pd


class Workbench(Parts):
    """Plans and runs requests. Every part can be handed in; what is not is made from the settings.

    One instance serves many requests at once. It may be used from any event loop; `close` it when done, or leave it to
    the end of the process.
    """

    async def ask(
        self,
        text: str,
        /,
        *,
        variables: Mapping[str, pd.DataFrame] | None = None,
        named: Collection[str] = (),
        quoted: Sequence[Quoted] = (),
        made_of: Mapping[str, Sources] | None = None,
        plan_only: bool = False,
        model: str | None = None,
        approver: Approver | None = None,
        rounds: bool = True,
        inserted: Sequence[str] = (),
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        notebook: str = "",
        memory: bool = False,
        planner: Planner | None = None,
        on_thread: OnThread | None = None,
        stranger: str = "",
        persona: str = "",
        follows: bool = False,
        fresh: bool = False,
        reuse: bool = False,
        replay: Replay | None = None,
        budget: Budget | RunBudget | Mapping[str, float] | str | None = None,
        **frames: pd.DataFrame,
    ) -> Run:
        """The run of one request. Tables are offered by keyword (`sales=df`) or in `variables`; those in `named`, given
        by keyword, or written `@name` in the text may be shown to a remote model with their first rows. `made_of`:
        what a table is made of beyond the user's rows, by name. `quoted`: what the user puts beside the request, for a
        model to read as data. The
        `approver` says yes or no where policy asks, and with `rounds` also before each round of steps; without one
        policy hears no, and rounds run. `inserted`: texts in the request that came from values, not from the keyboard.
        `watchers` see plan and answer while a model writes. `notebook`: the path of the notebook that asks, for the
        record; "" when there is none, or nobody has said. With `memory` a model also sees what the user has asked to be
        remembered and may matter; without it no run changes because the memory has grown. With `follows` it also sees
        what was asked before in this notebook and session, and is offered the last table of that as `previous`; with
        `memory` also of earlier sessions of the notebook. `fresh` lets that begin anew. `budget`: what the run may use,
        such as "usd=0.5,calls=20", in place of the setting; runs that are given one `RunBudget` share it.
        With `reuse` a step that computes the same as one of an earlier run takes its result over: the same tool, the
        same parameters, the same tables; not while a cassette is on, which has every step. `planner` plans this one
        run. `on_thread` has the thread that waits make a call: without it no tool of the kernel itself can be used.
        `stranger`: who wrote the request, when it was not the user: then none of its words is theirs. `persona`: in
        whose manner it is served; "" for nobody's. `replay`: whether what is on record is used instead of asking anew;
        None for what the settings, or the cassette that is on, say.

        Raises Refused when the request cannot be served, ToolFailed when a step failed, BudgetExceeded when a budget is
        used up, Cancelled when it was stopped, ReplayMiss when a strict replay lacks a recording, another
        WorkbenchError otherwise; each carries `.run` with what was finished, once there is one.
        """
        speaker = self.personas().get(persona) if persona else None
        model = model or (speaker.model if speaker is not None else "") or None
        allowed = budget_of(budget, self.settings.budget)
        if speaker is not None and speaker.budget is not None:
            allowed = RunBudget(speaker.budget, within=allowed)
        prompt = clean_prompt(text)
        tape = await self.replays.tape(prompt.text, model or "", replay)
        await self._admit(tape)
        offer = Offer({**(variables or {}), **frames}, {*named, *frames, *_mentioned(prompt.text)})
        stream = self.stream(listeners, watchers)
        asks = approver is not None and rounds
        more = {"inserted": list(inserted), "asks": asks, "asked_model": model or "", "memory": memory}
        more |= {name: said for name, said in (("stranger", stranger), ("persona", persona)) if said}
        asked = Asked(
            text=prompt.text,
            notes=prompt.notes,
            offer=offer,
            stream=stream,
            model=model,
            plan_only=plan_only,
            approver=self.replays.approver(tape, approver and allowed.patient(approver)),
            rounds=rounds or self.replays.is_edited(tape),
            inserted=inserted,
            memory=memory,
            planner=planner,
            on_thread=on_thread,
            stranger=stranger,
            persona=speaker,
            notebook=notebook,
            follows=follows,
            budget=allowed,
            past=Reused(self.memory, self.settings) if reuse and self.replays.cassette is None else None,
            tape=tape,
            quoted=[replace(one, text=self.secrets.redact(one.text)) for one in quoted],
            made_of=made_of or {},
        )
        async with self.leased(stream.run, notebook):
            stream.tell(Kind.RUN_STARTED, self.opening(prompt.text, notebook, fresh=fresh) | allowed.told() | more)
            if fresh:
                self.conversation.start_anew(notebook)
            return await Story(self, asked).run()

    async def resume(
        self,
        run: str,
        /,
        *,
        done: Collection[str] = (),
        again: Collection[str] = (),
        changed_tools: bool = False,
        variables: Mapping[str, pd.DataFrame] | None = None,
        model: str | None = None,
        approver: Approver | None = None,
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        notebook: str = "",
        on_thread: OnThread | None = None,
        replay: Replay | None = None,
        budget: Budget | RunBudget | Mapping[str, float] | str | None = None,
    ) -> Run:
        """A run that stopped, crashed or failed, taken up where it is: what is done stays, the rest is done now. `run`
        is its id or the beginning of it.

        A write that was under way is asked whether it has happened (`check` in its file), else the `approver` is;
        `done` and `again` say so beforehand, by the step's id. `changed_tools`: steps that are not done may run with
        tools that were edited since. Tables are those that were taken then; `variables` are needed only where none had
        been yet. Functions of a notebook that the run used are made again from the record; those that run in the kernel
        have to be there. `budget`: what the run may use, all attempts together; by default what it was given.
        `listeners` hear the events of earlier attempts first.

        Raises Refused when there is nothing to take up, or when another process runs it; else as `ask` does.
        """
        choices = Choices(done=done, again=again, changed_tools=changed_tools)
        past = Resumed(await self.record.events(run), self.settings, choices)
        tape = await self.replays.tape(past.outcome.request, past.model, replay, again=past.again, run=past.outcome.run)
        await self._admit(tape)
        async with self.leased(past.outcome.run, notebook) as lease:
            # Whoever had it may have gone on meanwhile.
            past = Resumed(await self.record.events(past.outcome.run), self.settings, choices)
            stream = self.stream(listeners, watchers, past.events, lease.attempt)
            stream.repeat(listeners)  # so that they know what has been done
            stream.tell(Kind.RUN_RESUMED, past.opening(self.settings.user))
            allowed = budget_of(budget or past.budget, self.settings.budget)
            allowed.resume(past.events)
            patient = self.replays.approver(tape, approver and allowed.patient(approver))
            asked = await asyncio.to_thread(past.asked, variables or {}, stream, model, patient, allowed)
            rebuilt = await asyncio.to_thread(self.rebuilt, past.events)
            asked = replace(asked, rebuilt=rebuilt, on_thread=on_thread, tape=tape)
            return await Story(self, self._as_before(asked, past.events)).run()

    async def rerun(
        self,
        run: str,
        /,
        *,
        first: Collection[str] = (),
        values: Mapping[str, Any] | None = None,
        drop: Collection[str] = (),
        model: str | None = None,
        approver: Approver | None = None,
        rounds: bool = False,
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        notebook: str = "",
        on_thread: OnThread | None = None,
        replay: Replay | None = None,
        budget: Budget | RunBudget | Mapping[str, float] | str | None = None,
    ) -> Run:
        """A new run of an earlier one's plan, with changes: only steps that change, and what descends from them, are
        run, the results of the rest are taken over. `first`: steps that are run again with all that descends from them;
        `values` by their place, `{"s2.params.limit": 5}`; `drop`: steps that are left out. Without any change every
        step is run again. Tables are those that were taken then.

        Raises Refused when there is no such run, step or place, PlanInvalid when what is left breaks the rules of a
        plan; else as `ask` does.
        """
        changes = Changes(first=first, values=values or {}, drop=drop)
        events = await self.record.events(run)
        rebuilt = await asyncio.to_thread(self.rebuilt, events)
        past = Rerun(events, self.settings, self.tools(rebuilt), changes)
        tape = await self.replays.tape(past.outcome.request, model or past.model, replay, again=past.again)
        await self._admit(tape)
        stream = self.stream(listeners, watchers)
        allowed = budget_of(budget, self.settings.budget)
        patient = self.replays.approver(tape, approver and allowed.patient(approver))
        asked = past.asked(stream, model, patient, rounds, allowed)
        asked = replace(asked, rebuilt=rebuilt, on_thread=on_thread, tape=tape)
        async with self.leased(stream.run, notebook):
            stream.tell(Kind.RUN_STARTED, self.opening(asked.text, notebook) | allowed.told() | past.opening())
            return await Story(self, self._as_before(asked, stream.events)).run()

    def _as_before(self, asked: Asked, events: Sequence[AnyEvent]) -> Asked:
        """The request with who wrote it and in whose manner it is served, as the first event says. Raises Refused."""
        body = next((event.body for event in events if event.kind == Kind.RUN_STARTED), {})
        persona = str(body.get("persona") or "")
        speaker = self.personas().get(persona) if persona else None
        return replace(asked, stranger=str(body.get("stranger") or ""), persona=speaker)

    async def _admit(self, tape: Tape | None = None) -> None:
        self.limits.admit_request(self.settings.user)
        if tape is None or not tape.is_strict:  # a strict replay runs nothing and costs nothing
            await beside(self.sandbox.prepare())  # workers get ready while the planner plans
            await self.budgets.admit()

    async def run_tool(self, name: str, params: Mapping[str, Any], /, **options: Any) -> Run:
        """The run of one call of one tool, planned by the caller and held to everything that a request is held to.

        `options` are those of `ask`. Raises as that does; PlanInvalid names a wrong tool or parameter.
        """
        step = {"task": name, "params": dict(params)}
        return await self.ask(in_words(name, params), planner=GivenPlanner([step]), **options)

    async def ask_many(
        self,
        requests: Sequence[Request],
        /,
        *,
        concurrency: int = 4,
        ended: Callable[[int, Run | WorkbenchError], None] = lambda number, result: None,
        budget: Budget | RunBudget | Mapping[str, float] | str | None = None,
        **options: Any,
    ) -> Runs:
        """The runs of many requests, `concurrency` at once, in the order of the requests; one that fails costs no
        other, and stands there as its error, with `.run`. A request is its words, or {"request": words, …} with options
        for this one; `options` are those of `ask`, for all. A `budget` is one for all of them together.
        `ended(number, result)` hears each as it ends.

        Raises Cancelled when it was stopped or the workbench closed, with what had come of each by then in
        `.data["runs"]`: none more were started, and those under way were stopped as one run is.
        """
        if budget is not None:
            options["budget"] = budget_of(budget)
        scheduler = Local(concurrency)
        self.under_way.add(scheduler)
        try:
            return await many.ask_many(self.ask, requests, scheduler, options, ended)
        finally:
            self.under_way.discard(scheduler)

    def stop_many(self, seconds: float = 0.0) -> None:
        """Start no more of many requests, and stop those under way after `seconds`. From any thread."""
        for scheduler in list(self.under_way):
            scheduler.stop(seconds)


def _mentioned(text: str) -> set[str]:
    return set(re.findall(rf"@({refs.VARIABLE})", text))


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
    errands = bridge.Errands()
    return bridge.wait(current().ask(text, **{"on_thread": errands.run, **options}), errands=errands)


def ask_many(requests: Sequence[Request], /, *, seconds: float = 10.0, **options: Any) -> Runs:
    """`Workbench.ask_many` of this process's workbench for code without `await`. On SIGTERM the requests under way get
    `seconds` to finish, no more are started, and the process ends when all is on disk."""
    workbench = current()
    with many.graceful(workbench.stop_many, seconds) as heard:
        try:
            return bridge.wait(workbench.ask_many(requests, **options))
        finally:
            if heard:
                raise SystemExit(many.TERMINATED)
