"""A plan as an editor shows it, and what comes back from there, held to the rules of any plan.

What is switched off in an editor stays there to be switched on again; in the plan that runs it is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from workbench.core.errors import PlanInvalid
from workbench.core.plan import Plan, Step, load, read
from workbench.core.tools import ToolSpec
from workbench.policy.approval import Asked
from workbench.policy.words import unmixed, visible
from workbench.render import clean_text, conditions

OFF = "disabled"
"""Stands in a step of an editor that is switched off."""
MAX_SAID = 400
"""Characters of one problem."""
_PLACE = re.compile(
    r"(?:steps\.(?P<index>\d+)|(?P<step>[A-Za-z][\w-]*))(?:\.(?P<field>[^:]+))?: (?P<said>.*)", re.DOTALL
)
_BESIDE = re.compile(r"(?:its )?`?(?P<name>if|foreach|on_error|default)\b.*", re.DOTALL)
_PARAM = re.compile(r"params\.(?P<name>[^.:\[]+)(?P<rest>.*)", re.DOTALL)


_HINTS: Mapping[str, Mapping[str, str | bool]] = {
    "title": {"x-label": "what it does"},
    "if": {"x-frame": True, "x-hint": "runs only if this is not empty, nor false"},
    "foreach": {"x-field": "list", "x-hint": "once for each item"},
    "on_error": {"x-label": "on error", "x-hint": "what its failure means"},
    "default": {"x-hint": "the result when it fails or is skipped"},
    "approve": {"x-label": "ask before it runs"},
    "needs": {"x-field": "names", "x-label": "runs after"},
    "timeout": {"x-label": "timeout (s)"},
    "retry.max": {"x-label": "tries again"},
    "retry.base": {"x-label": "first pause (s)"},
    "retry.cap": {"x-label": "longest pause (s)"},
}
"""What an editor says of a step's fields, in its order."""


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong with a plan, by place: "" for the whole, "s1" for a step, "s1/city" for a parameter of it, "s1:if"
    for what it does beside its call."""

    by_place: Mapping[str, Sequence[str]]

    def line(self) -> str:
        """All of it in one line."""
        return "; ".join(
            f"{re.sub('[/:]', ': ', place)}: {said}" if place else said
            for place, found in self.by_place.items()
            for said in found
        )


def described(
    plan: Plan, tools: Mapping[str, ToolSpec], variables: Sequence[str] = (), earlier: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    """What an editor shows of a plan, as JSON: the `plan` itself, the `tools` that may be used, what a reference may
    name, the `fields` of a step beside its call, what each step comes `after`, by step and parameter how a value is
    `shown` in which something would not be seen, or passes for something else, and what else is `said` of a step: its
    title, and what it does beside its call.
    """
    raw = plan.dump()
    # Which way the steps hang together is decided now: an edit must not turn it round.
    raw["mode"] = "sequential" if plan.sequential else "graph"
    return {
        "plan": raw,
        "tools": {
            name: {"summary": clean_text(tool.summary)[:200], "effect": tool.effect, "params": tool.params}
            for name, tool in sorted(tools.items())
        },
        "fields": _fields(),
        "variables": list(variables),
        "earlier": [name for name, has_result in (earlier or {}).items() if has_result],
        "after": {step: list(needs) for step, needs in plan.needs().items()},
        "shown": {step.id: said for step in plan.steps if (said := dict(_odd(step.params)))},
        "said": {step.id: _said(step) for step in plan.steps},
    }


def checked(
    raw: Any,
    tools: Mapping[str, ToolSpec],
    variables: Sequence[str] = (),
    earlier: Mapping[str, bool] | None = None,
    before: Plan | None = None,
) -> Plan | Problems:
    """The plan that an editor holds, without the steps that are switched off; else all that is wrong with it.

    `before`: the plan that it began with. A page knows one kind of number: those that it left alone are taken from
    there, so that 1.0 does not become 1, nor a long account number another.
    """
    if not isinstance(raw, Mapping) or not isinstance(raw.get("steps"), list):
        return Problems({"": ["expected an object with a list of steps"]})
    on = [step for step in raw["steps"] if not (isinstance(step, Mapping) and step.get(OFF) is True)]
    off = {str(step.get("id")) for step in raw["steps"] if step not in on}
    if not on:
        return Problems({"": ["no step is left: deny it instead"]})
    was = {step["id"]: step for step in before.dump()["steps"]} if before is not None else {}
    steps = [
        _kept({key: v for key, v in step.items() if key != OFF}, was.get(step.get("id")))
        if isinstance(step, Mapping)
        else step
        for step in on
    ]
    try:
        return read({**raw, "steps": steps}, tools, variables, earlier or {})
    except PlanInvalid as error:
        found: dict[str, list[str]] = {}
        for place, said in (_placed(problem, on, off) for problem in error.errors):
            found.setdefault(place, []).append(clean_text(said)[:MAX_SAID])
        return Problems(found)


def agreed(raw: Any, asked: Asked) -> Plan | Problems:
    """The plan that an editor holds of the one that was asked about; else all that is wrong with it."""
    return checked(raw, asked.tools, asked.variables, asked.earlier, asked.plan)


def answered(raw: Any, asked: Asked) -> dict[str, Any]:
    """What an editor hears of the plan that it holds, as JSON: the `problems`, and what each step comes `after`."""
    plan = agreed(raw, asked)
    if isinstance(plan, Problems):
        return {"problems": plan.by_place, "after": _after(raw)}
    return {"problems": {}, "after": plan.needs()}


def _after(raw: Any) -> Mapping[str, Sequence[str]]:
    """What each step of a plan that breaks rules comes after; nothing where it has no shape yet."""
    try:
        return load({**raw, "steps": [{k: v for k, v in step.items() if k != OFF} for step in raw["steps"]]}).needs()
    except (PlanInvalid, TypeError, AttributeError):
        return {}


def _placed(problem: str, steps: Sequence[Any], off: set[str]) -> tuple[str, str]:
    """Where a problem belongs, and what it says there."""
    found = _PLACE.fullmatch(problem)
    if found is None:
        return "", problem
    step, said = found["step"] or _id(steps, int(found["index"])), found["said"]
    if not any(isinstance(one, Mapping) and one.get("id") == step for one in steps):
        return "", problem
    if gone := [name for name in off if f"{name!r}" in said or re.search(rf"refers to {name}\b", said)]:
        said = f"needs {gone[0]}, which is switched off"
    if found["field"] and not found["field"].startswith("params"):
        return f"{step}:{_field(found['field'])}", said
    if param := _PARAM.fullmatch(said):
        return f"{step}/{param['name']}", param["rest"].lstrip(": ") or said
    beside = _BESIDE.fullmatch(said)
    return (f"{step}:{beside['name']}" if beside else step), said


def _field(path: str) -> str:
    """The name of the field in which a path within a step lies."""
    known = _fields()
    return next((name for name in (path, path.split(".")[0]) if name in known), path)


@cache
def _fields() -> dict[str, Any]:
    """What a step has beside its call, as JSON schema by name: flat, so that each is one field."""
    schema = Step.model_json_schema(by_alias=True)
    retry = schema["$defs"]["Retry"]["properties"]
    flat = {name: schema["properties"][name] for name in ("title", *_HINTS) if name in schema["properties"]}
    flat |= {f"retry.{name}": field for name, field in retry.items()}
    return {name: field | _HINTS.get(name, {}) for name, field in flat.items()}


def _id(steps: Sequence[Any], index: int) -> str:
    step = steps[index] if index < len(steps) else None
    return str(step.get("id", "")) if isinstance(step, Mapping) else ""


def _said(step: Step) -> dict[str, str]:
    more = list(conditions(step))
    if isinstance(step.foreach, list | tuple):
        more.append(f"the items: {json.dumps(step.foreach, ensure_ascii=False, default=str)}")
    if step.timeout is not None:
        more.append(f"at most {step.timeout:g} s")
    title = step.title if step.title != step.task else ""
    return {"title": clean_text(title), "more": clean_text("; ".join(more))}


def _kept(now: Any, was: Any) -> Any:
    """The value with each number that is as a page would have made it of the number before."""
    if isinstance(now, Mapping) and isinstance(was, Mapping):
        return {key: _kept(item, was.get(key)) for key, item in now.items()}
    if isinstance(now, list) and isinstance(was, list | tuple):
        return [_kept(item, was[at] if at < len(was) else None) for at, item in enumerate(now)]
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (now, was))
    return was if numbers and _as_page(now) == _as_page(was) else now


def _as_page(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _odd(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parameters in which something would not be seen, or passes for something else, and how they read with
    nothing hidden."""
    for name, value in params.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        lines = text.replace("\t", "    ").split("\n")
        seen = [unmixed(visible(line)) for line in lines]
        if seen != lines:
            yield name, "\n".join(seen)
