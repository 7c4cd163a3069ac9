"""One tool: run once (`tool`), shown (`tools --schema NAME`), or begun (`tools --new NAME`)."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from workbench.commands.asking import printed, tables, takes_answers
from workbench.commands.base import Verb
from workbench.core.errors import Refused
from workbench.core.tools import ToolSpec
from workbench.notebook.onetool import checked, found

TEMPLATE = '''"""{title}: say here what it does, in one line.

The first line is what planners and `workbench tools` show; what stands here describes it further.
"""

from __future__ import annotations

from workbench import toolkit

PERMISSIONS = {{"network": [], "secrets": [], "read": [], "write": []}}  # hosts, secrets, folders of the project
USES: list[str] = []  # what it asks of the host: http, model, memory
EFFECT = "read"  # read: changes nothing. idempotent: twice is as good as once. write: never repeated silently
TIMEOUT = 30  # seconds
EXAMPLES = ["{words} of {{text}}"]  # requests that it serves


def run(text: str, times: int = 1) -> dict[str, object]:
    """Args:
    text: what it is given.
    times: how often.
    """
    if times < 1:
        raise toolkit.Failed("times has to be 1 or more.", hint="Leave it out for once.")
    return {{"text": " ".join([text] * times)}}
'''


def tool(options: argparse.Namespace) -> int:
    """Run one tool once, under everything that a request is under, and show what came."""
    from workbench.bridge import Errands
    from workbench.policy.approval import chosen
    from workbench.render import plan_text
    from workbench.workbench import current

    workbench = current()
    spec = found(workbench, options.name)
    frames = tables(options.data)
    params = checked(spec, options.param)
    errands = Errands()
    line = errands.input if sys.stdin.isatty() else None
    work = workbench.run_tool(
        spec.name,
        params,
        variables=frames,
        named=tuple(frames),
        approver=chosen(
            yes=options.yes, deny=options.deny, timeout=options.timeout, line=line, show=partial(plan_text, full=True)
        ),
        rounds=False,
        on_thread=errands.run,
    )
    return printed(work, errands, in_json=options.json)


def show_or_write(options: argparse.Namespace) -> None:
    """What one tool takes, as JSON; or a new tool file."""
    if options.schema:
        from workbench.workbench import current

        print(json.dumps(described(found(current(), options.schema)), indent=2, ensure_ascii=False))
    else:
        path = written(options.new)
        print(f"Wrote {path}. Change it, then: workbench trust {path}")


def described(spec: ToolSpec) -> dict[str, Any]:
    """A tool as its users see it, as JSON; `params` is a JSON Schema."""
    return {
        "name": spec.name,
        "summary": spec.summary,
        "description": spec.description,
        "params": spec.params,
        "examples": list(spec.examples),
        "asks_for": list(spec.grants),
        "effect": spec.effect,
        "timeout": spec.timeout,
        "origin": spec.origin,
        "version": spec.version,
    }


def written(name: str) -> Path:
    """A new tool file in the project's `tools/`. Raises Refused when the name will not do or is taken."""
    from workbench.registry.spec import named
    from workbench.workbench import current

    if not named(name):
        raise Refused(f"{name!r} is no name for a tool.", hint="Use letters, digits and underscores, a letter first.")
    path = current().settings.project / "tools" / f"{name}.py"
    words = name.replace("_", " ")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(title=words.capitalize(), words=words))
    except FileExistsError:
        raise Refused(f"There is a tool {path} already.", hint="Take another name.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def takes_names(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--schema", metavar="NAME", help="what one tool takes, as JSON")
    verb.add_argument("--new", metavar="NAME", help="write a tool file to start from")


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", help="the tool's name")
    verb.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be repeated")
    verb.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="a table, given as @NAME")
    takes_answers(verb)


VERBS = (Verb("tool", "run one tool once", tool, _takes, json=True),)
