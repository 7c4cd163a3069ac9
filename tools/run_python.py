"""Runs Python code over the tables you offer: statistics, reshaping, models and figures that SQL cannot do."""

from __future__ import annotations

import ast
import datetime
import errno
import io
import linecache
import socket
import sys
import traceback
import warnings
from decimal import Decimal
from pathlib import Path
from types import CodeType
from typing import Any

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
ISOLATION = "kernel"
EFFECT = "read"
TIMEOUT = 120
EXAMPLES = [
    "correlate price and units",
    "fit a linear trend and draw its residuals",
    "bootstrap a confidence interval",
]

FILE = "<code>"
MAX_CODE = 100_000
MAX_FIGURES = 16
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)

CLOSED = {
    "network": "The network is closed to this code. Offer the data as a table, or search with web_search.",
    "program": "Other programs cannot be started here. Use Python packages instead.",
    "file": "Files outside of this call's own folder are closed. Offer the data as a table.",
}
# Audit events of Python's own by what the code reaches for.
EVENTS = {
    "os.exec": "program",
    "os.fork": "program",
    "os.forkpty": "program",
    "os.posix_spawn": "program",
    "os.spawn": "program",
    "os.system": "program",
    "subprocess.Popen": "program",
    "socket.__new__": "network",
    "socket.bind": "network",
    "socket.connect": "network",
    "socket.getaddrinfo": "network",
    "socket.sendto": "network",
}


def run(code: str, tables: dict[str, toolkit.Frame] = {}) -> dict[str, Any]:  # noqa: B006 - never changed
    """Run the code and return {"value": …, "figures": […]}: the value of its last expression, else of its variable
    `result`, and every figure that matplotlib has open. What the code prints is kept as the step's text. It has no
    network, no files but its own folder, and starts no programs.

    Args:
        code: Python 3; each name in `tables` is a pandas DataFrame, `pd` and `np` are imported. End with the expression
            to return, or assign it to `result`.
        tables: variable name in the code → table, for example {"sales": {"$ref": "@sales"}}.
    """
    if len(code) > MAX_CODE:
        raise toolkit.Failed(f"The code has {len(code):,} characters; at most {MAX_CODE:,} are run.")
    for name in tables:
        if not name.isidentifier():
            raise toolkit.Failed(f"{name!r} is no name for a variable.", hint="Use letters, digits and underscores.")
    body, last = compiled(code)
    reached = Reached()
    sys.addaudithook(reached.hear)
    try:
        value = executed(body, last, tables)
    except SystemExit as error:
        hint = "End with the expression to return."
        raise toolkit.Failed(f"The code ended itself (exit {error.code}).", hint=hint) from None
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything, and each is the user's to read
        raise explained(error, code, reached) from None
    answer = {"value": returned(value)}
    made = figures(value)
    return answer | {"figures": made} if made else answer


