"""What a run takes in from outside before it is planned: told as the event `inputs`, and taken from the record in a
replay, so that the same prompt comes out on another day and on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.core.provenance import NONE, Source, SourceKind, Sources
from workbench.core.request import Request
from workbench.core.tape import Tape
from workbench.core.tools import ToolSpec


def offered(tape: Tape, tools: Mapping[str, ToolSpec]) -> Mapping[str, ToolSpec]:
    """The tools that a planner sees: of those that are here, the ones that it saw when the run was recorded. Others
    that this user has would make it another prompt."""
    recorded = tape.inputs.get("tools")
    if recorded is None:
        return tools
    return {name: tool for name, tool in tools.items() if name in set(recorded)}


def taken(tape: Tape, request: Request) -> Request:
    """The request with the day, the memories and the databases that the recorded run had."""
    inputs = tape.inputs
    if not inputs:
        return request
    return replace(
        request,
        today=inputs.get("today") or request.today,
        memories=tuple(inputs.get("memories", ())),
        connections=tuple((str(name), str(kind)) for name, kind in inputs.get("connections", ())),
    )


def told(request: Request, tools: Mapping[str, ToolSpec], planner: str, model: str | None) -> dict[str, Any]:
    """The body of `inputs`. `model`: the one that the request names."""
    return {
        "today": request.today,
        "memories": list(request.memories),
        "connections": [list(pair) for pair in request.connections],
        "tools": sorted(tools),
        "planner": planner,
        "asked_model": model or "",
    }


def foreign(tape: Tape) -> Sources:
    """Where a plan comes from, beyond what its planner saw: a reply that stands in a file may be a stranger's."""
    if not tape.origin or tape.own is None:
        return NONE
    return frozenset({Source(kind=SourceKind.FILE, label=tape.origin)})
