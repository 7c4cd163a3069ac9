"""The notebook of a run: what was asked, the tables that were offered, each step, and the answer as it was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core import refs
from workbench.core.errors import Refused, Unavailable
from workbench.core.outcome import Outcome
from workbench.plain.code import Names, prose
from workbench.plain.steps import Book, Cell, cells

_READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".json": "read_json"}

_NO_FORMULAS = 'plt.rcParams["text.parse_math"] = False  # a $ in a title is a $'
_IMPORTS = (
    ("import json", "json."),
    ("import sqlite3", "sqlite3."),
    ("from pathlib import Path", "Path("),
    ("import duckdb", "duckdb."),
    ("import matplotlib.pyplot as plt", "plt."),
    ("import numpy as np", "np."),
    ("import pandas as pd", "pd."),
    ("from IPython.display import Image, display", "display("),
)
"""What cells may import, and by what one sees that they need it."""
_AS_RESULT = '''
def as_result(value):
    """A value as the workbench keeps it: a series as a table, a named index as columns, a drawing as nothing."""
    if isinstance(value, pd.Series):
        value = value.to_frame("value" if value.name is None else value.name)
    if isinstance(value, pd.DataFrame):
        index = value.index
        unnamed = index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index.dtype)
        return value.reset_index(drop=unnamed)
    if isinstance(value, (np.ndarray, pd.Index)):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): as_result(item) for key, item in value.items()}
    return None if type(value).__module__.partition(".")[0] == "matplotlib" else value
'''


def write(outcome: Outcome, artifacts: Path, path: Path, inputs: Mapping[str, str | Path] | None = None) -> Path:
    """Write the run as a notebook at `path`, what it needs into `<name>_data/` beside it; returns the path.

    `inputs`: a file of your own for an offered table (CSV, Parquet or JSON) or for a database, by its name: the cells
    read that in place of a copy. `artifacts` is WORKBENCH_HOME/artifacts. Raises Refused when the run has no plan, a
    file does not fit, or there is something at `path`; Unavailable when a table is gone.
    """
    import nbformat

    if outcome.plan is None:
        raise Refused(f"The run {outcome.run} has no plan.", hint="There is nothing to write as cells.")
    folder = path.with_name(f"{path.stem}_data")
    for there in (path, folder):
        if there.exists():
            raise Refused(f"{there} is there already.", hint="Name another file, or remove it.")
    files = {name: Path(file) for name, file in (inputs or {}).items()}
    _check(files, outcome)
    codes = [code for step in outcome.steps if isinstance(code := step.params.get("code"), str)]
    book = Book(outcome, artifacts, folder, files, Names(codes))
    offered = [f"    {name!r}: {_table(name, book)}," for name in _used(outcome)]
    body = [cell for step in outcome.steps for cell in cells(step, book)]
    made = [Cell("markdown", _opening(outcome)), Cell("code", _setup(book, offered, body)), *body]
    if outcome.answer:
        quoted = prose(outcome.answer).replace("\n", "\n> ")
        made.append(Cell("markdown", f"## The answer, as it was given\n\n> {quoted}"))
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
        cells=[_cell(cell, number) for number, cell in enumerate(made)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # as above
    return path


def _opening(outcome: Outcome) -> str:
    who = outcome.model or outcome.planner
    return (
        f"# {prose(' '.join(outcome.request.split())[:200])}\n\n"
        f"Made from run {prose(outcome.run)}, planned by {prose(who)}. These cells need pandas, pyarrow, duckdb and "
        "matplotlib, and nothing of the workbench."
    )


def _setup(book: Book, offered: list[str], body: list[Cell]) -> str:
    """The first code cell: what the others import, the offered tables, and where results go."""
    helpers = [_AS_RESULT.strip("\n")] if book.helps else []
    tables = [f"{book.names.offered} = {{", *offered, "}"] if offered else [f"{book.names.offered} = {{}}"]
    code = "\n".join([*tables, *helpers, *(cell.source for cell in body if cell.kind == "code")])
    imports = [line for line, name in _IMPORTS if name in code]
    plain = [_NO_FORMULAS] if "plt." in code else []
    helpers = [f"\n\n{helpers[0]}"] if helpers else []
    return "\n".join([*imports, "", *plain, *tables, f"{book.names.results} = {{}}", *helpers])


def _used(outcome: Outcome) -> list[str]:
    """The offered tables that a step refers to, each once."""
    found = (ref.variable for step in outcome.steps for ref in refs.find(step.params) if ref.variable)
    return list(dict.fromkeys(found))


def _table(name: str, book: Book) -> str:
    file = book.files.get(name)
    if file is not None:
        return f"pd.{_READERS[file.suffix.lower()]}({str(file)!r})"
    taken = book.outcome.inputs.get(name)
    if taken is None:
        raise Unavailable(
            f"The table @{name} is not on record.", hint=f"Name a file that holds it: inputs={{{name!r}: path}}."
        )
    return book.table(taken, name)


def _check(files: Mapping[str, Path], outcome: Outcome) -> None:
    tables = set(_used(outcome))
    for name, file in files.items():
        if not file.is_file():
            raise Refused(f"There is no file {file}.", hint=f"Name the one that holds {name}.")
        if name not in tables:
            continue
        if file.suffix.lower() not in _READERS:
            raise Refused(f"{file} is no table.", hint=f"Name a file that ends in {', '.join(_READERS)}.")
        columns = {column.name for column in outcome.inputs[name].columns} if name in outcome.inputs else set()
        if missing := sorted(columns - set(map(str, _columns(file)))):
            raise Refused(f"{file} has no column {missing[0]!r}, which @{name} had.", hint="Is it the right file?")


def _columns(file: Path) -> Any:
    import pandas as pd

    return getattr(pd, _READERS[file.suffix.lower()])(file).columns


def _cell(cell: Cell, number: int) -> Any:
    import nbformat

    make = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
    return make(cell.source, id=f"cell-{number}")  # type: ignore[no-untyped-call]  # as above
