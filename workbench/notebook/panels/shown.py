"""What a page draws of a run on its way, as plain JSON in which every text is clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.notebook.panels.course import Course
from workbench.notebook.panels.picture import picture
from workbench.notebook.panels.question import question
from workbench.notebook.panels.results import described
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.run import Run

ENDS = {"done": "✓ done", "failed": "✗ failed", "cancelled": "■ cancelled", "budget": "■ budget used up"}

RESUMED = ("running", "failed", "cancelled", "budget")
"""How a run stands that can be taken up again; one that goes on elsewhere is refused when it is."""


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
    asked = question(course.question, course.number) if course.question is not None else None
    drawn = picture(course.live.outcome, course.live.draft, cancelling=state == "stopping", question=asked)
    if state == "waiting":
        drawn["line"] = "Waiting for your answer"
    ended = state in ENDS
    if ended:
        drawn = picture(course.run.outcome) if course.run is not None else drawn
        drawn |= {"line": _end(state, course.run), "said": ""}
    return {
        **drawn,
        "state": state,
        "question": asked,
        "problem": dict(course.problem),
        "notes": [clean_text(note) for note in course.run.outcome.notes]
        if ended and course.run is not None
        else drawn["notes"],
        "result": described(course.run) if ended and course.run is not None else None,
    }


def _end(state: str, run: Run | None) -> str:
    """How it ended, how long it took, what it cost."""
    parts = [ENDS[state]]
    if run is not None:
        parts += [f"{run.outcome.seconds:.1f} s", f"cost {run.cost}"]
    return clean_text(", ".join(parts))


def opened(run: Run) -> dict[str, Any]:
    """A run from the record as it is shown again."""
    problem = run.outcome.problem
    return {
        "run": run.id,
        "request": clean_text(run.outcome.request, keep_lines=True),
        "steps": picture(run.outcome)["steps"],
        "line": _end(run.status, run) if run.status in ENDS else clean_text(run.status),
        "problem": clean_text(f"{problem.kind}: {problem.message}") if problem is not None else "",
        "hint": clean_text(problem.hint) if problem is not None else "",
        "notes": [clean_text(note) for note in run.outcome.notes],
        "result": described(run),
        "can_resume": run.status in RESUMED and not run.outcome.imported,
        "can_rerun": run.plan is not None and not run.outcome.imported,
    }
