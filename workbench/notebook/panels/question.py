"""A question of a run as a panel shows it, and the answer that comes back from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.errors import Refused
from workbench.notebook.panels import plans
from workbench.policy.approval import Asked, Decision, Field
from workbench.render import clean_text, plan_text

MAX_SAID = 600


def question(asked: Asked, number: int) -> dict[str, Any]:
    """What is asked, as lines for who reads and fields for who answers; `number` names it, `step` the step that
    waits for the answer ("" for none)."""
    new = [f"New in round {asked.round}: {line}" for line in asked.difference]
    yes, no, step = "Approve", "Deny", ""
    if asked.call is not None:
        kind, lines, step = "call", [*asked.call.lines(), *new], asked.call.step
        head = "Allow this call?"
        if asked.fields:
            head, yes, no = "Answer this?", "Answer", "Decline"
    elif asked.step is not None:
        kind, lines, head, yes, no = "step", list(asked.step.lines), asked.step.question, "Yes", "No"
        step = asked.step.step
    else:
        kind, lines = "plan", new if asked.tools else [plan_text(asked.plan, full=True), *new]
        head = "Run these steps?" if asked.round == 1 else f"Round {asked.round}: run these further steps?"
    return {
        "number": number,
        "kind": kind,
        "step": step,
        "head": clean_text(head),
        "yes": yes,
        "no": no,
        "lines": [clean_text(line, keep_lines=True) for line in lines],
        "fields": [_field(one) for one in asked.fields],
        "editor": {**plans.described(asked.plan, asked.tools, asked.variables, asked.earlier), "key": number}
        if kind == "plan" and asked.tools
        else None,
    }


def decision(asked: Asked | None, plan: Any, filled: Mapping[str, Any]) -> Decision:
    """A yes: to `plan`, as an editor holds it, where it is not None, and with the fields that the person filled in.
    Raises Refused for what cannot be read, or breaks the rules of a plan, and where nothing is asked."""
    if asked is None:
        raise Refused("This question is not open any more.", hint="What the panel shows now is in force.")
    if plan is None or not asked.tools or asked.call is not None or asked.step is not None:
        return Decision(answer="allow", by="user", filled=_read(asked, filled))
    agreed = plans.agreed(plan, asked)
    if isinstance(agreed, plans.Problems):
        raise Refused(f"This plan cannot run: {agreed.line()[:MAX_SAID]}", hint="Change it, or deny.")
    return Decision(answer="allow", by="user", plan=agreed)


def checked(asked: Asked | None, plan: Any) -> dict[str, Any]:
    """What an editor hears of the plan that it holds. Raises Refused when no plan is asked about."""
    if asked is None or asked.call is not None or asked.step is not None:
        raise Refused("No plan is asked about now.", hint="What the panel shows now is in force.")
    return plans.answered(plan, asked)


def _read(asked: Asked, filled: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    read = {}
    for one in asked.fields:
        try:
            value = one.read(str(filled.get(one.name, "")))
        except ValueError as error:
            raise Refused(f"{error}.", hint="Fill it in, or decline.") from None
        if value is None and one.required and one.default is None:
            raise Refused(f"{one.name} is needed.", hint="Fill it in, or decline.")
        if value is not None:
            read[one.name] = value
    return read


def _field(one: Field) -> dict[str, Any]:
    return {
        "name": clean_text(one.name),
        "title": clean_text(one.title),
        "kind": one.kind,
        "default": one.default,
        "choices": [clean_text(choice) for choice in one.choices],
        "required": one.required,
    }
