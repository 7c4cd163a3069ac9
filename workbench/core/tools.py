"""What a tool is to the rest of the house, and what goes to and comes from one call of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.core.artifacts import Artifact, to_json
from workbench.core.provenance import NONE, Argument, Sources

Effect = Literal["read", "idempotent", "write"]
"""read: changes nothing. idempotent: doing it twice is doing it once. write: never repeated silently."""

Status = Literal["ok", "failed", "transient", "timeout", "killed", "output_limit", "cancelled", "denied", "exceeded"]
"""How a call ended, said by the supervisor. Only `transient` is worth another try. denied: by a person or a policy.
exceeded: a budget or a rate is used up."""


MOMENT = 2.0
"""Seconds between one limit of time and the next. There is one rule for all: a call may take what its step says, else
what its tool does, and whoever waits inside of it waits for that long but for a moment, so that the innermost speaks
first, in words. What a model may take its settings say, and a tool that asks one has time for all its tries."""
QUICK, SLOW = 60.0, 600.0
"""Seconds for a call of a tool that does not say: of one that asks a model, all the tries that a model has."""
ANY_HOST = "*"
"""Stands among the hosts of a tool that reaches whatever public host it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What a tool may touch beyond its own scratch folder. `network`: host names, `ANY_HOST` for all of the open
    internet. `secrets`: names of secrets that the
    host adds to the tool's requests. `read`: folders relative to the project; `write`: those in which it may also make,
    change and remove files."""

    network: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as planners and policy see it.

    `params` is a JSON Schema object; `source` the exact bytes that a worker compiles; `version` their sha256; `origin`
    where it came from: a file of the project, the user, a plug-in or ours, a cell, or a `server` of tools. `isolation`
    is the level without which it must not run, empty when any will do. `runs`: in a worker; in the user's own kernel;
    or on a server of others (MCP), where nothing confines it. Then `source` is what the server says of it. `checks`:
    the file has a `check(key)` that tells whether a call has acted before.
    """

    name: str
    summary: str
    params: Mapping[str, Any]
    version: str
    source: bytes = field(repr=False)
    description: str = ""
    examples: tuple[str, ...] = ()
    permissions: Permissions = Permissions()
    uses: tuple[str, ...] = ()
    effect: Effect = "read"
    timeout: float = QUICK
    origin: Literal["project", "user", "plug-in", "shipped", "cell", "server"] = "shipped"
    path: str = ""
    isolation: Literal["", "process", "kernel"] = ""
    runs: Literal["worker", "kernel", "server"] = "worker"
    checks: bool = False

    @property
    def grants(self) -> tuple[str, ...]:
        """What the tool asks to be allowed, a line each: "network api.tavily.com", "calls http", "effect write"."""
        named = [f"{kind} {item}" for kind, items in asdict(self.permissions).items() for item in items]
        called = [f"calls {service}" for service in self.uses]
        where = {"worker": [], "kernel": ["runs in the kernel"], "server": ["runs on a server that nothing confines"]}
        return (*named, *called, *where[self.runs], *([f"effect {self.effect}"] if self.effect != "read" else []))

    @property
    def reads_context(self) -> bool:
        """Whether the tool may ask for the results of earlier steps; one that does not is not handed them."""
        return b"context" in self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call, all references resolved. `timeout` in seconds of wall time.

    `context`: earlier results as `(step, task, value)`, for plans that run in list order. `reads`: absolute paths of
    files that the worker may open beyond what its tool declares, such as a database that the user's settings name.
    `arguments`: the parts of the parameters with their sources; `sources`: all that the call is made of, its plan and
    context included. Both stay on the host. `key` names the effect of the call, the same in every attempt of its run.
    `item`: its place in the list of a foreach, None outside of one. `approve`: whether the plan wants somebody asked.
    `entry`: what of the tool's file is called, `run` with the parameters or `check` with the key.
    """

    run: str
    step: str
    tool: ToolSpec
    params: Mapping[str, Any]
    timeout: float
    attempt: int = 1
    context: tuple[tuple[str, str, Any], ...] = ()
    reads: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    sources: Sources = NONE
    key: str = ""
    item: int | None = None
    approve: bool = False
    entry: Literal["run", "check"] = "run"

    @property
    def exchange(self) -> float:
        """Seconds that the host waits for one answer on the tool's behalf: the tool's own time, less a moment."""
        return self.timeout - min(MOMENT, self.timeout / 10)

    @property
    def patience(self) -> float:
        """Seconds that a library in the tool is told to wait: a moment less than the host."""
        return self.timeout - 2 * min(MOMENT, self.timeout / 10)

    def request_sha256(self) -> str:
        """What was asked, as a hash: tool, version, parameters; frames by their content."""
        asked = {"tool": self.tool.name, "version": self.tool.version, "params": by_content(self.params)}
        return digest(asked if self.entry == "run" else asked | {"check": self.key})


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """How a call ended and what it gave.

    `value` is JSON with artifacts as leaves; `text` what the tool printed, capped; `error` and `hint` are set for every
    status but ok. `isolation` is the level the worker really ran under. `reached`: where else the tool got something
    from, beyond its parameters.
    """

    status: Status
    value: Any = None
    text: str = ""
    error: str = ""
    hint: str = ""
    retry_after: float | None = None
    artifacts: tuple[Artifact, ...] = ()
    sources: tuple[Mapping[str, str], ...] = ()
    seconds: float = 0.0
    isolation: str = "process"
    reached: Sources = NONE

    def response_sha256(self) -> str:
        return digest({"status": self.status, "value": by_content(self.value), "error": self.error})


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON: keys sorted, no spaces."""
    return hashlib.sha256(_CANONICAL.encode(value).encode("ascii")).hexdigest()


def by_content(value: Any) -> Any:
    """The value as JSON in which a file is its hash and nothing else."""
    if isinstance(value, Artifact):
        return {"$sha256": value.sha256}
    if isinstance(value, Mapping):
        return {key: by_content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_content(item) for item in value]
    return to_json(value)
