"""Which record a run is replayed from: the cassette that is on, else this user's newest run of the same request."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.episode import Episode, episode
from workbench.core.errors import WorkbenchError
from workbench.core.events import AnyEvent
from workbench.core.outcome import Outcome
from workbench.core.plan import load
from workbench.core.settings import Settings
from workbench.core.tape import Replay, Tape, chosen, serves, unknown
from workbench.memory.base import Memory
from workbench.policy.approval import Approver, Asked, Decision, nobody

if TYPE_CHECKING:
    from workbench.replay.cassette import Cassette

NEWEST = 200
"""Runs that are looked through for one of the same request."""
_CALLS = ("model.called", "tool.called")


class Replays:
    """The replays of one workbench. `cassette` is the one that is on, None when none is."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory
        self._said: Replay | None = None
        self._numbers: Counter[tuple[str, str, str]] = Counter()
        self._writing = threading.Lock()
        self._cassette: Cassette | None = None
        self._from_settings = settings.cassette

    @property
    def cassette(self) -> Cassette | None:
        if self._cassette is None and self._from_settings is not None:
            self.on(self._from_settings)
        return self._cassette

    def on(self, path: Path, mode: Replay | None = None) -> Cassette:
        """Record on the cassette at `path` and replay from it; `mode` as in `mode`, when the settings say nothing."""
        from workbench.replay.cassette import Cassette

        self._cassette, self._said, self._from_settings = Cassette(path.absolute()), mode, None
        self._numbers.clear()
        return self._cassette

    def off(self) -> None:
        """Record and replay no more."""
        self._cassette, self._said, self._from_settings = None, None, None

    def mode(self, asked: Replay | None = None) -> Replay:
        """How a run is replayed: as the request says, else the settings, else the cassette's cell; else a cassette is
        used where it can be."""
        return asked or self._settings.replay or self._said or ("auto" if self.cassette is not None else "off")

    async def tape(
        self, request: str, model: str, asked: Replay | None = None, *, again: str = "", run: str = ""
    ) -> Tape:
        """What a run of this request finds on record. `model`: the one that it names, "" when it names none. `again`:
        how it goes back to an earlier run, see `episode.again`: then no other run has what it asks for. `run`: its id
        when it has one already.

        Raises ReplayMiss when the replay is strict and there is nothing of it."""
        mode, cassette = self.mode(asked), await asyncio.to_thread(lambda: self.cassette)
        if cassette is None:
            own, origin = await self._newest(request, model, again, run) if mode != "off" else (None, "")
            tape = Tape(own, mode=mode, blob=lambda sha256: self._blob(own, sha256), origin=origin)
            known: Iterable[Episode] = () if own is None else (own,)
        else:
            number = self._numbers[request, model, again]
            self._numbers[request, model, again] += 1
            await asyncio.to_thread(self._refreshed, cassette)
            own = chosen(cassette.episodes, request, number, model, again)
            blobs = dict(cassette.blobs)
            # What is done again is done because another result is wanted than the one that is there.
            others = () if again else tuple(cassette.episodes)
            tape = Tape(own, others, mode=mode, blob=blobs.get, origin=cassette.name)
            tape.number = number
            known = cassette.episodes
        if tape.is_strict and own is None:
            raise unknown(list(known), request, model, again)
        return tape

    async def kept(self, tape: Tape, events: Iterable[AnyEvent], outcome: Outcome) -> WorkbenchError | None:
        """Put a run that is over on the cassette that is on, unless all of it came from there, it was stopped, or it
        never had a plan: nobody wants that again. What is wrong with the cassette is given back, the run is done."""
        cassette = self._cassette
        number = tape.number
        if (
            cassette is None
            or number is None
            or tape.is_strict
            or outcome.plan is None
            or outcome.status == "cancelled"
        ):
            return None
        events = list(events)
        attempt = max(event.attempt for event in events)
        called = [event for event in events if event.kind in _CALLS and event.attempt == attempt]
        if tape.own is not None and all(event.body.get("replayed") for event in called):
            return None
        made = episode(events)

        def write() -> None:
            with self._writing:
                cassette.keep(number, made, lambda sha256: self._blob(made, sha256))

        try:
            await asyncio.to_thread(write)
        except WorkbenchError as error:
            return error
        return None

    def approver(self, tape: Tape, approver: Approver | None) -> Approver | None:
        """Who answers questions: in a strict replay, where nothing is done, those about rounds, also where a person had
        changed them, and about steps in doubt are answered as they were."""
        if not tape.is_strict or tape.own is None or (approver is None and not self.is_edited(tape)):
            return approver
        told, asks = tape.own.approvals, approver or nobody
        answers = {int(body["round"]): body for body in told if "step" not in body}
        doubts = [body for body in told if "step" in body]

        async def answered(asked: Asked) -> Decision:
            body: Mapping[str, Any] | None = None
            if (about := asked.step) is not None:
                same = (one for one in doubts if (one["step"], one["question"]) == (about.step, about.question))
                if (body := next(same, None)) is not None:
                    doubts.remove(body)  # each item of a list was asked about for itself
            elif asked.call is None:
                body = answers.get(asked.round)
            return await asks(asked) if body is None else _decision(body)

        return answered

    def is_edited(self, tape: Tape) -> bool:
        """Whether the run is replayed from one whose plan a person had changed: then its rounds are asked about."""
        return tape.is_strict and tape.own is not None and any("plan" in body for body in tape.own.approvals)

    async def _newest(self, request: str, model: str, again: str, run: str) -> tuple[Episode | None, str]:
        """The newest other run of the same request, of those that were done if there are any; "" or where it came
        from."""
        rows = await self._memory.runs(NEWEST, user=self._settings.user)
        same = [row for row in rows if row["request"] == request and row["run"] != run]
        for row in sorted(same, key=lambda row: row["status"] != "done"):
            events = await self._memory.events(str(row["run"]))
            found = episode(events)
            if found.inputs and serves(found, request, model, again):
                return found, f"imported run {row['run']}" if events[0].body.get("imported") else ""
        return None, ""

    def _refreshed(self, cassette: Cassette) -> None:
        with self._writing:
            cassette.refresh()

    def _blob(self, made: Episode | None, sha256: str) -> bytes | None:
        path = made.files.get(sha256) if made is not None else None
        if path is None or Path(path).is_absolute() or ".." in Path(path).parts:
            return None
        try:
            return (self._settings.artifacts / path).read_bytes()
        except OSError:
            return None


def _decision(body: Mapping[str, Any]) -> Decision:
    allowed = body.get("decision") == "allow"
    return Decision(
        answer="allow" if allowed else "deny",
        by=str(body.get("by", "")),
        reason=str(body.get("reason", "")),
        plan=load(body["plan"]) if body.get("plan") is not None else None,
    )
