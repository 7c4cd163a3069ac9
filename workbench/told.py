"""What a run says of its own course: the bodies of its events, and the error that it ends with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.core.errors import BudgetExceeded, Cancelled, Denied, ToolFailed, WorkbenchError
from workbench.core.events import Event, Kind, Stream
from workbench.core.outcome import Outcome, fold
from workbench.core.persona import Persona
from workbench.core.plan import Plan
from workbench.core.progress import PASSED, State
from workbench.core.request import Request
from workbench.core.tools import ToolSpec
from workbench.planners.answer import summarise
from workbench.planners.base import Answer, Planned

REPLANS = 2
"""How often the planner may look for another way in one run."""
_FINAL = frozenset({"Denied", "BudgetExceeded", "Cancelled"})


def made(
    planned: Planned,
    number: int,
    notes: Sequence[str],
    last: bool,
    tools: Mapping[str, ToolSpec],
    mends: Sequence[str] = (),
) -> dict[str, Any]:
    """The body of `plan.made` for a round. `mends`: the lost steps in whose place it is."""
    more = [f"Planned again, because {', '.join(mends)} gave no result."] if mends else []
    if planned.plan.look:
        more += [
            f"No further look at the results: this is round {number}, the last one (WORKBENCH_ROUNDS)."
            if last
            else "After these steps the planner looks at the results and may add more."
        ]
    return {
        "plan": planned.plan.dump(),
        "tools": versions(planned.plan, tools),
        "planner": planned.planner,
        "model": planned.model,
        "notes": [*planned.notes, *notes, *more],
        "round": number,
    } | ({"mends": list(mends)} if mends else {})


def versions(plan: Plan, tools: Mapping[str, ToolSpec]) -> dict[str, str]:
    """The version of each tool that a plan names."""
    return {step.task: tools[step.task].version for step in plan.steps if step.task in tools}


def shown(request: Request, planned: Planned) -> list[str]:
    """What a cell says of what the planner has seen beside the request: what is quoted, memories, what was asked
    before."""
    said = []
    for one in request.quoted:
        offered = f"its table as @{one.table}" if one.table else ""
        read = f"shown to {planned.model}" if planned.model else ""
        said.append(f"{one.name} is {one.what}: {', '.join(filter(None, (offered, read)))}.")
    if request.memories:
        said.append(f"Shown to the model from your memory: {'; '.join(text[:200] for text in request.memories)}")
    if count := len(request.talk.turns):
        before = "the request before" if count == 1 else f"the {count} requests before"
        summed = ", and a summary of what came earlier" if request.talk.summary else ""
        said.append(f"Follows {before}{summed} (%agent --fresh does not).")
    return said


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


def tell_definitions(plan: Plan, tools: Mapping[str, ToolSpec], stream: Stream) -> list[ToolSpec]:
    """Put on record what the tools of a plan are that lie in no file, once in a run; gives those that were told."""
    new = []
    told = {event.body.get("version") for event in stream.events if event.kind is Kind.TOOL_DEFINED}
    for name in dict.fromkeys(step.task for step in plan.steps):
        tool = tools.get(name)  # of a run that is gone on with it may be gone
        if tool is not None and tool.origin in ("cell", "server") and tool.version not in told:
            body = {"tool": name, "version": tool.version, "origin": tool.origin, "runs": tool.runs}
            stream.tell(Kind.TOOL_DEFINED, body | {"source": tool.source.decode("utf-8", "replace")})
            new.append(tool)
    return new


def failure(outcome: Outcome) -> WorkbenchError | None:
    """The first failed step as an error, None when every step is done, skipped, or mended by later ones. One that was
    not allowed is `Denied`, one that went over a budget `BudgetExceeded`."""
    lost = [step for step in outcome.steps if step.state not in PASSED and not step.mended]
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


def to_mend(outcome: Outcome) -> list[str]:
    """The ids of all steps without a result, when each of them failed with `on_error: replan` or needed one that did;
    else none. What a person or a budget said no to is not tried in another way."""
    lost = [step for step in outcome.steps if step.state not in PASSED and not step.mended]
    found: list[str] = []
    for step in lost:
        if step.state is State.FAILED and step.problem is not None and outcome.plan is not None:
            if outcome.plan.step(step.id).on_error != "replan" or step.problem.kind in _FINAL:
                return []
        elif step.state is not State.BLOCKED:
            return []
        found.append(step.id)
    return found


def replans(events: Iterable[Event]) -> int:
    """How often steps were planned again in a run so far."""
    return sum(event.kind is Kind.PLAN_MADE and bool(event.body.get("mends")) for event in events)


def partial(outcome: Outcome) -> Answer:
    """What a run that was stopped still says."""
    return summarise(outcome) if any(step.state in PASSED for step in outcome.steps) else Answer(text="", planner="")


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
