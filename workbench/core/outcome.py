"""What became of a request, folded from its events: the same record live, from memory, and in a replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from workbench.core import artifacts, payloads
from workbench.core.artifacts import Artifact
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.plan import Plan, load
from workbench.core.progress import State
from workbench.core.provenance import NONE, Sources
from workbench.core.provenance import from_json as sources_from

RunStatus = Literal["planned", "running", "done", "failed", "cancelled", "budget"]
"""planned: shown, not run. failed: a step, the planner or the answer failed; finished steps are kept. budget: stopped
because what the run may use was used up; finished steps are kept."""
SUMMARY = "summary"
"""Stands in `Outcome.answered_by` where the answer was put together from the results, and no model has worded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as data: the name of its class, its line, and what to do."""

    kind: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """A step and what became of it. `value` is JSON with artifacts as leaves; `tries` counts from 1 once started.
    `sources` are the works that its result cites; `provenance` is all that it is made of. `reason` says why it is
    skipped, cancelled or uncertain. `items` of a foreach: how many have their result, and how many there are; None for
    every other step. `retries`: tries after a failure, of all its calls. `problem` of a step that is done: why its
    default is the value. `mended`: it failed, and later steps were planned in its place. `reused`: "RUN/STEP" where
    the result was taken over from another run, else ""; `said_by`: who said that it had happened, "" when its call
    did."""

    id: str
    task: str
    title: str
    params: Mapping[str, Any]
    state: State = State.WAITING
    value: Any = None
    text: str = ""
    problem: Problem | None = None
    blocked_by: tuple[str, ...] = ()
    sources: tuple[Mapping[str, str], ...] = ()
    seconds: float = 0.0
    tries: int = 0
    progress: str = ""
    provenance: Sources = NONE
    reason: str = ""
    items: tuple[int, int] | None = None
    retries: int = 0
    mended: bool = False
    reused: str = ""
    said_by: str = ""

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(artifacts.find(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the models of a run cost. `usd` is None when a model's price is not known; 0 when no model was used."""

    usd: Decimal | None = Decimal(0)
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0

    def __str__(self) -> str:
        if not self.calls:
            return "$0 (no model was called)"
        price = "price unknown" if self.usd is None else f"${self.usd.normalize():f}"
        calls = "1 model call" if self.calls == 1 else f"{self.calls} model calls"
        return f"{price}, {self.tokens_in:,} tokens in, {self.tokens_out:,} out, {calls}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run as a reader sees it. `planner` and `model` name who planned; `notes` say how the request was read;
    `answered_by` who wrote the answer; `isolation` the level that the workers ran under; `plan_sources` what the plan
    is made of, all rounds together; `inputs` are the offered tables as the steps took them, by name. `attempt` counts
    how often the run was begun; `parent` is the run that this one repeats with changes, `imported` whose run it was
    elsewhere: "" when there is none."""

    run: str
    request: str = ""
    status: RunStatus = "running"
    plan: Plan | None = None
    steps: tuple[StepOutcome, ...] = ()
    planner: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()
    answer: str = ""
    answered_by: str = ""
    problem: Problem | None = None
    cost: Cost = Cost()
    isolation: str = ""
    started_at: str = ""
    seconds: float = 0.0
    user: str = ""
    imported: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    plan_sources: Sources = NONE
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    attempt: int = 1
    parent: str = ""

    @property
    def images(self) -> tuple[Artifact, ...]:
        """The pictures of the run, in the order of the plan."""
        return tuple(a for step in self.steps for a in step.artifacts if a.is_image)

    @property
    def sounds(self) -> tuple[Artifact, ...]:
        """The sounds of the run, in the order of the plan."""
        return tuple(a for step in self.steps for a in step.artifacts if a.is_sound)

    @property
    def frames(self) -> tuple[Artifact, ...]:
        """The tables of the run, in the order of the plan."""
        return tuple(a for step in self.steps for a in step.artifacts if a.is_frame)

    @property
    def sources(self) -> tuple[Mapping[str, str], ...]:
        return tuple(source for step in self.steps for source in step.sources)


def fold(events: Iterable[AnyEvent], start: Outcome | None = None) -> Outcome:
    """The outcome that the events of one run tell, in order of seq. Unknown kinds change nothing."""
    outcome = start or Outcome(run="")
    for event in events:
        if not isinstance(event, Event):
            continue
        if gone := payloads.lost(event):
            where = f" of step {event.step}" if event.step else ""
            said = f"Gone, or changed since it was written: {', '.join(gone)} in {event.kind}{where}."
            outcome = replace(outcome, notes=(*outcome.notes, said))
        outcome = advance(outcome, event)
    return outcome


def advance(outcome: Outcome, event: Event) -> Outcome:
    """The outcome after one more event."""
    body = event.body
    match event.kind:
        case Kind.RUN_STARTED:
            return replace(
                outcome,
                run=event.run,
                request=body.get("request", ""),
                isolation=body.get("isolation", ""),
                user=body.get("user", ""),
                imported=_imported(body.get("imported")),
                started_at=event.at,
                parent=body.get("parent", ""),
            )
        case Kind.RUN_RESUMED:
            return _resumed(outcome, event)
        case Kind.PLAN_MADE if "plan" in body:
            return _planned(outcome, body)
        case Kind.PLAN_EDITED if "plan" in body:
            return _edited(outcome, body)
        case Kind.APPROVAL if body.get("decision") == "deny" and not event.step:  # a step says so itself
            reason = f"Not approved: {body.get('reason', '')}".removesuffix(": ")
            return replace(outcome, notes=(*outcome.notes, reason))
        case Kind.ARTIFACT_MADE if not event.step and "variable" in body:
            return replace(outcome, inputs={**outcome.inputs, body["variable"]: artifacts.artifact(body)})
        case Kind.MEMORY_WRITTEN if body.get("by") == "model":
            return replace(outcome, notes=(*outcome.notes, f"Remembered of your words: {body.get('text', '')}"))
        case Kind.MODEL_CALLED:
            return replace(outcome, cost=_add(outcome.cost, body))
        case Kind.RUN_DONE:
            answer = body.get("answer") or {}
            return replace(
                outcome,
                status=body.get("status", "done"),
                problem=_problem(body.get("error")),
                answer=answer.get("text", ""),
                answered_by=answer.get("planner", ""),
                seconds=float(body.get("seconds", 0.0)),
            )
        case _ if event.step is not None:
            return replace(outcome, steps=tuple(_step(s, event) if s.id == event.step else s for s in outcome.steps))
        case _:
            return outcome


def _imported(told: Any) -> str:
    if not isinstance(told, Mapping):
        return ""
    project = f", project {told['workspace']}" if told.get("workspace") else ""
    return f"{told.get('user') or 'somebody'}{project}"


def _resumed(outcome: Outcome, event: Event) -> Outcome:
    """The outcome when a further attempt begins: what has a result keeps it, everything else is open again."""
    kept = (State.DONE, State.SKIPPED)
    return replace(
        outcome,
        status="running",
        attempt=event.attempt,
        problem=None,
        answer="",
        answered_by="",
        steps=tuple(
            step
            if step.state in kept or step.mended
            else replace(step, state=State.WAITING, problem=None, blocked_by=(), progress="")
            for step in outcome.steps
        ),
    )


def _planned(outcome: Outcome, body: Mapping[str, Any]) -> Outcome:
    """The outcome with a plan, or with the steps that a later round adds to it."""
    earlier = outcome.steps if int(body.get("round", 1)) > 1 else ()
    mends = set(body.get("mends", ()))
    earlier = tuple(replace(step, mended=True) if step.id in mends else step for step in earlier)
    made = load(body["plan"], [step.id for step in earlier])
    plan = made
    if earlier and outcome.plan is not None:
        plan = outcome.plan.model_copy(update={"steps": (*outcome.plan.steps, *made.steps), "look": made.look})
    return replace(
        outcome,
        plan=plan,
        planner=body.get("planner", ""),
        model=body.get("model", ""),
        isolation=body.get("isolation") or outcome.isolation,
        notes=(*(outcome.notes if earlier else ()), *body.get("notes", ())),
        steps=(*earlier, *_waiting(made)),
        plan_sources=(outcome.plan_sources if earlier else NONE) | sources_from(body.get("sources", ())),
    )


def _edited(outcome: Outcome, body: Mapping[str, Any]) -> Outcome:
    """The outcome with the steps of its last round as a person has changed them."""
    replaced = {*body.get("left_out", ()), *(step["id"] for step in body["plan"]["steps"])}
    earlier = tuple(step for step in outcome.steps if step.id not in replaced)
    made = plan = load(body["plan"], [step.id for step in earlier])
    if earlier and outcome.plan is not None:
        before = tuple(step for step in outcome.plan.steps if step.id not in replaced)
        plan = outcome.plan.model_copy(update={"steps": (*before, *made.steps), "look": made.look})
    notes = (*outcome.notes, *body.get("notes", ()))
    return replace(outcome, plan=plan, steps=(*earlier, *_waiting(made)), notes=notes)


def _waiting(plan: Plan) -> Iterator[StepOutcome]:
    for step in plan.steps:
        yield StepOutcome(id=step.id, task=step.task, title=step.title or step.task, params=step.params)


def _step(step: StepOutcome, event: Event) -> StepOutcome:
    body = event.body
    match event.kind:
        case Kind.STEP_INTENT:
            begun = replace(step, state=State.RUNNING, provenance=sources_from(body.get("sources", ())))
            count = body.get("items")
            return begun if count is None else replace(begun, items=(0 if step.items is None else step.items[0], count))
        case Kind.STEP_STARTED:
            return replace(step, tries=max(step.tries, int(body.get("try", 1))))
        case Kind.STEP_RETRIED:
            return replace(step, retries=step.retries + 1)
        case Kind.ITEM_DONE if step.items is not None:
            done, count = step.items
            return replace(step, items=(done + 1, count))
        case Kind.STEP_PROGRESS:
            return replace(step, progress=str(body.get("text", "")))
        case Kind.STEP_DONE:
            return replace(
                step,
                state=State.DONE,
                value=artifacts.from_json(body.get("value")),
                text=body.get("text", ""),
                seconds=float(body.get("seconds", 0.0)),
                sources=tuple(body.get("sources", ())),
                provenance=_provenance(step, body),
                problem=_problem(body.get("error")),
                reused=body.get("reused", ""),
                said_by=body.get("by", ""),
            )
        case Kind.STEP_FAILED:
            return replace(
                step,
                state=State.FAILED,
                problem=_problem(body.get("error")),
                text=body.get("text", ""),
                seconds=float(body.get("seconds", 0.0)),
                provenance=_provenance(step, body),
            )
        case Kind.STEP_SKIPPED:
            return replace(
                step,
                state=State.SKIPPED,
                value=artifacts.from_json(body.get("value")),
                reason=str(body.get("reason", "")),
                seconds=float(body.get("seconds", 0.0)),
                provenance=_provenance(step, body),
            )
        case Kind.STEP_BLOCKED:
            return replace(step, state=State.BLOCKED, blocked_by=tuple(body.get("by", ())))
        case Kind.STEP_UNCERTAIN:
            problem = Problem(
                kind="Uncertain",
                message=f"nobody knows whether it has happened: {body.get('reason', '')}".removesuffix(": "),
                hint=f"See whether it has. Then resume with --done {step.id} if so, else with --again {step.id}.",
            )
            return replace(step, state=State.UNCERTAIN, problem=problem, reason=str(body.get("reason", "")))
        case Kind.STEP_CANCELLED:
            return replace(step, state=State.CANCELLED, reason=str(body.get("reason", "")))
        case _:
            return step


def _provenance(step: StepOutcome, body: Mapping[str, Any]) -> Sources:
    # Sources only add up: an end without any, as older records have it, takes none away.
    return step.provenance | sources_from(body.get("provenance", ()))


def _problem(error: Mapping[str, Any] | None) -> Problem | None:
    if not error:
        return None
    return Problem(kind=error.get("kind", "Error"), message=error.get("message", ""), hint=error.get("hint", ""))


def _add(cost: Cost, body: Mapping[str, Any]) -> Cost:
    usd = body.get("usd")
    return Cost(
        usd=None if cost.usd is None or usd is None else cost.usd + Decimal(usd),
        tokens_in=cost.tokens_in + int(body.get("tokens_in") or 0),
        tokens_out=cost.tokens_out + int(body.get("tokens_out") or 0),
        calls=cost.calls + 1,
    )
