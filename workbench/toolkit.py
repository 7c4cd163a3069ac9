"""All that a tool file may import from the workbench. Standard library only.

A tool works without it: `run` may return text, numbers, lists, dicts and DataFrames as they are. The toolkit adds
pictures, sounds, sources, progress, host functions, doors for libraries, and the two words for failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    import pandas

    Frame = pandas.DataFrame
else:
    Frame = Annotated[object, "x-frame"]
"""Annotation for a parameter that takes a table: the tool gets a pandas DataFrame."""

__all__ = [
    "Audio",
    "Failed",
    "Frame",
    "Image",
    "Table",
    "Try",
    "call",
    "complete",
    "context",
    "door",
    "key",
    "patience",
    "progress",
    "project",
    "source",
]


class Failed(Exception):
    """Raise it when the call cannot succeed: `raise Failed("no such city", hint="Check the spelling.")`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Try(Exception):
    """Raise it when another try may succeed. `after`: seconds to wait, None when unknown."""

    def __init__(self, message: str, after: float | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.after = after
        self.hint = hint


@dataclass(frozen=True)
class Image:
    """A picture to return: PNG bytes, a title, and `alt`, what it shows for who cannot see it."""

    png: bytes
    title: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Audio:
    """A sound to return: the bytes of a WAV, MP3, Ogg or FLAC, a title, and `alt`, what is said in it. A host function
    takes one too: `call("audio.transcribe", sound=Audio(data))`."""

    data: bytes
    title: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Table:
    """A table to return with a title; a bare DataFrame works too."""

    frame: Any
    title: str = ""


class _Host:
    """Set by the worker before a tool runs; outside of a worker the functions say so."""

    call: Callable[[str, Mapping[str, Any]], Any] | None = None
    tell: Callable[[str, Mapping[str, Any]], None] | None = None
    context: Callable[[], list[dict[str, Any]]] | None = None
    project: Path | None = None
    key: str = ""
    patience: float = 56.0


def call(service: str, **params: Any) -> Any:
    """The answer of a host function that the tool's USES declares: `call("memory.recall", question="…")`.

    Raises Failed when the host says no, Try when it says not now.
    """
    if _Host.call is None:
        raise RuntimeError("host functions exist only while the workbench runs the tool")
    return _Host.call(service, params)


def door(host: str, auth: Mapping[str, str] | None = None) -> str:
    """An address on 127.0.0.1 that stands for `https://<host>` while the call lives: for libraries that insist on a
    client of their own. Needs the host in `PERMISSIONS["network"]` and "http" in USES.

        client = Library(api_key="none", base_url=toolkit.door("api.example.com", {"bearer": "EXAMPLE_API_KEY"}))

    The worker has no key: `auth` names a secret that the tool declares, and the host puts it in place of whatever the
    library sends. Its `hint` says how to get one. Raises Failed when the secret is not set.
    """
    return str(call("http.door", host=host, auth=dict(auth) if auth else None)["url"])


def complete(
    prompt: str, *, system: str = "", schema: Mapping[str, Any] | None = None, max_tokens: int | None = None
) -> Any:
    """What the user's language model says to the prompt: text, or with a JSON Schema `schema` a value that fits it.

    Needs "model" in USES. Raises Failed when no model is connected or it declines, Try when it may answer later.
    """
    answer = call("model.complete", prompt=prompt, system=system, schema=schema, max_tokens=max_tokens)
    return answer["text"] if schema is None else answer["json"]


def key() -> str:
    """The key of this call's effect: 64 letters and digits, the same whenever the same step of the same run is tried
    again, and no other's. Write it into what you make, and `check(key)` can find out whether that has happened."""
    return _Host.key


def patience() -> float:
    """How many seconds to wait for one answer: all that the call may take, less a moment to say that none came. For
    libraries that want to be told: `client.get(url, timeout=toolkit.patience())`. The host functions know it."""
    return _Host.patience


def progress(text: str) -> None:
    """Show a line beside the step while it runs."""
    if _Host.tell is not None:
        _Host.tell("progress", {"text": text})


def source(title: str, url: str) -> None:
    """Name a source that the result rests on; it is listed under the answer."""
    if _Host.tell is not None:
        _Host.tell("source", {"title": title, "url": url})


def context() -> list[dict[str, Any]]:
    """Earlier results in a plan that runs in list order: `[{"step": …, "task": …, "value": …}]`, frames included."""
    return _Host.context() if _Host.context is not None else []


def project() -> Path:
    """The folder of the user's project: what `PERMISSIONS["read"]` is relative to."""
    if _Host.project is None:
        raise RuntimeError("the project is known only while the workbench runs the tool")
    return _Host.project
