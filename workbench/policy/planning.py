"""What a plan is made of: all that its planner saw, and how a later round's steps derive from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workbench.core import refs
from workbench.core.outcome import Outcome
from workbench.core.plan import Plan, Step
from workbench.core.provenance import REQUEST, Lineage, Source, SourceKind, Sources, Typed, said, untrusted
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.policy.words import visible

MAX_WORDS = 200
"""Characters, on one line, up to which a value that is put into a request counts as typed."""


def seen(request: Request, tools: Mapping[str, ToolSpec], outcome: Outcome) -> Sources:
    """What a planner sees of a request, whichever planner it is: the request, the tables offered, what is quoted beside
    it, what is remembered, what tools say about themselves, and the results and errors of earlier rounds. A plan made
    of the request alone is the user's."""
    found = {Source(kind=SourceKind.FRAME, label=f"@{variable.name}") for variable in request.variables}
    found |= {
        Source(kind=SourceKind.DESCRIPTION, label=tool.name) for tool in tools.values() if tool.origin != "shipped"
    }
    if request.memories:
        found.add(Source(kind=SourceKind.MEMORY))
    found |= request.talk.made_of
    quoted = (one.sources for one in request.quoted)
    return REQUEST.union(found, *quoted, *(step.provenance for step in outcome.steps))


def inserted(request: str, values: Sequence[str], stranger: str = "") -> tuple[str, Sources]:
    """The words of a request that are the user's own, and what else is in it. `stranger`: who else wrote all of it.

    `values`: what `{{…}}` put into it. A short one stands there as if it had been typed: an address, a name, a number.
    A longer one is a text that may have come from anywhere, and gives no words of its own.
    """
    if stranger:
        return "", frozenset({Source(kind=SourceKind.VALUE, label=stranger)})
    long = sorted((value for value in values if len(value) > MAX_WORDS or "\n" in value), key=len, reverse=True)
    if not long:
        return request, frozenset()
    foreign = frozenset({Source(kind=SourceKind.VALUE, label="{{…}}")})
    own = request
    for value in long:
        if value not in own and value not in request:
            return "", foreign  # it was cleaned on the way: nobody can tell any more which words are whose
        own = own.replace(value, "\0")  # so that what stood on both sides is not read as one phrase
    return own, foreign


def lineage(
    plan: Sources, outcome: Outcome, variables: Mapping[str, Sources] | None = None, typed: Typed | None = None
) -> Lineage:
    """The sources of a round: of its plan, of the steps of the rounds before it, and of tables that earlier runs made
    (`variables`). `typed`: what of the plan a person has written."""
    return Lineage(plan, {step.id: step.provenance for step in outcome.steps}, variables, typed)


def difference(plan: Plan, lineage: Lineage) -> list[str]:
    """The steps that a later round adds, a line each, with what each parameter derives from beyond the request."""
    return [
        visible(f"+ {step.id} {step.task}" + (f": {'; '.join(derived)}" if derived else ""))
        for step in plan.steps
        for derived in [list(_derived(step, lineage))]
    ]


def _derived(step: Step, lineage: Lineage) -> Iterator[str]:
    if step.foreach is not None:
        lineage = lineage.at_item(lineage.sources(step.foreach))
    parts = {"if": step.when, "foreach": step.foreach}
    for name, item in [*((name, part) for name, part in parts.items() if part is not None), *step.params.items()]:
        inside = list(refs.find(item))
        sources = frozenset().union(*map(lineage.of, inside)) if inside else lineage.plan
        if untrusted(sources):
            by = f" by {', '.join(map(str, inside))}" if inside else ", written by the planner"
            yield f"{name}{by} from {said(sources)}"
