"""What a call asks for, by its content: one hash to find its recording by, and one for each part, to say what changed.

Nothing that differs from machine to machine or from run to run goes in: no id, path, clock, or address. A table counts
by the bytes of its file, a tool by the hash of its source, a server's tool by what the server says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.core.artifacts import Artifact, find, replace
from workbench.core.tools import ToolCall, ToolSpec, by_content, digest

SHORT = 16
"""Hexadecimal digits that are kept of a part's hash: enough to tell whether it changed."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`sha256` of all that is asked for. `parts`: the name of each part, in words, and a short hash of it."""

    sha256: str
    parts: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """The fingerprint as JSON."""
        return {"sha256": self.sha256, "parts": dict(self.parts)}

    def changed(self, other: Fingerprint) -> list[str]:
        """The parts that differ from another's, those of this one first."""
        names = [*self.parts, *(name for name in other.parts if name not in self.parts)]
        return [name for name in names if self.parts.get(name) != other.parts.get(name)]


def short(value: Any) -> str:
    """A short hash of a JSON value."""
    return digest(value)[:SHORT]


def read(told: Any) -> Fingerprint | None:
    """The fingerprint of `Fingerprint.told`; None when it is none."""
    if not isinstance(told, Mapping) or not isinstance(told.get("sha256"), str):
        return None
    parts = told.get("parts")
    named = parts.items() if isinstance(parts, Mapping) else ()
    return Fingerprint(told["sha256"], {str(name): str(value) for name, value in named})


def of_call(call: ToolCall) -> Fingerprint:
    """What a tool is asked for: its version, its parameters with their defaults, and the results that it is shown."""
    params = {**_defaults(call.tool.params), **call.params}
    context = [[step, task, by_content(value)] for step, task, value in call.context]
    version = _version(call.tool)
    asked = {"tool": call.tool.name, "version": version, "params": by_content(params), "context": context}
    parts = {f"tool {call.tool.name}": version[:SHORT]}
    tables = {
        part.value.sha256: part.refs[0] for part in call.arguments if isinstance(part.value, Artifact) and part.refs
    }
    for name, value in params.items():
        parts[f"parameter {name}"] = short(replace(value, lambda file: None))
        for number, file in enumerate(find(value), 1):
            parts[f"{file.noun} {tables.get(file.sha256, f'{number} of {name}')}"] = file.sha256[:SHORT]
    for step, _, value in context:
        parts[f"result of {step}"] = short(value)
    return Fingerprint(digest(asked), parts)


def _version(tool: ToolSpec) -> str:
    """What a tool is by its content. The version of a server's also says how the server is started, here."""
    return digest([tool.summary, tool.description, tool.params]) if tool.runs == "server" else tool.version


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {name: facts["default"] for name, facts in properties.items() if "default" in facts}
