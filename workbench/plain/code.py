"""Values and references as Python source.

Everything that a user, a tool or a model wrote gets into a cell through these few functions, as a literal, a comment on
one line, or text that Markdown does not read as anything else.
"""

from __future__ import annotations

import ast
import pprint
import re
from collections.abc import Mapping
from typing import Any

from workbench.core import refs
from workbench.core.artifacts import Artifact
from workbench.render import clean_text

_MARKED = re.compile(r"([\\`*_{}\[\]()#+!|~$<>&:-])")
_INLINE = re.compile(rf"(\{{\{{(?:{refs.STEP_ID}|@{refs.VARIABLE})(?:#/[^{{}}]*)?\}}\}})")


class Unwritable(Exception):
    """A step that cannot be written as plain code; the message says why, as the end of "it cannot be …, because"."""


class Names:
    """How code in the cells names what it works with: `offered["sales"]`, `results["s1"]["rows"]`. Other names where
    the user's own code uses these."""

    def __init__(self, codes: list[str]) -> None:
        taken = {name for code in codes for name in _names(code)}
        self.offered, self.results = _free("offered", taken), _free("results", taken)
        self.kept = _free("kept", taken)

    def result(self, step: str) -> str:
        return f"{self.results}[{step!r}]"

    def place(self, ref: refs.Ref, values: Mapping[str, Any]) -> str:
        """The code for what a reference names; `values`: the recorded results by step, to know a list from an object.

        Raises Unwritable when it is not there.
        """
        if ref.variable is not None:
            return f"{self.offered}[{ref.variable!r}]"
        code, value = self.result(str(ref.step)), values.get(str(ref.step))
        for raw in ref.pointer.split("/")[1:]:
            key = raw.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping) and key in value:
                code, value = f"{code}[{key!r}]", value[key]
            elif isinstance(value, list | tuple) and key.isdigit() and int(key) < len(value):
                code, value = f"{code}[{int(key)}]", value[int(key)]
            else:
                raise Unwritable(f"{ref} is not in the recorded result")
        return code

    def expression(self, value: Any, values: Mapping[str, Any]) -> str:
        """A parameter as code: a literal in which references are places."""
        if refs.is_ref(value):
            return self.place(refs.parse(str(value["$ref"])), values)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{key!r}: {self.expression(item, values)}" for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self.expression(item, values) for item in value) + "]"
        if isinstance(value, str) and any(refs.find(value)):
            parts = [part for part in _INLINE.split(value) if part]
            return " + ".join(
                f"str({self.place(refs.parse(part[2:-2]), values)})" if _INLINE.fullmatch(part) else repr(part)
                for part in parts
            )
        return text(value) if isinstance(value, str) else repr(value)


def text(value: str) -> str:
    """A text as a literal; of several lines in three quotes, where that says the same."""
    plain = "\\" not in value and '"""' not in value and not value.endswith('"')
    if "\n" in value and plain and all(line.isprintable() for line in value.split("\n")):
        return f'"""{value}"""'
    return repr(value)


def literal(value: Any) -> str:
    """JSON as a literal over as many lines as it takes."""
    return pprint.pformat(value, width=110, sort_dicts=False)


def comment(value: str) -> str:
    """Words as a comment on one line."""
    return f"# {clean_text(value)}"


def prose(value: str) -> str:
    """Words as Markdown that shows them and nothing else: no link, no picture, no formula."""
    lines = clean_text(value, keep_lines=True).split("\n")
    return "\n".join(_MARKED.sub(r"\\\1", line) for line in lines)


def frames(value: Any) -> list[Artifact]:
    """The tables in a recorded result, in its order."""
    from workbench.core import artifacts

    return [artifact for artifact in artifacts.find(value) if artifact.is_frame]


def _names(code: str) -> set[str]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
