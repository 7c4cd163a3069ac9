"""Who says yes before steps run: a person, or nobody, in which case the answer is no.

An approver is any async function from `Asked` to `Decision`. It is asked once for each round of a plan, with that
round's steps and before any of them runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from workbench.core.plan import Plan

Answer = Literal["allow", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be approved: the steps of round `round` (1 for the first) of a run."""

    run: str
    request: str
    plan: Plan
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, by whom ("user", "option", "headless"), and why."""

    answer: Answer
    by: str
    reason: str = ""


Approver = Callable[[Asked], Awaitable[Decision]]
"""Must answer or raise; a caller that may not wait for a person uses `nobody`."""


async def nobody(asked: Asked) -> Decision:
    """Denies: there is nobody to ask, and the reason names the option that would have said yes."""
    return Decision(answer="deny", by="headless", reason="There is nobody to ask; --yes approves without asking.")


async def everything(asked: Asked) -> Decision:
    """Allows: the user said yes beforehand."""
    return Decision(answer="allow", by="option", reason="--yes")


def chosen(
    *, ask: bool, yes: bool, line: Callable[[str], Awaitable[str]] | None, show: Callable[[Plan], str]
) -> Approver | None:
    """Who approves: nobody is needed without `ask`; with it `yes` decides, else the person whom `line` asks.

    `line` is None where there is nobody to ask; `show` makes the text of a plan.
    """
    if not ask:
        return None
    if yes:
        return everything
    return nobody if line is None else prompted(line, show)


def prompted(ask: Callable[[str], Awaitable[str]], show: Callable[[Plan], str]) -> Approver:
    """An approver that shows the steps as text and takes `y` or `yes` for yes; anything else, an empty line too, is no.

    `ask` shows a question and gives the line that the person typed; `show` makes the text of a plan.
    """

    async def approver(asked: Asked) -> Decision:
        what = "Run these steps?" if asked.round == 1 else f"Round {asked.round}: run these further steps?"
        typed = (await ask(f"{show(asked.plan)}\n{what} [y/N] ")).strip()
        if typed.casefold() in ("y", "yes"):
            return Decision(answer="allow", by="user")
        return Decision(answer="deny", by="user", reason=f"answered {typed[:100]!r}" if typed else "no answer")

    return approver
