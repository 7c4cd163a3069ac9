"""Code that a run has written, put into the project and taken back again.

    run ──▶ its steps with a diff ──▶ every file checked ──▶ recorded ──▶ all files written, or none

A change is applied where the file is as the diff expects it, also when its lines have moved; else the conflict is shown
and nothing is written. No change leaves the project: each folder on the way is looked at, and a link is not followed.
Hidden files, and the workbench's own, are never touched. Works with and without git.
"""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workbench import atomic
from workbench.core import patch
from workbench.core.errors import Denied, Refused, Unavailable, WorkbenchError
from workbench.core.events import Kind, Stream
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.core.tools import digest

MAX_FILE = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """One file to write. `before` and `after` are its bytes, None where there is no file."""

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def did(self) -> str:
        if self.before is None:
            return "new"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What was written: `files` as lines for a person, `undo` says whether it was taken back."""

    run: str
    files: tuple[FileEdit, ...]
    undo: bool

    def __str__(self) -> str:
        return "\n".join(f"{edit.path}: {edit.did}" for edit in self.files)

    __repr__ = __str__


class Edits:
    """The changes of runs to one project. `guarded` are folders of the workbench's own; `stream` makes the stream of
    events of one act, and `durable` returns when they are on disk."""

    def __init__(
        self,
        project: Path,
        guarded: Sequence[Path],
        user: str,
        stream: Callable[[], Stream],
        durable: Callable[[], Awaitable[None]],
    ) -> None:
        self._project = project.resolve()
        self._guarded = tuple(folder.resolve() for folder in guarded)
        self._user = user
        self._stream = stream
        self._durable = durable

    async def apply(self, outcome: Outcome, step: str = "") -> Edited:
        """Write what the run's steps have changed, or those of one step. Raises Refused when there is nothing to write
        or a file is not as it was, Denied for a path that is not the project's."""
        return await self._edit(outcome, step, undo=False)

    async def undo(self, outcome: Outcome, step: str = "") -> Edited:
        """Take it back: every file as it was before. Raises as `apply`."""
        return await self._edit(outcome, step, undo=True)

    async def conflicts(self, outcome: Outcome, step: str = "", *, undo: bool = False) -> tuple[str, ...]:
        """Why it could not be applied now, or with `undo` not be taken back; empty when it could. Nothing is written.
        Raises Refused when the run has written no code."""
        steps = written(outcome, step)
        try:
            await asyncio.to_thread(self._checked, steps[::-1] if undo else steps, undo)
        except WorkbenchError as error:
            return tuple(error.data.get("conflicts") or (error.message,))
        return ()

    async def _edit(self, outcome: Outcome, step: str, *, undo: bool) -> Edited:
        steps = written(outcome, step)
        files = await asyncio.to_thread(self._checked, steps[::-1] if undo else steps, undo)
        kind = Kind.EDIT_UNDONE if undo else Kind.EDIT_APPLIED
        self._stream().tell(kind, self._body(outcome, steps, files))
        await self._durable()  # what is done to a project leaves a record first
        await asyncio.to_thread(self._write, files)
        return Edited(run=outcome.run, files=tuple(files), undo=undo)

    def _body(self, outcome: Outcome, steps: Sequence[StepOutcome], files: Sequence[FileEdit]) -> dict[str, Any]:
        return {
            "of": outcome.run,
            "steps": [step.id for step in steps],
            "by": self._user,
            "files": [
                {"path": edit.path, "before_sha256": _sha256(edit.before), "after_sha256": _sha256(edit.after)}
                for edit in files
            ],
            "request_sha256": digest([step.value["diff"] for step in steps]),
        }

    def _checked(self, steps: Sequence[StepOutcome], undo: bool) -> list[FileEdit]:
        """Each file with its bytes before and after. Raises Refused with every conflict there is."""
        before: dict[str, bytes | None] = {}
        after: dict[str, bytes | None] = {}
        conflicts: list[str] = []
        for step in steps:
            known = {file["path"]: file for file in step.value.get("files", ()) if isinstance(file, Mapping)}
            for change in _read(step):
                if change.path not in before:
                    before[change.path] = after[change.path] = self._bytes(change.path)
                try:
                    after[change.path] = _next(change, after[change.path], known.get(change.path, {}), undo)
                except patch.Conflict as conflict:
                    conflicts.append(f"{change.path}: {conflict}")
        if conflicts:
            verb, back = ("taken back", "applied") if undo else ("applied", "taken back")
            raise Refused(
                f"This cannot be {verb}: {'; '.join(conflicts)}.",
                hint=f"Nothing was written. Was it {verb} already, or the file changed since it was "
                f"{'written' if not undo else back}?",
                conflicts=conflicts,
            )
        if not before:
            raise Refused("The diff of this run changes no file.", hint="Nothing was written.")
        return [FileEdit(path=path, before=before[path], after=after[path]) for path in before]

    def _place(self, path: str) -> Path:
        """Where a file of the project lies. Raises Denied for what is not the project's to give away."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\\" in path or ":" in path or not path.isprintable():
            raise Denied(f"{path[:200]!r} is no path in the project.", hint="Nothing was written.")
        if any(part.startswith(".") for part in parts):
            raise Denied(f"{path[:200]} is hidden, or leads out of the project.", hint="Nothing was written.")
        place = self._project
        for number, part in enumerate(parts, 1):
            place = place / part
            with suppress(FileNotFoundError):
                facts = place.lstat()
                if stat.S_ISLNK(facts.st_mode):
                    raise Denied(f"{path[:200]} passes through a link.", hint="Nothing was written.")
                if number < len(parts) and not stat.S_ISDIR(facts.st_mode):
                    raise Denied(f"{path[:200]} lies below a file.", hint="Nothing was written.")
                if number == len(parts) and not stat.S_ISREG(facts.st_mode):
                    raise Denied(f"{path[:200]} is no plain file.", hint="Nothing was written.")
        if any(place.is_relative_to(folder) for folder in self._guarded):
            raise Denied(f"{path[:200]} belongs to the workbench.", hint="Nothing was written.")
        return place

    def _bytes(self, path: str) -> bytes | None:
        place = self._place(path)
        try:
            with place.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}.", hint="Nothing was written.") from None
        if len(data) > MAX_FILE:
            raise Refused(f"{path} is too large to be changed.", hint="Nothing was written.")
        return data

    def _write(self, files: Sequence[FileEdit]) -> None:
        """Write all files; when one cannot be, those before it are put back."""
        done: list[FileEdit] = []
        try:
            for edit in files:
                self._put(edit.path, edit.before, edit.after)
                done.append(edit)
        except (OSError, WorkbenchError) as error:
            for edit in reversed(done):
                with suppress(OSError, WorkbenchError):
                    self._put(edit.path, edit.after, edit.before)
            if isinstance(error, WorkbenchError):
                raise
            path = files[len(done)].path
            raise Unavailable(f"{path} cannot be written: {error.strerror}.", hint="No file was changed.") from None

    def _put(self, path: str, before: bytes | None, after: bytes | None) -> None:
        place = self._place(path)
        if self._bytes(path) != before:  # time has passed
            raise Refused(f"{path} was changed just now.", hint="Nothing was written; try again.")
        if after is None:
            place.unlink()
            for folder in place.parents:  # as git does: folders that are left empty go with their file
                if folder == self._project:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(place, after, mode=None if before is None else stat.S_IMODE(place.stat().st_mode))


def written(outcome: Outcome, step: str = "") -> list[StepOutcome]:
    """The steps of a run that have written code. Raises Refused when there are none, or not that one."""
    found = [one for one in outcome.steps if one.state is State.DONE and patch.has_diff(one.value)]
    if step:
        found = [one for one in found if one.id == step]
    if not found:
        what = f"Step {step} of this run" if step else "This run"
        wrote = [one.id for one in outcome.steps if one.state is State.DONE and patch.has_diff(one.value)]
        hint = f"Steps with code: {', '.join(wrote)}." if wrote else "Ask for code, or name the run that has."
        raise Refused(f"{what} has written no code.", hint=hint)
    return found


def code(outcome: Outcome) -> dict[str, str]:
    """The text of every file that a run has written, by path."""
    return {
        str(file["path"]): str(file["content"])
        for step in outcome.steps
        if step.state is State.DONE and patch.has_diff(step.value)
        for file in step.value["files"]
        if isinstance(file, Mapping) and "path" in file and "content" in file
    }


def _read(step: StepOutcome) -> Sequence[patch.FilePatch]:
    try:
        return patch.read(step.value["diff"])
    except patch.BadPatch as error:
        raise Refused(f"The diff of step {step.id} cannot be read: {error}.", hint="Nothing was written.") from None


def _next(change: patch.FilePatch, now: bytes | None, known: Mapping[str, Any], undo: bool) -> bytes | None:
    """The bytes of a file after a change, or before it. Raises patch.Conflict."""
    there = change.is_new if not undo else False
    if there and now is not None:
        raise patch.Conflict("there is a file already")
    if not there and now is None:
        raise patch.Conflict("there is no such file")
    if change.is_new and undo:
        if _sha256(now) != known.get("after_sha256", _sha256(_text(change, ""))):
            raise patch.Conflict("it was changed since")
        return None
    return _text(change, _decoded(now or b""), undo)


def _text(change: patch.FilePatch, text: str, undo: bool = False) -> bytes:
    return patch.applied(change, text, reverse=undo).encode("utf-8")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise patch.Conflict("it is not text in UTF-8") from None


def _sha256(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()
