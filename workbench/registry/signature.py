"""A function's signature as a JSON Schema of its parameters, from the syntax tree alone."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core import schema

MAX_DEPTH = 12
"""Of nested annotations."""

_SIMPLE: Mapping[str, str] = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
_FRAMES = frozenset({"Frame", "toolkit.Frame", "pd.DataFrame", "pandas.DataFrame", "DataFrame"})
_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "Collection"})
_DICTS = frozenset({"dict", "Dict", "Mapping"})
_MODULES = ("typing.", "collections.abc.", "t.", "builtins.")


class BadSignature(Exception):
    """What is wrong in a tool file, and in which line (None when it is no line's fault)."""

    def __init__(self, message: str, *, line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.hint = hint


def parameters(run: ast.FunctionDef, known: Mapping[str, ast.expr]) -> dict[str, Any]:
    """The schema of what `run` takes. `known` are the module's constants, which a default may name.

    Raises BadSignature naming the parameter and its line.
    """
    arguments = run.args
    for star, written in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if star is not None:
            raise BadSignature(
                f"run takes {written}{star.arg}, which no plan can fill", line=star.lineno, hint="Name each parameter."
            )
    if arguments.posonlyargs:
        first = arguments.posonlyargs[0]
        raise BadSignature(
            f"parameter {first.arg!r} cannot be given by name", line=first.lineno, hint="Remove the slash."
        )
    documented = dict(_documented(ast.get_docstring(run) or ""))
    missing = len(arguments.args) - len(arguments.defaults)
    defaults = [None] * missing + list(arguments.defaults) + list(arguments.kw_defaults)
    properties: dict[str, Any] = {}
    required = []
    for argument, default in zip([*arguments.args, *arguments.kwonlyargs], defaults, strict=True):
        found = _parameter(argument, default, known)
        if text := documented.get(argument.arg):
            found["description"] = text
        properties[argument.arg] = found
        if default is None:
            required.append(argument.arg)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _parameter(argument: ast.arg, default: ast.expr | None, known: Mapping[str, ast.expr]) -> dict[str, Any]:
    if argument.annotation is None:
        raise BadSignature(
            f"parameter {argument.arg!r} has no type",
            line=argument.lineno,
            hint=f"Write for example {argument.arg}: str.",
        )
    found = _schema(argument.annotation, argument, 0)
    if default is None:
        return found
    value, literal = _default(default, known)
    if not literal:
        return found  # optional all the same; what it is shows only when the tool runs
    if value is None and next(schema.check(None, found, resolved=True), None):
        found = {"anyOf": [found, {"type": "null"}]}
    if (problem := next(schema.check(value, found, argument.arg, resolved=True), None)) is not None:
        raise BadSignature(f"the default of {problem}", line=default.lineno)
    return {**found, "default": value}


def _default(node: ast.expr, known: Mapping[str, ast.expr]) -> tuple[Any, bool]:
    """A default as JSON, and whether it is one."""
    if isinstance(node, ast.Name) and node.id in known:
        node = known[node.id]
    try:
        value = ast.literal_eval(node)
        return json.loads(json.dumps(value, allow_nan=False)) if not _odd(value) else None, not _odd(value)
    except (ValueError, TypeError, SyntaxError):
        return None, False


def _odd(value: Any) -> bool:
    """Whether a literal is something that JSON would quietly turn into something else."""
    if isinstance(value, dict):
        return any(not isinstance(key, str) or _odd(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(map(_odd, value))
    return isinstance(value, str) and not value.isascii() and value != value.encode("utf-8", "replace").decode("utf-8")


def _schema(node: ast.expr, argument: ast.arg, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise BadSignature(f"the type of {argument.arg!r} is nested too deep", line=argument.lineno)
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str() as text):
            return _schema(_parsed(text, argument), argument, depth + 1)
        case ast.BinOp(op=ast.BitOr()):
            return _union([_schema(part, argument, depth + 1) for part in _parts(node)])
        case ast.Subscript():
            return _generic(node, argument, depth)
    name = _dotted(node)
    if name in _FRAMES:
        return dict(schema.FRAME)
    if name in _SIMPLE:
        return {"type": _SIMPLE[name]}
    if name in _LISTS or name in ("tuple", "Tuple"):
        return {"type": "array"}
    if name in _DICTS:
        return {"type": "object"}
    if name in ("Any", "object"):
        return {}
    raise _unknown(node, argument)


def _generic(node: ast.Subscript, argument: ast.arg, depth: int) -> dict[str, Any]:
    name = _dotted(node.value)
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return _literal(inner, argument)
    if name in ("Annotated", "Final") and inner:
        return _schema(inner[0], argument, depth + 1)
    if name in ("tuple", "Tuple"):
        return _tuple(inner, argument, depth)
    kinds = [_schema(part, argument, depth + 1) for part in inner]
    if name == "Optional" and len(kinds) == 1:
        return _union([*kinds, {"type": "null"}])
    if name == "Union" and kinds:
        return _union(kinds)
    if name in _LISTS and len(kinds) == 1:
        return {"type": "array", "items": kinds[0]}
    if name in _DICTS and len(kinds) == 2 and kinds[0] == {"type": "string"}:
        return {"type": "object", "additionalProperties": kinds[1]}
    raise _unknown(node, argument)


def _tuple(inner: list[ast.expr], argument: ast.arg, depth: int) -> dict[str, Any]:
    if len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is ...:
        return {"type": "array", "items": _schema(inner[0], argument, depth + 1)}
    kinds = [_schema(part, argument, depth + 1) for part in inner]
    if not kinds:
        return {"type": "array", "maxItems": 0}
    return {"type": "array", "items": _union(kinds), "minItems": len(kinds), "maxItems": len(kinds)}


def _literal(inner: list[ast.expr], argument: ast.arg) -> dict[str, Any]:
    values = []
    for node in inner:
        value, literal = _default(node, {})
        if not literal or not isinstance(value, str | int | bool | None):
            raise _unknown(node, argument)
        values.append(value)
    kinds = {type(value).__name__ for value in values}
    return (
        {"type": _SIMPLE[kinds.pop()], "enum": values} if len(kinds) == 1 and None not in values else {"enum": values}
    )


def _union(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    unique = [kind for at, kind in enumerate(kinds) if kind not in kinds[:at]]
    if {} in unique:
        return {}
    return unique[0] if len(unique) == 1 else {"anyOf": unique}


def _parts(node: ast.expr) -> list[ast.expr]:
    """The sides of a | b | c."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _parsed(text: str, argument: ast.arg) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise BadSignature(f"the type of {argument.arg!r} is not one: {text[:60]!r}", line=argument.lineno) from None


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    name = ".".join([node.id, *reversed(parts)])
    return next((name.removeprefix(module) for module in _MODULES if name.startswith(module)), name)


def _unknown(node: ast.expr, argument: ast.arg) -> BadSignature:
    return BadSignature(
        f"parameter {argument.arg!r} has a type that plans cannot fill: {ast.unparse(node)[:60]}",
        line=argument.lineno,
        hint="Use str, int, float, bool, list, dict, Literal, toolkit.Frame, or one of them | None.",
    )


def constants(module: ast.Module) -> dict[str, ast.expr]:
    """The plain assignments at the top of a module by name, the last one of each."""
    found: dict[str, ast.expr] = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
    return found


_BLOCK = re.compile(r"(?m)^(?P<indent>[ ]*)(?:Args|Arguments|Parameters):[ ]*$")
_ENTRY = re.compile(r"^\*{0,2}`{0,2}(?P<name>\w+)`{0,2}(?:[ ]*\([^)]*\))?:[ ]*(?P<text>.*)$")
_FIELD = re.compile(r"(?m)^[ ]*:param[ ]+(?:[^:\n]*[ ])?(?P<name>\w+):[ ]*(?P<text>.*)$")


def _documented(text: str) -> Iterator[tuple[str, str]]:
    """What a docstring says of each parameter: an "Args:" block or ":param name:" fields. One line each, joined."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    for field in _FIELD.finditer(text):
        yield field["name"], field["text"].strip()
    block = _BLOCK.search(text)
    if block is None:
        return
    name, words, margin = "", list[str](), None
    for line in text[block.end() :].splitlines()[1:]:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        margin = indent if margin is None else margin
        entry = _ENTRY.match(line.strip()) if indent <= margin else None
        if indent < margin or (indent == margin and entry is None):
            break
        if entry is not None:
            if name:
                yield name, " ".join(words)
            name, words = entry["name"], [entry["text"].strip()]
        else:
            words.append(line.strip())
    if name:
        yield name, " ".join(words)
