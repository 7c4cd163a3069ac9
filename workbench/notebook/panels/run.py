"""The run panel: the plan with its states while it runs, and Cancel. One widget model, keyed updates, no build step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from workbench.core.events import Draft
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import OPEN, State
from workbench.render import clean_text
from workbench.render.run import MARKS

MAX_SAID = 500
"""Characters of an answer that is being written: its end."""
_WRITING = {
    "plan": "Writing the plan",
    "look": "Looking at the results",
    "repair": "Mending the plan",
    "answer": "Writing the answer",
}


def _note(step: StepOutcome) -> str:
    """What a row says of its step beside its title."""
    if step.problem is not None:
        return step.problem.message
    count = f"{step.items[0]} of {step.items[1]} items" if step.items is not None else ""
    tried = f"{step.retries} tried again" if count and step.retries else f"try {step.tries}" if step.tries > 1 else ""
    needs = f"needs {', '.join(step.blocked_by)}" if step.blocked_by else ""
    counted = ", ".join(filter(None, (count, tried if count else "")))
    return counted or step.progress or tried or needs or (step.reason if step.state is State.SKIPPED else "")


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since anywidget takes a while to import."""
    import anywidget
    import traitlets

    from workbench.notebook.panels.parts import script, style

    class RunPanel(anywidget.AnyWidget):
        """Shows one run while it runs. `state` is plain JSON made by `picture`; a click sends {"do": "cancel"}."""

        _esm = script("run")
        _css = style()
        state = traitlets.Dict().tag(sync=True)
        can_cancel = traitlets.Bool(False).tag(sync=True)

    return RunPanel


def make(outcome: Outcome, on_cancel: Callable[[], None]) -> Any:
    """A panel that shows the outcome and calls `on_cancel` when it is clicked."""
    panel = panel_class()(state=picture(outcome))
    panel.on_msg(lambda widget, content, buffers: on_cancel() if content.get("do") == "cancel" else None)
    return panel


def picture(outcome: Outcome, draft: Draft | None = None, *, cancelling: bool = False) -> dict[str, Any]:
    """What the panel draws, as JSON: a line that says where the run stands, a row for each step (also those of a plan
    that is still being written), and the words of an answer so far."""
    steps = [
        {
            "id": step.id,
            "mark": MARKS[step.state],
            "state": str(step.state),
            "tool": clean_text(step.task),
            "title": clean_text(step.title if step.title != step.task else ""),
            "note": clean_text(_note(step))[:300],
        }
        for step in outcome.steps
    ]
    known = {step["id"] for step in steps}
    steps += [
        {
            "id": step.id,
            "mark": "…",
            "state": "draft",
            "tool": clean_text(step.task)[:80],
            "title": clean_text(step.title)[:200],
            "note": "",
        }
        for step in (draft.steps if draft else ())
        if step.id not in known
    ]
    open_steps = sum(step.state in OPEN for step in outcome.steps)
    if cancelling:
        line = "Stopping …"
    elif outcome.plan is None:
        line = "Planning …"
    elif open_steps:
        line = f"Running: {len(outcome.steps) - open_steps} of {len(outcome.steps)} steps finished"
    else:
        line = "Writing the answer …"
    if draft is not None and not cancelling:
        line = f"{_WRITING.get(draft.purpose, 'The model writes')} … {draft.characters:,} characters"
    said = clean_text(draft.text)[-MAX_SAID:] if draft else ""
    return {"line": line, "steps": steps, "said": said}
