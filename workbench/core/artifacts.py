"""What a tool leaves behind: files by hash, and handles to them inside JSON values.

A frame never travels inside a value. It travels as an `Artifact`, the bytes lie in a file, and whoever wants the rows
opens the file. In JSON (journal, worker frames) an artifact is `{"$artifact": {…}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

ARROW = "application/vnd.apache.arrow.file"
PNG = "image/png"
WAV, MP3, OGG, FLAC = SOUNDS = ("audio/wav", "audio/mpeg", "audio/ogg", "audio/flac")

FileKind = Literal["frame", "image", "sound"]
KINDS: Mapping[str, FileKind] = {ARROW: "frame", PNG: "image", WAV: "sound", MP3: "sound", OGG: "sound", FLAC: "sound"}
"""What tools take and give, by mime; a run of others may hold other files."""

PREVIEW_ROWS = 20
"""Rows of a frame that are kept in its handle: what the model sees and what a page shows without opening the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a frame. `type` is one of: integer, number, text, boolean, date, timestamp, other."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file made by a run. `path` is relative to WORKBENCH_HOME/artifacts, with forward slashes.

    Frames (mime `ARROW`) carry `rows`, `columns` and `preview`: the first `PREVIEW_ROWS` rows as JSON scalars, dates as
    ISO text, missing as None. Pictures and sounds carry `alt`, what they show or say; sounds their length in `seconds`.
    """

    path: str
    mime: str
    bytes: int
    sha256: str
    title: str = ""
    alt: str = ""
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    preview: tuple[tuple[Any, ...], ...] = ()
    seconds: float | None = None

    @property
    def is_frame(self) -> bool:
        return self.mime == ARROW

    @property
    def is_image(self) -> bool:
        return self.mime.startswith("image/")

    @property
    def is_sound(self) -> bool:
        return self.mime in SOUNDS

    @property
    def noun(self) -> str:
        """What it is called: "table", "picture", "sound", else "file"."""
        return "table" if self.is_frame else "picture" if self.is_image else "sound" if self.is_sound else "file"


def to_json(value: Any) -> Any:
    """The value with every artifact as `{"$artifact": {…}}`: JSON that `from_json` turns back."""
    if value is None or isinstance(value, str | int | float):  # most of a value is leaves
        return value
    match value:
        case Artifact():
            return {"$artifact": asdict(value)}
        case Mapping():
            return {key: to_json(item) for key, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case _:
            return value


def from_json(value: Any) -> Any:
    """The inverse of `to_json`. Raises TypeError or KeyError on a malformed handle."""
    match value:
        case {"$artifact": Mapping() as fields}:
            return artifact(fields)
        case Mapping():
            return {key: from_json(item) for key, item in value.items()}
        case list():
            return [from_json(item) for item in value]
        case _:
            return value


def artifact(fields: Mapping[str, Any]) -> Artifact:
    """An `Artifact` from its JSON fields; unknown fields (written by a newer version) are dropped."""
    known = {key: value for key, value in fields.items() if key in Artifact.__dataclass_fields__}
    known["columns"] = tuple(Column(name=c["name"], type=c["type"]) for c in known.get("columns", ()))
    known["preview"] = tuple(tuple(row) for row in known.get("preview", ()))
    return Artifact(**known)


def find(value: Any) -> Iterator[Artifact]:
    """Every artifact inside a value, in the order of the value."""
    match value:
        case Artifact():
            yield value
        case Mapping():
            for item in value.values():
                yield from find(item)
        case list() | tuple():
            for item in value:
                yield from find(item)


def replace(value: Any, swap: Callable[[Artifact], Any]) -> Any:
    """The value with each artifact swapped for `swap(artifact)`."""
    match value:
        case Artifact():
            return swap(value)
        case Mapping():
            return {key: replace(item, swap) for key, item in value.items()}
        case list() | tuple():
            return [replace(item, swap) for item in value]
        case _:
            return value
