"""What one user has on record, as a folder that other programs and other memories can read.

    manifest.json      format, version, whose it is, and of each file its hash, its bytes and its rows
    events.jsonl       every event, whole, a line each: what an import reads
    runs.parquet …     the tables and views of `workbench sql`, for pandas and the like

An import changes nothing before all of it was checked, and may be done again: an event that is there is there once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, dumps, loads
from workbench.memory import copies, engine, locks
from workbench.memory import folder as folders
from workbench.memory.base import Memory

FORMAT, VERSION = "agent-workbench memory", 1
MANIFEST, EVENTS = "manifest.json", "events.jsonl"

_FILE = re.compile(r"[a-z_]{1,40}\.(?:jsonl|parquet)")
_INNER = ("meta", "journal_offsets", "embeddings", "erased")
_MAX_MANIFEST = 1 << 20
_PIECE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: the folder, and of each file how many rows it has."""

    folder: Path
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of an export's events: new here, known already, or of runs that were erased here and stay so.
    `user`: whose they are."""

    user: str
    new: int
    known: int
    erased: int


async def export(memory: Memory, user: str, folder: Path, program: str) -> Exported:
    """Write all that is this user's into a new folder, in one move. Raises Refused when the folder is there already,
    Unavailable when it cannot be written."""
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        await asyncio.to_thread(_begin, folder, part)
        rows = {EVENTS: await _write_events(memory, user, part / EVENTS)}
        await memory.snapshot(part / "copy.duckdb", user=user)
        rows |= await asyncio.to_thread(_write_tables, part)
        told = {"format": FORMAT, "version": VERSION, "program": program, "scope": {"user": user}}
        await asyncio.to_thread(_finish, folder, part, told, rows)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written: {error.strerror or error}.", hint="Name another.") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
    return Exported(folder=folder, rows=rows)


async def take_in(memory: Memory, folder: Path, clean: Callable[[Any], Any] = lambda body: body) -> Imported:
    """Take an export into a memory; durable when this returns. `clean` takes secrets out of a body.

    Raises Refused when it is no export, is damaged, or is of a newer version: then nothing was taken.
    """
    manifest = await asyncio.to_thread(_manifest, folder)
    known, erased = await _ids(memory), await memory.erased()
    new, there, gone = 0, 0, 0
    events = _events(folder, manifest)
    while piece := await asyncio.to_thread(lambda: list(islice(events, _PIECE))):
        for event in piece:
            if event.run in erased:
                gone += 1
            elif event.id in known:
                there += 1
            else:
                memory.append(replace(event, body=clean(event.body)))
                known.add(event.id)
                new += 1
        await memory.barrier()
    return Imported(user=str(manifest["scope"]["user"]), new=new, known=there, erased=gone)


def _begin(folder: Path, part: Path) -> None:
    if folder.exists():
        raise Refused(f"{folder} is there already.", hint="Name a folder that is not.")
    part.mkdir(mode=locks.PRIVATE_FOLDER, parents=True)


def _finish(folder: Path, part: Path, told: Mapping[str, Any], rows: Mapping[str, int]) -> None:
    """Write the manifest, last, and give the folder its name."""
    files = {name: {**_facts(part / name), "rows": count} for name, count in rows.items()}
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    _add(part / MANIFEST, json.dumps({**told, "made_at": made_at, "files": files}, indent=1).encode())
    for name in files:
        folders.sync_file(part / name)
    part.rename(folder)
    folders.sync(folder.parent)


async def _write_events(memory: Memory, user: str, path: Path) -> int:
    count, position = 0, 0
    await memory.barrier()
    await asyncio.to_thread(_add, path, b"")
    while (page := await memory.page(position, user=user)).events:
        position = page.position
        count += len(page.events)
        await asyncio.to_thread(_add, path, b"".join(dumps(event) + b"\n" for event in page.events))
    return count


def _write_tables(folder: Path) -> dict[str, int]:
    """Each table and view of the copy as Parquet, and no copy any more; the rows of each."""
    import duckdb

    copy = folder / "copy.duckdb"
    rows = {}
    try:
        with engine.connect(copy, read_only=True) as connection:
            names = connection.execute(
                "select table_name from duckdb_tables() where not internal"
                " union select view_name from duckdb_views() where not internal order by 1"
            ).fetchall()
            for (name,) in names:
                if name in _INNER:
                    continue
                path = folder / f"{name}.parquet"
                connection.execute(f"copy \"{name}\" to '{copies.quoted(path)}' (format parquet)")
                path.chmod(locks.PRIVATE_FILE)
                ((rows[path.name],),) = connection.execute(f'select count(*) from "{name}"').fetchall()  # noqa: S608 - ours
    except duckdb.Error as error:
        raise Unavailable(f"{folder} cannot be written: {str(error).splitlines()[0]}") from error
    finally:
        copies.remove(copy)
    return rows


def _manifest(folder: Path) -> Mapping[str, Any]:
    """The manifest, when all that it says of the files is so. Raises Refused."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            told = json.loads(file.read(_MAX_MANIFEST))
        if told["format"] != FORMAT:
            raise ValueError("it is of another kind")
        if told["version"] > VERSION:
            raise Refused(
                f"{folder} was written by a newer version ({told['version']}).", hint="Upgrade agent-workbench."
            )
        files = told["files"]
        if not isinstance(told["scope"]["user"], str) or EVENTS not in files or not all(map(_FILE.fullmatch, files)):
            raise ValueError("it does not name its files")
        for name, facts in files.items():
            found = _facts(folder / name)
            if found != {"sha256": facts["sha256"], "bytes": facts["bytes"]}:
                raise ValueError(f"{name} is not what was written")
        if not isinstance(files[EVENTS]["rows"], int):
            raise ValueError("it does not count its events")
    except Refused:
        raise
    except FileNotFoundError as error:
        raise Refused(f"{folder} is no export: {Path(error.filename).name} is not there.", hint=_HINT) from None
    except OSError as error:
        raise Refused(f"{folder} cannot be read: {error.strerror}.", hint=_HINT) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = str(error) if type(error) is ValueError else "its manifest is none"
        raise Refused(f"{folder} is no whole export: {said}.", hint=_HINT) from None
    for _ in _events(folder, told):
        pass  # all of it is an export before any of it is taken
    return dict(told)


_HINT = "Name a folder that `workbench memory export` has written, as it was written."


def _events(folder: Path, manifest: Mapping[str, Any]) -> Iterator[AnyEvent]:
    count = 0
    with (folder / EVENTS).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield loads(line)
            except (ValueError, RecursionError):
                raise Refused(f"{folder}: line {number} of {EVENTS} is no event.", hint=_HINT) from None
            count = number
    if count != manifest["files"][EVENTS]["rows"]:
        raise Refused(f"{folder} holds {count} events and should hold {manifest['files'][EVENTS]['rows']}.", hint=_HINT)


async def _ids(memory: Memory) -> set[str]:
    """The ids of all events that are there."""
    found: set[str] = set()
    position = 0
    while (page := await memory.page(position)).events:
        position = page.position
        found |= {event.id for event in page.events}
    return found


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _add(path: Path, data: bytes) -> None:
    """Append to a file, which is made private when it is not there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, locks.PRIVATE_FILE), "wb") as file:
        file.write(data)
