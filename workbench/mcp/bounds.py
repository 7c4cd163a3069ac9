"""How much an MCP server may say. What says more is ended, and the call that waits for it hears why."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Ceilings of one call, and of the time between two calls. Sizes are in bytes."""

    message: int = 8 << 20
    total: int = 32 << 20
    messages: int = 10_000
    start: float = 30.0
    """Seconds in which a server has to be ready."""


@dataclass(slots=True)
class Heard:
    """What a server has said since the last call began. `problem` is why it was ended, "" as long as it was not;
    `over`: it says nothing more."""

    bounds: Bounds
    total: int = 0
    messages: int = 0
    problem: str = ""
    over: bool = False
    last_words: bytes = field(default=b"", repr=False)

    def begin(self) -> None:
        """A call begins."""
        self.total = self.messages = 0

    def take(self, size: int, messages: int = 0) -> bool:
        """Count what came; False when it is too much."""
        self.total += size
        self.messages += messages
        if self.total > self.bounds.total:
            self.problem = f"it sent more than {self.bounds.total >> 20} MB for one call"
        elif self.messages > self.bounds.messages:
            self.problem = f"it sent more than {self.bounds.messages:,} messages for one call"
        return not self.problem

    def ended(self) -> str:
        """Why there is no server any more, in words."""
        said = self.last_words.decode("utf-8", "replace").strip().splitlines()
        return self.problem or (f"it ended: {said[-1][:300]}" if said else "it ended")
