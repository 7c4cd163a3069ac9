"""What a PNG says beside its pixels: words, which can be read, replaced and taken out, and how large it is meant."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHOWN = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs"})
"""Chunks that say how the picture looks. All others (words, times, places, profiles) are not needed to show it."""

POINTS = 72
"""Pixels an inch of a picture that is shown as large as its pixels are."""
_INCH = 0.0254
MAX_WORDS = 4_000
"""Characters of one text."""


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a whole PNG. Raises ValueError for anything else."""
    if not data.startswith(SIGNATURE):
        raise ValueError("it is not a PNG")
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + size > len(data):
            break
        yield kind, data[at + 8 : at + 8 + size]
        at += 12 + size
        if kind == b"IEND":
            return
    raise ValueError("it is cut short")


def words(data: bytes) -> dict[str, str]:
    """The texts of a PNG by their keyword, as `saying` writes them and as most programs do."""
    found: dict[str, str] = {}
    for kind, content in chunks(data):
        keyword, _, rest = content.partition(b"\0")
        if kind == b"tEXt":
            found[keyword.decode("latin-1")] = rest.decode("latin-1")
        elif kind == b"iTXt" and rest[:2] == b"\0\0":
            text = rest[2:].split(b"\0", 2)[-1]
            found[keyword.decode("latin-1")] = text.decode("utf-8", "replace")
    return found


def saying(data: bytes, texts: Mapping[str, str]) -> bytes:
    """The picture with these texts, and without any that were in it. The same picture and texts give the same bytes.
    Keywords are of 1 to 79 letters; texts are cut at `MAX_WORDS`. Raises ValueError when it is no PNG."""
    kept = [(kind, content) for kind, content in chunks(data) if kind in _SHOWN]
    said = [_text(keyword, text[:MAX_WORDS]) for keyword, text in texts.items()]
    return SIGNATURE + b"".join(_packed(kind, content) for kind, content in (kept[0], *said, *kept[1:]))


def bare(data: bytes) -> bytes:
    """The picture without words: it looks the same. Raises ValueError when it is no PNG."""
    return saying(data, {})


def dense(data: bytes, times: int) -> bytes:
    """The picture as one that has so many pixels for each that is shown, so that fine screens show it sharp. Raises
    ValueError when it is no PNG."""
    head, *rest = chunks(data)
    a_metre = round(times * POINTS / _INCH)
    said = (b"pHYs", struct.pack(">IIB", a_metre, a_metre, 1))
    kept = (one for one in rest if one[0] != b"pHYs")
    return SIGNATURE + b"".join(_packed(kind, content) for kind, content in (head, said, *kept))


def shown_width(data: bytes) -> int | None:
    """How many pixels wide a picture is meant to be shown whose pixels are twice as fine as those of a page, or finer;
    None for every other, which is shown as it is. Raises ValueError when it is no PNG."""
    found = dict(chunks(data))
    if len(said := found.get(b"pHYs", b"")) != 9 or len(head := found.get(b"IHDR", b"")) < 4:
        return None
    a_metre, _, unit = struct.unpack(">IIB", said)
    times = a_metre * _INCH / POINTS
    return max(1, round(int.from_bytes(head[:4], "big") / times)) if unit == 1 and times >= 1.99 else None


def _text(keyword: str, text: str) -> tuple[bytes, bytes]:
    head = keyword.encode("latin-1")[:79]
    if text.isascii():
        return b"tEXt", head + b"\0" + text.encode("ascii").replace(b"\0", b" ")
    return b"iTXt", head + b"\0\0\0\0\0" + text.encode("utf-8", "replace").replace(b"\0", b" ")


def _packed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
