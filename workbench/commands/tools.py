"""The tools: `tools`, `trust`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench.commands import mcp, onetool, personas
from workbench.commands.base import YES, Verb, table
from workbench.core.errors import Denied, Refused


def tools(options: argparse.Namespace) -> None:
    if options.schema or options.new:
        return onetool.show_or_write(options)
    from workbench.registry.grants import asks_for, may
    from workbench.registry.trust import Trust
    from workbench.workbench import current

    found, settings = current().found(), current().settings
    rows: list[tuple[str, ...]]
    rows = [(name, spec.origin, spec.effect, may(spec), spec.summary) for name, spec in sorted(found.tools.items())]
    waiting = sorted(found.untrusted.items())
    rows += [(name, "not trusted", spec.effect, may(spec), spec.summary) for name, spec in waiting]
    table(("tool", "from", "effect", "may", "what it does"), rows, options.json)
    for line in (*found.problems, *found.shadowed):
        print(line, file=sys.stderr)
    trust = Trust(settings.config, settings.project)
    for name, spec in waiting:
        print(f"{name}: {asks_for(spec, trust)} Read it, then: workbench trust {spec.path}", file=sys.stderr)
    return None


def trust(options: argparse.Namespace) -> None:
    if options.mcp:
        return mcp.trust(options.mcp, options.read, yes=options.yes)
    if options.path is None:
        raise Refused("Trust what?", hint="workbench trust tools/NAME.py, or workbench trust --mcp NAME")
    if options.path.suffix == ".md" and options.path.absolute().parent.name == "personas":
        return personas.trust(options.path, yes=options.yes)
    from workbench.registry.grants import asks_for
    from workbench.registry.spec import describe
    from workbench.registry.trust import Trust
    from workbench.workbench import current

    path = options.path.absolute()
    try:
        spec = describe(path.read_bytes(), path, "project")
    except OSError as error:
        raise Refused(f"{options.path} cannot be read: {error.strerror}.") from error
    if spec is None:
        raise Refused(f"{options.path} is not a tool.", hint="A tool has PERMISSIONS and a function run.")
    settings = current().settings
    trust = Trust(settings.config, settings.project)
    print(f"{spec.name} ({spec.version[:12]}): {spec.summary}\n{asks_for(spec, trust)}")
    if not options.yes and sys.stdin.isatty() and input("Trust it as it is now? [y/N] ").strip().lower() not in YES:
        raise Denied(f"{spec.name} is not trusted.")
    trust.trust(spec)
    print(f"Trusted {spec.name} as it is now. A change asks again.")
    return None


def _trust(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", type=Path, nargs="?", help="the tool or persona file")
    verb.add_argument("--mcp", metavar="NAME", help="the MCP server of that name, with its tools")
    verb.add_argument("--read", action="append", default=[], metavar="TOOL", help="one of its tools that only reads")
    verb.add_argument("--yes", action="store_true", help="trust it without asking")


VERBS = (
    Verb("tools", "list the tools", tools, onetool.takes_names, json=True),
    *onetool.VERBS,
    Verb("trust", "trust a tool, a persona or an MCP server of a project", trust, _trust),
)
