"""Sound files looked at by structure: the kind and the length, or why it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox import sounds as made
from workbench.core.artifacts import FLAC, MP3, OGG, SOUNDS, WAV
from workbench.sandbox.sounds import MAX_SECONDS, described


@pytest.mark.parametrize(
    ("data", "mime", "seconds"),
    [
        (made.wav(1.5), WAV, 1.5),
        (made.wav(0.25, 48_000), WAV, 0.25),
        (made.wav(2.0, streamed=True), WAV, 2.0),
        (made.mp3(50), MP3, 1.306),
        (made.mp3(50, tagged=True), MP3, 1.306),
        (made.ogg(2), OGG, 2.0),
        (made.flac(3), FLAC, 3.0),
    ],
)
def test_kind_and_length_are_found_without_decoding(data, mime, seconds):
    assert described(data) == {"mime": mime, "seconds": seconds}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "starts as no"),
        (b"<html>no</html>", "starts as no"),
        (b"\x89PNG\r\n\x1a\n", "starts as no"),
        (made.wav()[:400], "cut short"),
        (made.wav()[:30], "cut short"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0aaaa", "no header"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16), "makes no sense"),
        (made.mp3()[:300], "no sound in it"),
        (made.mp3(10) + b"hello, this is text", "broken"),
        (b"ID3\x04\0\0\0\0\0\x00", "no sound in it"),
        (made.ogg()[:80], "cut short"),
        (made.ogg().replace(b"OpusHead", b"Speex   "), "neither Opus nor Vorbis"),
        (made.flac()[:42], "cut short|no sound"),
        (made.flac(10**6), "seconds long"),
    ],
)
def test_what_is_no_whole_sound_says_why(data, why):
    with pytest.raises(ValueError, match=why):
        described(data)


STARTS = st.sampled_from(
    [made.wav(0.01), made.mp3(3), made.mp3(3, tagged=True), made.ogg(1), made.flac(1), b"RIFF", b"\xff\xfb"]
)


@given(
    STARTS,
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 5_000),
    st.binary(max_size=60),
)
def test_any_bytes_are_a_sound_of_a_sane_length_or_a_value_error(start, changes, length, more):
    data = bytearray(start[:length] + more)
    for at, value in changes:
        if data:
            data[at % len(data)] = value
    try:
        found = described(bytes(data))
    except ValueError as error:
        found = {"mime": SOUNDS[0], "seconds": 0.0, "why": str(error)}
    assert found["mime"] in SOUNDS
    assert 0 <= found["seconds"] <= MAX_SECONDS
