"""Who says yes: a person, or nobody, in which case the answer is no.

An approver is any async function from `Asked` to `Decision`. It is asked before the steps of a round run, where the
user wants to see those, and before a call whose arguments are not the user's own, whether they want it or not. One
question at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.core.artifacts import Artifact
from workbench.core.plan import Plan
from workbench.core.provenance import Argument, said
from workbench.core.tools import ToolSpec
from workbench.policy.words import unmixed, visible

Answer = Literal["allow", "deny"]

MAX_SHOWN = 2000
"""Characters of a value that a question shows; it says how many more there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCall:
    """One call, bound by the tool's version and the hash of its parameters: another version or another value is
    another question. `arguments` are those in doubt, `where` says where they go, `why` why it is asked."""

    step: str
    tool: str
    version: str
    params_sha256: str
    effect: str
    why: str
    where: Sequence[str]
    arguments: Sequence[Argument]

    def lines(self) -> list[str]:
        """The question as a person reads it: every value whole, with where it comes from and where it goes."""
        names = self.step if self.why.startswith(f"{self.tool} ") else f"{self.step} {self.tool}"
        head = f"{names}: {self.why}."
        goes = [f"  goes to: {visible(', '.join(self.where))}"] if self.where else []
        return [
            head,
            *goes,
            *(f"  {_named(part)} = {shown(part.value)}\n    from {_origin(part)}" for part in self.arguments),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Something that a person may fill in: an answer to a server's question. `choices` are the only answers, when there
    are any; `default` None when there is none."""

    name: str
    kind: Literal["string", "number", "integer", "boolean"]
    title: str = ""
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    def read(self, line: str) -> str | int | float | bool | None:
        """The answer that a line spells, None for an empty one. Raises ValueError."""
        text = line.strip()
        if not text:
            return None
        if self.choices and text not in self.choices:
            raise ValueError(f"{self.name} may be {', '.join(self.choices)}")
        if self.kind == "boolean":
            if text.casefold() not in ("y", "yes", "true", "n", "no", "false"):
                raise ValueError(f"{self.name} takes yes or no")
            return text.casefold() in ("y", "yes", "true")
        if self.kind == "string":
            return text
        number = int(text) if self.kind == "integer" else float(text)
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError(f"{self.name} takes a number")
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedStep:
    """A question about one step that is not about its arguments. `lines` say what is known."""

    step: str
    tool: str
    lines: Sequence[str]
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be approved: the steps of round `round` (1 for the first) of a run, one `call` of them, or what else
    is asked about one `step`.

    `difference`: for a later round, what is new and what it derives from, a line each. `fields`: what a server wants
    filled in while it serves the call. For whoever lets a person change the steps: `tools`, `variables` and `earlier`
    (ids of earlier steps, and whether they have a result) are what a plan may name, as in `core.plan.read`; without
    tools nothing can be changed.
    """

    run: str
    request: str
    plan: Plan
    round: int
    difference: Sequence[str] = ()
    call: AskedCall | None = None
    fields: Sequence[Field] = ()
    step: AskedStep | None = None
    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    variables: Sequence[str] = ()
    earlier: Mapping[str, bool] = field(default_factory=dict)

    @property
    def waits(self) -> str:
        """The step that waits for the answer; "" where all of a round do."""
        one = self.call or self.step
        return one.step if one is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, by whom ("user", "option", "headless", "timeout"), and why. `filled`: the fields that the
    person filled in, by name. `plan`: what is allowed in place of the steps that were asked about; None for those."""

    answer: Answer
    by: str
    reason: str = ""
    filled: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    plan: Plan | None = None


Approver = Callable[[Asked], Awaitable[Decision]]
"""Must answer or raise; a caller that may not wait for a person uses `nobody`."""


async def nobody(asked: Asked) -> Decision:
    """Denies: there is nobody to ask, and the reason names the option that would have said yes."""
    return Decision(answer="deny", by="headless", reason="There is nobody to ask; --yes approves without asking.")


async def everything(asked: Asked) -> Decision:
    """Allows: the user said yes beforehand."""
    return Decision(answer="allow", by="option", reason="You said --yes.")


async def nothing(asked: Asked) -> Decision:
    """Denies: the user said no beforehand."""
    return Decision(answer="deny", by="option", reason="You said --deny.")


def chosen(
    *,
    yes: bool,
    deny: bool = False,
    timeout: float | None = None,
    line: Callable[[str], Awaitable[str]] | None,
    show: Callable[[Plan], str],
) -> Approver:
    """Who approves: `deny` and `yes` decide without asking, else the person whom `line` asks, for at most `timeout`
    seconds a question.

    `line` is None where there is nobody to ask; `show` makes the text of a plan.
    """
    if deny:
        return nothing
    if yes:
        return everything
    if line is None:
        return nobody
    asked = prompted(line, show)
    return asked if timeout is None else within(asked, timeout)


def within(approver: Approver, seconds: float) -> Approver:
    """The approver, and a no when it has not answered after so many seconds."""

    async def patient(asked: Asked) -> Decision:
        try:
            async with asyncio.timeout(seconds):
                return await approver(asked)
        except TimeoutError:
            return Decision(answer="deny", by="timeout", reason=f"No answer within {seconds:g} seconds.")

    return patient


def prompted(ask: Callable[[str], Awaitable[str]], show: Callable[[Plan], str]) -> Approver:
    """An approver that shows the question as text and takes `y` or `yes` for yes; anything else, an empty line too, is
    no.

    `ask` shows a question and gives the line that the person typed; `show` makes the text of a plan.
    """

    async def approver(asked: Asked) -> Decision:
        typed = (await ask(f"{question(asked, show)} [y/N] ")).strip()
        if typed.casefold() in ("y", "yes"):
            return await _filled(asked.fields, ask)
        if typed.casefold() in ("n", "no"):
            return Decision(answer="deny", by="user")
        reason = f"The answer was {typed[:100]!r}." if typed else "There was no answer."
        return Decision(answer="deny", by="user", reason=reason)

    return approver


async def _filled(fields: Sequence[Field], ask: Callable[[str], Awaitable[str]]) -> Decision:
    """A yes, with what the person has typed into each field; an answer that cannot be read is a no."""
    filled = {}
    for one in fields:
        choices = f" ({' | '.join(one.choices)})" if one.choices else ""
        default = f" [{one.default}]" if one.default is not None else ""
        try:
            value = one.read(
                await ask(visible(f"{one.name}{': ' if one.title else ''}{one.title}{choices}{default}: "))
            )
        except ValueError as error:
            return Decision(answer="deny", by="user", reason=f"The answer could not be read: {error}.")
        if value is not None:
            filled[one.name] = value
    return Decision(answer="allow", by="user", filled=filled)


def question(asked: Asked, show: Callable[[Plan], str]) -> str:
    """What is asked, in words."""
    new = [f"New in round {asked.round}:", *(f"  {line}" for line in asked.difference)] if asked.difference else []
    if asked.call is not None:
        ends = "Answer it?" if asked.fields else "Allow this call?"
        return "\n".join([*asked.call.lines(), *new, ends])
    if asked.step is not None:
        return "\n".join([*map(visible, asked.step.lines), asked.step.question])
    what = "Run these steps?" if asked.round == 1 else f"Round {asked.round}: run these further steps?"
    return "\n".join([show(asked.plan), *new, what])


def shown(value: Any) -> str:
    """A value as a question shows it: nothing in it is hidden, letters that pass for others are named, and what is left
    out is counted. What matters may stand at either end of a long value, so both are shown."""
    if isinstance(value, Artifact):
        columns = ", ".join(column.name for column in value.columns)
        return visible(
            f"table of {value.rows} rows: {columns}" if value.is_frame else f"file {value.mime} {value.title}"
        )
    text = unmixed(visible(json.dumps(value, ensure_ascii=False, default=shown)))
    if len(text) <= MAX_SHOWN:
        return text
    half = MAX_SHOWN // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters not shown … {text[-half:]}"


def _named(argument: Argument) -> str:
    return visible(argument.path.removeprefix("/")) or "step"


def _origin(argument: Argument) -> str:
    by = f" by {', '.join(argument.refs)}" if argument.refs else ""
    return visible(f"{said(argument.sources)}{by}")
