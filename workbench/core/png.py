"""The words inside of a PNG: what its text chunks say, the picture with other words, the picture without any."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHOWN = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs"})
"""Chunks that say how the picture looks. All others (words, times, places, profiles) are not needed to show it."""

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


def _text(keyword: str, text: str) -> tuple[bytes, bytes]:
    head = keyword.encode("latin-1")[:79]
    if text.isascii():
        return b"tEXt", head + b"\0" + text.encode("ascii").replace(b"\0", b" ")
    return b"iTXt", head + b"\0\0\0\0\0" + text.encode("utf-8", "replace").replace(b"\0", b" ")


def _packed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
