"""What showing 30 runs at once costs a kernel, beside the same runs when nothing of them is shown.

    python -m tests.benchmarks.bench_background [runs] [seconds]

Each run has 12 steps and tells 20 events a second, as a step that reports its progress does. messages: what the kernel
says on iopub, the busiest second; a server lets 1,000 through. CPU: seconds of the kernel's process beside seconds of
the clock. The aim is 300 messages a second, and 5 % of a core for all that is shown: live less silent.
"""

import json
import sys
from collections import Counter

from jupyter_client.manager import KernelManager

from tests.notebook.test_background import Whole
from tests.notebook.test_live import kinds

SETUP = """
import asyncio, json, time
from pathlib import Path
from types import SimpleNamespace

import workbench
from workbench.core.events import Kind, Stream
from workbench.core.outcome import fold
from workbench.run import Run

class Scripted:
    settings = SimpleNamespace(headless=None)

    async def left(self):
        return []

    async def ask(self, text, *, listeners, watchers, **rest):
        stream = Stream(text, lambda event: None, listeners, now=lambda: "2026-01-01T00:00:00", watchers=watchers)
        stream.tell(Kind.RUN_STARTED, {"request": text})
        steps = [{"id": f"s{n}", "task": "work", "title": f"Step {n}"} for n in range(12)]
        stream.tell(Kind.PLAN_MADE, {"plan": {"steps": steps}, "planner": "script"})
        stream.tell(Kind.STEP_INTENT, step="s0")
        ends, step, told = time.monotonic() + SECONDS, 0, 0
        while time.monotonic() < ends:
            stream.tell(Kind.STEP_PROGRESS, {"text": f"line {told}"}, step=f"s{step}")
            told += 1
            if told % 10 == 0 and step < 11:
                stream.tell(Kind.STEP_DONE, {"value": told}, step=f"s{step}")
                step += 1
                stream.tell(Kind.STEP_INTENT, step=f"s{step}")
            await asyncio.sleep(0.05)
        for left in range(step, 12):
            stream.tell(Kind.STEP_DONE, {"value": 1}, step=f"s{left}")
        stream.tell(Kind.RUN_DONE, {"answer": {"text": "Done.", "planner": "summary"}})
        return Run(fold(stream.events), Path("."))

workbench.use(Scripted())
get_ipython().run_line_magic("load_ext", "workbench")

def begin(mark):
    return [get_ipython().run_line_magic("agent", f"--bg r{n} {mark}") for n in range(RUNS)]

async def measured(mark):
    handles = begin(mark)
    cpu, clock = time.process_time(), time.monotonic()
    await asyncio.sleep(SECONDS - 1.0)
    print(json.dumps([time.process_time() - cpu, time.monotonic() - clock]))
    for handle in handles:
        await handle
"""


def measured(kernel: Whole, mark: str) -> tuple[float, int]:
    """CPU beside the clock, and messages in the busiest second."""
    cell = kernel.run(f"await measured({mark!r})")
    spent, passed = json.loads(kernel.text(cell).splitlines()[0])
    said = [message for message in kernel.of(cell) if message["msg_type"] not in ("status", "execute_input")]
    busiest = Counter(int(message["header"]["date"].timestamp()) for message in said).most_common(1)[0][1]
    print(f"  {mark or 'live':7} {spent / passed:6.1%} of a core, {busiest:4} messages in the busiest second, ", end="")
    print(f"{len(kinds(said, 'comm_msg'))} patches in all")
    return spent / passed, busiest


def main(runs: int = 30, seconds: float = 6.0) -> None:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    try:
        kernel = Whole(manager, client)
        kernel.run(f"RUNS, SECONDS = {runs}, {seconds}\n{SETUP}")
        measured(kernel, "")  # the first one imports
        print(f"{runs} runs in the background, {seconds:g} s each")
        live, silent = [measured(kernel, "") for _ in range(3)], [measured(kernel, ";") for _ in range(3)]
        shown = sorted(cpu for cpu, _ in live)[1] - sorted(cpu for cpu, _ in silent)[1]
        most = max(busiest for _, busiest in live)
        print(f"what is shown costs {shown:.1%} of a core (aim 5 %), {most} messages a second (aim 300)")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main(*(kind(word) for kind, word in zip((int, float), sys.argv[1:], strict=False)))
