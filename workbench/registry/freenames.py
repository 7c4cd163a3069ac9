"""What a function takes from around it, as lines of source that a worker can run before it.

A function in a cell sees the whole kernel. What is shipped to a worker is its own source, the modules and names of
modules that it uses as imports, and constants that JSON could hold, as they are when it is decorated. Any other name is
an error at once and not in the middle of a run.
"""

from __future__ import annotations

import ast
import builtins
import dis
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from workbench.core.errors import Refused
from workbench.sandbox.course import imports

MAX_CONSTANT = 100_000
"""Characters of a constant that is shipped with a function."""
_HINT = "Pass it as a parameter, import it from a module, or define it inside the function."


def needs(function: FunctionType, tree: ast.FunctionDef) -> list[str]:
    """The lines that have to stand before the function's source. Raises Refused naming what cannot be shipped."""
    name = function.__name__
    if around := [inner for inner in function.__code__.co_freevars if inner != name]:
        raise Refused(f"{name} uses {around[0]} of a function around it.", hint=_HINT)
    lines: list[str] = []
    for free in sorted(_globals(function.__code__, name) | _in_defaults(tree)):
        if free == name:
            continue
        if free in function.__globals__:
            lines += _line(free, function.__globals__[free], tree, name)
        elif not hasattr(builtins, free):
            raise Refused(f"{name} uses {free}, which is not defined.", hint=_HINT)
    return [line for line in lines if line.startswith(("import", "from"))] + [
        line for line in lines if not line.startswith(("import", "from"))
    ]


def _globals(code: CodeType, name: str) -> set[str]:
    """The global names that code reads, that of inner functions and classes included."""
    found: set[str] = set()
    own: set[str] = set()
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise Refused(f"{name} changes the global name {step.argval}, which a worker does not have.", hint=_HINT)
        if step.opname == "STORE_NAME":
            own.add(str(step.argval))
        elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            found.add(str(step.argval))
    found -= own | {"__name__"}
    return found.union(*(_globals(inner, name) for inner in code.co_consts if isinstance(inner, CodeType)))


def _in_defaults(tree: ast.FunctionDef) -> set[str]:
    defaults = [*tree.args.defaults, *(node for node in tree.args.kw_defaults if node is not None)]
    return {node.id for default in defaults for node in ast.walk(default) if isinstance(node, ast.Name)}


def _line(free: str, value: Any, tree: ast.FunctionDef, name: str) -> list[str]:
    if isinstance(value, ModuleType):
        _refuse_local(value, name)
        alias = "" if value.__name__ == free else f" as {free}"
        inner = dict.fromkeys(_inner_modules(free, value.__name__, tree))
        return [f"import {value.__name__}{alias}", *(f"import {module}" for module in inner)]
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(qualified, str) and module not in ("__main__", "builtins"):
        home = sys.modules.get(module)
        if home is not None and getattr(home, qualified, None) is value:
            _refuse_local(home, name)
            return [f"from {module} import {qualified}" + ("" if qualified == free else f" as {free}")]
    if _is_constant(value) and len(text := repr(value)) <= MAX_CONSTANT:
        return [f"{free} = {text}"]
    what = "a function of this kernel" if isinstance(value, FunctionType) else f"a {type(value).__name__}"
    raise Refused(f"{name} uses {free}, which is {what} and cannot go along to a worker.", hint=_HINT)


def _inner_modules(free: str, module: str, tree: ast.FunctionDef) -> Iterator[str]:
    """The modules inside of a package that the function reaches by dots, such as `xml.etree` of `xml`."""
    for node in ast.walk(tree):
        names: list[str] = []
        inner: ast.expr | ast.AST = node
        while isinstance(inner, ast.Attribute):
            names.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id == free:
            for count in range(1, len(names) + 1):
                if (whole := ".".join([module, *names[:count]])) in sys.modules and free == module:
                    yield whole


def _refuse_local(module: ModuleType, name: str) -> None:
    """Raises Refused for a module that only this kernel can import: a worker does not see the project's files."""
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    file = getattr(top, "__file__", None)
    if not file:
        return
    path = Path(file).absolute()
    place = path.parent.parent if path.stem == "__init__" else path.parent
    installed = any(place.is_relative_to(folder) for folder in (sys.prefix, sys.base_prefix, sys.exec_prefix))
    if not installed and str(place) not in imports(Path.cwd()):
        raise Refused(f"{name} uses {top.__name__}, a module of this folder, which no worker can import.", hint=_HINT)


def _is_constant(value: Any) -> bool:
    match value:
        case None | bool() | int() | str():
            return type(value) in (type(None), bool, int, str)
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_constant, value))
        case dict():
            return all(isinstance(key, str) and _is_constant(item) for key, item in value.items())
    return False
