"""One tool: run once (`tool`), shown (`tools --schema NAME`), or begun (`tools --new NAME`)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from workbench.commands.asking import printed, tables, takes_answers
from workbench.commands.base import Verb
from workbench.core import schema
from workbench.core.errors import Refused
from workbench.core.tools import ToolSpec

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
    spec = _found(options.name)
    frames = tables(options.data)
    params = given(options.param, spec.params.get("properties", {}))
    if problems := list(schema.check(params, spec.params, spec.name)):
        raise Refused("; ".join(problems), hint=f"`workbench tools --schema {spec.name}` shows what it takes.")
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


def given(said: list[str], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `--param NAME=VALUE`: text for a parameter that takes text, `@name` of a table for one that
    takes a table, JSON for every other, and text where it is none. Raises Refused naming a pair that is none."""
    found = {}
    for pair in said:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Refused(f"--param {pair} is not NAME=VALUE.", hint="For example --param city=Lisbon")
        if name in found:
            raise Refused(f"--param {name} is given twice.", hint="Give a list as JSON: --param names='[1, 2]'")
        found[name] = _value(text, properties.get(name, {}))
    return found


def _value(text: str, kind: Mapping[str, Any]) -> Any:
    if text.startswith("@") and any(one.get("x-frame") for one in (kind, *kind.get("anyOf", ()))):
        return {"$ref": text}
    if kind.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def show_or_write(options: argparse.Namespace) -> None:
    """What one tool takes, as JSON; or a new tool file."""
    if options.schema:
        print(json.dumps(described(_found(options.schema)), indent=2, ensure_ascii=False))
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


def _found(name: str) -> ToolSpec:
    """A tool that may be used. Raises Untrusted for one that waits for trust, Refused when there is none."""
    import difflib

    from workbench.core.errors import Untrusted
    from workbench.workbench import current

    found = current().found()
    if name in found.tools:
        return found.tools[name]
    if name in found.untrusted:
        raise Untrusted(
            f"{name} is not trusted yet.", hint=f"Read it, then: workbench trust {found.untrusted[name].path}"
        )
    near = difflib.get_close_matches(name, [*found.tools, *found.untrusted], n=1)
    raise Refused(
        f"There is no tool {name}{f'; did you mean {near[0]}?' if near else '.'}", hint="`workbench tools` lists them."
    )


def takes_names(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--schema", metavar="NAME", help="what one tool takes, as JSON")
    verb.add_argument("--new", metavar="NAME", help="write a tool file to start from")


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", help="the tool's name")
    verb.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be repeated")
    verb.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="a table, given as @NAME")
    takes_answers(verb)


VERBS = (Verb("tool", "run one tool once", tool, _takes, json=True),)
