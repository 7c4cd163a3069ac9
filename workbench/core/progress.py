"""Which step may run now: a pure state machine over a plan. Events in, ready steps out; no I/O, no clock.

A step is waiting until all it needs is done, then ready; the executor starts it and says how it ended. A step that
fails blocks what descends from it and nothing else. Nothing runs twice, and every run ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from workbench.core.events import AnyEvent, Event, Kind


class State(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


OPEN = frozenset({State.WAITING, State.RUNNING})
_ENDS: Mapping[Kind, State] = {
    Kind.STEP_DONE: State.DONE,
    Kind.STEP_FAILED: State.FAILED,
    Kind.STEP_BLOCKED: State.BLOCKED,
    Kind.STEP_UNCERTAIN: State.UNCERTAIN,
    Kind.STEP_CANCELLED: State.CANCELLED,
}


class Progress:
    """The states of a plan's steps. `needs`: step id → ids that come first (see `Plan.needs`), free of cycles."""

    def __init__(self, needs: Mapping[str, tuple[str, ...]]) -> None:
        self.states: dict[str, State] = dict.fromkeys(needs, State.WAITING)
        self._needs = needs
        self._missing = {step: len(set(before)) for step, before in needs.items()}
        self._after: dict[str, list[str]] = {step: [] for step in needs}
        for step, before in needs.items():
            for name in set(before):
                self._after[name].append(step)

    def ready(self) -> list[str]:
        """The steps that may start now, in the plan's order."""
        return [s for s, state in self.states.items() if state is State.WAITING and not self._missing[s]]

    def apply(self, event: AnyEvent) -> None:
        """Take an event of this run. Events of other kinds, and ends of a step that has ended, change nothing.

        Raises ValueError when a step starts that is not ready: a bug in the caller.
        """
        if not isinstance(event, Event) or event.step not in self.states:
            return
        step, state = event.step, self.states[event.step]
        if event.kind is Kind.STEP_INTENT:
            if state is not State.WAITING or self._missing[step]:
                raise ValueError(f"{step} cannot start: it is {state}")
            self.states[step] = State.RUNNING
        elif event.kind in _ENDS and state in OPEN:
            self.states[step] = _ENDS[event.kind]
            if event.kind is Kind.STEP_DONE:
                for name in self._after[step]:
                    self._missing[name] -= 1

    def blocked(self) -> dict[str, tuple[str, ...]]:
        """Waiting steps that can never run → those of their needs that ended without a result."""
        dead = {s for s, state in self.states.items() if state not in OPEN and state is not State.DONE}
        found: dict[str, tuple[str, ...]] = {}
        queue = sorted(dead)
        while queue:
            for name in self._after[queue.pop()]:
                if self.states[name] is State.WAITING and name not in found:
                    found[name] = ()
                    queue.append(name)
        lost = dead | set(found)
        return {s: tuple(dict.fromkeys(n for n in self._needs[s] if n in lost)) for s in self.states if s in found}

    @property
    def running(self) -> list[str]:
        return [s for s, state in self.states.items() if state is State.RUNNING]

    @property
    def finished(self) -> bool:
        """Whether every step has ended."""
        return not any(state in OPEN for state in self.states.values())
