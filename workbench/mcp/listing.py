"""What an MCP server says of its tools: read with care, pinned by hash when it is trusted, compared at each call.

The pin lies in the user's own folder and holds what was shown to them. Tools are offered from the pin, so that no
server is started before it is used; and a server that then says anything else is not used at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from workbench.core.mcp import McpServer
from workbench.core.tools import Effect, ToolSpec

MAX_TOOLS = 200
MAX_FACTS = 64_000
"""Bytes of all that a server says of one tool."""
MAX_DEPTH = 24
MAX_SAID = 4000
"""Characters of a description that planners see."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FACTS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")


@dataclass(frozen=True, slots=True)
class Listing:
    """`tools`: what counts of each tool that can be used. `refused`: sha256 of another → why it cannot be."""

    tools: Sequence[Mapping[str, Any]]
    refused: Mapping[str, str]


def read(listed: Iterable[Mapping[str, Any]]) -> Listing:
    """What a server lists, with care. A name that is there twice is used by none of the two."""
    tools: list[Mapping[str, Any]] = []
    refused: dict[str, str] = {}
    for tool in listed:
        try:
            tools.append(facts(tool))
        except ValueError as error:
            refused[sha256(tool)] = str(error)
    names = [tool["name"] for tool in tools]
    for tool in [tool for tool in tools if names.count(tool["name"]) > 1]:
        refused[sha256(tool)] = f"{tool['name']} is there twice"
        tools.remove(tool)
    return Listing(tools, refused)


def facts(tool: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of a listed tool, as JSON. Raises ValueError saying why it cannot be used."""
    found = {key: tool[key] for key in _FACTS if tool.get(key) is not None}
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r:.60} is no name for a tool")
    size = len(json.dumps(found))
    if size > MAX_FACTS:
        raise ValueError(f"{name} says {size:,} bytes of itself; the limit is {MAX_FACTS:,}")
    schema = found.get("inputSchema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ValueError(f"the parameters of {name} are no object")
    for key in ("inputSchema", "outputSchema"):
        if _deeper(found.get(key), MAX_DEPTH):
            raise ValueError(f"{name} is nested too deep")
    if any(word in ("pattern", "patternProperties") for word in _keys(found.get("outputSchema"))):
        raise ValueError(f"{name} wants its results matched with regular expressions, which may take for ever")
    return found


def sha256(what: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(what)).hexdigest()


def changes(pinned: Iterable[Mapping[str, Any]], listed: Iterable[Mapping[str, Any]]) -> str:
    """What is not as it was, in words; empty when all is. A tool under another name is told as renamed."""
    old = {str(tool["name"]): tool for tool in pinned}
    new = {str(tool["name"]): tool for tool in listed}
    gone, came = [name for name in old if name not in new], [name for name in new if name not in old]
    said = []
    for name in list(gone):
        again = next((other for other in came if _nameless(new[other]) == _nameless(old[name])), None)
        if again is not None:
            said.append(f"{name} is now called {again}")
            gone.remove(name)
            came.remove(again)
    said += [f"{name} is gone" for name in gone] + [f"{name} is new" for name in came]
    for name in old.keys() & new.keys():
        parts = [_WORDS[key] for key in _FACTS if old[name].get(key) != new[name].get(key)]
        if parts:
            said.append(f"{name} changed its {' and '.join(parts)}")
    return "; ".join(sorted(said))


_WORDS = {
    "name": "name",
    "title": "title",
    "description": "description",
    "inputSchema": "parameters",
    "outputSchema": "results",
    "annotations": "annotations",
}


def specs(
    name: str, server: McpServer, pinned: Iterable[Mapping[str, Any]], reads: Iterable[str] = ()
) -> Iterator[ToolSpec]:
    """The tools of a trusted server, `NAME.tool` each. `reads`: those that the user says only read; a server's own word
    for that is not taken."""
    patterns = tuple(reads)
    for tool in pinned:
        effect: Effect = "read" if any(fnmatchcase(tool["name"], pattern) for pattern in patterns) else "write"
        said = str(tool.get("description") or tool.get("title") or "").strip()
        first, _, rest = said.partition("\n")
        source = _canonical({"server": server.identity, "tool": tool})
        yield ToolSpec(
            name=f"{name}.{tool['name']}",
            summary=first.strip()[:300] or tool["name"],
            description=rest.strip()[:MAX_SAID],
            params={**tool["inputSchema"], "type": "object"},
            version=hashlib.sha256(source).hexdigest(),
            source=source,
            effect=effect,
            timeout=server.timeout,
            origin="server",
            path=name,
            runs="server",
        )


def _canonical(what: Any) -> bytes:
    return json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _nameless(tool: Mapping[str, Any]) -> bytes:
    return _canonical({key: value for key, value in tool.items() if key not in ("name", "title")})


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        ]
        if not level:
            return False
    return True


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
