"""What tools do in the model: reads give a value, writes count how often they acted. And somebody who can see that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.survival.disk import Fuel, Log
from workbench.core.events import Event, Kind, Stream
from workbench.core.tools import Effect, ToolCall, ToolResult, ToolSpec
from workbench.policy.approval import Asked, Decision

EFFECTS: Mapping[str, Effect] = {"read": "read", "idem": "idempotent", "write": "write", "keep": "write"}
"""`keep` is a write that can be asked whether it has acted; of `write` only a person can tell."""


@dataclass
class World:
    """All that is outside: `calls` counts by run and place, `acts` by key, `kept` is what was written."""

    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EFFECTS, 1))
    calls: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    kept: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)

    def tools(self) -> dict[str, ToolSpec]:
        return {
            name: ToolSpec(
                name=name,
                summary="",
                params={"type": "object"},
                version=f"{name}-{self.versions[name]}",
                source=b"",
                effect=effect,
                checks=name == "keep",
            )
            for name, effect in EFFECTS.items()
        }


class Tools:
    """The call at the seam, for one life of a process."""

    def __init__(self, world: World, log: Log, fuel: Fuel, stream: Stream) -> None:
        self._world, self._log, self._fuel, self._stream = world, log, fuel, stream

    async def __call__(self, call: ToolCall) -> ToolResult:
        world, place = self._world, (call.run, call.step, call.item)
        self._fuel.burn()
        if call.entry == "check":
            return ToolResult(status="ok", value=world.kept.get(call.key))
        world.calls[place] += 1
        world.places.setdefault(call.key, place)
        assert world.places[call.key] == place, "two effects have one key"
        value = {"step": call.step, "of": dict(call.params)}
        if EFFECTS[call.tool.name] == "write":
            assert self._log.is_durable(self._intent(call)), "a write acts before its intent is durable"
            world.acts[call.key] += 1
            world.kept[call.key] = value
            self._fuel.burn()  # it has acted, and nobody hears of it
        return ToolResult(status="ok", value=value)

    def _intent(self, call: ToolCall) -> Event:
        kinds = (Kind.STEP_INTENT,) if call.item is None else (Kind.ITEM_INTENT,)
        found = [
            event
            for event in self._stream.events
            if event.kind in kinds and event.step == call.step and event.body.get("item") == call.item
        ]
        return found[-1]


class Somebody:
    """A person who goes and looks; with `lazy` they answer nothing."""

    def __init__(self, world: World, run: str, *, lazy: bool) -> None:
        self._world, self._run, self._lazy = world, run, lazy
        self.asked: list[str] = []

    async def __call__(self, asked: Asked) -> Decision:
        about = asked.step
        assert about is not None, "only doubts are asked about here"
        self.asked.append(about.question)
        if self._lazy:
            return Decision(answer="deny", by="user")
        name = about.lines[0].split(" ")[0]
        step, _, item = name.partition("[")
        place = (self._run, step, int(item[:-1]) if item else None)
        happened = any(self._world.acts[key] for key, there in self._world.places.items() if there == place)
        yes = happened if about.question == "Has it happened?" else not happened
        return Decision(answer="allow" if yes else "deny", by="user")
