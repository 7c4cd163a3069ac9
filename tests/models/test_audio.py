"""Speech and transcripts from a server: what whole answers give, and the one line for everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from tests.models.servers import KEY, NOW, error, http, one_line, serving
from tests.sandbox import sounds as made
from workbench.configuration import load_settings
from workbench.core.errors import Refused, TransientError, Unavailable
from workbench.models.address import Names
from workbench.models.audio import Speech, Transcription
from workbench.models.choose import choose_speech, choose_transcription
from workbench.models.remote import Remote


def remote(base_url: str, which: str, name: str = "listener", key: str = KEY) -> Remote:
    async def at_once(seconds: float) -> None:
        return None

    return Remote(
        name, base_url=base_url, api_key=SecretStr(key), retries=0, model=f"WORKBENCH_{which}_MODEL",
        names=Names(base_url=f"WORKBENCH_{which}_BASE_URL", key="WORKBENCH_AUDIO_API_KEY"),
        sleep=at_once, uniform=lambda low, high: 0.0, now=lambda: NOW,
    )  # fmt: skip


async def speak(base_url: str, text: str = "Good morning.", **how: Any):
    model = Speech(remote(base_url, "SPEECH", "reader"), "alloy")
    try:
        return await model.speak(text, how.get("voice", ""), how.get("kind", "mp3"), how.get("instructions", ""))
    finally:
        await model.close()


async def hear(base_url: str, model: Transcription | None = None, sound: bytes | None = None):
    model = model or Transcription(remote(base_url, "TRANSCRIPTION"))
    try:
        return await model.hear(sound or made.wav(2.0), ".wav", 2.0, "", "0" * 64)
    finally:
        await model.close()


async def test_speech_is_the_sound_that_came_whatever_was_asked_for():
    async with serving(http(200, made.wav(1.5), "audio/mpeg")) as server:
        spoken = await speak(server.base_url, voice="nova", instructions="slowly")
    [asked] = server.asked
    assert asked.path == "/v1/audio/speech"
    assert asked.body == {
        "model": "reader", "voice": "nova", "input": "Good morning.", "response_format": "mp3", "instructions": "slowly"
    }  # fmt: skip
    assert (spoken.mime, spoken.length, spoken.usd) == ("audio/wav", 1.5, None)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (http(200, b"", "audio/mpeg"), TransientError, "without a sound"),
        (http(200, '{"error": "no"}'), Unavailable, "no sound"),
        (http(200, "<html>"), Unavailable, "no sound"),
        (http(200, made.wav()[:100], "audio/wav"), Unavailable, "cut short"),
        (http(200, made.wav(), "audio/wav", content_length="99999"), TransientError, "broke off"),
        (http(200, made.wav(1, 6_000_000), "audio/wav"), Unavailable, "at most 11,000,000 are passed on"),
        (http(200, bytes(17 << 20), "audio/wav"), Unavailable, "without end"),
        (error(401, "bad"), Unavailable, "refused the key"),
        (error(404, "model not found"), Unavailable, "has no model reader"),
        (error(429, "slow", retry_after="3"), TransientError, "is busy"),
        (error(400, "blocked", "content_filter"), Refused, "content filter"),
        (b"", TransientError, "broke off"),
    ],
)  # fmt: skip
async def test_what_is_no_whole_sound_is_one_line(answer, kind, said):
    async with serving(answer) as server:
        with one_line(kind, said):
            await speak(server.base_url)


VERBOSE = {
    "text": " Good morning.\u0007 ",
    "language": "english",
    "duration": 2.0,
    "segments": [
        {"start": 0, "end": 1.25, "text": " Good"},
        {"start": 1.25, "end": 2.0, "text": "morning. "},
        {"start": 5, "end": 4, "text": "backwards"},
        {"start": "x", "end": 4, "text": "no time"},
        {"start": 0, "end": 1e9, "text": "far away"},
        {"start": -1, "end": 1, "text": "before"},
        "no segment",
        {"start": True, "end": 1, "text": "a truth"},
    ],
    "usage": {"type": "duration", "seconds": 2},
}


async def test_a_transcript_has_text_language_and_the_segments_whose_times_can_be():
    async with serving(http(200, json.dumps(VERBOSE))) as server:
        heard = await hear(server.base_url)
    [asked] = server.asked
    assert asked.path == "/v1/audio/transcriptions"
    assert b'name="response_format"\r\n\r\nverbose_json' in asked.body
    assert b'filename="sound.wav"' in asked.body
    assert made.wav(2.0) in asked.body
    assert (heard.text, heard.language) == ("Good morning.", "english")
    assert heard.segments == ((0.0, 1.25, "Good"), (1.25, 2.0, "morning."))
    assert heard.usd is None  # a server of one's own does not cost what OpenAI's does


async def test_a_server_without_times_is_asked_for_the_text_alone_and_remembered():
    def particular(asked: Any) -> bytes:
        if b"verbose_json" in asked.body:
            return error(400, "response_format 'verbose_json' is not compatible with model")
        return http(200, '{"text": "Hello"}')

    async with serving(particular) as server:
        model = Transcription(remote(server.base_url, "TRANSCRIPTION"))
        first, second = await hear("", model), await hear("", model)
    assert (first.text, first.segments, second.text) == ("Hello", (), "Hello")
    assert [b"verbose_json" in one.body for one in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (http(200, '{"words": []}'), Unavailable, "no transcript"),
        (http(200, '{"text": 7}'), Unavailable, "no transcript"),
        (http(200, "[]"), Unavailable, "no transcript"),
        (http(200, "plain words", "text/plain"), TransientError, "broken JSON"),
        (http(200, '{"text": "half', content_length="500"), TransientError, "broke off"),
        (http(413, "too large"), Unavailable, "refused the request (413)"),
        (error(500), TransientError, "failed (500)"),
        (error(403, "no"), Unavailable, "refused the key"),
        (b"", TransientError, "broke off"),
    ],
)
async def test_what_is_no_transcript_is_one_line(answer, kind, said):
    async with serving(answer) as server:
        with one_line(kind, said):
            await hear(server.base_url)


def test_each_model_has_a_setting_an_endpoint_and_a_key_of_its_own(tmp_path):
    base = {"WORKBENCH_CONFIG": str(tmp_path), "OPENAI_API_KEY": "sk-chat"}
    assert choose_speech(load_settings(base, tmp_path)) is None
    assert choose_transcription(load_settings(base, tmp_path)) is None
    named = base | {"WORKBENCH_SPEECH_MODEL": "reader", "WORKBENCH_TRANSCRIPTION_MODEL": "listener",
                    "WORKBENCH_TRANSCRIPTION_BASE_URL": "http://127.0.0.1:1/v1"}  # fmt: skip
    settings = load_settings(named, tmp_path)
    speech, transcription = choose_speech(settings), choose_transcription(settings)
    assert speech is not None
    assert transcription is not None
    assert (speech.endpoint, speech._remote._key) == ("api.openai.com", SecretStr("sk-chat"))
    assert (transcription.endpoint, transcription._remote._key) == ("127.0.0.1", None)
