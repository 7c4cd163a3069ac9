"""Cassettes: what a notebook's runs need to be replayed, in one file beside it, `01_x.ipynb` → `01_x.cassette`.

Lines of JSON that a diff shows well, the same bytes for the same content:

    {"cassette": 1}                       the format; 2 when one of its runs was resumed, or is another one once more
    {"episode": {request, inputs, …}}     a run, and after it each of its calls in order:
    {"model": {asked, text, usd, …}}      what a model was asked, as hashes, and what it said
    {"tool": {asked, step, value, …}}     what a tool was asked, as hashes, and what it gave
    {"blob": sha256, "data": base64}      a table, a picture or a long answer; behind all episodes, in order of hash

There are no ids, times, paths, addresses or keys in it. It is read as a stranger's: every line is held to its form,
every blob to its hash, and all to a size, before anything of it is used.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench import atomic
from workbench.core.episode import Episode, Recording
from workbench.core.errors import Refused, Unavailable
from workbench.replay import lines
from workbench.replay.held import held

FORMAT = 2
SUFFIX = ".cassette"
MAX_BYTES = 64_000_000
MAX_LINES = 20_000

Blobs = Mapping[str, bytes]


class Cassette:
    """The cassette at `path`, which need not be there yet. Several kernels may have it; each adds its runs to what is
    there by then. Blocks; not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.episodes: list[Episode] = []
        self.blobs: dict[str, bytes] = {}
        self._read: tuple[int, int, int] | None = None
        self.load()

    @property
    def name(self) -> str:
        return self.path.name

    def load(self) -> None:
        """Read the file anew. Raises Refused when it is no cassette, Unavailable when it cannot be read."""
        try:
            with self.path.open("rb") as file:
                self._read = _facts(os.fstat(file.fileno()))
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            self.episodes, self.blobs, self._read = [], {}, None
            return
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be read: {error.strerror}.") from error
        self.episodes, self.blobs = unpack(data, self.name)

    def refresh(self) -> None:
        """Read the file anew when somebody has changed it. Raises as `load` does."""
        try:
            facts = _facts(self.path.stat())
        except OSError:
            facts = None
        if facts != self._read:
            self.load()

    def keep(self, number: int, episode: Episode, blob: Callable[[str], bytes | None]) -> None:
        """Put in the episode of a request that was made for the `number`-th time (from 0), in the place of the one that
        was there; what another kernel has put there meanwhile stays, before it. `blob` gives the bytes of its files.
        Raises Refused when there would be too much, Unavailable when the file cannot be written, or a file of the run
        is gone."""
        try:
            with held(self.path):
                self._put(number, replace(episode, files={}), blob)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}.") from error

    def _put(self, number: int, new: Episode, blob: Callable[[str], bytes | None]) -> None:
        seen = [one for one in self.episodes if _key(one) == _key(new)][number : number + 1]
        self.load()
        same = [at for at, one in enumerate(self.episodes) if _key(one) == _key(new)][number : number + 1]
        there = [self.episodes[at] for at in same]
        if there and _are_equal(there, [new]):
            return
        if there and _are_equal(there, seen):
            self.episodes[same[0]] = new
        else:
            self.episodes.append(new)
        for sha256 in new.blobs():
            data = self.blobs.get(sha256) or blob(sha256)
            if data is None:
                raise Unavailable(f"A file of the run is gone ({sha256[:12]}): {self.name} is left as it was.")
            self.blobs[sha256] = data
        self.save()

    def save(self) -> None:
        """Write the file, whole or not at all. Raises OSError."""
        used = {sha256 for episode in self.episodes for sha256 in episode.blobs()}
        self.blobs = {sha256: data for sha256, data in self.blobs.items() if sha256 in used}
        data = pack(self.episodes, self.blobs)
        if len(data) > MAX_BYTES:
            raise Refused(
                f"{self.name} would have {len(data):,} bytes; the limit is {MAX_BYTES:,}.",
                hint="Record fewer or smaller tables and pictures, or %workbench cassette off.",
            )
        atomic.write(self.path, data)
        self._read = _facts(self.path.stat())


