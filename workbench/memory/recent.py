"""The events of this process's own runs, kept in RAM so that it reads what it wrote at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from workbench.core.events import AnyEvent, Kind


@dataclass(slots=True)
class _Kept:
    events: list[AnyEvent] = field(default_factory=list)
    bytes: int = 0


class Recent:
    """The newest runs whose events fit in `max_bytes`; older ones are let go whole, oldest first. Thread-safe."""

    def __init__(self, max_bytes: int = 32 << 20) -> None:
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._runs: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def hear(self, event: AnyEvent, size: int) -> None:
        """Keep an event of so many bytes."""
        with self._guard:
            kept = self._runs.setdefault(event.run, _Kept())
            kept.events.append(event)
            kept.bytes += size
            self._bytes += size
            self._runs.move_to_end(event.run)
            while self._bytes > self._max_bytes and self._runs:
                _, oldest = self._runs.popitem(last=False)
                self._bytes -= oldest.bytes

    def events(self, run: str) -> list[AnyEvent]:
        """What is kept of a run, in order; not always the whole of it."""
        with self._guard:
            kept = self._runs.get(run)
            return ordered(kept.events) if kept is not None else []

    def drop(self, run: str) -> None:
        """Let a run go."""
        with self._guard:
            if (kept := self._runs.pop(run, None)) is not None:
                self._bytes -= kept.bytes

    def runs_like(self, beginning: str) -> list[str]:
        with self._guard:
            return [run for run in self._runs if run.startswith(beginning)]


def ordered(events: list[AnyEvent]) -> list[AnyEvent]:
    """The events each once, in the order of the run."""
    once = {event.id: event for event in events}
    return sorted(once.values(), key=lambda event: (event.attempt, event.seq))


def is_whole_and_live(events: list[AnyEvent]) -> bool:
    """Whether nothing is missing from these events of a run that goes on: no other process can know more of it."""
    whole = bool(events) and all(event.attempt == 1 and event.seq == n for n, event in enumerate(events))
    return whole and events[-1].kind != Kind.RUN_DONE