def compiled(code: str) -> tuple[CodeType, CodeType | None]:
    """The code, and its last expression by itself when it ends with one. Raises Failed naming the line."""
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    try:
        module = ast.parse(code, FILE)
        last = module.body.pop() if module.body and isinstance(module.body[-1], ast.Expr) else None
        expression = compile(ast.Expression(last.value), FILE, "eval") if isinstance(last, ast.Expr) else None
        return compile(module, FILE, "exec"), expression
    except SyntaxError as error:
        raise toolkit.Failed(f"{type(error).__name__}: {error.msg}{at(code, error.lineno)}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise toolkit.Failed(f"The code cannot be read: {type(error).__name__}: {error}.") from None


def executed(body: CodeType, last: CodeType | None, tables: dict[str, Any]) -> Any:
    """The value that the code gives, run in a namespace of its own."""
    import numpy as np
    import pandas as pd

    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # what plt.show() says here
    names: dict[str, Any] = {"__name__": "__main__", "pd": pd, "np": np, **tables}
    exec(body, names)  # noqa: S102 - running the code is what the tool is for
    value = eval(last, names) if last is not None else None  # noqa: S307 - as above
    return names.get("result") if value is None else value


class Reached:
    """What the code reached for last: a refusal of the system's only says that something was not permitted."""

    def __init__(self) -> None:
        self.last = ""

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.last = EVENTS.get(event, self.last)


def explained(error: BaseException, code: str, reached: Reached) -> toolkit.Failed:
    """The error as one line with the place in the code, and why, when it ran into the confinement."""
    message = " ".join(str(error).split())[:500]
    said = f"{type(error).__name__}: {message}".rstrip(": ") + at(code, line(error))
    closed = next((why for one in chain(error) if (why := refused(one, reached))), "")
    return toolkit.Failed(said, hint=CLOSED[closed] if closed and confined() else "")


def refused(error: BaseException, reached: Reached) -> str:
    """What a refusal of the system's was about; "" when the error is none."""
    if not isinstance(error, OSError) or error.errno is None:
        return ""
    if isinstance(error, PermissionError):
        return "file" if error.filename is not None else reached.last
    far = isinstance(error, ConnectionError | TimeoutError | socket.gaierror) or error.errno in UNREACHABLE
    return "network" if far and reached.last == "network" else ""


def confined() -> bool:
    """Whether the kernel confines this process: elsewhere everybody may see the names at the root."""
    try:
        list(Path("/").iterdir())
    except PermissionError:
        return True
    return False


def chain(error: BaseException) -> list[BaseException]:
    """The error and those that it came from; libraries wrap a refusal in errors of their own."""
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in found:
        found.append(seen)
        inside = (*seen.args, getattr(seen, "reason", None))
        inner = next((argument for argument in inside if isinstance(argument, BaseException)), None)
        seen = seen.__cause__ or seen.__context__ or inner
    return found


def line(error: BaseException) -> int | None:
    """The line of the code that an error comes from; None when it is not in the code."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return numbers[-1] if numbers else None


def at(code: str, number: int | None) -> str:
    """The place in words, with the line itself."""
    lines = code.splitlines()
    if number is None or not 0 < number <= len(lines):
        return f" (line {number})" if number else ""
    return f" (line {number}: {lines[number - 1].strip()[:120]})"


def returned(value: Any) -> Any:
    """The value as a result: tables, pictures and JSON as they are; numbers of numpy's too; anything else as text."""
    import numpy as np
    import pandas as pd

    if drawn(value):
        return None
    if isinstance(value, pd.Series):
        return value.to_frame("value" if value.name is None else value.name)
    if isinstance(value, dict):
        return {str(key): returned(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [returned(item) for item in value]
    if isinstance(value, np.ndarray | pd.Index):
        return returned(value.tolist())
    as_it_is = str | int | float | None | np.generic | pd.DataFrame | datetime.date | datetime.timedelta | Decimal
    if isinstance(value, as_it_is | toolkit.Table | toolkit.Image) or value is pd.NA:
        return value
    return repr(value)[:4000]


def drawn(value: Any) -> bool:
    """Whether a value is what a drawing function gives back: a figure, its parts, or a list with such parts."""
    if isinstance(value, list | tuple):
        return any(map(drawn, value[:100]))
    if type(value).__module__ == "numpy" and hasattr(value, "ravel"):
        return value.dtype.kind == "O" and drawn(value.ravel().tolist())
    return type(value).__module__.partition(".")[0] == "matplotlib"


def figures(value: Any) -> list[toolkit.Image]:
    """Every figure that is open, and one that is the value itself."""
    kind = sys.modules.get("matplotlib.figure")
    if kind is None:
        return []
    pyplot = sys.modules.get("matplotlib.pyplot")
    found = [pyplot.figure(number) for number in pyplot.get_fignums()] if pyplot is not None else []
    if isinstance(value, kind.Figure) and all(value is not one for one in found):
        found.append(value)
    if len(found) > MAX_FIGURES:
        raise toolkit.Failed(f"The code drew {len(found)} figures; at most {MAX_FIGURES} are kept.")
    return [picture(figure, number) for number, figure in enumerate(found, 1)]


def picture(figure: Any, number: int) -> toolkit.Image:
    """The figure as a PNG, with its own title and a line that says what is to be seen."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    title = next((" ".join(text.split()) for text in titles if text.strip()), f"Figure {number}")
    axes = [described(one) for one in figure.axes]
    alt = f"{title}. {' '.join(filter(None, axes))}".strip()
    return toolkit.Image(buffer.getvalue(), title=title, alt=alt[:1000])


def described(axes: Any) -> str:
    """What one pair of axes shows, in words."""
    parts = [
        counted(len(axes.lines), "line"),
        counted(len(axes.patches), "bar or area", "bars or areas"),
        counted(len(axes.collections), "set of points", "sets of points"),
        counted(len(axes.images), "image"),
    ]
    over = f" over {axes.get_xlabel()}" if axes.get_xlabel() else ""
    of = f" of {axes.get_ylabel()}" if axes.get_ylabel() else ""
    what = ", ".join(filter(None, parts))
    return f"{what}{of}{over}." if what else ""


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}" if number else ""
