"""Runs a plan. `core.progress` decides what is ready; this module only starts steps, waits, and tells what happened.

A failure costs a step and its descendants, never its siblings. Cancellation stops every call, keeps what is finished,
and says so in events before it goes on upwards.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workbench.calls import Call
from workbench.core.artifacts import Artifact
from workbench.core.events import Event, Kind, Stream
from workbench.core.plan import Plan
from workbench.core.progress import OPEN, Progress
from workbench.core.provenance import Lineage
from workbench.core.recovery import Recovered
from workbench.core.tools import ToolSpec
from workbench.policy.run_budget import RunBudget
from workbench.steps import Around, Manner, StepRun, gone, skip


class Executor:
    """Runs plans with one `call`. `parallel`: calls of one run at once; one that waits for its next try does not count.

    The rest is as in `workbench.steps.Manner`.
    """

    def __init__(
        self,
        call: Call,
        *,
        durable: Callable[[], Awaitable[None]],
        parallel: int = 4,
        budget: RunBudget | None = None,
        on_bug: Callable[[BaseException], None] = lambda error: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._parallel = parallel
        self._manner = Manner(
            call=call,
            durable=durable,
            budget=budget or RunBudget(),
            on_bug=on_bug,
            sleep=sleep,
            uniform=uniform,
        )

    async def run(
        self,
        plan: Plan,
        tools: Mapping[str, ToolSpec],
        variables: Mapping[str, Artifact],
        stream: Stream,
        earlier: Mapping[str, tuple[str, Any]] | None = None,
        lineage: Lineage | None = None,
        *,
        recovered: Recovered | None = None,
        identities: Mapping[str, str] | None = None,
    ) -> None:
        """Return when every step has ended; how each ended is in the stream.

        `earlier`: id → tool and value of the steps of earlier rounds; `lineage`: the sources of those and of the plan,
        to which each step's are added. `recovered`: what an earlier attempt has left: what is done is not called, what
        is uncertain is told as that. `identities`: what each step's intent names besides.

        Raises CancelledError after the calls of a cancelled run are gone and its open steps are told as cancelled.
        """
        left = recovered or Recovered()
        ids = {step.id for step in plan.steps}
        stand_in = {name for name in left.skipped if name in ids and plan.step(name).stands_in}
        results = dict(earlier or {}) | {name: left.done[name] for name in left.done}
        results |= {name: (plan.step(name).task, plan.step(name).default) for name in stand_in}
        progress = Progress(
            plan.needs(),
            plan.uses(),
            done=[name for name in plan.needs() if name in left.done or name in stand_in],
            skipped=[name for name in left.skipped if name in ids - stand_in],
        )

        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            event = stream.tell(kind, body, step=step)
            progress.apply(event)
            return event

        around = Around(
            run=stream.run,
            plan=plan,
            tools=tools,
            variables=variables,
            results=results,
            lineage=lineage or Lineage(),
            recovered=left,
            identities=identities or {},
            slots=asyncio.Semaphore(self._parallel),
            tell=tell,
        )
        for place, doubt in left.uncertain.items():
            if isinstance(place, str) and place in ids:
                tell(Kind.STEP_UNCERTAIN, {"reason": doubt.why}, place)
        await self._all(progress, around)

    async def _all(self, progress: Progress, around: Around) -> None:
        plan, running = around.plan, dict[asyncio.Task[None], str]()
        cancelled = _cancellations()
        self._close(progress, around)
        try:
            while not progress.finished:
                if _cancellations() > cancelled:  # somebody below has kept it to himself
                    raise asyncio.CancelledError
                for name in progress.ready():
                    if name not in running.values():
                        work = StepRun(plan.step(name), around, self._manner).run()
                        running[asyncio.create_task(work, name=f"{around.run}/{name}")] = name
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    if (bug := task.exception()) is not None:
                        raise bug
                self._close(progress, around)
        except BaseException:
            # Cancelled, or the journal is gone: either way no call may outlive the run.
            await gone(running)
            for name, state in progress.states.items():
                if state in OPEN:
                    around.tell(Kind.STEP_CANCELLED, {"reason": "the run was stopped"}, name)
            raise

    def _close(self, progress: Progress, around: Around) -> None:
        """Tell of the steps that can never run; what is told of one may decide over others."""
        while without := progress.skipped():
            for name, by in without.items():
                skip(around.plan.step(name), around, f"it refers to {', '.join(by)}, which was skipped")
        for name, by in progress.blocked().items():
            around.tell(Kind.STEP_BLOCKED, {"by": list(by)}, name)


def _cancellations() -> int:
    """How often the running task was asked to stop."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
