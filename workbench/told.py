"""What a run says of its own course: the bodies of its events, and the error that it ends with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core.errors import BudgetExceeded, Cancelled, Denied, ToolFailed, WorkbenchError
from workbench.core.events import Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.persona import Persona
from workbench.core.plan import Plan
from workbench.core.progress import State
from workbench.core.tools import ToolSpec
from workbench.planners.base import Answer, Planned


def made(planned: Planned, number: int, notes: Sequence[str], last: bool) -> dict[str, Any]:
    """The body of `plan.made` for a round."""
    more = []
    if planned.plan.look:
        more = [
            f"No further look at the results: this is round {number}, the last one (WORKBENCH_ROUNDS)."
            if last
            else "After these steps the planner looks at the results and may add more."
        ]
    return {
        "plan": planned.plan.dump(),
        "planner": planned.planner,
        "model": planned.model,
        "notes": [*planned.notes, *notes, *more],
        "round": number,
    }


def shown(memories: Sequence[str]) -> list[str]:
    """What a cell says of the memories that a model has seen."""
    return [f"Shown to the model from your memory: {'; '.join(text[:200] for text in memories)}"] if memories else []


def unconfined(plan: Plan, tools: Mapping[str, ToolSpec]) -> list[str]:
    """What a result says of the tools of a plan that no worker holds."""
    used = {step.task: tools[step.task].runs for step in plan.steps if step.task in tools}
    lines = []
    if here := [name for name, runs in used.items() if runs == "kernel"]:
        lines.append(f"Nothing confines {', '.join(here)}: it runs in your kernel, as you have said.")
    if there := [name for name, runs in used.items() if runs == "server"]:
        lines.append(f"Nothing confines {', '.join(there)}: it runs on an MCP server that you have trusted.")
    return lines


def spoken_as(persona: Persona | None, planned: Planned) -> list[str]:
    """What a cell says of the persona that was asked for."""
    if persona is None:
        return []
    if not planned.model:
        return [f"As {persona.name}: its tools and its memory; its instructions are for a language model."]
    return [f"As {persona.name}."]


def tell_definitions(plan: Plan, tools: Mapping[str, ToolSpec], stream: Stream) -> None:
    """Put on record what the tools of a plan are that lie in no file, once in a run."""
    told = {event.body.get("version") for event in stream.events if event.kind is Kind.TOOL_DEFINED}
    for name in dict.fromkeys(step.task for step in plan.steps):
        tool = tools[name]
        if tool.origin in ("cell", "server") and tool.version not in told:
            body = {"tool": name, "version": tool.version, "origin": tool.origin, "runs": tool.runs}
            stream.tell(Kind.TOOL_DEFINED, body | {"source": tool.source.decode("utf-8", "replace")})


def failure(outcome: Outcome) -> WorkbenchError | None:
    """The first failed step as an error, None when every step is done. One that was not allowed is `Denied`, one that
    went over a budget `BudgetExceeded`."""
    lost = [step for step in outcome.steps if step.state is not State.DONE]
    failed = next((step for step in lost if step.problem is not None), None)
    if failed is None or failed.problem is None:
        return ToolFailed(f"{lost[0].id} did not finish.") if lost else None
    done = len(outcome.steps) - len(lost)
    kept = f" ({done} of {len(outcome.steps)} steps finished and are kept)" if done else ""
    kind = {"Denied": Denied, "BudgetExceeded": BudgetExceeded}.get(failed.problem.kind, ToolFailed)
    return kind(
        f"{failed.id} {failed.task}: {failed.problem.message}{kept}",
        hint=failed.problem.hint,
        step=failed.id,
        tool=failed.task,
    )


def stopped(stream: Stream) -> Cancelled:
    outcome = fold(stream.events)
    done = sum(step.state is State.DONE for step in outcome.steps)
    kept = f"{done} of {len(outcome.steps)} steps finished and are kept." if outcome.steps else "Nothing was run."
    return Cancelled(f"Stopped. {kept}")


def closing(status: str, answer: Answer, problem: BaseException | None, started: float) -> dict[str, Any]:
    error = None
    if isinstance(problem, WorkbenchError):
        error = {"kind": type(problem).__name__, "message": problem.message, "hint": problem.hint}
    elif problem is not None:
        error = {"kind": "InternalError", "message": f"{type(problem).__name__}: {problem}", "hint": "See the log."}
    return {
        "status": status,
        "error": error,
        "answer": {"text": answer.text, "planner": answer.planner},
        "seconds": round(time.monotonic() - started, 6),
    }
