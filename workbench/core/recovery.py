"""What a run that was left unfinished still holds, and what is to be done with the rest of it. Pure: events in.

    done                          its result is used; it is never called again and never judged again
    intent, and no word of an end read, idempotent: again, with the same key
                                  write: uncertain. Whether it has acted nobody knows: its `check` or a person says
    failed, or stopped under way  the same, unless the record says that its tool was never called
    never begun, blocked          as if nothing had happened

The record is a prefix of what was told: when an event is there, so are all before it. A write acts only after its
intent is durable, so a write without an intent has not acted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from workbench.core import artifacts, refs
from workbench.core.artifacts import Artifact
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.plan import Plan, Step, dump_step
from workbench.core.tools import ToolSpec, digest

Place = str | tuple[str, int]
"""A step by its id, or an item of one by the step's id and its index."""

_NOT_CALLED = frozenset({"denied", "exceeded"})
"""How a call ends that was never made."""
_UNSEEN = frozenset({"id", "task", "params", "needs", "title", "timeout", "retry", "approve", "cache"})
"""Fields of a step that say nothing of what it gives, or are looked at by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A write of which nobody knows whether it has acted. `why` is the end of a sentence; `identity` as in its
    intent."""

    step: str
    item: int | None
    tool: str
    version: str
    identity: str
    why: str

    @property
    def place(self) -> Place:
        return self.step if self.item is None else (self.step, self.item)

    def __str__(self) -> str:
        return self.step if self.item is None else f"{self.step}[{self.item}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What is left of a run. `done`: tool and value by step; `items`: values by index of steps that were half done;
    `skipped`: steps that were passed over, with the reason; `again`: places whose tool may have been called and is
    called again; `uncertain`: writes that somebody has to decide about; `pinned`: the version of each step's tool that
    it was planned with, "" where an older record does not say."""

    done: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    items: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    again: tuple[Place, ...] = ()
    uncertain: Mapping[Place, Doubt] = field(default_factory=dict)
    pinned: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Begun:
    """A call with an intent and no result. `called`: the worst that is known of it."""

    intent: Mapping[str, Any]
    called: bool = False
    ended: str = ""

    @property
    def is_doubtful(self) -> bool:
        # Without a word of its end the call may have been made and not been told: only its intent had to be durable.
        return self.intent.get("effect") == "write" and (self.called or not self.ended)


def recover(events: Iterable[AnyEvent], is_there: Callable[[Any], bool] = lambda value: True) -> Recovered:
    """What the events of one run, all attempts in order, leave to be done. `is_there`: whether the files of a result
    are; where they are not, as on another machine, the step has no result."""

    def is_lost(body: Mapping[str, Any]) -> bool:
        if "value" not in body and "payloads" in body:
            return True  # its result lay in a file of its own
        return not is_there(artifacts.from_json(body.get("value")))

    planned: dict[str, Mapping[str, Any]] = {}
    pinned: dict[str, str] = {}
    done: dict[str, tuple[str, Any]] = {}
    items: dict[str, dict[int, Any]] = {}
    skipped: dict[str, str] = {}
    begun: dict[Place, _Begun] = {}
    for event in events:
        if not isinstance(event, Event):
            continue
        body, step = event.body, event.step
        if event.kind in (Kind.PLAN_MADE, Kind.PLAN_EDITED) and "plan" in body:
            if event.kind is Kind.PLAN_MADE and int(body.get("round", 1)) == 1:
                planned.clear()
            for gone in body.get("left_out", ()):
                planned.pop(gone, None)
                pinned.pop(gone, None)
            planned |= {raw["id"]: raw for raw in body["plan"]["steps"]}
            pinned |= {raw["id"]: body.get("tools", {}).get(raw["task"], "") for raw in body["plan"]["steps"]}
        if step not in planned:
            continue
        place: Place = step if body.get("item") is None else (step, int(body["item"]))
        match event.kind.split("."):
            case [_, "intent"]:
                begun[place] = _Begun(body)
                pinned[step] = pinned[step] or str(body.get("version", ""))
            case ["tool", "called"] if place in begun:
                begun[place].called |= body.get("status") not in _NOT_CALLED
            case ["step" | "item", "done"] if is_lost(body):
                begun.setdefault(place, _Begun({"tool": planned[step]["task"]})).called = True
                begun[place].ended = "it has happened, and its result is gone"
            case ["step", "done"]:
                done[step] = (planned[step]["task"], artifacts.from_json(body.get("value")))
            case ["item", "done"]:
                items.setdefault(step, {})[int(body["item"])] = artifacts.from_json(body.get("value"))
                begun.pop(place, None)
            case ["step", "skipped"]:
                skipped[step] = str(body.get("reason", ""))
            case [_, "failed"] if place in begun:
                begun[place].ended = f"it failed: {(body.get('error') or {}).get('message', '')}".rstrip(": ")
            case [_, "cancelled"] if place in begun:
                begun[place].called, begun[place].ended = True, "it was stopped under way"
            case _:
                pass
    ended = done.keys() | skipped.keys()
    left = {place: call for place, call in begun.items() if _step_of(place) not in ended}
    # The intent of a step with items is only a frame: what may have acted are its items.
    frames = {step for step, raw in planned.items() if raw.get("foreach") is not None}
    doubts = {place: _doubt(place, call) for place, call in left.items() if place not in frames and call.is_doubtful}
    return Recovered(
        done=done,
        items={step: found for step, found in items.items() if step not in ended},
        skipped=skipped,
        again=tuple(place for place in left if place not in doubts),
        uncertain=doubts,
        pinned=pinned,
    )


def _step_of(place: Place) -> str:
    return place if isinstance(place, str) else place[0]


def _doubt(place: Place, call: _Begun) -> Doubt:
    step, item = (place, None) if isinstance(place, str) else place
    intent = call.intent
    return Doubt(
        step=step,
        item=item,
        tool=str(intent.get("tool", "")),
        version=str(intent.get("version", "")),
        identity=str(intent.get("identity", "")),
        why=call.ended or "it was under way when its process ended",
    )


def effect_key(run: str, step: str, item: int | None = None) -> str:
    """The key of one effect, the same in every attempt of its run: whoever knows it can tell that it has happened."""
    return digest([run, step, "" if item is None else item])


def identity(step: Step, tool: ToolSpec, steps: Mapping[str, str], variables: Mapping[str, Artifact]) -> str:
    """What a step computes, as a hash: two steps with one identity give one result, whatever they are called.

    Its tool with version, its parameters with defaults filled in, what else decides over it; a reference to a step by
    that step's identity (`steps`), to a table by the content of it. `steps` also counts where nothing refers to it but
    `needs` does.
    """
    declared: Mapping[str, Mapping[str, Any]] = tool.params.get("properties", {})
    defaults = {name: schema["default"] for name, schema in declared.items() if "default" in schema}
    rest = {name: value for name, value in dump_step(step).items() if name not in _UNSEEN}

    def named(ref: refs.Ref) -> Any:
        if ref.variable is not None:
            found = variables.get(ref.variable)
            return ["variable", found.sha256 if found is not None else f"@{ref.variable}", ref.pointer]
        return ["step", steps.get(str(ref.step), f"{ref.step}"), ref.pointer]

    return digest(
        {
            "tool": tool.name,
            "version": tool.version,
            "params": _named(defaults | step.params, named),
            "rest": _named(rest, named),
            "needs": sorted({steps.get(name, name) for name in step.needs}),
        }
    )


def identities(
    plan: Plan,
    tools: Mapping[str, ToolSpec],
    variables: Mapping[str, Artifact],
    earlier: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The identity of each step of a plan; "" where its tool is gone. `earlier`: those of steps that have a result
    already, of this plan or of earlier rounds: they stay what they were.

    In a plan that runs in list order a step also depends on what it does not name: on the effects before it, and on
    all that is before it when its tool asks for context.
    """
    found = dict(earlier or {})
    before = made_of(plan, tools)
    for name in TopologicalSorter(plan.needs()).static_order():
        step = plan.step(name)
        if name in found:
            continue
        if (tool := tools.get(step.task)) is None:
            found[name] = ""
            continue
        outside = [one for one in earlier or {} if one not in before] if plan.sequential and tool.reads_context else []
        step = step.model_copy(update={"needs": (*before[name], *outside)})
        found[name] = identity(step, tool, found, variables)
    return {step.id: found[step.id] for step in plan.steps}


