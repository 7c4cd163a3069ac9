"""Runs cells in a real kernel, headless, as papermill and nbval do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

Outputs = list[list[Any]]


@pytest.fixture
def run_cells(samples: Path, own_home: Path) -> Callable[..., Outputs]:
    """Run cells one after the other in one kernel, going on after errors: the outputs of each."""

    def run(*cells: str) -> Outputs:
        notebook = _notebook(cells)
        client = NotebookClient(
            notebook,
            allow_errors=True,
            timeout=90,
            kernel_name="python3",
            resources={"metadata": {"path": str(samples.parents[1] / "notebooks")}},
        )
        asyncio.run(client.async_execute())
        return [cell.outputs for cell in notebook.cells]

    return run


def papermill_outputs(folder: Path, *cells: str) -> tuple[int, list[Any]]:
    """Run cells by papermill, as a batch does: its exit code, and the outputs of the last cell that it has kept."""
    nbformat.write(_notebook(cells), folder / "in.ipynb")  # type: ignore[no-untyped-call]  # nbformat is not typed
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "papermill", "in.ipynb", "out.ipynb"],
        cwd=folder,
        capture_output=True,
        timeout=100,
        check=False,
    )
    saved = nbformat.read(folder / "out.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # as above
    return done.returncode, [cell.outputs for cell in saved.cells if cell.cell_type == "code"][-1]


def _notebook(cells: Sequence[str]) -> Any:
    return nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]  # as above
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def text_of(outputs: list[Any]) -> str:
    """Everything a reader of the cell sees, as plain text."""
    parts = []
    for output in outputs:
        if output.output_type == "error":
            parts.append("\n".join(output.traceback))
        elif output.output_type == "stream":
            parts.append(output.text)
        else:
            parts.append(output.data.get("text/plain", ""))
    return "\n".join(parts)
