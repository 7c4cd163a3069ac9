"""Speech from text and text from speech, at servers that speak OpenAI's audio API.

What comes back is not trusted: speech has to be one whole sound of a kind that is known, whatever was asked for; of a
transcript only text, language and segments with sane times are taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import TransientError, Unavailable
from workbench.core.retries import Retries
from workbench.core.tools import digest
from workbench.models.base import Usage
from workbench.models.prices import price
from workbench.models.remote import Remote, counted
from workbench.sandbox import sounds

FORMATS: Mapping[str, str] = {"mp3": "mp3", "wav": "wav", "ogg": "opus", "flac": "flac"}
"""Our names for kinds of sound → those of the API."""
MAX_SOUND = 11_000_000
"""Bytes of speech: as base64 it has to fit into a frame to the worker."""
MAX_SEGMENTS = 10_000
MAX_TEXT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A text read aloud. `usd` as in `models.base.Reply`; `length`: of the sound, in seconds."""

    sound: bytes
    mime: str
    length: float
    model: str
    usd: str | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    request_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was said in a sound. `segments`: start and end in seconds, and text; empty where the server gives none.
    `language`: as the server names it, "" when it does not."""

    text: str
    model: str
    language: str = ""
    segments: tuple[tuple[float, float, str], ...] = ()
    usd: str | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    request_sha256: str = ""


class Speech:
    """A model that reads texts aloud. `voice`: where a request names none."""

    def __init__(self, remote: Remote, voice: str) -> None:
        self._remote = remote
        self.name = remote.name
        self.endpoint = remote.endpoint
        self.voice = voice

    def within(self, retries: Retries) -> Speech:
        return Speech(self._remote.within(retries), self.voice)

    def price(self, usage: Usage) -> str | None:
        return price(self.name, usage, self._remote.base_url)

    async def close(self) -> None:
        await self._remote.close()

    async def speak(self, text: str, voice: str, kind: str, instructions: str) -> Spoken:
        """The text as a sound. Raises TransientError, Unavailable or Refused."""
        started = time.monotonic()
        body = {"model": self.name, "voice": voice or self.voice, "input": text, "response_format": FORMATS[kind]}
        if instructions:
            body["instructions"] = instructions
        sound = await self._remote.ask(lambda endpoint: endpoint.speech(body))
        where = self.endpoint or "the server"
        if not sound:
            raise TransientError(f"{where} answered without a sound.", hint="Try again.")
        try:
            facts = sounds.described(sound)
        except ValueError as error:
            raise Unavailable(
                f"{where} sent something that is no sound: {error}.", hint="Check WORKBENCH_SPEECH_MODEL."
            ) from None
        if len(sound) > MAX_SOUND:
            raise Unavailable(
                f"The speech has {len(sound):,} bytes; at most {MAX_SOUND:,} are passed on.",
                hint="Ask for mp3, or for less text at once.",
            )
        return Spoken(
            sound=sound,
            mime=facts["mime"],
            length=facts["seconds"],
            model=self.name,
            seconds=time.monotonic() - started,
            request_sha256=digest(body),
        )


class Transcription:
    """A model that writes down what is said."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.name = remote.name
        self.endpoint = remote.endpoint
        self._verbose = True

    def within(self, retries: Retries) -> Transcription:
        inner = Transcription(self._remote.within(retries))
        inner._verbose = self._verbose
        return inner

    def price(self, usage: Usage) -> str | None:
        return price(self.name, usage, self._remote.base_url)

    async def close(self) -> None:
        await self._remote.close()

    async def hear(self, sound: bytes, suffix: str, length: float, language: str, sha256: str) -> Heard:
        """What is said in a sound of `length` seconds. Raises TransientError, Unavailable or Refused."""
        started = time.monotonic()
        fields = {"model": self.name, **({"language": language} if language else {})}
        raw = await self._asked(fields, f"sound{suffix}", sound)
        text = raw.get("text") if isinstance(raw, dict) else None
        if not isinstance(text, str):
            raise Unavailable(
                f"{self.endpoint or 'the server'} answered something that is no transcript.",
                hint="Check WORKBENCH_TRANSCRIPTION_MODEL and its base URL; it usually ends in /v1.",
            )
        usage = counted(raw)
        return Heard(
            text=_clean(text),
            model=self.name,
            language=_clean(str(raw.get("language") or ""))[:40] or language,
            segments=tuple(_segments(raw.get("segments"), length)),
            usage=usage,
            usd=price(
                self.name, usage, self._remote.base_url, seconds=0 if usage.tokens_in else _billed(raw) or length
            ),
            seconds=time.monotonic() - started,
            request_sha256=digest([fields, sha256]),
        )

    async def _asked(self, fields: dict[str, str], name: str, sound: bytes) -> Any:
        """The answer with times where the server can, else the text alone."""
        if self._verbose:
            told = fields | {"response_format": "verbose_json"}
            try:
                return await self._remote.ask(lambda endpoint: endpoint.transcription(told, name, sound))
            except Unavailable as error:
                said = str(error.data.get("said", ""))
                if error.data.get("status") not in (400, 422) or not ("format" in said or "verbose" in said):
                    raise
                self._verbose = False
        plain = fields | {"response_format": "json"}
        return await self._remote.ask(lambda endpoint: endpoint.transcription(plain, name, sound))


def _billed(raw: Mapping[str, Any]) -> float:
    """Seconds, where the server counts those."""
    said = raw.get("usage")
    seconds = _time(said.get("seconds")) if isinstance(said, Mapping) else None
    return seconds if seconds is not None and seconds < 10**6 else 0.0


def _segments(listed: Any, length: float) -> list[tuple[float, float, str]]:
    """The segments whose times lie in the sound, in their order."""
    found = []
    for item in listed[:MAX_SEGMENTS] if isinstance(listed, list) else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("text"), str):
            continue
        start, end = _time(item.get("start")), _time(item.get("end"))
        if start is not None and end is not None and start <= end <= length + 60:
            found.append((start, end, _clean(item["text"])))
    return found


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return round(float(value), 3)


def _clean(text: str) -> str:
    kept = "".join(c if c.isprintable() or c == "\n" else " " for c in text[:MAX_TEXT])
    return kept.encode("utf-8", "replace").decode("utf-8").strip()
