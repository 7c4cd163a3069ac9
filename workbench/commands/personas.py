"""Personas: `personas`, and what `trust` does for one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench.commands.base import YES, Verb, table
from workbench.core.errors import Denied


def personas(options: argparse.Namespace) -> None:
    from workbench.notebook.personas import COLUMNS, listed
    from workbench.workbench import current

    found = current().personas()
    table(COLUMNS, listed(found), options.json)
    for line in found.problems:
        print(line, file=sys.stderr)


def trust(path: Path, *, yes: bool) -> None:
    """Trust a persona of the project as it is now. Raises Refused when it is none, Denied when the user says no."""
    from workbench.registry.personas import load
    from workbench.registry.trust import Trust
    from workbench.workbench import current

    persona, sha256 = load(path.absolute(), "project")
    settings = current().settings
    print(f"The persona {persona.name} ({sha256[:12]}) may use: {persona.uses}. Memory: {persona.memory}. It says:")
    print("\n".join(f"  {line}" for line in persona.instructions["project"].splitlines()))
    if not yes and sys.stdin.isatty() and input("Trust it as it is now? [y/N] ").strip().lower() not in YES:
        raise Denied(f"The persona {persona.name} is not trusted.")
    Trust(settings.config, settings.project).pin(f"persona {persona.name}", sha256)
    print(f"Trusted the persona {persona.name} as it is now. A change asks again.")


VERBS = (Verb("personas", "list the personas", personas, json=True),)
