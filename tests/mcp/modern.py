"""An MCP server made with the SDK, over stdio, or with `http` as the argument at an address that it prints."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

made = MCPServer("modern")
here: list[str] = []
all_here, go_on = asyncio.Event(), asyncio.Event()
left_off: list[str] = []


class Table(BaseModel):
    table: str


def which(text: str) -> Elicit[Table]:
    return Elicit(f"Which table for {text}?", Table)


@made.tool()
async def meet(text: str) -> str:
    """Answers when two have come."""
    here.append(text)
    if len(here) == 2:
        all_here.set()
    await all_here.wait()
    return text


@made.tool()
async def hold(text: str) -> str:
    """Answers when release is called."""
    here.append(text)
    try:
        await go_on.wait()
    except asyncio.CancelledError:
        left_off.append(text)
        raise
    return text


@made.tool()
async def release() -> str:
    go_on.set()
    return "released"


@made.tool()
async def seen() -> list[list[str]]:
    return [here, left_off]


@made.tool()
async def ask(text: str, answer: Annotated[ElicitationResult[Table], Resolve(which)]) -> str:
    """Asks which table."""
    return f"{text} {answer.data.table if isinstance(answer, AcceptedElicitation) else answer.action}"


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        sys.stdout.write(f"127.0.0.1:{port}\n")
        sys.stdout.flush()
        made.run("streamable-http", host="127.0.0.1", port=port)
    else:
        made.run("stdio")
