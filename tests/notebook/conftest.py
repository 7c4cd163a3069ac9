"""Runs cells in a real kernel, headless, as papermill and nbval do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]  # as above
        )
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
