"""A request once more, edited: steps that compute the same as in an earlier run take their results from there.

One run gives them all, the newest that has any, so that what belongs together stays together: a step is taken over only
with everything that its result depends on. A write among them is not done a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core import artifacts
from workbench.core.artifacts import Artifact
from workbench.core.events import Event
from workbench.core.provenance import Sources
from workbench.core.recovery import Recovered, known, made_of, recover
from workbench.core.settings import Settings
from workbench.memory.base import Memory
from workbench.past import Kept, Present
from workbench.rerun import take_over

MAX_RUNS = 30
"""How many runs are looked at, of all that have done one of the steps, newest first."""


class Reused:
    """The past of a new request whose steps may have been done before."""

    kept: Kept | None = None

    def __init__(self, memory: Memory, settings: Settings) -> None:
        self.tables: Mapping[str, Artifact] = {}
        self.made_of: Mapping[str, Sources] = {}
        self._memory = memory
        self._settings = settings

    async def results(self, present: Present) -> Recovered:
        """See `Past`. Asks the record which runs have done the same, and reads those, newest first."""
        wanted = {same for same in present.identities.values() if same}
        runs = await self._memory.done_before(wanted, self._settings.user, MAX_RUNS) if wanted else ()
        for run in (run for run in runs if run != present.stream.run):
            events = [event for event in await self._memory.events(run) if isinstance(event, Event)]
            done = recover(events).done
            if taken := self._fits(events, done, present):
                take_over(events, taken, present)
                return Recovered(done={here: done[there] for here, there in taken.items()})
        return Recovered()

    def _fits(self, events: Sequence[Event], done: Mapping[str, tuple[str, Any]], present: Present) -> dict[str, str]:
        """Steps here → steps there that compute the same, with all that they are made of."""
        there = {same: step for step, same in known(events).items() if step in done and self._is_whole(done[step][1])}
        before = made_of(present.plan, present.tools)
        fits = {step: there[same] for step, same in present.identities.items() if same in there}
        while lost := [step for step in fits if any(name in before and name not in fits for name in before[step])]:
            for step in lost:
                del fits[step]
        return fits

    def _is_whole(self, value: Any) -> bool:
        """Whether the files of a result are still there."""
        return all((self._settings.artifacts / file.path).is_file() for file in artifacts.find(value))
