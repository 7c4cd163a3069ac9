"""Why a result is what it is: from a figure back to the calls, the plan, the sources, their hashes, and what it cost.

Everything is read from the events of the run; nothing is kept for it beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core import artifacts, refs
from workbench.core.artifacts import Artifact
from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.outcome import Outcome, StepOutcome, advance, fold
from workbench.core.provenance import SourceKind, Sources
from workbench.render import STYLE, Node, framed, tree_html, tree_text

MAX_CALLS = 20
"""Calls of one step that are told one by one."""
MAX_ITEMS = 20
"""Items of a foreach that are told one by one: those that went wrong before those that are done."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of one result, or of all results of a run."""

    node: Node

    def __repr__(self) -> str:
        return tree_text(self.node)

    def _repr_html_(self) -> str:
        return STYLE + framed(tree_html(self.node))


def account(events: Sequence[AnyEvent], step: str = "") -> Account:
    """The account of a step's result, down to tables, files and addresses; of every result of the run without a step.

    Raises Refused when the run has no such step.
    """
    told = _Told(events)
    ids = [one.id for one in told.outcome.steps]
    if step and step not in ids:
        there = f"There are: {', '.join(ids)}." if ids else "It has no steps."
        raise Refused(f"The run {told.outcome.run} has no step {step!r}.", hint=there)
    wanted = [step] if step else told.ends()
    return Account(told.run(wanted))


