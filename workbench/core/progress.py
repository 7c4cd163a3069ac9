"""Which step may run now: a pure state machine over a plan. Events in, ready steps out; no I/O, no clock.

A step is waiting until all it needs is done, then ready; the executor starts it and says how it ended. A step that
fails blocks what descends from it and nothing else. One that is skipped holds nobody up: only what refers to its result
is skipped too, unless a default stands for that. Nothing runs twice, and every run ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from workbench.core.events import AnyEvent, Event, Kind


class State(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


OPEN = frozenset({State.WAITING, State.RUNNING})
PASSED = frozenset({State.DONE, State.SKIPPED})
"""Ends after which what only waits for the step may run."""
_ENDS: Mapping[Kind, State] = {
    Kind.STEP_DONE: State.DONE,
    Kind.STEP_FAILED: State.FAILED,
    Kind.STEP_SKIPPED: State.SKIPPED,
    Kind.STEP_BLOCKED: State.BLOCKED,
    Kind.STEP_UNCERTAIN: State.UNCERTAIN,
    Kind.STEP_CANCELLED: State.CANCELLED,
}


class Progress:
    """The states of a plan's steps. `needs`: step id → ids that come first (see `Plan.needs`), free of cycles.
    `uses`: step id → those of them whose results it refers to. `done` and `skipped`: ids that an earlier attempt has
    done, and has skipped without a result."""

    def __init__(
        self,
        needs: Mapping[str, tuple[str, ...]],
        uses: Mapping[str, Collection[str]] | None = None,
        done: Collection[str] = (),
        skipped: Collection[str] = (),
    ) -> None:
        self.states: dict[str, State] = dict.fromkeys(needs, State.WAITING)
        self._needs = needs
        self._uses = uses or {}
        self._empty = set(skipped)
        self._missing = {step: len(set(before)) for step, before in needs.items()}
        self._after: dict[str, list[str]] = {step: [] for step in needs}
        for step, before in needs.items():
            for name in set(before):
                self._after[name].append(step)
        for ended, state in ((done, State.DONE), (skipped, State.SKIPPED)):
            for name in ended:
                self._end(name, state)

    def ready(self) -> list[str]:
        """The steps that may start now, in the plan's order."""
        return [
            step
            for step, state in self.states.items()
            if state is State.WAITING and not self._missing[step] and not self._without(step)
        ]

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
            if event.kind is Kind.STEP_SKIPPED and "value" not in event.body:
                self._empty.add(step)
            self._end(step, _ENDS[event.kind])

    def _end(self, step: str, state: State) -> None:
        self.states[step] = state
        if state in PASSED:
            for name in self._after[step]:
                self._missing[name] -= 1

    def _without(self, step: str) -> list[str]:
        """The skipped steps that a step refers to, and for which no default stands."""
        return sorted(name for name in self._uses.get(step, ()) if name in self._empty)

    def skipped(self) -> dict[str, tuple[str, ...]]:
        """Waiting steps that refer to a result that will never be → the skipped steps that they refer to."""
        return {s: tuple(by) for s, state in self.states.items() if state is State.WAITING and (by := self._without(s))}

    def blocked(self) -> dict[str, tuple[str, ...]]:
        """Waiting steps that can never run → those of their needs that ended without a result."""
        dead = {s for s, state in self.states.items() if state not in OPEN and state not in PASSED}
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
