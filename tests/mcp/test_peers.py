"""MCP servers of others, over stdio and over HTTP, in both generations of the protocol."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.support import Project
from tests.mcp.test_questions import types
from workbench.core.errors import WorkbenchError
from workbench.policy.approval import prompted
from workbench.run import Run

pytestmark = pytest.mark.peers

PACKAGES = ("@modelcontextprotocol/server-everything@2026.8.31", "@modelcontextprotocol/server-filesystem@2026.8.31")
FOLDER = Path(__file__).resolve().parents[2] / ".venv" / "mcp-peers"


@pytest.fixture(scope="module")
def npm() -> Path:
    """Where the servers of npm lie, installed when they are not there yet."""
    modules = FOLDER / "node_modules" / "@modelcontextprotocol"
    if not (modules / "server-filesystem" / "dist" / "index.js").is_file():
        program = shutil.which("npm") or pytest.skip("npm is not installed")
        FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run([program, "install", *options, *PACKAGES], check=True, capture_output=True)
    return modules


async def call(project: Project, name: str, params: dict[str, Any] | None = None, **options: Any) -> Run:
    return await project.bench.run_tool(f"peer.{name}", params or {}, **options)


async def test_the_time_server_of_python_speaks_the_new_protocol(tmp_path: Path):
    project = Project(tmp_path)
    project.declare({"command": str(Path(sys.executable).with_name("mcp-server-time"))})
    await project.trust("*")
    (session,) = [await _opened(project)]
    assert session == "2026-07-28"
    run = await call(
        project,
        "convert_time",
        {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"},
    )
    value: Any = run.steps[0].value
    assert "T21:00:00+09:00" in json.dumps(value)
    with pytest.raises(Exception, match="Nowhere"):
        await call(project, "get_current_time", {"timezone": "Nowhere/Else"})
    await project.bench.close()


async def _opened(project: Project) -> str:
    """The protocol that was agreed on with the peer."""
    server = project.bench.servers.server("peer")
    session = project.bench.servers._open("peer", server)
    try:
        await session.listing()
        return (await session.connection.client()).protocol_version
    finally:
        await session.close()


async def test_server_everything_speaks_the_old_one(npm: Path, tmp_path: Path):
    project = Project(tmp_path)
    script = npm / "server-everything" / "dist" / "index.js"
    project.declare({"command": shutil.which("node"), "args": [str(script)]})
    await project.trust()
    assert await _opened(project) == "2025-11-25"
    assert (await call(project, "echo", {"message": "héllo"})).steps[0].value == "Echo: héllo"
    weather: Any = (await call(project, "get-structured-content", {"location": "Chicago"})).steps[0].value
    assert set(weather) == {"temperature", "conditions", "humidity"}
    assert set(json.loads((await call(project, "get-env")).steps[0].value)) <= {"PATH", "HOME", "PWD", "LC_CTYPE"}
    told: list[str] = []
    await call(
        project,
        "trigger-long-running-operation",
        {"duration": 1, "steps": 2},
        listeners=(lambda event: told.append(event.body["text"]) if event.kind == "step.progress" else None,),
    )
    assert told[-1] == "2 of 2"
    shown, line = types("y", "Ada", *[""] * 20)
    asked = await call(project, "trigger-elicitation-request", approver=prompted(line, lambda plan: ""), rounds=False)
    assert "the MCP server peer asks" in shown[0]
    assert "left out: integer" in shown[0]  # it speaks of a PIN
    assert "Ada" in str(asked.steps[0].value)
    away = await call(project, "trigger-url-elicitation", {"url": "https://example.com/login"})
    assert "decline" in str(away.steps[0].value)
    await project.bench.close()


async def test_server_filesystem_reads_and_writes_its_folder_only(npm: Path, tmp_path: Path):
    project = Project(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    script = npm / "server-filesystem" / "dist" / "index.js"
    project.declare({"command": shutil.which("node"), "args": [str(script), str(tmp_path / "files")]})
    await project.trust("read_*", "list_*")
    tools = project.bench.tools()
    assert (tools["peer.read_text_file"].effect, tools["peer.write_file"].effect) == ("read", "write")
    path = str(tmp_path / "files" / "a.txt")
    assert "inside" in str((await call(project, "read_text_file", {"path": path})).steps[0].value)
    await call(project, "write_file", {"path": path, "content": "new"})
    assert (tmp_path / "files" / "a.txt").read_text() == "new"
    with pytest.raises(Exception, match="denied"):
        await call(project, "read_text_file", {"path": str(tmp_path / "outside.txt")})
    await project.bench.close()


@contextmanager
def listening(command: list[str], **env: str) -> Iterator[str]:
    """The port of a server that says which one it has."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
    ) as server:
        assert server.stdout is not None
        try:
            heard = []
            for line in server.stdout:
                heard.append(line)
                if found := re.search(r"(?:port|127\.0\.0\.1:)\s*(\d+)", line):
                    yield found[1]
                    break
            else:
                raise AssertionError("".join(heard))
        finally:
            server.kill()


MODERN = """
import socket, sys
from mcp.server import MCPServer
made = MCPServer("modern")

@made.tool()
def add(a: int, b: int) -> int:
    "Adds."
    return a + b

@made.tool()
def flood() -> str:
    "Says too much."
    return "x" * 20_000_000

with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
print(f"127.0.0.1:{port}", flush=True)
made.run("streamable-http", host="127.0.0.1", port=port)
"""


async def test_servers_at_an_address_of_both_generations_are_called_and_bounded(npm: Path, tmp_path: Path):
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        free = str(one.getsockname()[1])
    project = Project(tmp_path)
    script = npm / "server-everything" / "dist" / "index.js"
    node = shutil.which("node") or "node"
    with listening([node, str(script), "streamableHttp"], PORT=free) as port:
        project.declare({"type": "http", "url": f"http://127.0.0.1:{port}/mcp"})
        await project.trust()
        assert await _opened(project) == "2025-11-25"
        assert (await call(project, "echo", {"message": "hello"})).steps[0].value == "Echo: hello"
    with listening([sys.executable, "-c", MODERN]) as port:
        project.declare({"type": "http", "url": f"http://127.0.0.1:{port}/mcp"})
        await _until_it_answers(project)
        assert await _opened(project) == "2026-07-28"
        assert "3" in str((await call(project, "add", {"a": 1, "b": 2})).steps[0].value)
        line = await project.fails("flood", params={})
        assert "more than 4 MB" in line
    line = await project.fails("add", params={"a": 1, "b": 2})
    assert "MCP server peer" in line
    await project.bench.close()


async def _until_it_answers(project: Project) -> None:
    for _ in range(100):  # it says its port before it listens
        with suppress(WorkbenchError):
            return await project.trust()
    raise AssertionError("the server does not answer")
