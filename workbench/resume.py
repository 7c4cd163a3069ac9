"""A run that was left unfinished is taken up again, from its record alone.

What is done stays done. What was under way goes on by what its tool says of itself: a read is done again, a write is
asked whether it has happened. Nobody is asked about what the record settles, and nothing is done twice unasked.

A plan is the one on record. A tool is the file that is there now: its pinned version is gone when somebody has edited
it. So a step that is not done and whose tool has changed is told, and runs when a person agrees to the change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.core import artifacts, provenance
from workbench.core.artifacts import Artifact
from workbench.core.episode import again
from workbench.core.errors import Refused, Untrusted
from workbench.core.events import AnyEvent, Event, Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.plan import Plan, load
from workbench.core.recovery import Doubt, Place, Recovered, effect_key, recover
from workbench.core.settings import Settings
from workbench.core.tools import ToolCall
from workbench.offer import Offer
from workbench.parts import Asked
from workbench.past import Kept, Past, Present
from workbench.planners.base import Planned
from workbench.policy.approval import Approver, AskedStep, shown
from workbench.policy.approval import Asked as Question
from workbench.policy.run_budget import RunBudget
from workbench.registry.recorded import refuse_missing
from workbench.replay import inputs
from workbench.sandbox.frames import read_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user says beforehand. `done`: steps in doubt that have happened; `again`: such that are to be done
    again; an item of a step as "s2[0]". `changed_tools`: steps may run with tools that were edited meanwhile."""

    done: Collection[str] = ()
    again: Collection[str] = ()
    changed_tools: bool = False

    def about(self, doubt: Doubt) -> Literal["done", "again", ""]:
        names = {str(doubt), doubt.step}
        return "done" if names & set(self.done) else "again" if names & set(self.again) else ""


@dataclass(frozen=True, slots=True)
class _Decided:
    """What became of a doubt. `value` is the result where it has happened, `by` who says so; `why` it stays a doubt."""

    what: Literal["done", "again", "doubt"]
    value: Any = None
    by: str = ""
    why: str = ""
    reached: provenance.Sources = provenance.NONE


