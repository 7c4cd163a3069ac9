"""Functions of a notebook as tools once more, from the record of a run that used them: the kernel that defined them is
gone, their source is not.

One that runs in a worker is trusted as it was when it was typed: by its hash, which the user's own configuration knows
of this project. So what came with the run of somebody else, or was put into a shared memory, is a stranger's and stays
out. One that runs in the kernel needs its function there, made from the same source; until then it is known and cannot
be called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused, Untrusted
from workbench.core.events import AnyEvent, Kind
from workbench.core.tools import ToolSpec
from workbench.registry.cells import function_of
from workbench.registry.spec import describe


def recorded(events: Iterable[AnyEvent], is_trusted: Callable[[ToolSpec], bool]) -> tuple[ToolSpec, ...]:
    """The tools of cells that a run's events tell of, of each name the last. `is_trusted`: whether the user has typed
    this very one."""
    found: dict[str, ToolSpec] = {}
    for body in _defined(events):
        if (spec := _rebuilt(body)) is not None and (spec.runs == "kernel" or is_trusted(spec)):
            found[spec.name] = spec
    return tuple(found.values())


def refuse_missing(events: Iterable[AnyEvent], tasks: Mapping[str, str], tools: Mapping[str, ToolSpec]) -> None:
    """Say which step cannot be run because its tool was a function of a cell that is not here. `tasks`: the tool of
    each step that is to run, by the step's id. Raises Untrusted, Refused."""
    defined = {str(body.get("tool")) for body in _defined(events)}
    for step, task in tasks.items():
        tool = tools.get(task)
        if tool is None and task in defined:
            raise Untrusted(
                f"{step}: {task} was a function of a notebook, and you have not typed it in this project.",
                hint=f"Its source is on record as tool.defined. Define {task} in a cell to use it.",
                step=step,
                tool=task,
            )
        if tool is not None and tool.runs == "kernel" and function_of(tool) is None:
            raise Refused(
                f"{step}: {task} is a function that runs in the kernel, and this one does not have it as it was.",
                hint=f"Run the cell that defines {task} first.",
                step=step,
                tool=task,
            )


def _defined(events: Iterable[AnyEvent]) -> Iterator[Mapping[str, Any]]:
    return (e.body for e in events if e.kind == Kind.TOOL_DEFINED and e.body.get("origin") == "cell")


def _rebuilt(body: Mapping[str, Any]) -> ToolSpec | None:
    """The tool in a record, None when its source is gone, was cut or is no tool of this version of the program."""
    source, name = str(body.get("source", "")).encode("utf-8", "replace"), str(body.get("tool", ""))
    if not name.isidentifier() or hashlib.sha256(source).hexdigest() != body.get("version"):
        return None
    try:
        spec = describe(source, Path("cell", f"{name}.py"), "cell")
    except Refused:
        return None
    return replace(spec, runs="kernel") if spec is not None and body.get("runs") == "kernel" else spec
