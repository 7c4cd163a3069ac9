"""A question that an MCP server asks in the middle of a call: put to the person, with the name of the server.

Nothing is filled in for them but defaults, and nothing that looks like a secret is ever asked for: a server that wants
a password asks somewhere else. An address is shown and never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.tools import ToolCall
from workbench.mcp.underway import Served
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
    fields, left, needed = _fields(params.requested_schema)
    if needed or _SECRET.search(message):
        gate.refuse(
            call,
            f"the MCP server {server} asks for what is not given here ({', '.join(needed) or 'a secret'}): {message}",
        )
        return ElicitResult(action="decline")
    if left:
        message = f"{message} (left out: {', '.join(left)})"
    decision = await gate.put(call, f"the MCP server {server} asks: {message}", server, fields)
    if decision.answer != "allow":
        return ElicitResult(action="decline" if decision.by == "user" else "cancel")
    filled = {field.name: field.default for field in fields if field.default is not None} | dict(decision.filled)
    if missing := [field.name for field in fields if field.required and field.name not in filled]:
        gate.refuse(call, f"the MCP server {server} needs {', '.join(missing)}, which nobody has filled in")
        return ElicitResult(action="cancel")
    return ElicitResult(action="accept", content=filled)


def unanswered(params: Any, server: str, possible: Iterable[Served]) -> types.ElicitResult:
    """A question of which nobody can say for which call it is: put to nobody, and told at each that it may be for."""
    from mcp.types import ElicitResult

    why = (
        f"the MCP server {server} does not say for which of its calls it asks (with parallel = 1 it has one at a time)"
    )
    for one in possible:
        one.gate.refuse(one.call, f"{why}: {str(params.message)[:MAX_TEXT]}")
    return ElicitResult(action="cancel")


def _fields(schema: Mapping[str, Any]) -> tuple[list[Field], list[str], list[str]]:
    """The fields of a form that a person is asked for; the names of those that are left out, because they may be secret
    or are of a kind that a line of text cannot give; and the names of those that the server insists on all the same."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or len(properties) > MAX_FIELDS:
        return [], [], ["a form that cannot be shown"]
    wanted = [str(name) for name in required] if isinstance(required, list) else []
    fields = {str(name)[:200]: _field(str(name)[:200], said, str(name) in wanted) for name, said in properties.items()}
    left = [name for name, field in fields.items() if field is None]
    asked = [field for field in fields.values() if field is not None]
    return asked, left, [name for name in wanted if fields.get(name) is None]


def _field(name: str, said: Any, required: bool) -> Field | None:
    if not isinstance(said, Mapping):
        return None
    kind, default = said.get("type"), said.get("default")
    words = " ".join([name, re.sub(r"[_\-.]|(?<=[a-z])(?=[A-Z])", " ", name)])
    about = [str(said.get(key) or "") for key in ("title", "description")]
    if kind not in ("string", "number", "integer", "boolean") or _SECRET.search(" ".join([words, *about])):
        return None
    choices = said.get("enum") or [one.get("const") for one in said.get("oneOf", ()) if isinstance(one, Mapping)]
    return Field(
        name=name,
        kind=kind,
        title=": ".join(filter(None, about))[:300],
        default=default if isinstance(default, str | int | float | bool) else None,
        choices=tuple(map(str, choices or ())),
        required=required,
    )
