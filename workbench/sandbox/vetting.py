"""Looks into files that a tool wrote, before a library opens them: pictures by structure, tables for compression."""

from __future__ import annotations

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 30_000
MAX_PIXELS = 100_000_000


def check_png(data: bytes) -> None:
    """Raises ValueError unless the bytes are one whole PNG: signature, sound chunks, a sane size, an end."""
    if not data.startswith(_PNG):
        raise ValueError("it does not start as a PNG does")
    at, first, ended, pixels = len(_PNG), True, False, False
    while at < len(data) and not ended:
        if len(data) - at < 12:
            raise ValueError("it is cut short")
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ValueError("it is cut short")
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError("a checksum is wrong")
        if first:
            _check_header(kind, data[at + 8 : end - 4])
        first, ended, pixels, at = False, kind == b"IEND", pixels or kind == b"IDAT", end
    if not ended or not pixels:
        raise ValueError("it is cut short")
    if at != len(data):
        raise ValueError("something follows its end")


def _check_header(kind: bytes, body: bytes) -> None:
    if kind != b"IHDR" or len(body) != 13:
        raise ValueError("it has no header")
    width, height = struct.unpack_from(">II", body)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ValueError(f"it is {width:,} by {height:,} pixels")


def refuse_compression(data: bytes) -> None:
    """Raises ValueError when a record batch of an Arrow file is compressed: a few bytes could unpack to all memory.

    Arrow has no way to ask before it unpacks, so the four fields on the way are read here, as flatbuffers lay them out:
    footer → blocks → message → record batch → `compression`.
    """
    try:
        size = struct.unpack_from("<i", data, len(data) - 10)[0]
        if data[-6:] != b"ARROW1" or not 0 < size <= len(data) - 10:
            raise ValueError("it is not an Arrow file")
        footer = memoryview(data)[len(data) - 10 - size : len(data) - 10]
        table = _root(footer)
        for slot in (2, 3):  # dictionaries, record batches
            for offset in _blocks(footer, table, slot):
                _refuse_in_message(memoryview(data)[offset:])
    except (struct.error, IndexError) as error:
        raise ValueError("it is not an Arrow file") from error


def _refuse_in_message(data: memoryview) -> None:
    # An encapsulated message: 0xFFFFFFFF, the length of its metadata, the metadata.
    mark, size = struct.unpack_from("<Ii", data)
    message = data[8 : 8 + size] if mark == 0xFFFFFFFF else data[4 : 4 + struct.unpack_from("<i", data)[0]]
    table = _root(message)
    kind_at, header_at = _field(message, table, 1), _field(message, table, 2)
    if not kind_at or not header_at:
        raise ValueError("a block is not a message")
    header = header_at + struct.unpack_from("<I", message, header_at)[0]
    if message[kind_at] == 2:  # a dictionary holds its record batch in field 1
        batch_at = _field(message, header, 1)
        header = batch_at + struct.unpack_from("<I", message, batch_at)[0]
    if _field(message, header, 3):
        raise ValueError("it is compressed")


def _root(data: memoryview) -> int:
    return int(struct.unpack_from("<I", data)[0])


def _field(data: memoryview, table: int, slot: int) -> int:
    """Where a table's field lies, 0 when it is absent."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("it is not an Arrow file")
    size = struct.unpack_from("<H", data, vtable)[0]
    at = 4 + 2 * slot
    offset = struct.unpack_from("<H", data, vtable + at)[0] if at + 2 <= size else 0
    return table + offset if offset else 0


def _blocks(footer: memoryview, table: int, slot: int) -> list[int]:
    at = _field(footer, table, slot)
    if not at:
        return []
    vector = at + struct.unpack_from("<I", footer, at)[0]
    count = struct.unpack_from("<I", footer, vector)[0]
    if count * 24 > len(footer):
        raise ValueError("it is not an Arrow file")
    return [_offset(footer, vector + 4 + 24 * number) for number in range(count)]


def _offset(footer: memoryview, at: int) -> int:
    offset = int(struct.unpack_from("<q", footer, at)[0])
    if offset < 0:
        raise ValueError("it is not an Arrow file")
    return offset
