"""What a plan can take at most, told before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.core import refs
from workbench.core.budget import Budget, said
from workbench.core.plan import MAX_ITEMS, Plan, Step
from workbench.core.tools import ToolSpec
from workbench.core.usage import Price

PROMPT, REPLY = 2000, 1000
"""Tokens of a call of a model as an estimate takes them; what a tool will ask nobody knows."""


def lines(plan: Plan, tools: Mapping[str, ToolSpec], limits: Budget, price: Price | None) -> list[str]:
    """A line for the person: the most calls that the steps can take, each try counted, what the tools among them that
    ask a model are likely to cost, and the budget. Empty when there is neither a budget nor a foreach."""
    if not limits.limits() and all(step.foreach is None for step in plan.steps):
        return []
    calls = sum(most_calls(step, tools[step.task]) for step in plan.steps)
    parts = [f"at most {calls} tool call{'s' if calls > 1 else ''}"]
    asking = sum(
        most_calls(step, tools[step.task])
        for step in plan.steps
        if any(use.startswith("model") for use in tools[step.task].uses)
    )
    if asking:
        each = price(PROMPT, REPLY) if price is not None else None
        cost = "price unknown" if each is None else f"about {said('usd', float(each))} for each time"
        parts.append(f"{asking} of them to tools that ask the model ({cost})")
    budget = f" Budget of the run: {limits}." if limits.limits() else ""
    return [f"These steps take {', '.join(parts)}.{budget}"]


def most_calls(step: Step, tool: ToolSpec) -> int:
    """Calls that a step can take, each try counted."""
    tries = 1 if tool.effect == "write" else 1 + step.retry.max
    return tries * _items(step)


def _items(step: Step) -> int:
    if step.foreach is None:
        return 1
    return MAX_ITEMS if refs.is_ref(step.foreach) else len(step.foreach)