class _Told:
    """The events of a run, sorted by what they tell of."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self.events = [event for event in events if isinstance(event, Event)]
        self.outcome: Outcome = fold(self.events)
        self._steps = {step.id: step for step in self.outcome.steps}
        self._met: set[str] = set()

    def ends(self) -> list[str]:
        """The steps whose results no other step takes."""
        needed = {need for step in self.outcome.steps for need in self._needs(step.id)}
        return [step.id for step in self.outcome.steps if step.id not in needed]

    def run(self, wanted: Iterable[str]) -> Node:
        outcome = self.outcome
        facts = [("request", outcome.request), ("status", outcome.status)]
        if outcome.started_at:
            facts.append(("started", f"{outcome.started_at[:19].replace('T', ' ')} UTC"))
        if outcome.user:
            facts.append(("by", outcome.user))
        facts.append(("cost", str(outcome.cost)))
        below = [self.step(name) for name in wanted]
        return Node(f"Run {outcome.run}", facts, [*below, self.plan()])

    def plan(self) -> Node:
        outcome = self.outcome
        if outcome.plan is None:
            return Node("There is no plan.", self._models(None))
        who = outcome.model or outcome.planner
        facts = [("made by", f"{who} ({outcome.planner})" if outcome.model and outcome.planner != who else who)]
        facts.append(("made of", _made_of(outcome.plan_sources)))
        facts += [("read as", note.removeprefix("Read as: ")) for note in outcome.notes]
        facts += [
            (f"round {event.body.get('round')}", f"{event.body.get('decision')} by {event.body.get('by')}")
            for event in self._all(Kind.APPROVAL, None)
        ]
        return Node("Plan", [*facts, *self._models(None)])

    def step(self, name: str) -> Node:
        """The account of one step; told once in full, and by its name where it is met again."""
        step = self._steps[name]
        title = f"{name} {step.task}" + (f": {step.title}" if step.title != step.task else "")
        if name in self._met:
            return Node(f"{title} (above)")
        self._met.add(name)
        facts = [("state", str(step.state) + (f": {step.problem.message}" if step.problem else ""))]
        facts += [("made", _file(artifact)) for artifact in step.artifacts]
        if step.value is not None and not step.artifacts:
            facts.append(("made", _short(artifacts.to_json(step.value))))
        facts += self._tool(name)
        facts += [("given", _short(value)) for value in [_rest(step.params)] if value]
        facts += [(kind.upper(), text) for kind in ("sql", "code") if isinstance(text := step.params.get(kind), str)]
        facts += self._items(name)
        facts += self._calls(name)
        facts += [("source", f"{source.get('title', '')} {source.get('url', '')}".strip()) for source in step.sources]
        facts.append(("made of", _made_of(step.provenance)))
        below = [self.step(need) for need in self._needs(name)]
        below += [self._variable(ref) for ref in self._variables(step)]
        below += [Node(str(source)) for source in _places(step.provenance) if source.step in ("", name)]
        return Node(title, facts, below)

    def _needs(self, name: str) -> list[str]:
        plan = self.outcome.plan
        if plan is None:
            return []
        params = self._steps[name].params
        named = [str(ref.step) for ref in refs.find(params) if ref.step in self._steps]
        return list(dict.fromkeys([*named, *(need for need in plan.step(name).needs if need in self._steps)]))

    def _variables(self, step: StepOutcome) -> list[str]:
        return list(dict.fromkeys(str(ref.variable) for ref in refs.find(step.params) if ref.variable))

    def _variable(self, name: str) -> Node:
        taken = self.outcome.inputs.get(name)
        if taken is None:
            return Node(f"table @{name}, as it was offered; its content is not on record")
        names = ", ".join(column.name for column in taken.columns[:30])
        return Node(f"table @{name}, as it was offered", [("rows", _file(taken)), ("columns", names)])

    def _tool(self, name: str) -> list[tuple[str, str]]:
        told = [*self._all(Kind.STEP_DONE, name), *self._all(Kind.STEP_INTENT, name)]
        taken = next((event.body["reused"] for event in told if "reused" in event.body), "")
        facts = [("taken from", f"{taken}: the same step of an earlier run, not run again")] if taken else []
        if (last := next((event.body for event in reversed(told) if event.body.get("version")), None)) is not None:
            said = f"{last.get('tool')}, version {_hash(last['version'])}"
            facts.append(("tool", f"{said}, {last['effect']}" if last.get("effect") else said))
        return facts

    def _items(self, name: str) -> list[tuple[str, str]]:
        """The items of a foreach, each with what became of it."""
        ended: dict[int, str] = {}
        wrong: set[int] = set()
        for event in self.events:
            if event.step != name or event.kind not in _ENDS or not isinstance(event.body.get("item"), int):
                continue
            at, done = event.body["item"], event.kind is Kind.ITEM_DONE
            ended[at] = _item(event)
            (wrong.discard if done and not event.body.get("error") else wrong.add)(at)
        told = sorted(ended, key=lambda at: (at not in wrong, at))[:MAX_ITEMS]
        more = [("items", f"{len(ended) - len(told):,} more")] if len(ended) > len(told) else []
        return [*((f"item {at + 1}", ended[at]) for at in sorted(told)), *more]

    def _calls(self, name: str) -> list[tuple[str, str]]:
        asked = [("asked", _approval(event.body)) for event in self._all(Kind.APPROVAL, name)]
        calls = [("call", _call(event.body)) for event in self._all(Kind.TOOL_CALLED, name)[-MAX_CALLS:]]
        sent = [("sent", _exchange(event.body)) for event in self._all(Kind.SERVICE_CALLED, name)[-MAX_CALLS:]]
        return [*asked, *calls, *sent, *self._models(name)]

    def _models(self, step: str | None) -> list[tuple[str, str]]:
        return [("model", _model(event)) for event in self._all(Kind.MODEL_CALLED, step)[-MAX_CALLS:]]

    def _all(self, kind: Kind, step: str | None) -> list[Event]:
        return [event for event in self.events if event.kind is kind and event.step == step]


_ENDS = (Kind.ITEM_DONE, Kind.ITEM_FAILED, Kind.ITEM_UNCERTAIN)


def _item(event: Event) -> str:
    body = event.body
    match event.kind:
        case Kind.ITEM_DONE:
            default = f", its default, for {_error(body)}" if body.get("error") else ""
            return f"done: {_value(body.get('value'))}{default}"
        case Kind.ITEM_FAILED:
            return f"{'left out' if body.get('skipped') else 'failed'}: {_error(body)}"
        case _:
            return f"uncertain: {body.get('reason', '')}"


def _value(value: Any) -> str:
    files = list(artifacts.find(artifacts.from_json(value)))
    return "; ".join(map(_file, files)) if files else _short(value)


def _made_of(sources: Sources) -> str:
    if not sources:
        return "not said"
    return ", ".join("the request" if s.kind is SourceKind.USER else str(s) for s in sorted(sources, reverse=True))


def _places(sources: Sources) -> list[Any]:
    """The sources that are places of their own: not the request, and not the tables, which are told with their rows."""
    return [source for source in sorted(sources) if source.kind not in (SourceKind.USER, SourceKind.FRAME)]


def _file(artifact: Artifact) -> str:
    what = artifact.noun if artifact.noun != "file" else artifact.mime
    if artifact.is_frame:
        what = f"{artifact.rows or 0:,} rows, {len(artifact.columns)} columns"
    title = f" “{artifact.title}”" if artifact.title else ""
    return f"{what}{title}, sha256 {_hash(artifact.sha256)}, {artifact.path}"


def _approval(body: Mapping[str, Any]) -> str:
    return f"{body.get('question', '')} {body.get('decision')} by {body.get('by')}".strip()


def _call(body: Mapping[str, Any]) -> str:
    where = f", isolation {body['isolation']}" if body.get("isolation") else ""
    return f"{body.get('status')} in {body.get('seconds', 0):.2f} s{where}; {_hashes(body)}"


def _exchange(body: Mapping[str, Any]) -> str:
    words = " ".join(str(body[name]) for name in ("service", "method", "host") if body.get(name))
    again = ", from the record" if body.get("replayed") else ""
    ended = _error(body) or body.get("status") or "ok"
    return f"{words}: {ended}{again}, {body.get('bytes_in', 0):,} bytes; {_hashes(body)}"


def _model(event: Event) -> str:
    body, cost = event.body, advance(Outcome(run=""), event).cost
    price = str(cost).removesuffix(", 1 model call")
    return f"{body.get('model')} for {body.get('purpose')}: {price}; {_error(body) or _hashes(body)}"


def _error(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    if isinstance(error, Mapping):
        return f"{error.get('kind')}: {error.get('message')}"
    return str(error or "")


def _hashes(body: Mapping[str, Any]) -> str:
    return f"asked {_hash(body.get('request_sha256'))}, got {_hash(body.get('response_sha256'))}"


def _rest(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in params.items() if not (name in ("sql", "code") and isinstance(value, str))}


def _hash(value: Any) -> str:
    return str(value)[:12] if value else "nothing"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:299]}…"