def _facts(found: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from the one that takes its place."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def _key(episode: Episode) -> tuple[str, str, str]:
    return episode.request, episode.model, episode.again


def _are_equal(some: Sequence[Episode], others: Sequence[Episode]) -> bool:
    """Whether the same lines are written for both."""
    return pack(some, {}) == pack(others, {})


def pack(episodes: Iterable[Episode], blobs: Blobs) -> bytes:
    """The bytes of a cassette. Raises Refused for what a cassette has no place for."""
    try:
        said = [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in _told(episodes)]
    except (ValidationError, RecursionError) as error:
        why = _said(error) if isinstance(error, ValidationError) else "it is nested too deep"
        raise Refused(f"This run cannot be recorded: {why}.", hint="%workbench cassette off") from None
    said += [
        json.dumps({"blob": sha256, "data": base64.b64encode(data).decode()}, separators=(",", ":"))
        for sha256, data in sorted(blobs.items())
    ]
    return "".join(f"{line}\n" for line in said).encode("utf-8", "surrogatepass")


def _told(episodes: Iterable[Episode]) -> Iterator[dict[str, Any]]:
    episodes = list(episodes)
    yield {"cassette": FORMAT if any(episode.again for episode in episodes) else 1}
    for episode in episodes:
        yield {"episode": lines.of_episode(episode)}
        for one in episode.recordings:
            yield {one.kind: lines.of_recording(one)}


def unpack(data: bytes, name: str = "the cassette") -> tuple[list[Episode], dict[str, bytes]]:
    """The episodes and blobs of a cassette. Raises Refused saying what is wrong with it, and where."""
    if len(data) > MAX_BYTES:
        raise Refused(f"{name} is larger than {MAX_BYTES:,} bytes.", hint="A cassette never is.")
    if not data.strip():
        return [], {}
    episodes: list[Episode] = []
    calls: list[Recording] = []
    blobs: dict[str, bytes] = {}
    rows = data.split(b"\n")
    if len(rows) > MAX_LINES:
        raise _wrong(name, MAX_LINES, "there are too many lines")
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        kind, content = _line(row, number, name)
        try:
            if number == 1:
                _check_format(kind, content, name)
            elif kind == "episode":
                calls = []
                episodes.append(lines.episode(content, calls))
            elif kind == "model" and episodes:
                calls.append(lines.model(content))
            elif kind == "tool" and episodes:
                calls.append(lines.tool(content))
            elif kind == "blob":
                blobs |= lines.blob(content)
            else:
                raise ValueError(f"{kind!r} has no place here")
        except (ValidationError, ValueError) as error:
            raise _wrong(name, number, _said(error)) from None
    wanted = {sha256 for episode in episodes for sha256 in episode.blobs()}
    if missing := sorted(wanted - set(blobs)):
        raise _wrong(name, len(rows), f"the blob {missing[0][:12]} is not there")
    return [replace(episode, recordings=tuple(episode.recordings)) for episode in episodes], blobs


def _line(row: bytes, number: int, name: str) -> tuple[str, Any]:
    try:
        value = json.loads(row.decode("utf-8", "surrogatepass"), parse_constant=_constant)
    except (ValueError, RecursionError):
        raise _wrong(name, number, "it is not JSON") from None
    if not isinstance(value, dict) or not value:
        raise _wrong(name, number, "it is not an object")
    if "blob" in value:
        return "blob", value
    kind, content = next(iter(value.items()))
    return str(kind)[:40], content if len(value) == 1 else None


def _check_format(kind: str, content: Any, name: str) -> None:
    if kind != "cassette" or not isinstance(content, int):
        raise ValueError("a cassette begins with its format")
    if content > FORMAT:
        raise Refused(f"{name} was written by a newer version (format {content}).", hint="Update agent-workbench.")


def _constant(name: str) -> Any:
    raise ValueError(name)


def _said(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))[:100]}: {first['msg'][:200]}"
    return str(error)[:200]


def _wrong(name: str, number: int, what: str) -> Refused:
    return Refused(f"{name} is damaged: line {number}: {what}.", hint="Take it from its origin again, or record anew.")
