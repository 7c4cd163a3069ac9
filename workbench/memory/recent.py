"""The events of this process's own runs, kept in RAM so that it reads what it wrote at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from workbench.core.errors import Refused
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

    def completed(
        self, run: str, names: Sequence[str], events: Sequence[AnyEvent], erased: Collection[str]
    ) -> list[AnyEvent]:
        """The stored `events` of a run with those that nobody but this process has yet. `names`: the stored runs whose
        id begins with `run`. Raises Refused as `the_run` does."""
        own = (name for name in self.runs_like(run) if name not in erased)
        chosen = the_run(run, sorted({*names, *own}))
        return ordered([*([] if chosen in erased else self.events(chosen)), *events])

    def runs_like(self, beginning: str) -> list[str]:
        with self._guard:
            return [run for run in self._runs if run.startswith(beginning)]


def the_run(run: str, names: Sequence[str]) -> str:
    """The run that an id, or the beginning of one, means among these; the id itself when there is none. Raises Refused
    when several begin so."""
    if run in names or not names:
        return run
    if len(names) > 1:
        some = ", ".join(names[:3])
        raise Refused(f"{len(names)} runs begin with {run!r}: {some}", hint="Give more of the id.")
    return names[0]


def ordered(events: list[AnyEvent]) -> list[AnyEvent]:
    """The events each once, in the order of the run."""
    once = {event.id: event for event in events}
    return sorted(once.values(), key=lambda event: (event.attempt, event.seq))


def is_whole_and_live(events: list[AnyEvent]) -> bool:
    """Whether nothing is missing from these events of a run that goes on: no other process can know more of it."""
    whole = bool(events) and all(event.attempt == 1 and event.seq == n for n, event in enumerate(events))
    return whole and events[-1].kind != Kind.RUN_DONE
