"""`%workbench tool NAME key=value`: one tool, run once under everything that a request is under. The command line runs
it the same way."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.core import refs, schema
from workbench.core.errors import Refused, Untrusted
from workbench.notebook import line as lines

if TYPE_CHECKING:
    from workbench.core.tools import ToolSpec
    from workbench.notebook.background import Handle
    from workbench.notebook.display import Display
    from workbench.run import Run
    from workbench.workbench import Workbench

_HOW = "%workbench tool query_data sql='select 1 as one'; --yes or --deny answers what would be asked"


def tool(workbench: Workbench, rest: str) -> Run | Handle:
    """The run of one call. `key=@name` takes a table of the namespace."""
    from IPython.core.getipython import get_ipython

    from workbench.notebook import kernel
    from workbench.notebook.asking import approver
    from workbench.notebook.attached import tables
    from workbench.notebook.watched import watched
    from workbench.offer import frozen

    shell = get_ipython()
    name, pairs, said = _read(rest)
    spec = found(workbench, name)
    params = checked(spec, pairs)
    offered = tables(getattr(shell, "user_ns", {}))
    named = list(dict.fromkeys(ref.variable for ref in refs.find(params) if ref.variable))
    if gone := [table for table in named if table not in offered]:
        raise Refused(f"There is no table @{gone[0]}{lines.near(gone[0], offered, '@')}")

    answers = lines.Line(text="", yes="--yes" in said, deny="--deny" in said)

    def work(display: Display) -> Coroutine[Any, Any, Run]:
        return workbench.run_tool(
            spec.name,
            params,
            variables=frozen({table: offered[table] for table in named}),
            named=named,
            approver=approver(answers, display),
            rounds=False,
            listeners=(display.listen,),
            on_thread=display.on_thread,
            notebook=kernel.notebook(shell),
        )

    return watched(shell, workbench.settings.headless, work)


def found(workbench: Workbench, name: str) -> ToolSpec:
    """A tool that may be used. Raises Untrusted for one that waits for trust, Refused when there is none."""
    there = workbench.found()
    if name in there.tools:
        return there.tools[name]
    if name in there.untrusted:
        path = there.untrusted[name].path
        raise Untrusted(f"{name} is not trusted yet.", hint=f"Read it, then: workbench trust {path}")
    near = difflib.get_close_matches(name, [*there.tools, *there.untrusted], n=1)
    raise Refused(
        f"There is no tool {name}{f'; did you mean {near[0]}?' if near else '.'}", hint="`workbench tools` lists them."
    )


def checked(spec: ToolSpec, pairs: Sequence[str]) -> dict[str, Any]:
    """The parameters of a call, as they were said. Raises Refused with all that is wrong with them."""
    params = given(pairs, spec.params.get("properties", {}))
    if problems := list(schema.check(params, spec.params, spec.name)):
        raise Refused("; ".join(problems), hint=f"`workbench tools --schema {spec.name}` shows what it takes.")
    return params


def given(said: Sequence[str], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of pairs NAME=VALUE: text for a parameter that takes text, `@name` of a table for one that takes a
    table, JSON for every other, and text where it is none. Raises Refused naming a pair that is none."""
    params: dict[str, Any] = {}
    for pair in said:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Refused(f"--param {pair} is not NAME=VALUE.", hint="For example --param city=Lisbon")
        if name in params:
            raise Refused(f"--param {name} is given twice.", hint="Give a list as JSON: --param names='[1, 2]'")
        params[name] = _value(text, properties.get(name, {}))
    return params


def _value(text: str, kind: Mapping[str, Any]) -> Any:
    if text.startswith("@") and any(one.get("x-frame") for one in (kind, *kind.get("anyOf", ()))):
        return {"$ref": text}
    if kind.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read(rest: str) -> tuple[str, list[str], set[str]]:
    """The name, the pairs, and what answers questions."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise Refused(f"%workbench tool: {error}.", hint=_HOW) from None
    answers = {word for word in words if word in ("--yes", "--deny")}
    if len(answers) > 1:
        raise Refused("--yes and --deny exclude each other.")
    name, *pairs = [word for word in words if word not in answers] or [""]
    if not name:
        raise Refused("Which tool?", hint=_HOW)
    if wrong := [word for word in (name, *pairs) if word.startswith("--")]:
        raise Refused(f"There is no option {wrong[0]}.", hint=_HOW)
    return name, pairs, answers
