"""A run in one file, `run.wbz`, for another machine: a zip of its events and of every file it made.

    manifest.json     format, run, user and workspace it comes from, and the hash of everything else
    events.jsonl      its events, as they stand in the journal
    files/NAME        its tables, pictures and kept answers, as in artifacts/<run>/

The same run gives the same bytes. Keys are taken out, so is what belongs to a person and not to the run: memories that
it wrote, budgets, paths. What comes in is a stranger's: it is held to its hashes, its form and to sizes, its tables and
pictures are opened as a worker's are, and it never takes the place of a run that is here.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from workbench.core.artifacts import KINDS, Artifact, find, from_json
from workbench.core.errors import Refused
from workbench.core.events import VERSION, AnyEvent, Kind, dumps, loads
from workbench.core.outcome import fold
from workbench.core.provenance import SourceKind

FORMAT = 1
SUFFIX = ".wbz"
MAX_FILES = 10_000
MAX_EVENTS = 200_000
MAX_BYTES = 1_000_000_000
"""Of everything in a parcel, unpacked."""
NOT_PASSED_ON = frozenset({Kind.MEMORY_WRITTEN, Kind.MEMORY_FOLDED, Kind.MEMORY_FORGOTTEN, Kind.BUDGET})
"""What a run tells of a person and not of its work."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ENTRY = re.compile(r"manifest\.json|events\.jsonl|files/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_RUN = r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{6,40}$"


class Manifest(BaseModel):
    """What a parcel says of itself. `files`: name → sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    workbench_run: Annotated[int, Field(ge=1)]
    run: Annotated[str, StringConstraints(pattern=_RUN)]
    user: Annotated[str, StringConstraints(max_length=300)]
    workspace: Annotated[str, StringConstraints(max_length=300)]
    events: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    files: Annotated[dict[str, str], Field(max_length=MAX_FILES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An unpacked run, checked. `files`: name below artifacts/<run>/ → bytes."""

    run: str
    user: str
    workspace: str
    events: Sequence[AnyEvent]
    files: Mapping[str, bytes] = field(default_factory=dict)
    sha256: str = ""


def pack(
    events: Iterable[AnyEvent], files: Mapping[str, bytes], redact: Callable[[Any], Any] = lambda body: body
) -> bytes:
    """The bytes of a parcel. `files`: those below artifacts/<run>/ by name; `redact` takes secrets out of a body."""
    kept = [replace(e, body=_without_paths(redact(e.body), e.kind)) for e in events if e.kind not in NOT_PASSED_ON]
    said = b"".join(dumps(event) + b"\n" for event in kept)
    opening = next((event.body for event in kept if event.kind == Kind.RUN_STARTED), {})
    manifest = {
        "workbench_run": FORMAT,
        "run": kept[0].run,
        "user": str(opening.get("user", "")),
        "workspace": str(opening.get("workspace", "")),
        "events": _sha256(said),
        "files": {name: _sha256(data) for name, data in files.items()},
    }
    parts = {"manifest.json": json.dumps(manifest, sort_keys=True, indent=1).encode(), "events.jsonl": said}
    parts |= {f"files/{name}": data for name, data in sorted(files.items())}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as parcel:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            parcel.writestr(entry, data)
    return target.getvalue()


