"""One attack as data. What it must not achieve is judged by its effect; the oracle says which effect it is after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Oracle = Literal["leak", "intact", "listen", "token", "time", "survivor", "outcap", "alive", "host", "benign"]
"""leak: a canary is seen anywhere in what the call gives or sends. intact: a file of the user's changes. listen: a
connection or a message arrives. token: the script could do a thing and says `PWNED-…`. time: it outlives its deadline.
survivor: something of it lives a second later. outcap: it gives more than it may. alive: host, neighbour or the next
call come to harm. host: the host's own state (priority, limits, descriptors, memory, signals) changes. benign: no
attack; it must run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`code` is the attack. `then` runs as a call afterwards, `beside` as a call at the same time; their effects count
    too. `limits` replace default ceilings, `door`: it may ask for a port of its own with `call("door")`. `reads` and
    `writes` are folders of the project that its tool is permitted.

    `bare`: whether it makes sense without a sandbox, and so is first shown doing its harm there.
    """

    id: str
    code: str
    oracle: Oracle
    title: str = ""
    category: str = ""
    seconds: float = 15.0
    then: str = ""
    beside: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    door: bool = False
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    bare: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: the harms seen, none when it was blocked; the call's status, its seconds and its words."""

    id: str
    harms: tuple[str, ...] = ()
    status: str = ""
    error: str = ""
    text: str = ""
    seconds: float = 0.0

    @property
    def blocked(self) -> bool:
        return not self.harms


def from_corpus(path: Path) -> list[Case]:
    """The cases of a set, as it is written down for everyone."""
    cases = []
    for item in json.loads(path.read_text()):
        oracle = item.get("oracle", "benign")
        seconds = 2.0 if oracle == "time" else 20.0
        cases.append(
            Case(
                id=item["id"],
                code=item["code"],
                oracle=oracle,
                title=item.get("title", ""),
                category=item.get("category", ""),
                seconds=seconds,
            )
        )
    return cases
