"""What the panel of a run shows, as plain JSON in which every text is clean, and what of it is new.

A row is made again only when its step has changed: an outcome keeps the steps that an event does not touch.
"""

from __future__ import annotations

from typing import Any

from workbench.core.events import Draft
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.plan import Plan
from workbench.core.progress import OPEN, State
from workbench.notebook.panels.detail import summary
from workbench.notebook.panels.lanes import Lanes, lanes
from workbench.render import clean_text
from workbench.render.run import MARKS

MAX_SAID = 500
"""Characters of an answer that is being written: its end."""
MAX_NOTES = 8
_WRITING = {
    "plan": "Writing the plan",
    "look": "Looking at the results",
    "repair": "Mending the plan",
    "answer": "Writing the answer",
}
WAITING = "Waiting for your approval"
ASKS = {"mark": "?", "state": "asks you"}
"""How the row of a step stands whose call waits for an answer."""

Row = dict[str, Any]


class Picture:
    """The picture of one run. `state` is all of it; its keys stay the same, so that it can be read while it changes."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {
            "line": "",
            "said": "",
            "cost": "",
            "notes": [],
            "order": [],
            "rows": {},
            "question": None,
            "result": "",
        }
        self._known: dict[str, tuple[StepOutcome, bool, Row]] = {}
        self._plan: Plan | None = None
        self._lanes: dict[str, Lanes] = {}
        self._after: dict[str, str] = {}
        self._notes: tuple[str, ...] = ()

    def update(
        self,
        outcome: Outcome,
        draft: Draft | None = None,
        *,
        cancelling: bool = False,
        question: dict[str, Any] | None = None,
        waiting: str | None = None,
        logged: Any = None,
    ) -> dict[str, Any]:
        """Take what is known now; give what is new of it: the keys that changed, and of `rows` those that did. `logged`
        says whether a step has lines to unfold; `waiting`: somebody is asked elsewhere than in the panel, about this
        step ("" for none); None when nobody is."""
        if outcome.plan is not self._plan:
            self._plan = outcome.plan
            needs = outcome.plan.needs() if outcome.plan is not None else {}
            self._lanes = dict(lanes(needs))
            self._after = {step: ", ".join(before) for step, before in needs.items() if before}
            self._known.clear()
        rows, order = self._rows(outcome, draft, logged)
        asks = question["step"] if question is not None else waiting
        if asks in rows:
            rows[asks] = rows[asks] | ASKS
        now: dict[str, Any] = {
            "line": _line(outcome, draft, cancelling=cancelling, waiting=asks is not None),
            "said": clean_text(draft.text)[-MAX_SAID:] if draft else "",
            "cost": clean_text(str(outcome.cost)) if outcome.cost.calls else "",
            "order": order,
            "question": question,
        }
        patch = {name: value for name, value in now.items() if self.state[name] != value}
        if outcome.notes is not self._notes:
            self._notes = outcome.notes
            patch["notes"] = [clean_text(note)[:600] for note in outcome.notes[:MAX_NOTES]]
        self.state.update(patch)
        before = self.state["rows"]
        if changed := {name: row for name, row in rows.items() if before.get(name) != row}:
            patch["rows"] = changed
        if changed or len(before) != len(rows):
            self.state["rows"] = rows
        return patch

    def _rows(self, outcome: Outcome, draft: Draft | None, logged: Any) -> tuple[dict[str, Row], list[str]]:
        rows: dict[str, Row] = {}
        for step in outcome.steps:
            opens = bool(logged and logged(step.id))
            known = self._known.get(step.id)
            if known is None or known[0] is not step or known[1] != opens:
                known = (step, opens, self._row(step, opens))
                self._known[step.id] = known
            rows[step.id] = known[2]
        for one in draft.steps if draft else ():
            if one.id not in rows:
                rows[one.id] = _drafted(one.id, one.task, one.title)
        return rows, list(rows)

    def _row(self, step: StepOutcome, logs: bool) -> Row:
        made = summary(step)
        return {
            "id": step.id,
            "mark": MARKS[step.state],
            "state": str(step.state),
            "tool": clean_text(step.task),
            "title": clean_text(step.title if step.title != step.task else ""),
            "note": clean_text(_note(step))[:300],
            "made": made,
            "seconds": _seconds(step),
            "opens": bool(made) or logs,
            "after": self._after.get(step.id, ""),
            "lanes": self._lanes.get(step.id),
        }


def picture(
    outcome: Outcome,
    draft: Draft | None = None,
    *,
    cancelling: bool = False,
    question: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The whole picture at once, its rows as a list of `steps`."""
    made = Picture()
    made.update(outcome, draft, cancelling=cancelling, question=question)
    return {**made.state, "steps": [made.state["rows"][name] for name in made.state["order"]]}


def _drafted(name: str, task: str, title: str) -> Row:
    texts = {"tool": clean_text(task)[:80], "title": clean_text(title)[:200]}
    empty = {"note": "", "made": "", "seconds": "", "opens": False, "after": "", "lanes": None}
    return {"id": name, "mark": "…", "state": "draft", **texts, **empty}


def _line(outcome: Outcome, draft: Draft | None, *, cancelling: bool, waiting: bool) -> str:
    """Where the run stands."""
    open_steps = sum(step.state in OPEN for step in outcome.steps)
    if cancelling:
        return "Stopping …"
    if waiting:
        return WAITING
    if draft is not None:
        return f"{_WRITING.get(draft.purpose, 'The model writes')} … {draft.characters:,} characters"
    if outcome.plan is None:
        return "Planning …"
    if open_steps:
        return f"Running: {len(outcome.steps) - open_steps} of {len(outcome.steps)} steps finished"
    return "Writing the answer …"


def _note(step: StepOutcome) -> str:
    """What a row says of its step beside its title."""
    if step.problem is not None:
        return step.problem.message
    count = f"{step.items[0]} of {step.items[1]} items" if step.items is not None else ""
    tried = f"{step.retries} tried again" if count and step.retries else f"try {step.tries}" if step.tries > 1 else ""
    needs = f"needs {', '.join(step.blocked_by)}" if step.blocked_by else ""
    counted = ", ".join(filter(None, (count, tried if count else "")))
    progress = step.progress if step.state in OPEN else ""
    said = ", ".join(filter(None, (tried if not count else "", progress)))
    return counted or said or needs or (step.reason if step.state is State.SKIPPED else "")


def _seconds(step: StepOutcome) -> str:
    """How long a step took that has ended; "" for none, and where that is nothing."""
    if step.state in OPEN or step.seconds < 0.05:
        return ""
    return f"{step.seconds:.1f} s" if step.seconds < 60 else f"{int(step.seconds // 60)} min {int(step.seconds % 60)} s"
