"""A search for a text in every byte and every decoded value below some folders.

It shares no code with what erases: it opens what it can open, in whatever way the bytes may be meant.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.policy.canaries import readings, tables_of


def places(text: str, *folders: Path) -> list[str]:
    """The files below the folders that hold the text, as paths below their folder."""
    return [
        str(path.relative_to(folder))
        for folder in folders
        for path in sorted(path for path in folder.rglob("*") if path.is_file())
        if _holds(path.read_bytes(), text) or any(text in value for value in _values(path))
    ]


def _holds(data: bytes, text: str) -> bool:
    wanted = [text.encode(encoding) for encoding in ("utf-8", "utf-16-le")]
    wanted.append(json.dumps(text)[1:-1].encode())
    return any(one in view for view in readings(data) for one in wanted)


def _values(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    if data[:4] == b"PAR1" or data[:6] == b"ARROW1":
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = pa.BufferReader(data)
        table = pq.read_table(source) if data[:4] == b"PAR1" else pa.ipc.open_file(source).read_all()
        yield str(table.to_pylist())
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive, tempfile.TemporaryDirectory() as folder:
            archive.extractall(folder)
            for inner in (path for path in Path(folder).rglob("*") if path.is_file()):
                yield inner.read_text(errors="replace")
                yield from _values(inner)
    if data[8:12] == b"DUCK":
        yield from _rows(path)
    for line in data.splitlines() if data[:1] in (b"{", b"[") else ():
        with suppress(ValueError):
            for said in _strings(json.loads(line)):
                yield said
                yield from _packed(said)


def _packed(said: str) -> Iterator[str]:
    """The rows of a table that stands in base64 inside of a line."""
    if said.startswith(("QVJST1cx", "UEFSMQ")):  # ARROW1, PAR1
        with tempfile.TemporaryDirectory() as folder:
            inner = Path(folder) / "inner"
            inner.write_bytes(base64.b64decode(said))
            yield from _values(inner)


def _rows(path: Path) -> Iterator[str]:
    """Every value of a DuckDB file, read from a copy: the file itself may belong to somebody."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        shutil.copy(path, copy)
        with suppress(FileNotFoundError):
            shutil.copy(f"{path}.wal", f"{copy}.wal")
        with duckdb.connect(str(copy)) as connection:
            yield from (str(row) for _, rows in tables_of(connection) for row in rows)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
