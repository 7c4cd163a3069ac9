"""Erasing for good: what a user, a memory or a run has left is found and shown, and then removed wherever it lies.

What goes is whole runs, since whatever knew a text may have worked it into anything that came after:

    a run      itself
    a memory   the acts that wrote it, and every run of its user that holds its text, its id, or what is like nothing
               else in it (a number, an address), in events or in files
    a text     the same for a text that the user names
    summaries  of conversations that took in one of these runs go too, with the run that made them
    a user     all of their runs, and what they remembered and forgot

Of these runs go the events (from the journals, the store, its snapshots, what was set aside), the files with all that
was recorded, the lines of the log, the episodes on cassettes, vectors and indexes. The audit trail stays: it holds
salted hashes and no content, and says that something was erased.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Kind
from workbench.core.settings import Settings
from workbench.memory import needles
from workbench.memory.base import Memory
from workbench.memory.payloads import Payloads
from workbench.telemetry.audit import Trail
from workbench.telemetry.lines import LineFile

_SHORTEST = 4
"""Characters of an id that are enough when only one memory or run begins so."""
_SCRATCH_AGE = 3_600
"""Seconds after which nobody works in a folder below scratch/ any more: no call takes so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an erasure would remove. `of`: in words, whose or what; `runs` with their `requests`; `memories`: the texts
    that were remembered in them; `files`: how many they have below artifacts/."""

    of: str
    user: str
    runs: tuple[str, ...]
    requests: tuple[str, ...]
    memories: tuple[str, ...]
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed: all that was found, so many lines of the log, and what stood of it in the `recordings`. `left`:
    what could not go yet, a line each."""

    found: Found
    log_lines: int
    recordings: tuple[Path, ...]
    left: tuple[str, ...]


Recordings = Callable[[Sequence[Path], Collection[str], Callable[[bytes], bool]], Sequence[Path]]
"""Takes what holds one of these runs, or bytes for which a function says so, out of all recordings below some folders;
gives the files that it changed."""


