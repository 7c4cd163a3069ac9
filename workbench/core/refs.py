"""References from a step's parameters to earlier results and to the user's variables.

    {"$ref": "s1"}                the whole result of step s1; a frame stays a frame
    {"$ref": "s1#/results/0"}     a part of it, by JSON pointer (RFC 6901)
    {"$ref": "@sales"}            the offered variable `sales`
    {"$ref": "item#/url"}         a part of the item that a foreach is at
    "Top hit: {{s1#/title}}"      the part as text, inside a longer text

No expressions, no templates, no evaluation: a reference names a place, and a value that came from a tool never becomes
a reference itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.artifacts import Artifact

STEP_ID = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
VARIABLE = r"[^\W\d]\w{0,127}"
ITEM = "item"
"""Stands where the id of a step stands, and names the item of a foreach."""
_REF = re.compile(rf"(?:(?P<step>{STEP_ID})|@(?P<variable>{VARIABLE}))(?P<pointer>#(?:/.*)?)?", re.DOTALL)
_INLINE = re.compile(rf"\{{\{{(?P<ref>(?:{STEP_ID}|@{VARIABLE})(?:#/[^{{}}]*)?)\}}\}}")


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a value comes from: `step` or `variable` (exactly one is set) and the JSON pointer into it."""

    step: str | None
    variable: str | None
    pointer: str = ""

    @property
    def is_item(self) -> bool:
        """Whether it names the item of a foreach."""
        return self.step == ITEM

    def __str__(self) -> str:
        head = self.step if self.step is not None else f"@{self.variable}"
        return f"{head}#{self.pointer}" if self.pointer else f"{head}"


def parse(text: str) -> Ref:
    """The reference that `text` spells. Raises ValueError when it spells none."""
    found = _REF.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a reference: write a step id, or @ and a variable, then #/part if needed")
    return Ref(found["step"], found["variable"], (found["pointer"] or "")[1:])


def is_ref(value: Any) -> bool:
    """Whether a value is a reference object: a mapping with the single key `$ref`."""
    return isinstance(value, Mapping) and len(value) == 1 and "$ref" in value


def find(params: Any) -> Iterator[Ref]:
    """Every reference in the parameters, also those inside text. Raises ValueError on a malformed `$ref`."""
    if is_ref(params):
        yield parse(str(params["$ref"]))
    elif isinstance(params, Mapping):
        for value in params.values():
            yield from find(value)
    elif isinstance(params, list | tuple):
        for value in params:
            yield from find(value)
    elif isinstance(params, str):
        for match in _INLINE.finditer(params):
            yield parse(match["ref"])


def parts(text: str) -> list[str | Ref]:
    """A text taken apart into what stands there and the references inside of it, in order."""
    found: list[str | Ref] = []
    at = 0
    for match in _INLINE.finditer(text):
        found += [text[at : match.start()], parse(match["ref"])]
        at = match.end()
    return [*found, text[at:]]


def resolve(params: Any, results: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """The parameters with every reference replaced by what it names.

    `results` by step id and `variables` by name. Resolved values are not searched again. Raises LookupError, naming the
    reference, when a part is not there.
    """
    if is_ref(params):
        return _look_up(parse(str(params["$ref"])), results, variables)
    if isinstance(params, Mapping):
        return {key: resolve(value, results, variables) for key, value in params.items()}
    if isinstance(params, list | tuple):
        return [resolve(value, results, variables) for value in params]
    if isinstance(params, str):
        return _INLINE.sub(lambda m: _as_text(_look_up(parse(m["ref"]), results, variables)), params)
    return params


def _look_up(ref: Ref, results: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    source, name = (variables, ref.variable) if ref.variable is not None else (results, ref.step)
    if name not in source:
        raise LookupError(f"{ref}: there is no such {'variable' if ref.variable is not None else 'result'}")
    return point(source[str(name)], ref.pointer, said=str(ref))


def point(value: Any, pointer: str, *, said: str = "") -> Any:
    """The part of a JSON value that an RFC 6901 pointer names. Raises LookupError with `said` and what is there."""
    for raw in pointer.split("/")[1:]:
        key = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif _is_list(value) and re.fullmatch(r"0|[1-9]\d{0,8}", key) and int(key) < len(value):
            value = value[int(key)]
        else:
            raise LookupError(f"{said or pointer}: no {key!r} in {_describe(value)}")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object with " + (", ".join(map(repr, list(value)[:8])) or "no keys")
    if _is_list(value):
        return f"a list of {len(value)}"
    if isinstance(value, Artifact):
        return "a table (refer to it as a whole)" if value.is_frame else f"a file ({value.mime})"
    return f"a {type(value).__name__}"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Artifact):
        return value.title or value.path
    return json.dumps(value, ensure_ascii=False, default=str)
