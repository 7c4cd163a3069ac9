"""The small part of JSON Schema that tool parameters use, checked with messages a model can act on.

Own code because the jsonschema package costs 1.3 s of import through its format checks, and because references have to
pass anywhere before they are resolved. Keywords: type (one or a list), enum, const, anyOf, items, properties, required,
additionalProperties, minimum, maximum, minItems, maxItems, minLength, maxLength, and `x-frame` for a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core import refs
from workbench.core.artifacts import Artifact

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}
FRAME = {"x-frame": True}
"""The schema of a parameter that takes a table."""


def check(value: Any, schema: Mapping[str, Any], where: str = "params", *, resolved: bool = False) -> Iterator[str]:
    """Every way in which the value breaks the schema, each naming its place. Nothing is coerced.

    Before resolution a reference passes anywhere; afterwards (`resolved=True`) only real values do.
    """
    if not resolved and (refs.is_ref(value) or (isinstance(value, str) and any(_inline(value)))):
        return
    if schema.get("x-frame"):
        if not (isinstance(value, Artifact) and value.is_frame):
            inside = _tables_in(value)
            hint = f"; that holds one: write #/{inside[0]} behind the reference" if inside else ""
            yield f'{where}: expected a table, as {{"$ref": "@name"}} or {{"$ref": "s1"}}, got {_short(value)}{hint}'
        return
    if "anyOf" in schema:
        branches = [list(check(value, branch, where, resolved=resolved)) for branch in schema["anyOf"]]
        if branches and all(branches):
            yield min(branches, key=len)[0]
        return
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        yield f"{where}: expected one of {', '.join(map(repr, schema['enum']))}, got {_short(value)}"
        return
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{where}: expected {schema['const']!r}, got {_short(value)}"
        return
    wanted = schema.get("type")
    if wanted is not None and not any(_is(value, t) for t in ([wanted] if isinstance(wanted, str) else wanted)):
        names = wanted if isinstance(wanted, str) else " or ".join(wanted)
        yield f"{where}: expected {names}, got {_short(value)}"
        return
    yield from _bounds(value, schema, where)
    if isinstance(value, Mapping):
        yield from _object(value, schema, where, resolved)
    elif isinstance(value, list | tuple) and "items" in schema:
        for index, item in enumerate(value):
            yield from check(item, schema["items"], f"{where}[{index}]", resolved=resolved)


def _tables_in(value: Any) -> list[str]:
    """The fields of a result that are tables."""
    fields = value.items() if isinstance(value, Mapping) else ()
    return [str(name) for name, item in fields if isinstance(item, Artifact) and item.is_frame]


def _object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str, resolved: bool) -> Iterator[str]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}.{name}: missing"
    for name, item in value.items():
        if name in properties:
            yield from check(item, properties[name], f"{where}.{name}", resolved=resolved)
        elif extra is False:
            yield f"{where}.{name}: unknown (there are: {', '.join(properties) or 'none'})"
        elif isinstance(extra, Mapping):
            yield from check(item, extra, f"{where}.{name}", resolved=resolved)


def _bounds(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and not value >= schema["minimum"]:
            yield f"{where}: expected at least {schema['minimum']}, got {value}"
        if "maximum" in schema and not value <= schema["maximum"]:
            yield f"{where}: expected at most {schema['maximum']}, got {value}"
    for least, most, types in (("minItems", "maxItems", (list, tuple)), ("minLength", "maxLength", (str,))):
        if isinstance(value, types):
            if len(value) < schema.get(least, 0):
                yield f"{where}: expected at least {schema[least]} long, got {len(value)}"
            if most in schema and len(value) > schema[most]:
                yield f"{where}: expected at most {schema[most]} long, got {len(value)}"


def _same(value: Any, other: Any) -> bool:
    # To Python True is 1; to JSON it is not.
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, ()))


def _inline(text: str) -> Iterator[refs.Ref]:
    try:
        yield from refs.find(text)
    except ValueError:
        return


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
