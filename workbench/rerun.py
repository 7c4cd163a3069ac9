"""A run once more, with changes: exactly the steps that change, and what descends from them, are run.

The rest is taken over with its results, which the new run tells as such. The run that is repeated stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from workbench.core import provenance
from workbench.core.episode import rerun
from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Event, Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import Plan, dump_step, read
from workbench.core.recovery import Recovered, known, recover
from workbench.core.settings import Settings
from workbench.core.tools import ToolSpec, digest
from workbench.parts import Asked
from workbench.past import Kept, Present
from workbench.planners.base import Planned
from workbench.policy.approval import Approver
from workbench.policy.run_budget import RunBudget
from workbench.registry.recorded import refuse_missing
from workbench.replay import inputs
from workbench.resume import asked_again, is_whole, made_of, refuse_others, tables_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is different the second time. `first`: steps that are run again with all that descends from them; `values`
    by their place in the plan, "s2.params.limit"; `drop`: steps that are left out. Nothing at all: every step is run
    again."""

    first: Collection[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    drop: Collection[str] = ()

    def __str__(self) -> str:
        return ", ".join(
            [
                *(f"from {name}" for name in self.first),
                *(f"{place} = {json.dumps(value, ensure_ascii=False)}" for place, value in self.values.items()),
                *(f"without {name}" for name in self.drop),
            ]
        )


class Rerun:
    """The past of a run that repeats another. `events`: those of the other; `tools`: those that may be used now.

    Raises Refused when there is no such step or no plan, PlanInvalid when the changed plan breaks its rules.
    """

    def __init__(
        self, events: Sequence[AnyEvent], settings: Settings, tools: Mapping[str, ToolSpec], changes: Changes
    ) -> None:
        self._events = [event for event in events if isinstance(event, Event)]
        self.outcome = fold(self._events)
        self.changes = changes
        self._folder = settings.artifacts
        refuse_others(self.outcome, settings)
        if self.outcome.plan is None:
            raise Refused(f"{self.outcome.run} has no plan.", hint="Ask again.")
        before = _whole(self.outcome)
        self.tables = tables_of(self._events, settings.artifacts)
        self.made_of = made_of(self._events)
        raw = _changed(before, changes)
        gone = {step["id"]: str(step["task"]) for step in raw["steps"] if str(step["task"]) not in tools}
        refuse_missing(self._events, gone, tools)
        plan = read(raw, tools, [*self.tables])
        self._left = recover(self._events, partial(is_whole, settings.artifacts))
        done = self._left.done
        self.taken = [name for name in done if name not in _touched(before, plan, changes, done)]
        self.kept = Kept(
            planned=Planned(plan=plan, planner=self.outcome.planner, model=self.outcome.model, notes=self._notes()),
            round=1,
            sources=self.outcome.plan_sources,
            told=False,
            approved=False,
        )

    @property
    def model(self) -> str:
        """The model that the request named, "" when it named none."""
        return next((str(e.body.get("asked_model") or "") for e in self._events if e.kind is Kind.RUN_STARTED), "")

    @property
    def again(self) -> str:
        """How the record calls the new run, see `episode.again`."""
        return rerun(str(self.changes))

    def opening(self) -> dict[str, Any]:
        """What the first event of the new run says besides."""
        before = next((event.body for event in self._events if event.kind is Kind.RUN_STARTED), {})
        same = {name: before[name] for name in ("inserted", "asked_model", "stranger", "persona") if name in before}
        return {**same, "parent": self.outcome.run, "changed": str(self.changes)}

    def asked(
        self, stream: Stream, model: str | None, approver: Approver | None, rounds: bool, budget: RunBudget
    ) -> Asked:
        """The request as it was asked then."""
        asked = asked_again(self._events, {}, stream, model, approver, self)
        return replace(asked, rounds=rounds, budget=budget, quoted=inputs.quoted(self._events, self._folder))

    async def results(self, present: Present) -> Recovered:
        """See `Past`. Raises Refused where a function of the kernel is needed that it does not have."""
        taken = [name for name in self.taken if name in _unchanged(self.kept.planned.plan, present.plan)]
        to_run = {step.id: step.task for step in present.plan.steps if step.id not in taken}
        refuse_missing(self._events, to_run, present.tools)
        take_over(self._events, {name: name for name in taken}, present)
        return Recovered(done={name: self._left.done[name] for name in taken})

    def _notes(self) -> list[str]:
        what = str(self.changes)
        if what:
            what = f" {what}" if what.startswith(("from", "without")) else f" with {what}"
        kept = f"taken over as it was: {', '.join(self.taken)}" if self.taken else "every step is run again"
        return [f"Run again{what}; {kept}."]


def take_over(events: Sequence[Event], taken: Mapping[str, str], present: Present) -> None:
    """Tell the results of another run's steps as those of this one's. `taken`: step here → step there."""
    same = known(events)
    ends = {event.step: event for event in events if event.kind is Kind.STEP_DONE}
    for here in (step.id for step in present.plan.steps):
        if here not in taken:
            continue
        end = ends[taken[here]]
        body = {name: end.body[name] for name in ("value", "text", "sources") if name in end.body}
        there = next(step for step in fold(events).steps if step.id == taken[here])
        more = {
            "seconds": 0.0,
            "provenance": provenance.to_json(there.provenance),
            "reused": end.body.get("reused") or f"{end.run}/{end.step}",
            "tool": there.task,
            "identity": same.get(taken[here], ""),
        }
        present.stream.tell(Kind.STEP_DONE, body | more, step=here)


def _whole(outcome: Outcome) -> Plan:
    """The plan of all rounds as one; nobody looks again at what is known."""
    assert outcome.plan is not None  # noqa: S101 - the caller has made sure
    return outcome.plan.model_copy(update={"look": False})


def _changed(plan: Plan, changes: Changes) -> dict[str, Any]:
    """The plan with the changes, as data. Raises Refused."""
    raw = plan.dump()
    steps: dict[str, dict[str, Any]] = {step.id: json.loads(json.dumps(dump_step(step))) for step in plan.steps}
    for name in [*changes.first, *changes.drop, *(place.partition(".")[0] for place in changes.values)]:
        if name not in steps:
            raise Refused(f"There is no step {name}.", hint=f"There are: {', '.join(steps)}.")
    for place, value in changes.values.items():
        name, *path = place.split(".")
        if not path or path[0] == "id":
            raise Refused(f"{place} is no value of a step.", hint="Write for example s2.params.limit=5")
        _put(steps[name], path, value, place)
    # Which way the steps hang together was decided with all of them there.
    raw["mode"] = "sequential" if plan.sequential else "graph"
    return raw | {"steps": [step for name, step in steps.items() if name not in changes.drop]}


def _put(where: Any, path: Sequence[str], value: Any, said: str) -> None:
    *before, last = path
    for part in before:
        where = _inside(where, part, said)
    if isinstance(where, list):
        _inside(where, last, said)
        where[int(last)] = value
    elif isinstance(where, dict):
        where[last] = value
    else:
        raise Refused(f"{said}: there is nothing to set {last} in.")


def _inside(where: Any, part: str, said: str) -> Any:
    if isinstance(where, dict) and part in where:
        return where[part]
    if isinstance(where, list) and part.isdigit() and int(part) < len(where):
        return where[int(part)]
    there = f"There are: {', '.join(map(str, where))}." if isinstance(where, dict) else ""
    raise Refused(f"{said}: there is no {part}.", hint=there)


def _touched(before: Plan, after: Plan, changes: Changes, done: Mapping[str, Any]) -> set[str]:
    """The steps that are run: those that change, those without a result, and what descends from them or from what is
    left out."""
    ids = {step.id for step in after.steps}
    changed = {place.partition(".")[0] for place in changes.values}
    first = {*changes.first, *changed, *changes.drop, *(ids - done.keys())}
    if not (changes.first or changed or changes.drop):
        first |= ids
    needs = {name: {*before.needs().get(name, ()), *after.needs().get(name, ())} for name in {*ids, *before.needs()}}
    found = set(first)
    while more := {name for name, needed in needs.items() if name not in found and needed & found}:
        found |= more
    return found


def _unchanged(before: Plan, after: Plan) -> set[str]:
    """The steps that a person has left as they were, with all that they descend from."""
    was = {step.id: digest(dump_step(step)) for step in before.steps}
    same = {step.id for step in after.steps if digest(dump_step(step)) == was.get(step.id)}
    needs = {name: {*before.needs().get(name, ()), *after.needs()[name]} for name in same}
    while less := {name for name in same if not needs[name] <= same}:
        same -= less
    return same
