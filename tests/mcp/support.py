"""A project with a scripted MCP server, and a workbench that has trusted it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.mcp.server import TEXT
from tests.test_workbench import bench
from workbench.core.errors import WorkbenchError
from workbench.mcp.bounds import Bounds
from workbench.mcp.servers import Servers
from workbench.workbench import Workbench

SERVER = Path(__file__).with_name("server.py")
SMALL = Bounds(message=1 << 20, total=4 << 20, messages=500, start=20.0, patience=0.5)


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"Does {name}.", "inputSchema": TEXT, **more}


class Project:
    """A folder with `.mcp.json`; `write` says what the server does from now on."""

    def __init__(self, folder: Path, *replies: Any, bounds: Bounds = SMALL, **settings: Any) -> None:
        self.script = folder / "script.json"
        self.bench: Workbench = bench(folder, *replies, **settings)
        self.bench.servers = Servers(
            self.bench.settings, self.bench.secrets, {"PATH": "/usr/bin:/bin", "HOME": str(folder)}, bounds
        )
        self.declare({"command": sys.executable, "args": [str(SERVER), str(self.script)]})

    def declare(self, fields: Mapping[str, Any], name: str = "peer") -> None:
        path = self.bench.settings.project / ".mcp.json"
        path.write_text(json.dumps({"mcpServers": {name: fields}}))

    def write(self, tools: Sequence[Mapping[str, Any]], does: Mapping[str, str] | None = None, **more: Any) -> None:
        self.script.write_text(json.dumps({"tools": list(tools), "does": dict(does or {}), **more}))

    async def trust(self, *reads: str, name: str = "peer") -> None:
        listed = await self.bench.servers.ask(name)
        self.bench.servers.trust(name, listed, reads)

    async def call(self, name: str, params: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """The value of one call."""
        given = {"text": "x"} if params is None else params
        return (await self.bench.run_tool(f"peer.{name}", given, **options)).steps[0].value

    async def fails(self, name: str, **options: Any) -> str:
        """The line that a call ends with."""
        try:
            value = await self.call(name, **options)
        except WorkbenchError as error:
            return str(error)
        raise AssertionError(f"it gave {value!r:.200}")
