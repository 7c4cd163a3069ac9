"""The one door: a request in, a run out. What it goes through is told in `story`, what with in `parts`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import bridge
from workbench.core import refs
from workbench.core.budget import Budget
from workbench.core.events import Kind, Listener, Watcher
from workbench.inkernel import OnThread
from workbench.offer import Offer
from workbench.parts import Asked, Parts
from workbench.planners.base import Planner
from workbench.planners.given import GivenPlanner, in_words
from workbench.policy.approval import Approver
from workbench.policy.run_budget import RunBudget, budget_of
from workbench.policy.sanitize import clean_prompt
from workbench.run import Run
from workbench.sandbox.choose import beside
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
        budget: Budget | RunBudget | Mapping[str, float] | str | None = None,
        **frames: pd.DataFrame,
    ) -> Run:
        """The run of one request. Tables are offered by keyword (`sales=df`) or in `variables`; those in `named`, given
        by keyword, or written `@name` in the text may be shown to a remote model with their first rows. The
        `approver` says yes or no where policy asks, and with `rounds` also before each round of steps; without one
        policy hears no, and rounds run. `inserted`: texts in the request that came from values, not from the keyboard.
        `watchers` see plan and answer while a model writes. `notebook`: the path of the notebook that asks, for the
        record; "" when there is none, or nobody has said. With `memory` a model also sees what the user has asked to be
        remembered and may matter; without it no run changes because the memory has grown. With `follows` it also sees
        what was asked before in this notebook and session, and is offered the last table of that as `previous`; with
        `memory` also of earlier sessions of the notebook. `fresh` lets that begin anew. `budget`: what the run may use,
        such as "usd=0.5,calls=20", in place of the setting; runs that are given one `RunBudget` share it. `planner`
        plans this one run. `on_thread` has the thread that waits make a call: without it no tool of the kernel itself
        can be used. `stranger`: who wrote the request, when it was not the user: then none of its words is theirs.
        `persona`: in whose manner it is served; "" for nobody's.

        Raises Refused when the request cannot be served, ToolFailed when a step failed, BudgetExceeded when it was
        stopped because a budget is used up, Cancelled when it was stopped by somebody,
        another WorkbenchError otherwise; each carries `.run` with what was finished.
        """
        speaker = self.personas().get(persona) if persona else None
        allowed = budget_of(budget, self.settings.budget)
        if speaker is not None and speaker.budget is not None:
            allowed = RunBudget(speaker.budget, within=allowed)
        await beside(self.sandbox.prepare())  # workers get ready while the planner plans
        prompt = clean_prompt(text)
        self.limits.admit_request(self.settings.user)
        await self.budgets.admit()
        offer = Offer({**(variables or {}), **frames}, {*named, *frames, *_mentioned(prompt.text)})
        stream = self.stream(listeners, watchers)
        limits = allowed.all_limits().limits()
        opening = self.opening(prompt.text, notebook, fresh=fresh) | ({"budget": limits} if limits else {})
        stream.tell(Kind.RUN_STARTED, opening)
        if fresh:
            self.conversation.start_anew(notebook)
        asked = Asked(
            text=prompt.text,
            notes=prompt.notes,
            offer=offer,
            stream=stream,
            model=model or (speaker.model if speaker is not None else "") or None,
            plan_only=plan_only,
            approver=approver and allowed.patient(approver),
            rounds=rounds,
            inserted=inserted,
            memory=memory,
            planner=planner,
            on_thread=on_thread,
            stranger=stranger,
            persona=speaker,
            notebook=notebook,
            follows=follows,
            budget=allowed,
        )
        return await Story(self, asked).run()

    async def run_tool(self, name: str, params: Mapping[str, Any], /, **options: Any) -> Run:
        """The run of one call of one tool, planned by the caller and held to everything that a request is held to.

        `options` are those of `ask`. Raises as that does; PlanInvalid names a wrong tool or parameter.
        """
        step = {"task": name, "params": dict(params)}
        return await self.ask(in_words(name, params), planner=GivenPlanner([step]), **options)


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
