"""MCP: `trust --mcp NAME` shows what a server is and can do, and pins it; `mcp` is a server of our own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from workbench.commands.base import YES, Verb, table
from workbench.core.errors import Denied


def trust(name: str, reads: Sequence[str], *, yes: bool) -> None:
    """Ask before the server is started, show what it lists, and pin that. Raises Denied when the user says no."""
    from workbench.bridge import wait
    from workbench.mcp.listing import specs
    from workbench.registry.grants import may
    from workbench.workbench import current

    servers = current().servers
    server = servers.server(name)
    print(f"The MCP server {name} is {server.said}.")
    print("Nothing confines it: it can do what you can do. It will be started to list its tools.")
    _ask("Start it? [y/N] ", name, yes=yes)
    listed = wait(servers.ask(name))
    rows = [(spec.name, spec.effect, may(spec), spec.summary) for spec in specs(name, server, listed.tools, reads)]
    table(("tool", "effect", "may", "what it says it does"), rows)
    for why in listed.refused.values():
        print(f"Left out: {why}.", file=sys.stderr)
    if not rows:
        raise Denied(f"The MCP server {name} has no tool that could be used.")
    _ask("Trust it and these tools as they are now? [y/N] ", name, yes=yes)
    servers.trust(name, listed, reads)
    print(f"Trusted {name} as it is now. A change of its command or its tools asks again.")


def _ask(question: str, name: str, *, yes: bool) -> None:
    if not yes and sys.stdin.isatty() and input(question).strip().lower() not in YES:
        raise Denied(f"The MCP server {name} is not trusted.")


def serve(options: argparse.Namespace) -> None:
    import asyncio

    from workbench.gateway.mcp import serve as served
    from workbench.mcp.connection import needed
    from workbench.policy.approval import chosen
    from workbench.workbench import current

    needed()
    approver = chosen(yes=options.yes, line=None, show=lambda plan: "")
    asyncio.run(served(current(), approver))


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--yes", action="store_true", help="say yes to calls that the policy asks about; what it denies stays denied"
    )


VERBS = (Verb("mcp", "serve the tools and ask to an MCP client, over stdin and stdout", serve, _takes),)
