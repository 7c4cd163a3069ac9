"""Writes down what is said in a sound, with times and language, with your model for transcription."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from workbench import toolkit

PERMISSIONS = {"read": ["."]}
USES = ["audio.transcribe"]
EFFECT = "read"
TIMEOUT = 3600
EXAMPLES = ["transcribe {file}", "write down what is said in {file}"]

MAX_BYTES = 25_000_000
STARTS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b"\xff")


def run(file: str = "", sound: Any = None, language: str = "") -> dict[str, Any]:
    """Write down a sound.

    Args:
        file: a WAV, MP3, Ogg or FLAC of the project.
        sound: instead of a file, a sound of an earlier step.
        language: its code, such as en; empty: found out.
    """
    given = sound.get("sound") if isinstance(sound, dict) else sound
    if isinstance(given, toolkit.Audio) and not file:
        heard, name = given, given.title or "the sound"
    elif given is None and file:
        heard, name = toolkit.Audio(content(file), title=file), file
    else:
        raise toolkit.Failed("Name one sound.", hint="Give a file of the project, or a sound of an earlier step.")
    answer = toolkit.call("audio.transcribe", sound=heard, language=language)
    if not answer["text"]:
        raise toolkit.Failed(f"Nothing is said in {name}.", hint="Is it the right file?")
    import pandas as pd

    found = {key: answer[key] for key in ("text", "language", "seconds", "model")}
    if answer["segments"]:
        frame = pd.DataFrame(answer["segments"], columns=["start", "end", "text"])
        found["segments"] = toolkit.Table(frame, title=f"What is said in {name}, in seconds")
    spoken = f" ({answer['language']})" if answer["language"] else ""
    return {**found, "formatted": f"In {name}, {answer['seconds']:.1f} seconds{spoken}:\n\n{answer['text']}"}


def content(name: str) -> bytes:
    """The bytes of a sound of the project. Raises Failed for any other file."""
    path = PurePosixPath(name.strip().removeprefix("./"))
    if path.is_absolute() or ".." in path.parts or not path.name or not name.isprintable():
        raise toolkit.Failed(f"{name[:100]!r} is no path in the project.", hint="Name it relative to its root.")
    if any(part.startswith(".") for part in path.parts):
        raise toolkit.Failed(f"{name[:100]} is hidden.", hint="Hidden files are not read.")
    root = toolkit.project().resolve()
    real = Path(os.path.realpath(root / path))
    if not real.is_relative_to(root):
        raise toolkit.Failed(f"{name} leads out of the project.", hint="Name a file of this project.")
    try:
        if not real.is_file():
            raise toolkit.Failed(f"There is no file {name}.", hint="Paths are relative to the project's root.")
        with real.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise toolkit.Failed(f"{name} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise toolkit.Failed(f"{name} has more than {MAX_BYTES // 1_000_000} MB.", hint="Cut it, or save it as MP3.")
    if not data.startswith(STARTS):
        raise toolkit.Failed(f"{name} is no WAV, MP3, Ogg or FLAC.", hint="Convert it to one of these.")
    return data
