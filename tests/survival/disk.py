"""A disk of which a crash leaves what was synced and any part of the rest, and a record that lies on it.

kill -9      the process is gone; what it wrote is there
power cut    what was synced is there, and of what came after it a beginning of any length
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from workbench.core.events import AnyEvent, Event, dumps, loads


class Crash(BaseException):
    """The process is gone. Nothing that any code does afterwards reaches the disk or the world."""


@dataclass
class Fuel:
    """How many more things may happen before the crash; None when it never comes."""

    left: int | None

    def burn(self) -> None:
        if self.left is not None:
            if self.left <= 0:
                raise Crash
            self.left -= 1


class Log(Protocol):
    """A record as a run sees it, and as a crash leaves it."""

    def open(self, fuel: Fuel) -> None:
        """A new process begins to write."""
        ...

    def append(self, event: AnyEvent) -> None: ...

    async def barrier(self) -> None: ...

    def is_durable(self, event: Event) -> bool: ...

    def crash(self, cut: float | None) -> None:
        """The process ends. `cut`: how much of what was not synced a power cut leaves, 0..1; None for a kill."""
        ...

    def merge(self) -> None: ...

    def read(self, run: str) -> Sequence[AnyEvent]: ...

    def erase(self, run: str) -> None: ...

    def compact(self) -> None:
        """Make a snapshot, and let go of the journals that it covers."""
        ...

    def lose(self) -> None:
        """The merged store is gone; journals and snapshots are there."""
        ...

    def close(self) -> None: ...


@dataclass
class _File:
    data: bytearray = field(default_factory=bytearray)
    durable: int = 0
    taken: int = 0


class FakeLog:
    """Journals as bytes in RAM, and a store that takes them over: the words of `memory.journal` and `memory.store` said
    once more, as simply as they can be said."""

    def __init__(self) -> None:
        self.files: list[_File] = []
        self.store: dict[str, AnyEvent] = {}
        self.erased: set[str] = set()
        self.fuel = Fuel(None)

    def open(self, fuel: Fuel) -> None:
        self.files.append(_File())
        self.fuel = fuel

    def append(self, event: AnyEvent) -> None:
        self.fuel.burn()
        self.files[-1].data += dumps(event) + b"\n"

    async def barrier(self) -> None:
        self.fuel.burn()
        self.files[-1].durable = len(self.files[-1].data)

    def is_durable(self, event: Event) -> bool:
        return dumps(event) in bytes(self.files[-1].data[: self.files[-1].durable])

    def crash(self, cut: float | None) -> None:
        file = self.files[-1]
        if cut is not None:
            rest = len(file.data) - file.durable
            del file.data[file.durable + int(rest * cut) :]
        file.durable = len(file.data)

    def merge(self) -> None:
        for file in self.files:
            end = file.data.rfind(b"\n") + 1
            for line in bytes(file.data[file.taken : end]).splitlines():
                event = loads(line)
                if event.run not in self.erased:
                    self.store.setdefault(event.id, event)
            file.taken = max(file.taken, end)

    def read(self, run: str) -> Sequence[AnyEvent]:
        self.merge()
        return sorted((e for e in self.store.values() if e.run == run), key=lambda e: (e.attempt, e.seq))

    def erase(self, run: str) -> None:
        self.merge()
        self.erased.add(run)
        self.store = {name: event for name, event in self.store.items() if event.run != run}

    def compact(self) -> None:
        self.merge()

    def lose(self) -> None:
        self.store.clear()
        for file in self.files:
            file.taken = 0

    def close(self) -> None:
        return None


Opened = Callable[[], Log]
