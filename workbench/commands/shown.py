"""The first notebook, headless or in JupyterLab: `demo`, `lab`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from workbench.commands.base import Verb
from workbench.core.errors import Refused

NOTEBOOK = "notebooks/01_first_request.ipynb"


def demo(options: argparse.Namespace) -> int:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbconvert import HTMLExporter

    path = _notebook()
    options.out.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, kernel_name="python3")
    client.extra_arguments = ["--log-level=ERROR"]  # a kernel of this machine warns that it is not encrypted
    failure: CellExecutionError | None = None
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError as error:
        failure = error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            print(_said(cell))
    target = options.out / f"{path.stem}.html"
    body, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]  # nbconvert types it not
    target.write_text(body, "utf-8")
    print(f"\nThe notebook with its chart: {target}")
    if failure is not None:
        print(f"The notebook failed: {failure.ename}: {failure.evalue}", file=sys.stderr)
        return 1
    return 0


def _said(cell: Any) -> str:
    """A cell as the terminal shows it: the source after `In:`, then the plain text of its outputs."""
    lines = ["", *(f"│ {line}" for line in cell.source.splitlines())]
    for output in cell.outputs:
        data = output.get("data", {})
        text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", ()))
        lines.append(text.rstrip())
    return "\n".join(lines)


def lab(options: argparse.Namespace) -> int:
    path = _notebook()
    command = [sys.executable, "-m", "jupyter", "lab", str(path)]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, a fixed command


def _notebook() -> Path:
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / NOTEBOOK).is_file():
            return folder / NOTEBOOK
    raise Refused(f"There is no {NOTEBOOK} here.", hint="Run this in a checkout of the project.")


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, default=Path("out"), help="folder for the HTML (out)")


VERBS = (
    Verb("demo", "run the first notebook headless", demo, _takes),
    Verb("lab", "open the first notebook in JupyterLab", lab),
)
