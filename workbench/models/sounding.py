"""The host functions `audio.speak` and `audio.transcribe`: the user's models for sound, for tools.

The worker has no key and reaches no endpoint. A sound that it hands over was looked at before (`sandbox.files`).
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.core.artifacts import Artifact
from workbench.core.errors import BudgetExceeded, ToolFailed, Unavailable
from workbench.models.audio import FORMATS
from workbench.models.held import HeldSpeech, HeldTranscription
from workbench.models.metered import Tell, metered_call
from workbench.sandbox.files import SUFFIX

MAX_CALLS = 50
"""Calls of a model for sound that one call of a tool may make."""
MAX_TEXT = 4_096
"""Characters of a text that is read aloud at once: what OpenAI's models take."""
MAX_SOUND = 25_000_000
"""Bytes of a sound that is sent, as OpenAI's models take them."""

_LANGUAGE = re.compile(r"([A-Za-z]{2,20}(-[A-Za-z0-9]{2,8}){0,2})?")

Service = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Counted:
    """How often one call of a tool has asked."""

    def __init__(self) -> None:
        self._calls = 0

    def one_more(self) -> None:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise BudgetExceeded(f"The call has asked for sound {MAX_CALLS} times.", hint="Ask for less at once.")


def speaking_service(model: HeldSpeech | None, purpose: str, tell: Tell) -> Service:
    """Takes `{text, voice, format, instructions}`, answers `{sound, mime, seconds, voice, model}`, the sound as base64.

    Each call is told as `model.called`. Raises Unavailable without a model, ToolFailed for wrong parameters, and as
    `Speech.speak` does.
    """
    counted = Counted()

    async def speak(params: Mapping[str, Any]) -> dict[str, Any]:
        text, voice = params.get("text"), params.get("voice") or ""
        kind, instructions = params.get("format") or "mp3", params.get("instructions") or ""
        if not isinstance(text, str) or not text.strip():
            raise ToolFailed("There is nothing to read aloud.", hint="Give a text.")
        if len(text) > MAX_TEXT:
            raise ToolFailed(f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read aloud at once.")
        if not isinstance(kind, str) or kind not in FORMATS:
            raise ToolFailed(f"{str(kind)[:40]!r} is no kind of sound.", hint=f"There are {', '.join(FORMATS)}.")
        if not isinstance(voice, str) or len(voice) > 100 or not voice.isprintable():
            raise ToolFailed("A voice is a name.")
        if not isinstance(instructions, str) or len(instructions) > MAX_TEXT:
            raise ToolFailed(f"Instructions are a text of at most {MAX_TEXT:,} characters.")
        if model is None:
            raise Unavailable(
                "No model that reads aloud is connected.",
                hint="Set WORKBENCH_SPEECH_MODEL to a model of your endpoint.",
            )
        counted.one_more()
        spoken = await metered_call(
            model,
            lambda: model.speak(text, voice, kind, instructions),
            purpose,
            tell,
            content=lambda spoken: spoken.sound,
        )
        return {
            "sound": base64.b64encode(spoken.sound).decode("ascii"),
            "mime": spoken.mime,
            "seconds": spoken.length,
            "voice": voice or model.voice,
            "model": spoken.model,
        }

    return speak


def transcribing_service(
    model: HeldTranscription | None, purpose: str, folder: Path, is_secret: Callable[[Path], bool], tell: Tell
) -> Service:
    """Takes `{sound, language}`, the sound as an artifact below `folder`, and answers
    `{text, language, seconds, segments, model}`.

    Raises as `speaking_service` does; ToolFailed also for a file that holds a key (`is_secret`).
    """
    counted = Counted()

    async def transcribe(params: Mapping[str, Any]) -> dict[str, Any]:
        sound, language = params.get("sound"), params.get("language") or ""
        if not isinstance(sound, Artifact) or not sound.is_sound:
            raise ToolFailed("audio.transcribe needs a sound: toolkit.Audio.")
        if sound.bytes > MAX_SOUND:
            raise ToolFailed(
                f"The sound has {sound.bytes:,} bytes; at most {MAX_SOUND:,} are sent.",
                hint="Cut it, or save it as MP3.",
            )
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise ToolFailed(f"{str(language)[:40]!r} is no language.", hint="Write its code, such as en or pt.")
        if model is None:
            raise Unavailable(
                "No model that writes down speech is connected.",
                hint="Set WORKBENCH_TRANSCRIPTION_MODEL to a model of your endpoint.",
            )
        counted.one_more()
        path = folder / sound.path
        if await asyncio.to_thread(is_secret, path):
            raise ToolFailed("The sound's file holds one of your keys and was not sent.")
        data = await asyncio.to_thread(path.read_bytes)
        length = sound.seconds or 0.0
        heard = await metered_call(
            model,
            lambda: model.hear(data, SUFFIX[sound.mime], length, language, sound.sha256),
            purpose,
            tell,
            content=lambda heard: heard.text.encode("utf-8", "surrogatepass"),
        )
        segments = [{"start": start, "end": end, "text": text} for start, end, text in heard.segments]
        return {
            "text": heard.text,
            "language": heard.language,
            "seconds": length,
            "segments": segments,
            "model": heard.model,
        }

    return transcribe
