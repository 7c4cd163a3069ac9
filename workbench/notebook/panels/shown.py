"""What a page draws of a run on its way, as plain JSON in which every text is clean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused
from workbench.notebook.panels import plans
from workbench.notebook.panels.course import Course
from workbench.notebook.panels.results import described
from workbench.notebook.panels.run import picture
from workbench.policy.approval import Asked, Decision, Field
from workbench.render import clean_text, plan_text

if TYPE_CHECKING:
    from workbench.run import Run

MAX_SAID = 600
ENDS = {"done": "✓ done", "failed": "✗ failed", "cancelled": "■ cancelled", "budget": "■ budget used up"}


def course(course: Course | None) -> dict[str, Any]:
    """A course: its state, a line about it, the steps, what is asked, what went wrong, and the result at its end."""
    if course is None:
        return {
            "state": "idle",
            "line": "",
            "steps": [],
            "said": "",
            "question": None,
            "problem": {},
            "notes": [],
            "result": None,
        }
    state = course.state
    drawn = picture(course.live.outcome, course.live.draft, cancelling=state == "stopping")
    if state == "waiting":
        drawn["line"] = "Waiting for your answer"
    ended = state in ENDS
    if ended:
        drawn = picture(course.run.outcome) if course.run is not None else drawn
        drawn |= {"line": _end(state, course.run), "said": ""}
    return {
        **drawn,
        "state": state,
        "question": _question(course.question, course.number) if course.question is not None else None,
        "problem": dict(course.problem),
        "notes": [clean_text(note) for note in course.run.outcome.notes] if ended and course.run is not None else [],
        "result": described(course.run) if ended and course.run is not None else None,
    }


def decision(question: Asked | None, plan: Any, filled: Mapping[str, Any]) -> Decision:
    """A yes to a question: to `plan`, as an editor holds it, where it is not None, and with the fields that the person
    filled in. Raises Refused for what cannot be read, or breaks the rules of a plan."""
    agreed = None
    if plan is not None and question is not None and question.tools and question.call is None:
        held = plans.agreed(plan, question)
        if isinstance(held, plans.Problems):
            raise Refused(f"This plan cannot run: {held.line()[:MAX_SAID]}", hint="Change it, or deny.")
        agreed = held
    read = {}
    for one in question.fields if question is not None else ():
        try:
            value = one.read(str(filled.get(one.name, "")))
        except ValueError as error:
            raise Refused(f"{error}.", hint="Fill it in, or deny.") from None
        if value is None and one.required and one.default is None:
            raise Refused(f"{one.name} is needed.", hint="Fill it in, or deny.")
        if value is not None:
            read[one.name] = value
    return Decision(answer="allow", by="user", filled=read, plan=agreed)


def checked(question: Asked | None, plan: Any) -> dict[str, Any]:
    """What an editor hears of the plan that it holds. Raises Refused when no plan is asked about."""
    if question is None or question.call is not None or question.step is not None:
        raise Refused("No plan is asked about now.", hint="What the panel shows now is in force.")
    return plans.answered(plan, question)


def _question(asked: Asked, number: int) -> dict[str, Any]:
    """What is asked, as lines for who reads and fields for who answers."""
    new = [f"New in round {asked.round}: {line}" for line in asked.difference]
    if asked.call is not None:
        kind, lines = "call", [*asked.call.lines(), *new]
        head = "Answer this?" if asked.fields else "Allow this call?"
    elif asked.step is not None:
        kind, lines, head = "step", list(asked.step.lines), asked.step.question
    else:
        kind, lines = "plan", new if asked.tools else [plan_text(asked.plan, full=True), *new]
        head = "Run these steps?" if asked.round == 1 else f"Round {asked.round}: run these further steps?"
    return {
        "number": number,
        "kind": kind,
        "head": clean_text(head),
        "lines": [clean_text(line, keep_lines=True) for line in lines],
        "fields": [_field(one) for one in asked.fields],
        "editor": {**plans.described(asked.plan, asked.tools, asked.variables, asked.earlier), "key": number}
        if kind == "plan" and asked.tools
        else None,
    }


def _field(one: Field) -> dict[str, Any]:
    return {
        "name": clean_text(one.name),
        "title": clean_text(one.title),
        "kind": one.kind,
        "default": one.default,
        "choices": [clean_text(choice) for choice in one.choices],
        "required": one.required,
    }


def _end(state: str, run: Run | None) -> str:
    """How it ended, how long it took, what it cost."""
    parts = [ENDS[state]]
    if run is not None:
        parts += [f"{run.outcome.seconds:.1f} s", f"cost {run.cost}"]
    return clean_text(", ".join(parts))
