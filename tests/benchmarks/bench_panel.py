"""What the run panel costs the kernel, in CPU time: to make one, and to send a patch of it.

    python -m tests.benchmarks.bench_panel

A run of 12 steps with a log each, in a kernel that sends over real sockets; beside it, as a measure of the machine, one
label of ipywidgets. Nobody listens: what a page does with a patch is the browser's time.
"""

from __future__ import annotations

import statistics
import sys

from jupyter_client.manager import start_new_kernel

STEPS = 12
CODE = """
import statistics, time
import ipywidgets
from workbench.core.events import Kind, Stream
from workbench.core.outcome import Outcome, advance
from workbench.notebook.panels import run as panels

steps = [
    {"id": f"s{n}", "task": "any", "title": f"Step {n}", "needs": [f"s{n - 1}"] if n else []}
    for n in range(%(steps)d)
]
events = []
stream = Stream("r", lambda event: None, (events.append,), now=lambda: "2026-01-01T00:00:00")
stream.tell(Kind.RUN_STARTED, {"request": "x"})
stream.tell(Kind.PLAN_MADE, {"plan": {"mode": "graph", "steps": steps}, "planner": "script"})
for step in steps:
    stream.tell(Kind.STEP_INTENT, {}, step=step["id"])
    for line in range(20):
        stream.tell(Kind.STEP_PROGRESS, {"text": f"line {line} of {step['id']}"}, step=step["id"])
    stream.tell(Kind.STEP_DONE, {"value": [1, 2], "seconds": 1.0}, step=step["id"])

def cpu(call):
    # All threads: what is handed to another to be sent is paid too.
    began = time.process_time()
    call()
    return (time.process_time() - began) * 1000

panels.make(Outcome(run=""), lambda: None).close()  # what is imported and made once
made = []
builds = [cpu(lambda: made.append(panels.make(Outcome(run=""), lambda: None))) for _ in range(30)]
panel, outcome, patches = made[0], Outcome(run=""), []
for event in events:
    outcome = advance(outcome, event)
    panel.board.hear(event)
    patches.append(cpu(lambda: panel.board.draw(outcome)))
label = ipywidgets.Label("x")
labels = [cpu(lambda: setattr(label, "value", str(n))) for n in range(200)]
dear = statistics.quantiles(patches, n=20)[-1]
print(statistics.median(builds), statistics.mean(patches), dear, statistics.mean(labels))
"""


def measured() -> list[float]:
    """Milliseconds of a build, of a patch (mean, and of the dearest twentieth), and of a label."""
    manager, client = start_new_kernel(kernel_name="python3")
    heard: list[str] = []
    try:
        client.execute_interactive(
            CODE % {"steps": STEPS},
            output_hook=lambda message: heard.append(message["content"].get("text", "")),
            timeout=120,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return [float(word) for word in "".join(heard).split()]


def main() -> int:
    rounds = [measured() for _ in range(3)]
    build, patch, most, label = (statistics.median(values) for values in zip(*rounds, strict=True))
    print(f"panel of {STEPS} steps: build {build:.2f} ms CPU (at most 5), {build / label:.0f} labels")
    print(f"patch: {patch:.3f} ms CPU (at most 0.2), a twentieth above {most:.3f} ms, {patch / label:.2f} labels")
    return int(build > 5 or patch > 0.2)


if __name__ == "__main__":
    sys.exit(main())
