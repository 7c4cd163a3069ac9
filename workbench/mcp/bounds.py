"""How much an MCP server may say. What says more is ended, and the calls that wait for it hear why.

Over one connection come the answers of all calls that are under way, and nothing tells in time whose a message is. So
each call that begins brings an allowance, and each that ends takes one away with what it may have used: a server that
keeps within the bounds of each call is never ended, and none says more than that for every call that was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Ceilings of one call, and of the time in which there is none. Sizes are in bytes, times in seconds."""

    message: int = 8 << 20
    total: int = 32 << 20
    messages: int = 10_000
    start: float = 30.0
    """Until a server is ready, or has listed its tools to somebody who looks at it."""
    patience: float = 2.0
    """Until a server that was told to leave off a call answers anything again."""
    idle: float = 120.0
    """Without a call, after which it is ended."""


@dataclass(slots=True)
class Heard:
    """What a server has said that the calls under way have to answer for. `problem` is why it was ended, "" as long as
    it was not; `over`: it says nothing more; `lost`: it was made anew and knows nothing of this session."""

    bounds: Bounds
    calls: int = 0
    total: int = 0
    messages: int = 0
    problem: str = ""
    over: bool = False
    lost: bool = False
    last_words: bytes = field(default=b"", repr=False)

    def begin(self) -> None:
        """A call begins."""
        if not self.calls:
            self.total = self.messages = 0
        self.calls += 1

    def end(self) -> None:
        """A call has ended. What the last one leaves counts until the next begins."""
        self.calls -= 1
        if self.calls:
            self.total = max(0, self.total - self.bounds.total)
            self.messages = max(0, self.messages - self.bounds.messages)

    def take(self, size: int, messages: int = 0) -> bool:
        """Count what came; False when it is too much."""
        self.total += size
        self.messages += messages
        calls = max(1, self.calls)
        said = "one call" if calls == 1 else f"{calls} calls"
        if self.total > self.bounds.total * calls:
            self.problem = f"it sent more than {self.bounds.total * calls >> 20} MB for {said}"
        elif self.messages > self.bounds.messages * calls:
            self.problem = f"it sent more than {self.bounds.messages * calls:,} messages for {said}"
        return not self.problem

    def ended(self) -> str:
        """Why there is no server any more, in words."""
        said = self.last_words.decode("utf-8", "replace").strip().splitlines()
        return self.problem or (f"it ended: {said[-1][:300]}" if said else "it ended")
