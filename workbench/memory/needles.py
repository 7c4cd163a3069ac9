"""Whether something holds a text that is to be erased: a value of JSON, or a file however it packs its content."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SHORT = 8
"""A text of fewer characters stands in much that has nothing to do with it: only a whole value that is it counts."""

_WORD = re.compile(r"[^\s,;:!?()\[\]{}<>\"'`]*[^\s,;:!?()\[\]{}<>\"'`.]")

Holds = Callable[[str], bool]
"""Whether a text holds what is looked for."""


def needles(texts: set[str], ids: set[str]) -> Holds:
    """Looks for texts, as people write them (blanks and capitals do not count), and for ids."""
    long = [_plain(text) for text in texts if len(_plain(text)) >= SHORT] + list(ids)
    short = {_plain(text) for text in texts} - set(long)

    def holds(text: str) -> bool:
        plain = _plain(text)
        return plain in short or any(needle in plain for needle in long)

    return holds


def marks(text: str) -> set[str]:
    """What in a text is like nothing else and may stand elsewhere without the rest of it: addresses, numbers of seven
    digits and more, and identifiers of letters and three digits and more."""
    return {word for word in _WORD.findall(text) if _is_mark(word)}


def in_value(value: Any, holds: Holds) -> bool:
    """Whether some text in a value of JSON does, keys included."""
    if isinstance(value, str):
        return holds(value)
    if isinstance(value, Mapping):
        return any(holds(str(key)) or in_value(item, holds) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(in_value(item, holds) for item in value)
    return False


def in_file(path: Path, holds: Holds) -> bool:
    """Whether a file does: as text, as lines of JSON, as a table of Arrow or Parquet, or inside of a zip archive."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return in_bytes(data, path.suffix, holds)


def in_bytes(data: bytes, suffix: str, holds: Holds) -> bool:
    """`in_file` for the content of a file whose name ends so."""
    if holds(data.decode("utf-8", "replace")):
        return True
    if any(in_value(value, holds) for value in _jsons(data)):
        return True
    if suffix in (".arrow", ".parquet", ".feather"):
        return any(in_value(value, holds) for value in _columns(data))
    if data[:4] == b"PK\x03\x04":
        return any(in_bytes(member, Path(name).suffix, holds) for name, member in _members(data))
    return False


def _is_mark(word: str) -> bool:
    digits = sum(map(str.isdigit, word))
    if "@" in word:
        return re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", word) is not None
    return digits >= 7 or (digits >= 3 and len(word) >= SHORT and any(map(str.isalpha, word)))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _jsons(data: bytes) -> Iterator[Any]:
    if data[:1] not in (b"{", b"[", b'"'):
        return
    with suppress(ValueError, RecursionError):
        yield json.loads(data)
        return
    for line in data.splitlines():
        with suppress(ValueError, RecursionError):
            yield json.loads(line)


def _columns(data: bytes) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with suppress(pa.ArrowException, OSError):
        source = pa.BufferReader(data)
        table = pq.read_table(source) if data[:4] == b"PAR1" else pa.ipc.open_file(source).read_all()
        yield from table.column_names
        for column in table.columns:
            yield [str(item) for item in column.unique().to_pylist()]


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    import io

    with suppress(zipfile.BadZipFile, OSError, RuntimeError), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)