class Resumed:
    """The past of a further attempt at a run. `events`: all of its attempts.

    Raises Refused when there is nothing to take up for the user of these settings.
    """

    def __init__(self, events: Sequence[AnyEvent], settings: Settings, choices: Choices | None = None) -> None:
        self.events = [event for event in events if isinstance(event, Event)]
        self.outcome = fold(self.events)
        self._choices = choices or Choices()
        self._folder = settings.artifacts
        refuse_others(self.outcome, settings)
        self.kept = _kept(self.events, self.outcome)
        self.left = recover(self.events, partial(is_whole, settings.artifacts))
        self.tables = tables_of(self.events, self._folder)
        self.made_of = made_of(self.events)
        _refuse_strangers(self._choices, self.left)

    @property
    def budget(self) -> Mapping[str, float]:
        """The limits that the run was given; empty when there were none."""
        return next((event.body.get("budget", {}) for event in self.events if event.kind is Kind.RUN_STARTED), {})

    @property
    def model(self) -> str:
        """The model that the request named, "" when it named none."""
        return next((str(e.body.get("asked_model") or "") for e in self.events if e.kind is Kind.INPUTS), "")

    @property
    def again(self) -> str:
        """How the record calls this run, see `episode.again`."""
        return again(self.events, resumed=True)

    def asked(
        self,
        frames: Mapping[str, pd.DataFrame],
        stream: Stream,
        model: str | None,
        approver: Approver | None,
        budget: RunBudget,
    ) -> Asked:
        """The request as it was asked, to be gone on with. `frames`: offered besides the tables that were taken.

        Reads files: a planner that looks once more sees what it saw before.
        """
        if self.kept.planned.plan.look:
            taken = {name: read_frame(self._folder / table.path) for name, table in self.tables.items()}
            frames = {**taken, **frames}
        quoted = inputs.quoted(self.events, self._folder)
        return replace(asked_again(self.events, frames, stream, model, approver, self), budget=budget, quoted=quoted)

    def opening(self, by: str) -> dict[str, Any]:
        """The body of the attempt's first event."""
        return {
            "by": by,
            "kept": sorted(self.left.done),
            "again": [_named(place) for place in self.left.again],
            "uncertain": [str(doubt) for doubt in self.left.uncertain.values()],
        }

    async def results(self, present: Present) -> Recovered:
        """See `Past`. Asks about changed tools first, then about each doubt."""
        ids = {step.id for step in present.plan.steps}
        # A step that the user says has happened is not run, whatever became of its tool.
        settled = self.left.done.keys() | self.left.skipped.keys() | set(self._choices.done)
        await self._agree(present, ids - settled)
        doubts: dict[Place, Doubt] = {}
        done, items = dict(self.left.done), {step: dict(found) for step, found in self.left.items.items()}
        for place, doubt in self.left.uncertain.items():
            if doubt.step not in ids:
                continue
            decided = await self._decide(doubt, present)
            if decided.what == "doubt":
                doubts[place] = replace(doubt, why=decided.why or doubt.why)
            elif decided.what == "done":
                self._tell(doubt, decided, present)
                if doubt.item is None:
                    done[doubt.step] = (doubt.tool, decided.value)
                else:
                    items.setdefault(doubt.step, {})[doubt.item] = decided.value
        return replace(self.left, done=done, items=items, uncertain=doubts)

    async def _agree(self, present: Present, open_steps: Collection[str]) -> None:
        """Have the user agree to tools that are not those that the plan was made with. Raises Refused, Untrusted."""
        to_run = {step.id: step.task for step in present.plan.steps if step.id in open_steps}
        refuse_missing(self.events, to_run, present.tools)
        for step in present.plan.steps:
            tool, pinned = present.tools.get(step.task), self.left.pinned.get(step.id, "")
            if step.id not in open_steps:
                continue
            if tool is None:
                raise Untrusted(
                    f"{step.id}: there is no tool {step.task} that may run now.",
                    hint="`workbench tools` says which there are; one that was edited has to be trusted again.",
                )
            if not pinned or tool.version == pinned or self._choices.changed_tools:
                continue
            said = f"{step.task} was edited since the step was planned ({pinned[:12]}, now {tool.version[:12]})"
            lines = [f"{step.id}: {said}; the version it was planned with is gone."]
            if not await self._asks(present, step.id, tool.name, lines, "Run the step with the tool as it is now?"):
                raise Refused(
                    f"{step.id}: {said}.",
                    hint="Put the file back as it was, or resume with --changed-tools to run it as it is now.",
                )

    async def _decide(self, doubt: Doubt, present: Present) -> _Decided:
        if (said := self._choices.about(doubt)) != "":
            return _Decided(said, by="option")
        tool = present.tools[present.plan.step(doubt.step).task]
        if tool.checks:
            return await self._check(doubt, present)
        step = present.plan.step(doubt.step)
        lines = [f"{doubt} {step.task}: {doubt.why}.", f"  {shown(step.params)}"]
        if await self._asks(present, doubt.step, step.task, lines, "Has it happened?", only_a_person=True):
            return _Decided("done", by="user")
        if await self._asks(present, doubt.step, step.task, lines[:1], "Do it again?", only_a_person=True):
            return _Decided("again", by="user")
        return _Decided("doubt")

    async def _check(self, doubt: Doubt, present: Present) -> _Decided:
        """What the tool itself says of its effect."""
        tool = present.tools[present.plan.step(doubt.step).task]
        call = ToolCall(
            run=present.stream.run,
            step=doubt.step,
            tool=tool,
            params={},
            timeout=tool.timeout,
            key=effect_key(present.stream.run, doubt.step, doubt.item),
            entry="check",
        )
        result = await present.call(call)
        if result.status != "ok":
            return _Decided("doubt", why=f"{doubt.why}, and its check failed: {result.error}")
        if result.value is None or result.value is False:
            return _Decided("again", by="check")
        return _Decided("done", value=result.value, by="check", reached=result.reached)

    async def _asks(
        self,
        present: Present,
        step: str,
        tool: str,
        lines: Sequence[str],
        question: str,
        *,
        only_a_person: bool = False,
    ) -> bool:
        """Whether the answer is yes. With `only_a_person` an option that says yes to everything does not count."""
        if present.approver is None:
            return False
        await present.durable()
        about = AskedStep(step=step, tool=tool, lines=lines, question=question)
        run, request = present.stream.run, self.outcome.request
        round_ = self.kept.round
        decision = await present.approver(
            Question(run=run, request=request, plan=present.plan, round=round_, step=about)
        )
        yes = decision.answer == "allow" and not (only_a_person and decision.by != "user")
        body = {"decision": "allow" if yes else "deny", "by": decision.by, "reason": decision.reason, "round": round_}
        present.stream.tell(Kind.APPROVAL, body | {"tool": tool, "question": question}, step=step)
        return yes

    def _tell(self, doubt: Doubt, decided: _Decided, present: Present) -> None:
        body = {
            "value": artifacts.to_json(decided.value),
            "text": "",
            "seconds": 0.0,
            "sources": [],
            "provenance": provenance.to_json(decided.reached),
            "by": decided.by,
        }
        if doubt.item is None:
            present.stream.tell(Kind.STEP_DONE, body, step=doubt.step)
        else:
            present.stream.tell(Kind.ITEM_DONE, {"item": doubt.item, **body}, step=doubt.step)


