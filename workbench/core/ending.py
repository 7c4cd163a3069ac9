"""How a run that did not go well is told: one error that names the step, and what is kept."""

from __future__ import annotations

from workbench.core.errors import Cancelled, Denied, ToolFailed, WorkbenchError
from workbench.core.outcome import Outcome
from workbench.core.progress import State


def failure(outcome: Outcome) -> WorkbenchError | None:
    """The first failed step as an error, None when every step is done. A step that was not allowed is `Denied`."""
    lost = [step for step in outcome.steps if step.state is not State.DONE]
    failed = next((step for step in lost if step.problem is not None), None)
    if failed is None or failed.problem is None:
        return ToolFailed(f"{lost[0].id} did not finish.") if lost else None
    done = len(outcome.steps) - len(lost)
    kept = f" ({done} of {len(outcome.steps)} steps finished and are kept)" if done else ""
    kind = Denied if failed.problem.kind == "Denied" else ToolFailed
    return kind(
        f"{failed.id} {failed.task}: {failed.problem.message}{kept}",
        hint=failed.problem.hint,
        step=failed.id,
        tool=failed.task,
    )


def stopped(outcome: Outcome) -> Cancelled:
    """The error of a run that was stopped."""
    done = sum(step.state is State.DONE for step in outcome.steps)
    kept = f"{done} of {len(outcome.steps)} steps finished and are kept." if outcome.steps else "Nothing was run."
    return Cancelled(f"Stopped. {kept}")
