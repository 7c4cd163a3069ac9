"""A process that is warm, and forks one that works on a home and kills itself, `-9`, at the n-th thing that it asks of
the system or of DuckDB; run by `test_points`.

An order is a line of JSON: home, work (write, merge, compact, erase), after. The answer is how many things there were,
or that it was killed before the work was done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401 - what every fork needs is there before

from tests.memory.support import event
from tests.survival.lives import fork
from workbench.core.events import Kind
from workbench.memory.journal import Journal
from workbench.memory.store import Store

POINTS = frozenset(
    {
        *("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "truncate", "close"),
        *("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "chmod", "flock", "execute"),
    }
)
"""Calls at which the process may die; it dies before they are made."""


class Death:
    """Counts the calls of this thread and dies at one of them."""

    def __init__(self, after: int | None) -> None:
        self.seen = 0
        self._after = after

    def __call__(self, frame: Any, what: str, function: Any) -> None:
        if what == "c_call" and getattr(function, "__name__", "") in POINTS:
            if self.seen == self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            self.seen += 1


def write(home: Path) -> None:
    """One run more, by the writer's own code on this thread."""
    journal = Journal(home / "journal")
    for seq in range(3):
        line, _ = journal._payloads.line(event("late", seq, Kind.STEP_DONE, value=seq))
        journal._batch.append(line + b"\n")
    journal._write(memoryview(b"".join(journal._batch)))


def work(order: dict[str, Any]) -> dict[str, Any]:
    home, death = Path(order["home"]), Death(order["after"])
    sys.setprofile(death)
    match order["work"]:
        case "write":
            write(home)
        case "merge":
            Store(home).merge()
        case "compact":
            Store(home).compact()
        case "erase":
            Store(home).erase(["secret"])
    sys.setprofile(None)
    return {"points": death.seen}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(fork(lambda order=order: work(order))), flush=True)  # type: ignore[misc]  # noqa: T201 - it is heard


if __name__ == "__main__":
    main()
