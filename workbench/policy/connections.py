"""The host functions behind named connections: which there are, and the way to one of them for one call.

A file is granted to the worker beforehand (`granting`), by its name in the call's parameter `connection`; a server gets
a port of the call (`policy.forward`). The worker is told what it needs to read and nothing else: no host, no password.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from workbench.core.connections import Connection
from workbench.core.errors import ToolFailed
from workbench.core.tools import ToolCall, digest
from workbench.policy.forward import Forward, Meter
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors

_BESIDE = {"duckdb": ("", ".wal"), "sqlite": ("", "-wal", "-shm", "-journal")}
"""Files that make up a database, by what they add to its name."""


def connection_services(
    connections: Mapping[str, Connection],
    secrets: Mapping[str, SecretStr],
    call: ToolCall,
    doors: Doors,
    exchanged: Callable[[Mapping[str, Any]], None] = lambda body: None,
) -> Mapping[str, Service]:
    """`sql.connections` (name and kind of each) and `sql.open` (the way to one) for one call.

    `exchanged` hears of each connection to a server when it is over, as the body of `service.called`.
    """

    async def listed(params: Mapping[str, Any]) -> Any:
        return [{"name": name, "kind": there.kind} for name, there in sorted(connections.items())]

    async def opened(params: Mapping[str, Any]) -> Any:
        name = str(params["connection"])
        there = connections.get(name)
        if there is None:
            known = ", ".join(sorted(connections)) or "none"
            raise ToolFailed(f"There is no connection {name!r}.", hint=f"config.toml declares: {known}.")
        facts: dict[str, Any] = {"kind": there.kind, "tables": None if there.tables is None else list(there.tables)}
        if there.is_file:
            if str(there.path) not in call.reads:
                known_by = "Give its name in the tool's parameter `connection`."
                raise ToolFailed(f"The file of {name!r} is not there or not granted to this call.", hint=known_by)
            return facts | {"path": str(there.path)}
        started = time.monotonic()

        def ended(meter: Meter) -> None:
            exchanged(_exchange(name, meter, time.monotonic() - started))

        port = await doors.open(Forward(there, secrets.get(there.secret), ended).serve)
        return facts | {"host": "127.0.0.1", "port": port, "dbname": there.dbname, "user": there.user}

    return {"sql.connections": listed, "sql.open": opened}


def granting(connections: Mapping[str, Connection], call: ToolCall) -> ToolCall:
    """The call with the files that it may read, when its tool uses `sql` and its `connection` names a file."""
    there = connections.get(str(call.params.get("connection", "")))
    if there is None or there.path is None or not {"sql", "sql.open"} & set(call.tool.uses):
        return call
    # Landlock and databases go by real files, and a link may lead to another folder.
    files = [f"{there.path}{ending}" for ending in _BESIDE[there.kind]]
    return replace(call, reads=(*call.reads, *(file for file in files if Path(file).is_file())))


def _exchange(name: str, meter: Meter, seconds: float) -> dict[str, Any]:
    error = {"kind": "Unavailable", "message": meter.error, "hint": ""} if meter.error else None
    return {
        "service": "sql.open",
        "host": name,
        "method": "",
        "status": None,
        "bytes_out": meter.sent,
        "bytes_in": meter.received,
        "seconds": round(seconds, 6),
        "request_sha256": digest({"service": "sql.open", "connection": name}),
        "occurrence": None,
        "replayed": False,
        "response_sha256": None,
        "error": error,
    }
