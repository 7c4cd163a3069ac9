"""A question that an MCP server asks in the middle of a call: put to the person, with the name of the server.

Nothing is filled in for them but defaults, and nothing that looks like a secret is ever asked for: a server that wants
a password asks somewhere else. An address is shown and never opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.tools import ToolCall
from workbench.policy.approval import Field
from workbench.policy.gate import Gate

if TYPE_CHECKING:
    import mcp_types as types

MAX_FIELDS = 20
MAX_TEXT = 2000
_SECRET = re.compile(
    r"pass(word|phrase|wd|code)|secret|token|credential|api.?key|\bkey\b|private.?key|\bpin\b|\bcvv|card.?number"
    r"|\bssn\b|social.?security|\botp\b|one.?time",
    re.IGNORECASE,
)


async def answered(params: Any, server: str, call: ToolCall, gate: Gate) -> types.ElicitResult:
    """What the person said to a server's question. Whatever is in doubt is declined."""
    from mcp.types import ElicitResult

    message = str(params.message)[:MAX_TEXT]
    if params.mode == "url":
        why = f"the MCP server {server} wants {params.url[:300]} opened, which this workbench does not do: {message}"
        gate.refuse(call, why)
        return ElicitResult(action="decline")
    fields = _fields(params.requested_schema)
    if fields is None or any(_is_secret(field) for field in fields) or _SECRET.search(message):
        gate.refuse(call, f"the MCP server {server} asks for what may be a secret: {message}")
        return ElicitResult(action="decline")
    decision = await gate.put(call, f"the MCP server {server} asks: {message}", server, fields)
    if decision.answer != "allow":
        return ElicitResult(action="decline" if decision.by == "user" else "cancel")
    filled = {field.name: field.default for field in fields if field.default is not None} | dict(decision.filled)
    if missing := [field.name for field in fields if field.required and field.name not in filled]:
        gate.refuse(call, f"the MCP server {server} needs {', '.join(missing)}, which nobody has filled in")
        return ElicitResult(action="cancel")
    return ElicitResult(action="accept", content=filled)


def _fields(schema: Mapping[str, Any]) -> list[Field] | None:
    """The fields of a form; None for one that we would not understand."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) > MAX_FIELDS:
        return None
    required = schema.get("required")
    found = []
    for name, said in properties.items():
        kind = said.get("type") if isinstance(said, Mapping) else None
        if kind not in ("string", "number", "integer", "boolean"):
            return None
        choices = said.get("enum") or [one.get("const") for one in said.get("oneOf", ()) if isinstance(one, Mapping)]
        default = said.get("default")
        found.append(
            Field(
                name=str(name)[:200],
                kind=kind,
                title=str(said.get("title") or said.get("description") or "")[:300],
                default=default if isinstance(default, str | int | float | bool) else None,
                choices=tuple(map(str, choices or ())),
                required=isinstance(required, list) and name in required,
            )
        )
    return found


def _is_secret(field: Field) -> bool:
    words = re.sub(r"[_\-.]|(?<=[a-z])(?=[A-Z])", " ", field.name)
    return bool(_SECRET.search(words) or _SECRET.search(field.name) or _SECRET.search(field.title))