def unpack(data: bytes, name: str = "the file") -> Parcel:
    """The run in a parcel. Raises Refused saying what is wrong with it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            parts = _read(opened, name)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        raise Refused(f"{name} is not a run that was exported.", hint=_AGAIN) from None
    manifest = _manifest(parts.pop("manifest.json", b""), name)
    said = parts.pop("events.jsonl", b"")
    files = {entry.removeprefix("files/"): content for entry, content in parts.items()}
    if _sha256(said) != manifest.events:
        raise _wrong(name, "its events are not those of its manifest")
    if {entry: _sha256(content) for entry, content in files.items()} != dict(manifest.files):
        raise _wrong(name, "its files are not those of its manifest")
    events = _events(said, manifest.run, name)
    _check_files(events, files, manifest.run, name)
    return Parcel(
        run=manifest.run,
        user=manifest.user,
        workspace=manifest.workspace,
        events=events,
        files=files,
        sha256=_sha256(data),
    )


_AGAIN = "Ask for it again; `workbench export RUN run.wbz` writes such files."


def _read(opened: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    room = MAX_BYTES
    if len(opened.infolist()) > MAX_FILES + 2:
        raise _wrong(name, "there are too many files in it")
    for entry in opened.infolist():
        if entry.filename in parts or not _ENTRY.fullmatch(entry.filename):
            raise _wrong(name, f"an entry {entry.filename[:80]!r}")
        with opened.open(entry) as source:  # what an entry says of its size is not believed
            parts[entry.filename] = source.read(room + 1)
        room -= len(parts[entry.filename])
        if room < 0:
            raise _wrong(name, f"it unpacks to more than {MAX_BYTES:,} bytes")
    return parts


def _manifest(data: bytes, name: str) -> Manifest:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(f"{name} is not a run that was exported.", hint=_AGAIN) from None
    if isinstance(raw, dict) and isinstance(raw.get("workbench_run"), int) and raw["workbench_run"] > FORMAT:
        raise _newer(name)
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))[:80]
        raise _wrong(name, f"its manifest ({where})") from None


def _events(said: bytes, run: str, name: str) -> list[AnyEvent]:
    rows = said.splitlines()
    if not 0 < len(rows) <= MAX_EVENTS:
        raise _wrong(name, "it has no events, or too many")
    try:
        events = [loads(row) for row in rows]
    except ValueError:
        raise _wrong(name, "one of its events cannot be read") from None
    if any(event.v > VERSION for event in events):
        raise _newer(name)
    order = [(event.attempt, event.seq) for event in events]
    if any(event.run != run for event in events) or order != sorted(set(order)):
        raise _wrong(name, "its events are not those of one run")
    if events[0].kind != Kind.RUN_STARTED or any(event.kind in NOT_PASSED_ON for event in events):
        raise _wrong(name, "its events are not those of a run that was exported")
    try:
        fold(events)
    except Exception:  # noqa: BLE001 - whatever a stranger's event breaks, it is a stranger's event
        raise _wrong(name, "its events make no run") from None
    return events


def _check_files(events: Iterable[AnyEvent], files: Mapping[str, bytes], run: str, name: str) -> None:
    """Raises Refused unless each table and picture is there, is what it should be, and is what the events say."""
    from workbench.sandbox.files import vetted

    for artifact in _artifacts(events):
        path = PurePosixPath(artifact.path)
        if len(path.parts) != 2 or path.parts[0] != run:
            continue  # of another run, from which a result was taken over: not here, and shown as gone
        data = files.get(path.parts[1])
        if data is None:
            continue
        try:
            facts = vetted(KINDS[artifact.mime], data) if artifact.mime in KINDS else {}
        except ValueError as error:
            raise _wrong(name, f"{path.parts[1]} is damaged: {error}") from None
        if _sha256(data) != artifact.sha256 or any(getattr(artifact, key) != value for key, value in facts.items()):
            raise _wrong(name, f"{path.parts[1]} is not what its events say")


def _artifacts(events: Iterable[AnyEvent]) -> list[Artifact]:
    """Every file that the events speak of, wherever in a body it stands."""
    found: list[Artifact] = []
    for event in events:
        body = {"$artifact": event.body} if event.kind == Kind.ARTIFACT_MADE else event.body
        found += find(from_json(body))
    return found


def _without_paths(body: Any, kind: str) -> Any:
    """A body without the folders of this machine: of a notebook, and of a file that something came from, the name."""
    if kind == Kind.RUN_STARTED and isinstance(body, Mapping):
        return {**body, "notebook": _base(str(body.get("notebook", "")))}
    return _named(body)


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("kind") == SourceKind.FILE and isinstance(value.get("label"), str):
            return {**value, "label": _base(value["label"]) if _is_path(value["label"]) else value["label"]}
        return {key: _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list | tuple) else value


def _is_path(text: str) -> bool:
    return text.startswith(("/", "\\")) or text[1:3] in (":\\", ":/")


def _base(text: str) -> str:
    return text.replace("\\", "/").rpartition("/")[2]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _newer(name: str) -> Refused:
    return Refused(f"{name} was exported by a newer version.", hint="Update agent-workbench.")


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"{name} is damaged: {what}.", hint=_AGAIN)
