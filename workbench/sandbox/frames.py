"""The host's side of tables: a user's frame as a file, a file checked in full, its columns and first rows as data."""

from __future__ import annotations

import os
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.artifacts import ARROW, PREVIEW_ROWS, Artifact, Column
from workbench.core.errors import Unavailable
from workbench.sandbox import arrow
from workbench.sandbox.scratch import unwritable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_ROWS = 200_000_000
MAX_COLUMNS = 10_000
MAX_TEXT = 200
"""Characters of one text in a preview."""


def snapshot(frame: pd.DataFrame, artifacts: Path, run: str, name: str) -> Artifact:
    """The frame as an Arrow file `<run>/<name>-<hash>.arrow` below `artifacts`, for tools to read.

    Raises Refused naming a column that cannot travel, Unavailable when the file cannot be written.
    """
    from workbench.sandbox.files import Outputs

    with Outputs(artifacts, run, name) as outputs:
        number, fd = outputs.open("frame", title=name)
        try:
            with os.fdopen(fd, "wb") as file:
                table = arrow.from_pandas(frame)
                arrow.write_table(table, file)
        except OSError as error:
            raise unwritable(artifacts, error) from error
        return outputs.keep(number, described(table))


def read_frame(path: Path) -> pd.DataFrame:
    """The table in a file of ours, as a new DataFrame. Raises Unavailable when the file is gone or damaged."""
    try:
        # Read, not mapped: a mapped file that someone cuts short would kill the kernel with SIGBUS.
        return arrow.to_pandas(check_table(path.read_bytes()))
    except FileNotFoundError as error:
        raise Unavailable(f"The table {path.name} is gone.", hint="Run the request again.") from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"The table {path.name} is damaged: {error}.", hint="Run the request again.") from error


def check_table(data: bytes) -> pa.Table:
    """The Arrow table in the bytes of a file that anyone may have written. Raises ValueError saying what is wrong."""
    import pyarrow as pa

    from workbench.sandbox.vetting import refuse_compression

    try:
        refuse_compression(data)
        reader = pa.ipc.open_file(pa.BufferReader(data))
        _check_schema(reader.schema)
        table = reader.read_all()
        if len(table) > MAX_ROWS:
            raise ValueError(f"{len(table):,} rows, the limit is {MAX_ROWS:,}")
        table.validate(full=True)
        for name, column in zip(table.column_names, table.columns, strict=True):
            _check_categories(name, column)
    except (pa.ArrowException, OSError) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error
    return table.replace_schema_metadata(None)


def _check_schema(schema: pa.Schema) -> None:
    if len(schema) > MAX_COLUMNS:
        raise ValueError(f"{len(schema):,} columns, the limit is {MAX_COLUMNS:,}")
    if len(set(schema.names)) != len(schema.names):
        raise ValueError("two columns have one name")
    for field in schema:
        if (problem := arrow.unsupported(field.type)) is not None:
            raise ValueError(f"column {field.name!r} holds {problem}")


def _check_categories(name: str, column: pa.ChunkedArray) -> None:
    """Raises ValueError when categories are missing or there twice: no DataFrame could be made of them."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        for chunk in column.chunks:
            words = chunk.dictionary
            if words.null_count or len(words.unique()) != len(words):
                raise ValueError(f"column {name!r} has a category twice")


def described(table: pa.Table) -> dict[str, Any]:
    """What an artifact says of a table besides its file."""
    return {"mime": ARROW, "rows": len(table), "columns": _columns(table.schema), "preview": preview(table)}


def _columns(schema: pa.Schema) -> tuple[Column, ...]:
    """The columns as an artifact says them."""
    return tuple(Column(name=field.name, type=_word(field.type)) for field in schema)


def _word(kind: pa.DataType) -> str:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _word(kind.value_type)
    words = {
        "boolean": (types.is_boolean,),
        "integer": (types.is_integer,),
        "number": (types.is_floating, types.is_decimal),
        "text": (types.is_string, types.is_large_string),
        "date": (types.is_date,),
        "timestamp": (types.is_timestamp,),
    }
    return next((word for word, tests in words.items() if any(test(kind) for test in tests)), "other")


def preview(table: pa.Table) -> tuple[tuple[Any, ...], ...]:
    """The first `PREVIEW_ROWS` rows as JSON scalars: dates ISO, midnight as the date alone, gaps None, texts cut."""
    return scalars(table.slice(0, PREVIEW_ROWS))


def scalars(table: pa.Table) -> tuple[tuple[Any, ...], ...]:
    """All rows of a table as JSON scalars, as in a preview."""
    return tuple(zip(*map(_scalars, table.columns), strict=True))


def _scalars(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python has no nanoseconds; a preview is for reading, the file keeps them.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        found = column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):  # years that Python's dates do not have
        found = [None if value is None else str(value) for value in column.cast(pa.string()).to_pylist()]
    return [_scalar(value) for value in found]


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