def known(events: Iterable[AnyEvent]) -> dict[str, str]:
    """The identities of the steps of a run that have a result, as its events tell them."""
    begun: dict[str, str] = {}
    done: dict[str, str] = {}
    for event in events:
        if not isinstance(event, Event) or event.step is None:
            continue
        if event.kind is Kind.STEP_INTENT:
            begun[event.step] = event.body.get("identity", "")
        elif event.kind is Kind.STEP_DONE:
            done[event.step] = event.body.get("identity") or begun.get(event.step, "")
    return {step: found for step, found in done.items() if found}


def made_of(plan: Plan, tools: Mapping[str, ToolSpec]) -> dict[str, tuple[str, ...]]:
    """Step id → ids of this plan that its result depends on: those that it names, in list order also the effects before
    it, and all that is before it when its tool asks for context."""
    needs = plan.needs()
    if not plan.sequential:
        return needs
    found: dict[str, tuple[str, ...]] = {}
    for number, step in enumerate(plan.steps):
        tool = tools.get(step.task)
        named = {*step.needs, *(ref.step for ref in step.references())}
        found[step.id] = tuple(
            other.id
            for other in plan.steps[:number]
            if other.id in named
            or tool is None
            or tool.reads_context
            or (there := tools.get(other.task)) is None
            or there.effect != "read"
        )
    return found


def _named(value: Any, named: Any) -> Any:
    """The value with each reference replaced by what it stands for."""
    if refs.is_ref(value):
        return {"$ref": named(refs.parse(str(value["$ref"])))}
    if isinstance(value, Mapping):
        return {key: _named(item, named) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item, named) for item in value]
    if isinstance(value, str):
        parts = refs.parts(value)
        return value if parts == [value] else {"$text": [p if isinstance(p, str) else named(p) for p in parts]}
    return value
