"""What `%load_ext workbench` costs a running kernel, in CPU milliseconds: `python tests/benchmarks/bench_load.py`.

Bytecode caching is on, as in a user's kernel; the first run fills the cache and is not counted.
"""

from __future__ import annotations

import asyncio
import os
import statistics

import nbformat
from nbclient import NotebookClient

CELL = """
import sys, time
before, began = set(sys.modules), time.process_time()
get_ipython().run_line_magic("load_ext", "workbench")
spent = time.process_time() - began
print(spent, len(set(sys.modules) - before))
"""


def measure() -> tuple[float, int]:
    """CPU seconds of one load in a fresh kernel, and how many modules it brought in."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])  # type: ignore[no-untyped-call]  # nbformat is not typed
    asyncio.run(NotebookClient(notebook, kernel_name="python3").async_execute())
    spent, modules = notebook.cells[0].outputs[0].text.split()
    return float(spent), int(modules)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = [measure() for _ in range(6)][1:]
    milliseconds = [1000 * spent for spent, _ in runs]
    print(f"%load_ext workbench: median {statistics.median(milliseconds):.1f} ms CPU, max {max(milliseconds):.1f} ms;")
    print(f"{runs[-1][1]} modules brought in")
