"""Which MCP servers there are: `[mcp.NAME]` of the user's config.toml, and the project's `.mcp.json`.

A server of the user stands in for one of its name in the project. What a file cannot say rightly is a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.core.mcp import McpServer
from workbench.core.settings import Settings

FILE = ".mcp.json"
MAX_BYTES = 1_000_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """`servers` by name; `problems` are lines."""

    servers: Mapping[str, McpServer]
    problems: tuple[str, ...] = ()


def declared(settings: Settings) -> Declared:
    """Every server that is declared for this project. Never raises for what stands in the file."""
    problems: list[str] = []
    servers = _of_project(settings.project / FILE, problems)
    return Declared(servers=dict(sorted({**servers, **settings.mcp}.items())), problems=tuple(problems))


def _of_project(path: Path, problems: list[str]) -> dict[str, McpServer]:
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        listed = json.loads(data)
        listed = listed["mcpServers"] if isinstance(listed, dict) else None
        if not isinstance(listed, dict):
            raise ValueError("it has no object mcpServers")
    except (OSError, ValueError, KeyError, RecursionError) as error:
        said = "it has no object mcpServers" if isinstance(error, KeyError) else error
        problems.append(f"{FILE}: cannot be read: {said}")
        return {}
    servers = {}
    for name, fields in listed.items():
        try:
            if not _NAME.fullmatch(name):
                raise ValueError("is no name for a server: use letters, digits, - and _")
            servers[name] = McpServer.model_validate(_translated(fields))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            problems.append(
                f"{FILE}: {name}: {where}{' ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
            )
        except ValueError as error:
            problems.append(f"{FILE}: {name!r:.60}: {error}")
    return servers


def _translated(fields: Any) -> dict[str, Any]:
    """The fields of an entry as ours. Raises ValueError for what we would not obey."""
    if not isinstance(fields, dict):
        raise ValueError("is not an object")
    kind = fields.get("type", "stdio" if "command" in fields else "http")
    if kind not in ("stdio", "http", "streamable-http"):
        raise ValueError(f"has the type {kind!r:.40}; there are stdio and http")
    known = {"type", "command", "args", "env", "url", "headers", "timeout", "parallel"}
    if unknown := sorted(set(map(str, fields)) - known):
        raise ValueError(f"has unknown fields: {', '.join(unknown)[:200]}")
    found = {key: fields[key] for key in ("command", "args", "url", "timeout", "parallel") if key in fields}
    env = fields.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise ValueError("has an env that is not an object of texts")
    found["env"] = [name for name, value in env.items() if value == f"${{{name}}}"]
    found["set"] = {name: value for name, value in env.items() if name not in found["env"]}
    if other := [name for name, value in found["set"].items() if "${" in value]:
        raise ValueError(f'sets {other[0]} to a part of another variable; write "{other[0]}": "${{{other[0]}}}"')
    for header, value in (fields.get("headers") or {}).items():
        token = _VARIABLE.fullmatch(str(value).removeprefix("Bearer ").strip())
        if str(header).lower() != "authorization" or token is None:
            raise ValueError('has headers other than "Authorization": "Bearer ${NAME}"')
        found["secret"] = token[1]
    return found
