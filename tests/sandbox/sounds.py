"""Sounds for tests, of every kind that is known, made byte by byte."""

from __future__ import annotations

import io
import math
import struct
import wave


def wav(seconds: float = 1.0, rate: int = 8_000, *, streamed: bool = False) -> bytes:
    """A tone. `streamed`: with the length that a server writes which does not know it yet."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        count = int(seconds * rate)
        file.writeframes(b"".join(struct.pack("<h", int(9_000 * math.sin(n / 4))) for n in range(count)))
    data = out.getvalue()
    unknown = b"\xff\xff\xff\xff"
    return data[:4] + unknown + data[8:40] + unknown + data[44:] if streamed else data


def mp3(frames: int = 50, *, tagged: bool = False) -> bytes:
    """Frames of MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 417 bytes and 1152 samples each."""
    frame = b"\xff\xfb\x90\x00" + bytes(413)
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) if tagged else b""
    return tag + frame * frames + (b"TAG" + bytes(125) if tagged else b"")


def ogg(seconds: int = 2) -> bytes:
    """Pages of Opus, whose clock runs at 48 kHz; 312 samples come before the first that is heard."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    pages = [(2, 0, head), (0, 0, b"OpusTags" + bytes(8)), (4, 312 + 48_000 * seconds, bytes(200))]
    return b"".join(
        struct.pack("<4sBBqIIIB", b"OggS", 0, kind, granule, 7, number, 0, 1) + bytes([len(body)]) + body
        for number, (kind, granule, body) in enumerate(pages)
    )


def flac(seconds: int = 3, rate: int = 44_100) -> bytes:
    packed = (rate << 44) | (0 << 41) | (15 << 36) | (seconds * rate)
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info + b"\xff\xf8" + bytes(100)
