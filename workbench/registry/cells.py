"""Functions of the user's notebook as tools: `@workbench.tool`.

    @workbench.tool
    def overdue(orders: pd.DataFrame, days: int = 30) -> pd.DataFrame:
        '''Orders that are older than so many days.'''
        return orders[orders["age"] > days]

The next `%agent` may use it. It runs where every tool runs, in a worker, from source that is put together when the
function is decorated (`registry.freenames`); defining it again replaces it. The way out is `in_kernel=True`: then the
function itself is called, on the thread that waits for the run, with everything that the kernel holds. Nothing confines
it, so it counts as one that changes something unless `effect` says otherwise, and no run in the background may use it.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, overload

from workbench.core.errors import Refused
from workbench.core.tools import Effect, ToolSpec
from workbench.registry.freenames import needs
from workbench.registry.spec import describe, usual_timeout

F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.Lock()
_defined: dict[str, Cell] = {}


@dataclass(frozen=True, slots=True)
class Cell:
    """A function that is a tool."""

    spec: ToolSpec
    function: Callable[..., Any]


def defined() -> tuple[ToolSpec, ...]:
    """The tools that were defined in this process, by name."""
    with _lock:
        return tuple(cell.spec for _, cell in sorted(_defined.items()))


def function_of(spec: ToolSpec) -> Callable[..., Any] | None:
    """The function of a tool that runs in the kernel; None when it is not there or was defined anew since."""
    cell = _defined.get(spec.name)
    return cell.function if cell is not None and cell.spec.version == spec.version else None


def forget(name: str) -> None:
    """Take a tool away again. Idempotent."""
    with _lock:
        _defined.pop(name, None)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    permissions: Mapping[str, Sequence[str]] | None = None,
    uses: Sequence[str] = (),
    effect: Effect | None = None,
    timeout: float | None = None,
    examples: Sequence[str] = (),
    in_kernel: bool = False,
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    permissions: Mapping[str, Sequence[str]] | None = None,
    uses: Sequence[str] = (),
    effect: Effect | None = None,
    timeout: float | None = None,
    examples: Sequence[str] = (),
    in_kernel: bool = False,
) -> F | Callable[[F], F]:
    """Make a function a tool of this kernel; the function stays what it is. The options are those of a tool file.

    Raises Refused when it cannot be one, naming why: no source, a name that a worker would not have, a parameter
    without a type.
    """
    declared: dict[str, Any] = {
        "PERMISSIONS": {key: list(items) for key, items in (permissions or {}).items()},
        "USES": list(uses),
        "EFFECT": effect or ("write" if in_kernel else "read"),
        "TIMEOUT": usual_timeout(uses) if timeout is None else timeout,
        "EXAMPLES": list(examples),
    }

    def decorate(made: F) -> F:
        spec = _spec(made, declared, in_kernel)
        with _lock:
            _defined[spec.name] = Cell(spec, made)
        return made

    return decorate if function is None else decorate(function)


def _spec(function: Callable[..., Any], declared: Mapping[str, Any], in_kernel: bool) -> ToolSpec:
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise Refused("@workbench.tool takes a function that is written with def.")
    name = function.__name__
    text, tree = _written(function)
    before = [] if in_kernel else needs(function, tree)
    # In a worker the function is called `run`; one that calls itself finds itself under its own name too.
    body = re.sub(rf"def\s+{re.escape(name)}\b", "def run", text, count=1)
    literals = [f"{key} = {value!r}" for key, value in declared.items()]
    parts = ["from __future__ import annotations", "", *before, *literals, "", "", body.rstrip(), "", f"{name} = run"]
    spec = describe(("\n".join(parts) + "\n").encode("utf-8", "replace"), Path("cell", f"{name}.py"), "cell")
    if spec is None:
        raise Refused(f"{name} is not a tool.", hint="A tool is a function with typed parameters.")
    return replace(spec, runs="kernel") if in_kernel else spec


def _written(function: FunctionType) -> tuple[str, ast.FunctionDef]:
    """The source of a function from its `def` on, and its syntax tree."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise Refused(
            f"There is no source of {function.__name__} to be had.", hint="Define it in a cell or in a file."
        ) from error
    if not isinstance(tree, ast.FunctionDef):
        raise Refused(f"{function.__name__} is not a plain function (def).", hint="Write it without async.")
    if len(tree.decorator_list) > 1:
        raise Refused(f"{function.__name__} has a second decorator.", hint="A tool has @workbench.tool alone.")
    return "\n".join(text.splitlines()[tree.lineno - 1 :]), tree
