"""The host's two translations: a call into its opening frame, and the worker's value into ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.core.artifacts import replace
from workbench.core.errors import ToolFailed
from workbench.core.tools import ToolCall
from workbench.sandbox import wire
from workbench.sandbox.files import Inputs, Outputs
from workbench.sandbox.limits import Limits
from workbench.sandbox.values import MAX_DEPTH, clean


def opening(call: ToolCall, inputs: Inputs, limits: Limits, project: Path, room: Mapping[str, Any]) -> bytes:
    """The call frame. Raises ToolFailed when the parameters are too large or not JSON."""

    def numbered(value: Any) -> Any:
        _refuse_marks(value)
        return replace(value, inputs.number)

    try:
        data = wire.pack(
            {
                "kind": "call",
                "tool": call.tool.name,
                "source": call.tool.source.hex(),
                "entry": call.entry,
                "key": call.key,
                "patience": call.patience,
                "params": numbered(call.params),
                "context": [
                    {"step": step, "task": task, "value": numbered(value)} for step, task, value in call.context
                ],
                "project": str(project),
                "room": room,
                "limits": asdict(limits),
            }
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolFailed(f"the parameters are not JSON ({error})") from error
    if len(data) > limits.call:
        raise ToolFailed(
            f"the call is {len(data):,} bytes of JSON; the limit is {limits.call:,}", hint="Pass tables as tables."
        )
    return data


def _refuse_marks(value: Any) -> None:
    """Raises ToolFailed when a value holds the one key that stands for files."""
    if isinstance(value, Mapping):
        if wire.FILE in value:
            raise ToolFailed(f"a parameter has the key {wire.FILE!r}, which the workbench keeps for itself")
        for item in value.values():
            _refuse_marks(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_marks(item)


def settle(value: Any, outputs: Outputs, depth: int = 0) -> Any:
    """The worker's value with its files as artifacts and clean texts. Raises ToolFailed."""
    if depth > MAX_DEPTH + 2:
        raise ToolFailed("the tool returned a value that is nested too deep")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [settle(item, outputs, depth + 1) for item in value]
    if isinstance(value, dict):
        if wire.FILE in value:
            return outputs.settle(value[wire.FILE])
        return {clean(key): settle(item, outputs, depth + 1) for key, item in value.items()}
    return value