class Erasure:
    """Finds and erases in one memory and all that lies around it."""

    def __init__(
        self, memory: Memory, settings: Settings, trail: Trail, recordings: Recordings = lambda *_: ()
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._trail = trail
        self._recordings = recordings
        self._payloads = Payloads(settings.artifacts)

    async def find(self, *, user: str = "", memory: str = "", run: str = "", text: str = "") -> Found:
        """What of one of the four would go. Memories and runs are this user's own, named by the beginning of their id.
        Raises Refused when there is nothing, or several begin so."""
        if sum(map(bool, (user, memory, run, text))) != 1:
            raise Refused("What is to be erased?", hint="One of --memory ID, --run ID, --text TEXT, --user NAME.")
        whose = user or self._settings.user
        events = await self._events(whose)
        if run:
            name = _named("run", run, {event.run for event in events})
            runs, of = {name}, f"run {name}"
        elif memory:
            written = [event for event in events if event.kind == Kind.MEMORY_WRITTEN]
            name = _named("memory", memory, {str(event.body.get("id")) for event in written})
            said = next(str(event.body.get("text", "")) for event in written if event.body.get("id") == name)
            same = {str(event.body["id"]) for event in written if event.body.get("text") == said}
            holds = needles.needles({said, *needles.marks(said)}, same)
            runs, of = await asyncio.to_thread(self._knowing, holds, events), f"memory {name}"
        elif text:
            if len(text.strip()) < _SHORTEST:
                raise Refused("So short a text stands in everything.", hint="Give more of it.")
            holds = needles.needles({text}, {" ".join(text.split()).casefold()})
            runs, of = await asyncio.to_thread(self._knowing, holds, events), "that text"
            if not runs:
                raise Refused("That text is nowhere in your record.", hint="It is looked for as it stands.")
        else:
            runs, of = {event.run for event in events}, f"user {user}"
            if not runs:
                raise Refused(f"There is nothing of user {user}.", hint="`workbench sql` shows what is there of yours.")
        runs |= _summed_up(runs, events)
        gone = [event for event in events if event.run in runs]
        requests = tuple(str(event.body.get("request", "")) for event in gone if event.kind == Kind.RUN_STARTED)
        kept = tuple(str(event.body.get("text", "")) for event in gone if event.kind == Kind.MEMORY_WRITTEN)
        files = await asyncio.to_thread(lambda: sum(len(_files(folder)) for folder in map(self._folder, runs)))
        return Found(of=of, user=whose, runs=tuple(sorted(runs)), requests=requests, memories=kept, files=files)

    async def erase(self, found: Found) -> Erased:
        """Erase what was found. May be done again, also after it was interrupted. Raises Unavailable."""
        recordings = await asyncio.to_thread(self._from_recordings, found)
        left = list(await self._memory.erase(found.runs))
        # Files go of runs whose events are gone; also of those of which an earlier erasure was stopped before that.
        lines, more = await asyncio.to_thread(self._around, await self._memory.erased())
        await asyncio.to_thread(self._record, found)
        return Erased(found=found, log_lines=lines, recordings=tuple(recordings), left=(*left, *more))

    async def _events(self, user: str) -> list[AnyEvent]:
        found: list[AnyEvent] = []
        position = 0
        await self._memory.barrier()
        while (page := await self._memory.page(position, user=user)).events:
            position = page.position
            found += page.events
        return found

    def _knowing(self, holds: needles.Holds, events: Sequence[AnyEvent]) -> set[str]:
        """The runs that hold what is looked for, in an event or in a file."""
        runs = {event.run for event in events if needles.in_value(event.body, holds)}
        for run in {event.run for event in events} - runs:
            if any(needles.in_file(path, holds) for path in _files(self._folder(run))):
                runs.add(run)
        return runs

    def _from_recordings(self, found: Found) -> Sequence[Path]:
        holds = needles.needles({*found.memories, *found.requests}, set(found.runs))
        folders = [folder for folder in (self._settings.project, self._settings.home) if folder.is_dir()]
        return self._recordings(folders, found.runs, lambda data: needles.in_bytes(data, "", holds))

    def _around(self, runs: Collection[str]) -> tuple[int, list[str]]:
        """Remove what lies beside the store: how many lines of the log went, and what could not go."""
        left: list[str] = []
        for run in sorted(runs):
            shutil.rmtree(self._folder(run), ignore_errors=True)
            if self._folder(run).exists():
                left.append(f"artifacts/{run} cannot be removed")
        lines = LineFile(self._settings.log).drop(lambda line: _is_of(line, runs))
        for path in _entries(self._settings.home / "scratch"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _SCRATCH_AGE:
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    left.append(f"scratch/{path.name} is of a call that goes on or was killed: erase again in an hour")
        return lines, left

    def _folder(self, run: str) -> Path:
        return self._payloads.path(run, "").parent

    def _record(self, found: Found) -> None:
        """Say in the audit trail that something was erased, and how much: not what."""
        facts = {"runs": len(found.runs), "memories": len(found.memories), "of": found.of.split()[0]}
        self._trail.append(
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            user=self._settings.user,
            run="",
            step=None,
            kind="erase",
            level="",
            decision="",
            facts=facts,
            request="",
            response="",
        )
        self._trail.sync()


def _summed_up(runs: set[str], events: Sequence[AnyEvent]) -> set[str]:
    """The runs that hold a summary of what was said in one of these: in the same notebook, later."""
    notebooks = {event.run: event.body.get("notebook") for event in events if event.kind == Kind.RUN_STARTED}
    found: set[str] = set()
    for event in events:
        if event.kind == Kind.CONVERSATION_SUMMARISED and (notebook := notebooks.get(event.run)):
            upto = str(event.body.get("upto", ""))
            if any(notebooks.get(run) == notebook and run <= upto for run in runs | found):
                found.add(event.run)
    return found


def _named(what: str, beginning: str, names: set[str]) -> str:
    """The one name that begins so, or is just that."""
    if beginning in names:
        return beginning
    found = sorted(name for name in names if len(beginning) >= _SHORTEST and name.startswith(beginning))
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"{len(found)} {what} ids begin with {beginning!r}.", hint="Give more of the id.")
    lists = "runs" if what == "run" else "memory"
    raise Refused(f"There is no {what} {beginning!r}.", hint=f"`workbench {lists}` lists them with their ids.")


def _is_of(line: bytes, runs: Collection[str]) -> bool:
    """Whether a line of the log is of one of these runs. Of a bug nobody can tell whose data stood in it."""
    try:
        told = json.loads(line)
        return told.get("kind") == "bug" or told.get("run") in runs
    except (ValueError, AttributeError, RecursionError):
        return True


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
