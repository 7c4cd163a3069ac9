"""The workbench as an MCP server: `ask` and its tools, for the agents of others.

Who calls is not the user: none of their words count as the user's, so that whatever changes something or leaves the
machine is asked about, and where nobody can be asked the answer is no. Functions of a kernel are not offered; where a
tool takes a table the caller names a file of the project.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.artifacts import Artifact
from workbench.core.errors import WorkbenchError
from workbench.core.tools import ToolSpec
from workbench.gateway.files import FILE, Files, schema_of
from workbench.policy.approval import Approver
from workbench.run import Run
from workbench.workbench import Workbench

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.server import Server

ASK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "request": {"type": "string", "description": "what is wanted, in words; @name means a table of `data`"},
        "data": {
            "type": "object",
            "additionalProperties": FILE,
            "description": 'tables by name, for example {"sales": "data/sales.csv"}',
        },
    },
    "required": ["request"],
    "additionalProperties": False,
}
_ABOUT = "Plans a request over tables and tools, runs the steps outside of any kernel, and answers from the results."
MAX_IMAGES = 8


def server(workbench: Workbench, approver: Approver | None) -> Server[Any]:
    """The server; whoever runs it gives it a transport."""
    import mcp.types as types
    from mcp.server import Server

    from workbench import __version__

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        tools = await asyncio.to_thread(_offered, workbench)
        listed = [types.Tool(name="ask", description=_ABOUT, input_schema=ASK)]
        listed += [
            types.Tool(
                name=name,
                description=f"{spec.summary}\n{spec.description}".strip(),
                input_schema=schema_of(spec.params),
                annotations=types.ToolAnnotations(read_only_hint=spec.effect == "read"),
            )
            for name, spec in tools.items()
        ]
        return types.ListToolsResult(tools=listed)

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            run = await _called(workbench, approver, params.name, params.arguments or {})
        except WorkbenchError as error:
            said = types.TextContent(text="\n".join(error.lines()))
            return types.CallToolResult(content=[said], is_error=True)
        return await asyncio.to_thread(_result, run)

    return Server("agent-workbench", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


async def serve(workbench: Workbench, approver: Approver | None) -> None:
    """Serve over stdin and stdout until they end."""
    from mcp.server.stdio import stdio_server

    made = server(workbench, approver)
    async with stdio_server() as (read, write):
        try:
            await made.run(read, write, made.create_initialization_options())
        finally:
            await workbench.close()


def _offered(workbench: Workbench) -> Mapping[str, ToolSpec]:
    return {name: spec for name, spec in workbench.tools().items() if spec.runs != "kernel"}


async def _called(workbench: Workbench, approver: Approver | None, name: str, params: Mapping[str, Any]) -> Run:
    from workbench.core import schema
    from workbench.core.errors import Refused

    who = "the client of the MCP server"
    files = Files(workbench.settings.project)
    if name == "ask":
        if problems := list(schema.check(dict(params), ASK, "ask", resolved=True)):
            raise Refused("; ".join(problems[:5]))
        for table, file in (params.get("data") or {}).items():
            await asyncio.to_thread(files.load, file, table)
        return await workbench.ask(
            params["request"], variables=files.frames, approver=approver, rounds=False, stranger=who
        )
    tools = await asyncio.to_thread(_offered, workbench)
    if name not in tools:
        raise Refused(f"There is no tool {name}.", hint="List the tools again.")
    given = await asyncio.to_thread(files.given, dict(params), tools[name].params)
    return await workbench.run_tool(name, given, variables=files.frames, approver=approver, rounds=False, stranger=who)


def _result(run: Run) -> types.CallToolResult:
    """What a run gave: its answer and values as text, its tables by their first rows, its pictures."""
    import mcp.types as types

    notes = "\n".join(run.outcome.notes)
    content: list[types.ContentBlock] = [types.TextContent(text="\n\n".join(filter(None, [run.answer, notes])))]
    pictures = [run.load(found) for found in run.artifacts if found.mime == "image/png"][:MAX_IMAGES]
    encoded = [base64.b64encode(data).decode() for data in pictures if data is not None]
    content += [types.ImageContent(data=data, mime_type="image/png") for data in encoded]
    values = {step.id: _plain(step.value) for step in run.outcome.steps}
    structure = {"run": run.id, "status": run.status, "answer": run.answer, "steps": values}
    return types.CallToolResult(content=content, structured_content=json.loads(json.dumps(structure, default=str)))


def _plain(value: Any) -> Any:
    match value:
        case Artifact() if value.is_frame:
            columns = [column.name for column in value.columns]
            return {"title": value.title, "rows": value.rows, "columns": columns, "first": value.preview}
        case Artifact():
            return {"title": value.title, "file": value.mime, "alt": value.alt}
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value
