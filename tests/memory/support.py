"""Events to write, processes to write them, and what is then on the disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.core.events import AnyEvent, Event, Kind
from workbench.memory import tail
from workbench.memory.store import Store

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("child.py")


def event(run: str = "r1", seq: int = 0, kind: Kind = Kind.STEP_PROGRESS, **body: Any) -> Event:
    return Event(run=run, seq=seq, at="2026-01-01T12:00:00.000001+00:00", kind=kind, step="s1", body=body)


def read_all(path: Path) -> list[AnyEvent]:
    """Every event of one journal, read the way a merge does."""
    events, offset = [], 0
    while (piece := tail.read(path, offset, max_events=100)).offset > offset:
        events += piece.events
        offset = piece.offset
    return events


def journals(home: Path) -> list[Path]:
    return sorted((home / "journal").iterdir())


def on_disk(home: Path) -> list[str]:
    """The ids of all events in all journals, each as often as it is there."""
    return [found.id for path in journals(home) for found in read_all(path)]


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query over the merged store."""
    store = Store(home, wait=20.0)
    try:
        return store.read(lambda connection: connection.execute(query).fetchall())
    finally:
        store.close()


def child(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """A process that runs `child.py` with these arguments, its output a pipe."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "faulthandler", str(CHILD), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


def said(*arguments: object, **options: Any) -> Any:
    """What such a process says as JSON, when it ends well."""
    process = child(*arguments, **options)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return json.loads(output)
