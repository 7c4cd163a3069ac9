"""Tables as Arrow files, the same way in host and worker.

What travels is the Arrow type of each column and nothing else: no pandas metadata, no extension types, no compression.
So a file says all there is to know about itself, and nothing in it can make a reader build other objects or claim more
rows than it has bytes. pandas and pyarrow are imported when a table is really moved.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from workbench.core.errors import Refused

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BATCH_ROWS = 1 << 17


def write_table(table: pa.Table, file: IO[bytes]) -> None:
    """Write the table as an Arrow IPC file."""
    import pyarrow as pa

    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)


def from_pandas(frame: pd.DataFrame | pd.Series[Any]) -> pa.Table:
    """The frame as an Arrow table. An index that says something becomes columns: one with a name, or of anything but
    whole numbers (those are positions, left over from sorting and filtering). Raises Refused naming a column."""
    import pyarrow as pa

    frame = _flat(frame)
    arrays = [_array(frame.iloc[:, at], name) for at, name in enumerate(frame.columns)]
    return pa.Table.from_arrays(arrays, names=list(frame.columns))


def _flat(frame: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    import pandas as pd

    if isinstance(frame, pd.Series):
        frame = frame.to_frame("value" if frame.name is None else frame.name)
    columns = [_label(label) for label in frame.columns]
    levels = _index(frame.index, set(columns))
    names = [*levels, *columns]
    if (twice := next((name for at, name in enumerate(names) if name in names[:at]), None)) is not None:
        raise Refused(f"There are two columns named {twice!r}.", hint="Rename one of them.", column=twice)
    frame = frame.set_axis(columns, axis="columns").reset_index(drop=True)
    return pd.concat([pd.DataFrame(levels), frame], axis="columns") if levels else frame


def _index(index: pd.Index[Any], taken: set[str]) -> dict[str, pd.Index[Any]]:
    """The columns that an index becomes."""
    import pandas as pd

    if not isinstance(index, pd.MultiIndex) and index.name is None and pd.api.types.is_integer_dtype(index.dtype):
        return {}
    levels: dict[str, pd.Index[Any]] = {}
    for at, given in enumerate(index.names):
        name = _label(given) if given is not None else ("index" if index.nlevels == 1 else f"level_{at}")
        while name in taken or name in levels:
            name += "_index"
        levels[name] = index.get_level_values(at)
    return levels


def _label(label: Any) -> str:
    text = "_".join(str(part) for part in label if str(part)) if isinstance(label, tuple) else str(label)
    return text.encode("utf-8", "replace").decode("utf-8")


def _array(values: pd.Series[Any], name: str) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    try:
        array = pa.array(values, from_pandas=True)
        if pa.types.is_null(array.type):
            return array.cast(pa.string())  # a column of gaps has no bytes to show for its rows
    except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _refusal(values, name) from error
    if (problem := unsupported(array.type)) is not None:
        raise _refusal(values, name, problem)
    return array


def _refusal(values: pd.Series[Any], name: str, problem: str = "") -> Refused:
    if not problem and values.dtype == object:
        found = dict.fromkeys(type(value).__name__ for value in values.head(100_000) if value is not None)
        problem = f"values of type {', '.join(list(found)[:4])}"
    return Refused(
        f"Column {name!r} cannot be used: it holds {problem or values.dtype}.",
        hint="Convert it first, for example with .astype(str).",
        column=name,
    )


def unsupported(kind: pa.DataType) -> str | None:
    """What is wrong with an Arrow type; None for those that may travel, each value of which costs bytes."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(kind, pa.BaseExtensionType):
        return str(kind)
    if types.is_dictionary(kind):
        inner = kind.value_type
        odd = types.is_nested(inner) or types.is_dictionary(inner) or types.is_float16(inner)
        return f"categories of type {inner}" if odd else unsupported(inner)
    if types.is_list(kind) or types.is_large_list(kind):
        return unsupported(kind.value_type)
    if types.is_struct(kind):
        problems = (unsupported(kind.field(at).type) for at in range(kind.num_fields))
        return next(filter(None, problems), None) if kind.num_fields else "objects without fields"
    scalars = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        types.is_date,
        types.is_timestamp,
        types.is_time,
        types.is_duration,
        types.is_decimal,
    )
    return None if any(test(kind) for test in scalars) else str(kind)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The table as a DataFrame. Whole numbers and booleans with gaps keep their kind (Int64, boolean)."""
    import pandas as pd
    import pyarrow as pa

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    columns = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))


def load_table(data: Any) -> pd.DataFrame:
    """The table in the bytes (any buffer) of a file that the host has checked, copied only where pandas needs it."""
    import pyarrow as pa

    return to_pandas(pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))).read_all())


def as_frame(value: Any) -> pd.DataFrame:
    """Rows in another shape (an Arrow table, a list of dicts, a dict of lists) as a DataFrame. Raises Refused."""
    import pandas as pd

    try:
        return value.to_pandas() if hasattr(value, "to_pandas") else pd.DataFrame(value)
    except (TypeError, ValueError) as error:
        raise Refused(f"A {type(value).__name__} is not a table: {error}.", hint="Return a DataFrame.") from error
