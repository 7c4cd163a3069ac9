"""Keys that must appear nowhere, the ways in which they could, and a search that would find them.

The search shares no code with what it judges: it undoes encodings instead of making them.
"""

from __future__ import annotations

import base64
import html
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote_to_bytes

if TYPE_CHECKING:
    import duckdb

MODEL = "sk-c4n4ry/7+Zx&q=\"w\\'$%2Fmodel"
WEB = "tvly-c4n4ry-0123456789-web"
TOOL = "c4n4ry:Tool~key/with+signs&more=="
CANARIES = {"OPENAI_API_KEY": MODEL, "TAVILY_API_KEY": WEB, "CANARY_TOOL_KEY": TOOL}


def spelled(key: str) -> list[str]:
    """A key in the encodings in which it could leak, and inside longer texts that are encoded."""
    data = key.encode()
    inside = [b"Bearer " + data, b"x" + data + b"y", b"ab" + data + b"."]
    forms = [key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key), html.escape(key), repr(key)]
    forms += [re.sub("%..", lambda found: found[0].lower(), quote(key, safe="")), data.hex(), data.hex().upper()]
    for text in (data, *inside):
        forms += [base64.b64encode(text).decode(), base64.urlsafe_b64encode(text).decode(), text.hex()]
    return forms


_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")


def readings(data: bytes) -> Iterator[bytes]:
    """The bytes as they are and as they may be meant."""
    once = _without_backslashes(data)
    for text in (data, once, _without_backslashes(once)):
        yield text
        yield unquote_to_bytes(text)
        yield unquote_to_bytes(text.replace(b"+", b" "))
        yield html.unescape(text.decode("utf-8", "replace")).encode(errors="replace")
    for run in _BASE64.findall(data):
        for skip in range(4):
            piece = run[skip:].translate(bytes.maketrans(b"-_", b"+/"))
            whole = piece[: len(piece) // 4 * 4] if len(piece) % 4 == 1 else piece
            yield base64.b64decode(whole + b"=" * (-len(whole) % 4))
    for run in _HEX.findall(data):
        yield bytes.fromhex(run.decode())
        yield bytes.fromhex(run[1:-1].decode())
    for start in (found.start() for found in re.finditer(rb"x[\x01\x5e\x9c\xda]", data)):
        try:
            yield zlib.decompressobj().decompress(data[start : start + 2_000_000], 5_000_000)
        except zlib.error:
            continue


def _without_backslashes(data: bytes) -> bytes:
    return re.sub(rb"\\([\"\\/'])", rb"\1", data)


def seen(data: bytes | str) -> list[str]:
    """The names of the canaries that stand in some bytes, in whatever encoding."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    found = {name for view in readings(raw) for name, key in CANARIES.items() if key.encode() in view}
    return sorted(found)


def sightings(*folders: Path) -> list[str]:
    """Every file below the folders that holds a canary: its path and which; tables and stores are read as such too."""
    found = []
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            pieces = [path.read_bytes(), *(value.encode() for value in _values(path))]
            names = sorted({name for piece in pieces for name in seen(piece)})
            if names:
                found.append(f"{path.relative_to(folder)}: {', '.join(names)}")
    return found


def tables_of(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, list[Any]]]:
    """Every table and view of a database, with its rows."""
    names = connection.execute(
        "select table_name from duckdb_tables() where not internal"
        " union all select view_name from duckdb_views() where not internal"
    ).fetchall()
    for (name,) in names:
        yield name, connection.execute(f'select * from "{name}"').fetchall()


def _values(path: Path) -> Iterator[str]:
    """Every value of a DuckDB file or an Arrow file as text: pages may be compressed."""
    if path.suffix == ".arrow":
        import pyarrow as pa

        with pa.ipc.open_file(path) as reader:
            yield str(reader.read_all().to_pylist())
    if path.suffix == ".duckdb":
        import duckdb

        with duckdb.connect(str(path), read_only=True) as connection:
            yield from (str(row) for _, rows in tables_of(connection) for row in rows)


def picture(comment: str) -> bytes:
    """A PNG of one pixel whose zTXt chunk says `comment`."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(comment.encode() * 3))
    return b"\x89PNG\r\n\x1a\n" + head + text + pixels + chunk(b"IEND", b"")
