"""One step of a run as cells: plain code where its tool has such a form, else what it gave, and a line that says so."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.core import artifacts, refs
from workbench.core.artifacts import Artifact
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.plain import chart
from workbench.plain.code import Names, Unwritable, comment, frames, literal, prose
from workbench.render import clean_text

if TYPE_CHECKING:
    import pandas as pd

MAX_SHOWN = 4_000
"""Characters of a recorded result that is written into a cell; a longer one lies in a file beside the notebook."""
MOST_ROWS = 10_000
"""Rows that the tools for SQL return at most."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell to be: `code` or `markdown`."""

    kind: Literal["code", "markdown"]
    source: str


@dataclass(slots=True)
class Book:
    """The notebook while it is written. `folder` takes the files beside it; `files` are those of databases, by the
    connection's name. `helps`: whether a cell needs `as_result`."""

    outcome: Outcome
    artifacts: Path
    folder: Path
    files: Mapping[str, Path]
    names: Names
    helps: bool = False
    values: dict[str, Any] = field(default_factory=dict)

    def frame(self, artifact: Artifact) -> pd.DataFrame:
        """The rows of a recorded table. Raises Unavailable."""
        from workbench.sandbox.frames import read_frame

        return read_frame(self.artifacts / artifact.path)

    def table(self, artifact: Artifact, name: str) -> str:
        """The code that reads a recorded table, which is written beside the notebook."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.parquet"
        self.frame(artifact).to_parquet(path, index=False)
        return f"pd.read_parquet({self.relative(path)!r})"

    def relative(self, path: Path) -> str:
        return f"{self.folder.name}/{path.name}"


def cells(step: StepOutcome, book: Book) -> list[Cell]:
    """The cells of one step; after them `book` knows its result."""
    title = clean_text(step.title if step.title != step.task else step.task)
    head = f"## {prose(f'{step.id}: {title}')}\n\nTool {prose(step.task)}."
    if step.state is not State.DONE:
        why = f" {prose(step.problem.message)}" if step.problem is not None else ""
        return [Cell("markdown", f"{head} The step gave no result: it is {step.state}.{why}")]
    planned = book.outcome.plan.step(step.id) if book.outcome.plan is not None else None
    try:
        if getattr(planned, "foreach", None) is not None:
            raise Unwritable("it goes over a list, whose items are steps of their own")
        writer = _WRITERS.get(step.task)
        if writer is None:
            raise Unwritable("it reaches for something outside of this notebook, or is not one of the tools for data")
        said, code = writer(step, book)
    except Unwritable as why:
        said = f" It cannot be written as plain code, because {prose(str(why))}: below is what it gave."
        code = recorded(step, book)
    book.values[step.id] = step.value
    return [Cell("markdown", f"{head}{said}"), Cell("code", "\n".join(code))]


def recorded(step: StepOutcome, book: Book) -> list[str]:
    """The code that takes the recorded result."""
    files = iter(range(1, 1000))
    shown: list[str] = []

    def source(value: Any) -> str:
        match value:
            case Artifact() if value.is_frame:
                return book.table(value, f"{step.id}-{next(files)}")
            case Artifact():
                book.folder.mkdir(parents=True, exist_ok=True)
                suffix = ".png" if value.mime == artifacts.PNG else Path(value.path).suffix
                path = book.folder / f"{step.id}-{next(files)}{suffix}"
                path.write_bytes((book.artifacts / value.path).read_bytes())
                if value.is_image:
                    shown.append(f"display(Image({book.relative(path)!r}))")
                return repr(book.relative(path))
            case Mapping():
                return "{" + ", ".join(f"{key!r}: {source(item)}" for key, item in value.items()) + "}"
            case list() | tuple():
                return "[" + ", ".join(map(source, value)) + "]"
            case _:
                return repr(value)

    plain = not any(artifacts.find(step.value))
    code = literal(step.value) if plain else source(step.value)
    if plain and len(code) > MAX_SHOWN:
        import json

        book.folder.mkdir(parents=True, exist_ok=True)
        path = book.folder / f"{step.id}.json"
        path.write_text(json.dumps(step.value, ensure_ascii=False, indent=1), "utf-8")
        code = f'json.loads(Path({book.relative(path)!r}).read_text("utf-8"))'
    place = book.names.result(step.id)
    return [comment(f"{step.id} {step.task}, as recorded"), f"{place} = {code}", *(shown or [place])]


def _query_data(step: StepOutcome, book: Book) -> tuple[str, list[str]]:
    params, place = step.params, book.names.result(step.id)
    tables = params.get("tables")
    if not isinstance(tables, Mapping) or refs.is_ref(tables):
        raise Unwritable("its tables are not named one by one")
    code = ["connection = duckdb.connect(config={'threads': 1})"]
    code += [
        f"connection.register({name!r}, {book.names.expression(table, book.values)})" for name, table in tables.items()
    ]
    sql = book.names.expression(params.get("sql", ""), book.values)
    bound = f", {book.names.expression(params['params'], book.values)}" if params.get("params") else ""
    return "", [*code, f"{place} = connection.execute({sql}{bound}).df(){_cap(step)}", place]


def _query_database(step: StepOutcome, book: Book) -> tuple[str, list[str]]:
    params, place = step.params, book.names.result(step.id)
    name = str(params.get("connection", ""))
    if not params.get("sql"):
        raise Unwritable("it lists what a database holds")
    path = book.files.get(name)
    if path is None:
        raise Unwritable(f"this notebook does not know where the database {name!r} is (name its file when it is made)")
    sql = book.names.expression(params["sql"], book.values)
    bound = book.names.expression(params["params"], book.values) if params.get("params") else "None"
    if _is_sqlite(path):
        code = [
            f"database = sqlite3.connect({f'file:{path.as_posix()}?mode=ro'!r}, uri=True)",
            f"{place} = pd.read_sql_query({sql}, database, params={bound}){_cap(step)}",
        ]
    else:
        code = [
            f"database = duckdb.connect({str(path)!r}, read_only=True)",
            f"{place} = database.execute({sql}, {bound}).df(){_cap(step)}",
        ]
    return f" The database {prose(name)} is read from {prose(str(path))}.", [*code, "database.close()", place]


def _plot(step: StepOutcome, book: Book) -> tuple[str, list[str]]:
    data = step.params.get("data")
    if data is None:
        source, artifact = _last_table(step, book)
    elif refs.is_ref(data):
        ref = refs.parse(str(data["$ref"]))
        source = book.names.place(ref, book.values)
        taken = refs.resolve(data, book.values, book.outcome.inputs)
        if not isinstance(taken, Artifact) or not taken.is_frame:
            raise Unwritable("what it draws is no table")
        artifact = taken
    else:
        raise Unwritable("what it draws is no table")
    pictures = [picture for picture in step.artifacts if picture.is_image]
    title = pictures[0].title if pictures else step.title
    said = " Drawn with matplotlib alone; ticks and colours differ from the picture of the run."
    return said, chart.lines(source, book.frame(artifact), step.params, " ".join(title.split()))


def _run_python(step: StepOutcome, book: Book) -> tuple[str, list[str]]:
    given, tables = step.params.get("code"), step.params.get("tables") or {}
    named = isinstance(tables, Mapping) and not refs.is_ref(tables) and all(map(str.isidentifier, tables))
    if not isinstance(given, str) or any(refs.find(given)) or not named:
        raise Unwritable("its code is put together from other results")
    try:
        module = ast.parse(given)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unwritable("its code cannot be read") from None
    book.helps = True
    kept, place = book.names.kept, book.names.result(step.id)
    code = ["import numpy as np", "import pandas as pd"]
    code += [f"{name} = {book.names.expression(table, book.values)}.copy()" for name, table in tables.items()]
    stores = any(
        isinstance(node, ast.Name) and node.id == "result" and isinstance(node.ctx, ast.Store)
        for node in ast.walk(module)
    )
    last = module.body[-1] if module.body else None
    if isinstance(last, ast.Expr):
        lines = given.splitlines()
        before = "\n".join([*lines[: last.lineno - 1], lines[last.lineno - 1].encode()[: last.col_offset].decode()])
        code += [before.rstrip().rstrip(";"), f"{kept} = (\n{ast.get_source_segment(given, last)}\n)"]
        code += [f"{kept} = result if {kept} is None else {kept}"] if stores else []
    else:
        code += [given, f"{kept} = {'result' if stores else None}"]
    said = " The workbench ran this code confined; here it runs with your own rights, so read it first."
    return said, [*filter(None, code), f'{place} = {{"value": as_result({kept})}}', f'{place}["value"]']


_WRITERS = {
    "query_data": _query_data,
    "query_database": _query_database,
    "plot": _plot,
    "run_python": _run_python,
}
"""The tools that can be written as plain code, by name."""


def _last_table(step: StepOutcome, book: Book) -> tuple[str, Artifact]:
    """The last table of the steps before, as a plan in list order hands it on."""
    for name, value in reversed(book.values.items()):
        if found := frames(value):
            return f"{book.names.result(name)}{_path_to(value, found[-1])}", found[-1]
    raise Unwritable("there is no table before it")


def _path_to(value: Any, wanted: Artifact) -> str:
    if isinstance(value, Mapping):
        key = next(key for key in reversed(list(value)) if wanted in frames(value[key]))
        return f"[{key!r}]{_path_to(value[key], wanted)}"
    if isinstance(value, list | tuple):
        at = max(at for at, item in enumerate(value) if wanted in frames(item))
        return f"[{at}]{_path_to(value[at], wanted)}"
    return ""


def _cap(step: StepOutcome) -> str:
    capped = any(table.rows == MOST_ROWS for table in frames(step.value))
    return f".head({MOST_ROWS:_})" if capped else ""


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"
