"""Takes runs out of the record into files, and in from files, marked as what they are: somebody else's."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import atomic
from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, Kind
from workbench.core.provenance import SourceKind
from workbench.core.settings import Settings
from workbench.memory.base import Memory
from workbench.policy.secrets import Secrets

if TYPE_CHECKING:
    from workbench.replay.parcel import Parcel

_RUNS = "`workbench runs` lists the newest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A run that was taken out or in. `origin`: whose it is, and of which project; `notes` are lines for the user."""

    run: str
    path: Path
    bytes: int
    origin: str = ""
    notes: tuple[str, ...] = ()


class Parcels:
    """Exports and imports of one workbench."""

    def __init__(self, settings: Settings, memory: Memory, secrets: Secrets) -> None:
        self._settings = settings
        self._memory = memory
        self._secrets = secrets

    async def export(self, run: str, path: Path) -> Carried:
        """Write a run, by its id or the beginning of it, to `path`. Raises Refused, Unavailable."""
        from workbench.replay.parcel import MAX_BYTES

        events = await self._memory.events(run) if run else ()
        if not events:
            raise Refused(f"There is no run {run!r}.", hint=_RUNS)
        if events[-1].kind != Kind.RUN_DONE:
            raise Refused(f"The run {events[0].run} is not over.", hint="Wait for it, or resume it first.")

        def write() -> int:
            from workbench.replay.parcel import pack

            files = self._files(events[0].run)
            if (size := sum(map(len, files.values()))) > MAX_BYTES:
                raise Refused(f"The run's files have {size:,} bytes; the limit is {MAX_BYTES:,}.")
            for name in files:
                if self._secrets.are_in(self._settings.artifacts / events[0].run / name):
                    raise Refused(f"{name} holds one of your keys: the run stays here.", hint="Ask anew without it.")
            data = pack(events, files, self._secrets.redacted)
            _write(path, data)
            return len(data)

        return Carried(run=events[0].run, path=path, bytes=await asyncio.to_thread(write))

    async def import_(self, path: Path) -> Carried:
        """Take the run in a file into the record of this user. Raises Refused, Unavailable."""
        from workbench.replay.parcel import unpack

        data = await asyncio.to_thread(_read, path)
        parcel = await asyncio.to_thread(unpack, data, path.name)
        there = await self._memory.events(parcel.run)
        if there and there[0].run == parcel.run:
            known = (there[0].body.get("imported") or {}).get("sha256") == parcel.sha256
            why = "It was imported before." if known else "A run is never overwritten."
            raise Refused(f"The run {parcel.run} is here already.", hint=f"{why} `workbench show {parcel.run}`")
        await asyncio.to_thread(self._place, parcel)
        origin = _origin(parcel.user, parcel.workspace)
        for event in parcel.events:
            self._memory.append(_foreign(event, parcel, self._settings.user, path.name))
        await self._memory.barrier()
        notes = (f"workbench show {parcel.run}",)
        return Carried(run=parcel.run, path=path, bytes=len(data), origin=origin, notes=notes)

    def _files(self, run: str) -> Mapping[str, bytes]:
        """What lies in a run's folder, but for what its events hold themselves."""
        folder = self._settings.artifacts / run
        names = sorted(folder.iterdir()) if folder.is_dir() else []
        kept = (p for p in names if p.is_file() and not p.is_symlink() and not p.name.startswith((".", "payload-")))
        return {path.name: path.read_bytes() for path in kept}

    def _place(self, parcel: Parcel) -> None:
        """Put the files of a run into its folder, all or none."""
        if not parcel.files:
            return
        folder = self._settings.artifacts / parcel.run
        part = self._settings.artifacts / f".import-{secrets.token_hex(8)}"
        try:
            try:
                part.mkdir(parents=True)
                for name, data in parcel.files.items():
                    (part / name).write_bytes(data)
                part.rename(folder)  # fails when there is such a folder with anything in it
            finally:
                shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            raise Unavailable(f"The run's files cannot be written: {error.strerror}.") from error


def _foreign(event: AnyEvent, parcel: Parcel, user: str, name: str) -> AnyEvent:
    """An event of an imported run: listed as this user's, said to be another's, and no part of what was asked in a
    notebook here. All that it made comes from the file, whatever it says of itself."""
    source = {"kind": str(SourceKind.FILE), "label": name}
    body = dict(event.body)
    if event.kind == Kind.RUN_STARTED:
        imported = {"user": parcel.user, "workspace": parcel.workspace, "sha256": parcel.sha256}
        body |= {"user": user, "notebook": "", "session": "", "imported": imported}
    if event.kind in (Kind.PLAN_MADE, Kind.STEP_INTENT):
        body["sources"] = [*_list(body.get("sources")), source]
    if event.kind == Kind.PLAN_EDITED:
        body.pop("typed", None)  # by somebody who is not this user
    if "provenance" in body or str(event.kind).endswith((".done", ".failed")):
        body["provenance"] = [*_list(body.get("provenance")), source]
    return replace(event, body=body)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _origin(user: str, workspace: str) -> str:
    return f"{user or 'somebody'}, project {workspace}" if workspace else user or "somebody"


def _read(path: Path) -> bytes:
    from workbench.replay.parcel import MAX_BYTES

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    if len(data) > MAX_BYTES:
        raise Refused(f"{path.name} has more than {MAX_BYTES:,} bytes.", hint="No run that was exported has.")
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        if path.exists() and not path.read_bytes()[:2] == b"PK":
            raise Refused(f"{path} is there and is no run that was exported.", hint="Give another name.")
        atomic.write(path, data)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
