"""Takes what must be forgotten out of cassettes and exported runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench import atomic
from workbench.core.episode import Episode
from workbench.core.errors import Refused
from workbench.replay import cassette, parcel
from workbench.replay.held import held

_LEFT_OUT = frozenset({".git", ".venv", "node_modules", "__pycache__"})

Holds = Callable[[bytes], bool]
"""Whether bytes (a text in UTF-8, or a file as it is) hold what must be forgotten."""


def erase_recordings(folders: Sequence[Path], runs: Collection[str], holds: Holds) -> list[Path]:
    """The cassettes and exported runs below `folders` that held something of it, without it now.

    A cassette loses the requests with all their calls whose texts or files hold it, and goes when nothing is left; an
    exported run goes as a whole, also when it is one of `runs`. What cannot be read is searched as it is, and goes."""
    changed = []
    for path in _found(folders):
        with held(path):  # no kernel may put back what it read before
            data = path.read_bytes()
            is_cassette = path.suffix == cassette.SUFFIX
            try:
                new = _without(data, holds) if is_cassette else b"" if _carries(data, runs, holds) else data
            except Refused:
                new = b"" if holds(data) or any(run.encode() in data for run in runs) else data
            if new == data:
                continue
            if new:
                atomic.write(path, new)
            else:
                path.unlink()
            changed.append(path)
    return changed


def _found(folders: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for folder in folders:
        for suffix in (cassette.SUFFIX, parcel.SUFFIX):
            for path in sorted(folder.rglob(f"*{suffix}")):
                if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(folder).parts) and path not in seen:
                    seen.add(path)
                    yield path


def _without(data: bytes, holds: Holds) -> bytes:
    """A cassette without the episodes that hold it; empty when none is left."""
    episodes, blobs = cassette.unpack(data)
    kept = [episode for episode in episodes if not any(map(holds, _texts(episode, blobs)))]
    if len(kept) == len(episodes):
        return data
    used = {sha256 for episode in kept for sha256 in episode.blobs()}
    return cassette.pack(kept, {sha256: blob for sha256, blob in blobs.items() if sha256 in used}) if kept else b""


def _texts(episode: Episode, blobs: cassette.Blobs) -> Iterator[bytes]:
    head = [episode.request, episode.again, episode.inputs, list(episode.approvals)]
    inside = [*head, *(one.body for one in episode.recordings)]
    yield from _strings(inside)
    yield from (blobs[sha256] for sha256 in episode.blobs())


def _carries(data: bytes, runs: Collection[str], holds: Holds) -> bool:
    found = parcel.unpack(data)
    if found.run in runs:
        return True
    bodies = [event.body for event in found.events]
    return any(map(holds, _strings(bodies))) or any(map(holds, found.files.values()))


def _strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
        if value[:1] in ("{", "["):  # a reply of a model may be JSON, in which texts are escaped
            try:
                yield from _strings(json.loads(value))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
