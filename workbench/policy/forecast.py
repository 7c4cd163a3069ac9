"""What a plan can take at most, told before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.core import refs
from workbench.core.budget import Budget, said
from workbench.core.plan import MAX_ITEMS, Plan, Step
from workbench.core.retries import CALLS_FOR_A_RETRY, RETRIES
from workbench.core.tools import ToolSpec
from workbench.core.usage import Price

PROMPT, REPLY = 2000, 1000
"""Tokens of a call of a model as an estimate takes them; what a tool will ask nobody knows."""


def lines(plan: Plan, tools: Mapping[str, ToolSpec], limits: Budget, price: Price | None) -> list[str]:
    """A line for the person: the most calls of tools that the steps can take, what it is likely to cost where a tool
    asks a model, and the budget. Empty when there is neither a budget nor a foreach."""
    if not limits.limits() and all(step.foreach is None for step in plan.steps):
        return []
    calls = sum(map(items, plan.steps))
    tries = sum(items(step) * step.retry.max for step in plan.steps if tools[step.task].effect != "write")
    most = calls + min(tries, RETRIES + calls // CALLS_FOR_A_RETRY)
    told = [f"At most {most:,} tool call{'s' if most > 1 else ''}, tries after failures included."]
    asking = sum(items(step) for step in plan.steps if _asks_a_model(tools[step.task]))
    if asking:
        each = price(PROMPT, REPLY) if price is not None else None
        cost = "whose price is not known" if each is None else f"about {said('usd', float(each))} each time"
        told.append(f"{asking:,} of them may ask the model, {cost}.")
    if making := sum(items(step) for step in plan.steps if _makes(tools[step.task])):
        told.append(f"{making:,} of them may make or hear pictures or sound, whose price is not known before.")
    if limits.limits():
        told.append(f"Budget of the run: {limits}.")
    return [" ".join(told)]


def items(step: Step) -> int:
    """How often a step may call its tool, tries after failures not counted."""
    if step.foreach is None:
        return 1
    return MAX_ITEMS if refs.is_ref(step.foreach) else len(step.foreach)


def _asks_a_model(tool: ToolSpec) -> bool:
    return any(use.partition(".")[0] == "model" for use in tool.uses)


def _makes(tool: ToolSpec) -> bool:
    return any(use.partition(".")[0] in ("image", "audio") for use in tool.uses)