def asked_again(
    events: Sequence[Event],
    frames: Mapping[str, pd.DataFrame],
    stream: Stream,
    model: str | None,
    approver: Approver | None,
    past: Past,
) -> Asked:
    """The request that these events began with, for another attempt or another run."""
    body = next((event.body for event in events if event.kind is Kind.RUN_STARTED), {})
    return Asked(
        text=str(body.get("request", "")),
        notes=(),
        offer=Offer(frames),
        stream=stream,
        model=model or str(body.get("asked_model", "")) or None,
        plan_only=False,
        approver=approver,
        rounds=bool(body.get("asks")),
        inserted=tuple(body.get("inserted", ())),
        memory=bool(body.get("memory")),
        past=past,
    )


def refuse_others(outcome: Outcome, settings: Settings) -> None:
    """Raises Refused when the run is another user's."""
    if outcome.user not in ("", settings.user):
        raise Refused(f"{outcome.run} is a run of {outcome.user}.", hint="Only who asked for a run goes on with it.")


def tables_of(events: Sequence[Event], folder: Path) -> dict[str, Artifact]:
    """The tables that a run took of what was offered, by name, as far as their files are still there."""
    told = [event.body for event in events if event.kind is Kind.ARTIFACT_MADE and event.body.get("variable")]
    tables = {str(body["variable"]): artifacts.artifact(body) for body in told}
    return {name: table for name, table in tables.items() if (folder / table.path).is_file()}


def made_of(events: Sequence[Event]) -> dict[str, provenance.Sources]:
    """What the tables that a run took are made of beyond the user's rows, by name."""
    told = [event.body for event in events if event.kind is Kind.ARTIFACT_MADE and event.body.get("variable")]
    return {str(body["variable"]): provenance.from_json(body.get("sources", ())) for body in told}


def is_whole(folder: Path, value: Any) -> bool:
    """Whether the files of a result are still there."""
    return all((folder / file.path).is_file() for file in artifacts.find(value))


def _kept(events: Sequence[Event], outcome: Outcome) -> Kept:
    """The last round that was planned. Raises Refused when the run cannot be taken up."""
    run = outcome.run
    if outcome.status == "done":
        raise Refused(f"{run} is done: there is nothing to resume.", hint=f"workbench rerun {run} runs it once more.")
    plans = [n for n, event in enumerate(events) if event.kind in (Kind.PLAN_MADE, Kind.PLAN_EDITED)]
    if not plans:
        raise Refused(f"{run} had no plan yet when it stopped, so nothing was done.", hint="Ask again.")
    if outcome.status == "planned":
        raise Refused(f"{run} was only to be planned.", hint="Ask again without --plan.")
    last = events[plans[-1]].body
    body = next(event.body for event in reversed(events) if event.kind is Kind.PLAN_MADE)
    if "plan" not in last:
        raise Refused(f"The plan of {run} lay in a file that is gone.", hint="Ask again.")
    number = int(last.get("round", 1))
    later = [s.id for s in outcome.steps]
    plan = _plan(last["plan"], later)
    answers = [e.body for e in events[plans[-1] :] if e.kind is Kind.APPROVAL and e.step is None]
    return Kept(
        planned=Planned(plan=plan, planner=body.get("planner", ""), model=body.get("model", "")),
        round=number,
        sources=provenance.from_json(body.get("sources", ())),
        told=True,
        approved=any(answer.get("decision") == "allow" for answer in answers) or not _asks(events),
        typed=last.get("typed", {}),
    )


def _plan(raw: Mapping[str, Any], ids: Collection[str]) -> Plan:
    own = {step["id"] for step in raw["steps"]}
    return load(raw, [name for name in ids if name not in own])


def _asks(events: Sequence[Event]) -> bool:
    return any(event.kind is Kind.RUN_STARTED and event.body.get("asks") for event in events)


def _named(place: Place) -> str:
    return place if isinstance(place, str) else f"{place[0]}[{place[1]}]"


def _refuse_strangers(choices: Choices, left: Recovered) -> None:
    known = {name for doubt in left.uncertain.values() for name in (str(doubt), doubt.step)}
    for name in [*choices.done, *choices.again]:
        if name not in known:
            there = f"In doubt: {', '.join(map(str, left.uncertain.values()))}." if known else "No step is in doubt."
            raise Refused(f"{name} is not in doubt.", hint=there)
    if both := set(choices.done) & set(choices.again):
        raise Refused(f"{sorted(both)[0]}: --done and --again exclude each other.")
