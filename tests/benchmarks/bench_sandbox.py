"""What confinement costs: `python tests/benchmarks/bench_sandbox.py`.

The median call, confined with pandas and spawned without, against a cold `python -c "import pandas"`, in turns; the
first request after `%load_ext` in a fresh kernel; the memory of an idle fork server. Bytecode caching is on, as for a
user.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from workbench.core.tools import ToolCall, ToolSpec
from workbench.sandbox.base import Sandbox
from workbench.sandbox.course import imports
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.owned import Server
from workbench.sandbox.portable import SpawnedSandbox

ROUNDS = 25
FIRST = """
import time
import pandas as pd
sales = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
began = time.perf_counter()
get_ipython().run_line_magic("load_ext", "workbench")
loaded = time.perf_counter() - began
run = get_ipython().run_line_magic("agent", "total revenue by region of @sales")
print("FIGURES", loaded, time.perf_counter() - began, run.outcome.isolation)
"""


def call(source: str) -> ToolCall:
    tool = ToolSpec(name="bench", summary="", params={}, version="0", source=source.encode())
    return ToolCall(run="bench", step="s1", tool=tool, params={}, timeout=60.0)


async def levels(folder: Path) -> None:
    server = Server(imports(folder / "project"))
    confined = ConfinedSandbox(folder / "home", folder / "project", server=server)
    await calls(folder, confined, call("import pandas as pd\ndef run(): return int(pd.Series([1, 2]).sum())"))
    print(f"idle fork server: {pss(server.pid or 0) / 1024:.0f} MB PSS")
    server.end()
    spawned = SpawnedSandbox(folder / "home", folder / "project")
    await calls(folder, spawned, call("def run(): return 1"))
    await spawned.close()


async def calls(folder: Path, sandbox: Sandbox, what: ToolCall) -> None:
    await sandbox.prepare()
    await sandbox.run(what, {}, folder / "artifacts")
    times: dict[str, list[float]] = {"call": [], "cold": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        result = await sandbox.run(what, {}, folder / "artifacts")
        times["call"].append(time.perf_counter() - began)
        if result.status != "ok" or result.isolation != sandbox.level:
            raise SystemExit(f"{result.status}: {result.error}")
        began = time.perf_counter()
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", "import pandas"], check=True)
        times["cold"].append(time.perf_counter() - began)
    median = {name: statistics.median(found) for name, found in times.items()}
    print(f"a call at level {sandbox.level}: median {median['call'] * 1000:.1f} ms,", end=" ")
    print(f"1/{median['cold'] / median['call']:.1f} of a cold import of pandas: {median['cold'] * 1000:.0f} ms")


def pss(pid: int) -> int:
    """kB of memory, shared pages by share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def first() -> tuple[float, str]:
    """Seconds from before `%load_ext` to the end of the first request, and its level."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(FIRST)])  # type: ignore[no-untyped-call]  # nbformat is not typed
    asyncio.run(NotebookClient(notebook, kernel_name="python3").async_execute())
    text = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
    figures = next(line for line in text.splitlines() if line.startswith("FIGURES")).split()
    return float(figures[2]), figures[3]


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_HOME"] = f"{folder}/home"
        asyncio.run(levels(Path(folder)))
        found = [first() for _ in range(4)][1:]
    print(f"first request after %load_ext: median {statistics.median(s for s, _ in found):.2f} s, level {found[-1][1]}")
