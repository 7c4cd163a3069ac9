"""Looks into sound files that a tool or a server made, by structure: WAV, MP3, Ogg (Opus, Vorbis), FLAC. Nothing is
decoded; what is found is the kind and the length."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from workbench.core.artifacts import FLAC, MP3, OGG, WAV

MAX_SECONDS = 86_400.0
_STREAMED = 0xFFFFFFFF
"""The length in the header of a WAV that was written before anybody knew it."""


def described(data: bytes) -> dict[str, Any]:
    """The mime type, and the length in seconds. Raises ValueError unless the bytes are one whole sound; whether the end
    of a FLAC is there cannot be seen without decoding it."""
    try:
        mime, seconds = _read(data)
    except (struct.error, IndexError, ZeroDivisionError):
        raise ValueError("it is cut short") from None
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"it would be {seconds:,.0f} seconds long")
    return {"mime": mime, "seconds": round(seconds, 3)}


def _read(data: bytes) -> tuple[str, float]:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return WAV, _wav(data)
    if data[:4] == b"OggS":
        return OGG, _ogg(data)
    if data[:4] == b"fLaC":
        return FLAC, _flac(data)
    if data[:3] == b"ID3" or (len(data) > 4 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return MP3, _mp3(data)
    raise ValueError("it starts as no WAV, MP3, Ogg or FLAC does")


def _wav(data: bytes) -> float:
    at, rate = 12, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        rest = len(data) - at - 8
        if kind == b"fmt ":
            form, channels, _, rate, align = struct.unpack_from("<HHIIH", data, at + 8)
            if form not in (1, 3, 6, 7, 0xFFFE) or not (0 < channels <= 64 and align and rate):
                raise ValueError("its header makes no sense")
        elif kind == b"data":
            if not rate:
                raise ValueError("it has no header")
            if size != _STREAMED and size > rest:
                raise ValueError("it is cut short")
            return float(min(size, rest) / rate)
        at += 8 + size + size % 2
    raise ValueError("it has no sound in it")


_BITRATES: Mapping[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit a second, by MPEG version 1 or not, and layer."""
_RATES: Mapping[int, tuple[int, int, int]] = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


def _mp3(data: bytes) -> float:
    at = 0
    if data[:3] == b"ID3":
        a, b, c, d = data[6:10]
        at = 10 + (a << 21 | b << 14 | c << 7 | d)
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    seconds, frames = 0.0, 0
    while at + 4 <= end:
        frame = _frame(data, at)
        if frame is None:
            if not any(data[at:end]):  # padding
                break
            raise ValueError("a frame in it is broken")
        size, length = frame
        seconds, frames, at = seconds + length, frames + 1, at + size
    if frames < 2:
        raise ValueError("it has no sound in it")
    return seconds


def _frame(data: bytes, at: int) -> tuple[int, float] | None:
    """Bytes and seconds of the frame that begins here, None where none does."""
    head = struct.unpack_from(">I", data, at)[0]
    version, layer_code = head >> 19 & 3, head >> 17 & 3
    rate_code, frequency_code, padding = head >> 12 & 15, head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or not layer_code or rate_code in (0, 15) or frequency_code == 3:
        return None
    layer, first = 4 - layer_code, version == 3
    bits, frequency = _BITRATES[first, layer][rate_code] * 1000, _RATES[version][frequency_code]
    if layer == 1:
        return (12 * bits // frequency + padding) * 4, 384 / frequency
    samples = 1152 if first or layer == 2 else 576
    return samples // 8 * bits // frequency + padding, samples / frequency


def _ogg(data: bytes) -> float:
    at, rate, skip, last = 0, 0, 0, 0
    while at < len(data):
        mark, _, _, granule, _, _, _, segments = struct.unpack_from("<4sBBqIIIB", data, at)
        if mark != b"OggS":
            raise ValueError("a page in it is broken")
        body = at + 27 + segments
        size = sum(data[at + 27 : body])
        if body + size > len(data):
            raise ValueError("it is cut short")
        if not rate:
            rate, skip = _ogg_head(data[body : body + size])
        last = max(last, granule)
        at = body + size
    return max(0, last - skip) / rate


def _ogg_head(packet: bytes) -> tuple[int, int]:
    if packet[:8] == b"OpusHead":
        return 48_000, int(struct.unpack_from("<H", packet, 10)[0])
    if packet[:7] == b"\x01vorbis":
        return int(struct.unpack_from("<I", packet, 12)[0]), 0
    raise ValueError("it is an Ogg of neither Opus nor Vorbis")


def _flac(data: bytes) -> float:
    kind, size = data[4] & 0x7F, int.from_bytes(data[5:8], "big")
    if kind != 0 or size != 34 or len(data) < 42:
        raise ValueError("its header makes no sense")
    packed = int.from_bytes(data[18:26], "big")
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    at, last = 4, False
    while not last:
        last, size = bool(data[at] & 0x80), int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + size
    if len(data) < at + 2 or int.from_bytes(data[at : at + 2], "big") >> 2 != 0x3FFE:
        raise ValueError("it has no sound in it")
    return samples / rate
