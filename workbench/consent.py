"""A round is put to a person before it runs. They say yes, no, or yes to steps that they have changed.

Nothing runs that was not approved: a changed plan is held to all the rules that a planner's is held to, told as the
event `plan.edited`, and then it is the plan of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import Denied, PlanInvalid
from workbench.core.events import Kind
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan, read
from workbench.core.progress import PASSED
from workbench.core.provenance import Typed
from workbench.core.request import Request
from workbench.core.tools import ToolSpec, digest
from workbench.core.usage import Price
from workbench.parts import Asked, Parts
from workbench.past import Kept
from workbench.policy import amendment, forecast
from workbench.policy.approval import Asked as Question
from workbench.policy.approval import Decision
from workbench.told import unconfined, versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What may run now, and what of it a person has `typed`; `no` says why nothing may."""

    plan: Plan
    typed: Typed = field(default_factory=dict)
    no: Denied | None = None


class Consent:
    """Asks about the rounds of one run."""

    def __init__(self, parts: Parts, asked: Asked) -> None:
        self._parts = parts
        self._asked = asked

    async def of(self, question: Question, kept: Kept | None, price: Price | None) -> Agreed:
        """What was agreed to: all of it where nobody is to be asked, or was asked before (`kept`).

        Raises PlanInvalid, when the steps are told as cancelled, with all that is wrong with a changed plan.
        """
        asked, stream, plan = self._asked, self._asked.stream, question.plan
        before = kept.typed if kept else {}
        if (kept and kept.approved) or asked.approver is None or not asked.rounds or not plan.steps:
            return Agreed(plan=plan, typed=before)
        await self._parts.memory.barrier()  # a person may take their time
        decision = await asked.approver(question)
        body = {"decision": decision.answer, "by": decision.by, "reason": decision.reason, "round": question.round}
        agreed = Agreed(plan=plan, typed=before)
        if decision.answer == "allow":
            agreed = self._changed(question, decision, before, price)
        stream.tell(Kind.APPROVAL, body | {"difference": list(question.difference)})
        if decision.answer == "allow":
            return agreed
        self._cancel(plan, "not approved")
        no = Denied(f"The steps were not approved. {decision.reason}".strip(), hint="Nothing was run.")
        return Agreed(plan=plan, no=no)

    def _changed(self, question: Question, decision: Decision, before: Typed, price: Price | None) -> Agreed:
        """The plan that was allowed, told where it is not the one that was asked about."""
        asked, old = self._asked, question.plan
        if decision.plan is None or digest(decision.plan.dump()) == digest(old.dump()):
            return Agreed(plan=old, typed=before)
        try:
            plan = read(decision.plan.dump(), question.tools, question.variables, question.earlier)
        except PlanInvalid:
            self._cancel(old, "what was approved cannot run")
            raise
        # What stands in a record was typed by whoever made that.
        typed = {} if asked.tape.is_strict else amendment.typed(old, plan, before)
        body = {
            "plan": plan.dump(),
            "round": question.round,
            "by": decision.by,
            "tools": versions(plan, question.tools),
            "left_out": amendment.left_out(old, plan),
            "typed": {step: list(places) for step, places in typed.items()},
            "notes": [f"Changed before it ran: {amendment.in_words(old, plan)}.", *self._news(question, plan, price)],
        }
        asked.stream.tell(Kind.PLAN_EDITED, body)
        return Agreed(plan=plan, typed=typed)

    def _news(self, question: Question, plan: Plan, price: Price | None) -> list[str]:
        """What a changed plan can take, and what nothing confines, where that was not said of the first."""
        then, now = (warnings(one, question.tools, self._asked, price) for one in (question.plan, plan))
        return [line for line in now if line not in then]

    def _cancel(self, plan: Plan, reason: str) -> None:
        for step in plan.steps:
            self._asked.stream.tell(Kind.STEP_CANCELLED, {"reason": reason}, step=step.id)


def put(
    asked: Asked,
    request: Request,
    plan: Plan,
    tools: Mapping[str, ToolSpec],
    outcome: Outcome,
    number: int,
    news: Sequence[str],
) -> Question:
    """The question about a round. `outcome`: of the rounds before it; `news`: what is new in it."""
    ids: dict[str, Any] = {step.id: None for step in plan.steps}
    return Question(
        run=asked.stream.run,
        request=asked.text,
        plan=plan,
        round=number,
        difference=news,
        tools=tools,
        variables=[variable.name for variable in request.variables],
        earlier={step.id: step.state in PASSED for step in outcome.steps if step.id not in ids},
    )


def warnings(plan: Plan, tools: Mapping[str, ToolSpec], asked: Asked, price: Price | None) -> list[str]:
    """What a plan says of itself before it runs: what nothing confines, and what it can take at most."""
    limits = asked.budget.all_limits().narrowed(plan.budget)
    return [*unconfined(plan, tools), *forecast.lines(plan, tools, limits, price)]
