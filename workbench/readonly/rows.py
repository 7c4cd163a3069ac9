"""The rows of a query: capped, with clean names, in types that every part of the workbench takes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from workbench import toolkit

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_SQL = 20_000
"""Bytes of one statement."""
MAX_ROWS = 10_000
MAX_COUNTED = 5_000_000
"""Rows beyond the cap are only counted, up to here."""
MAX_BYTES = 64_000_000
MAX_COLUMNS = 500
MAX_PARAMS = 1_000
MAX_DESCRIBED = 200
"""Tables of a database that are described at once."""
SECONDS = 50
"""Of work inside an engine; the deadline of the call is longer."""

# Controls, directions and tags: they change what a terminal or a reader sees, and hide text from both.
_HIDDEN = "[\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x{9F}\\x{202A}-\\x{202E}\\x{2066}-\\x{2069}\\x{E0000}-\\x{E007F}]"


def folded(name: str) -> str:
    """A name as all three engines compare it: only the letters of ASCII have two cases."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def one_line(text: str) -> str:
    """An engine's message on one line of at most 300 characters."""
    return " ".join(text.split())[:300]


def check_text(sql: str) -> None:
    """Raise Failed for SQL that is too long, or that two readers could read in two ways."""
    if len(sql.encode("utf-8", "replace")) > MAX_SQL:
        raise toolkit.Failed(f"The SQL is longer than {MAX_SQL:,} bytes.", hint="Take it in several steps.")
    if "\0" in sql or (not sql.isascii() and sql != sql.encode("utf-8", "replace").decode("utf-8")):
        raise toolkit.Failed("The SQL holds characters that are no text.", hint="Bind such values as parameters.")


def check_params(params: list[Any] | None) -> list[Any]:
    """The values to bind. Raises Failed for what no engine takes as one value."""
    values = list(params or [])
    if len(values) > MAX_PARAMS:
        raise toolkit.Failed(
            f"{len(values):,} parameters were given; at most {MAX_PARAMS:,} are taken.", hint="Write a subquery."
        )
    if not all(value is None or isinstance(value, str | int | float | bool) for value in values):
        raise toolkit.Failed(
            "A parameter must be text, a number, true, false or null.", hint="Give one value for each placeholder."
        )
    return values


def check_columns(count: int) -> None:
    if count > MAX_COLUMNS:
        raise toolkit.Failed(
            f"The result has {count:,} columns; at most {MAX_COLUMNS} are shown.", hint="Name the columns you need."
        )


def too_large() -> toolkit.Failed:
    return toolkit.Failed(f"The result is larger than {MAX_BYTES // 1_000_000} MB.", hint="Select less text.")


def as_table(rows: pa.Table, total: int, title: str, *, ended: bool = True) -> toolkit.Table:
    """The rows as a tool returns them; the title says of how many. `ended`: whether the counting came to its end."""
    shown = rows.num_rows
    if total > shown:
        counted = f"{total:,}" if ended else f"more than {total:,}"
        title = f"{title or 'Result'} (first {shown:,} of {counted} rows)"
    return toolkit.Table(as_frame(rows), title=title)


def as_frame(rows: pa.Table) -> pd.DataFrame:
    """The rows as a DataFrame whose column names differ and whose columns hold ordinary types."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for label, column in zip(labels(rows.column_names), rows.columns, strict=True):
        columns[label] = _ordinary(column)
    return pd.DataFrame(columns, index=pd.RangeIndex(rows.num_rows))


def labels(names: Iterable[str]) -> list[str]:
    """Column names without control and invisible characters, each once.

    >>> labels(["a", "a", "b\\x1b[31m", ""])
    ['a', 'a_1', 'b[31m', 'column']
    """
    found: dict[str, None] = {}
    for name in names:
        plain = " ".join("".join(c for c in name if c in "\t\n" or _is_seen(c)).split()) or "column"
        label, number = plain, 1
        while label in found:
            label, number = f"{plain}_{number}", number + 1
        found[label] = None
    return list(found)


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def _ordinary(column: pa.ChunkedArray) -> Any:
    """One column for pandas: whole numbers stay whole, also with gaps; dates become timestamps; rare types text."""
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind):
        # A sum of integers comes as a decimal of 38 digits and is an integer again wherever it fits.
        try:
            column = column.cast(pa.int64() if kind.scale == 0 else pa.float64())
        except pa.ArrowInvalid:
            column = column.cast(pa.float64())
    elif isinstance(kind, pa.BaseExtensionType) or pa.types.is_interval(kind) or pa.types.is_map(kind):
        return pd.Series([None if value is None else str(value) for value in column.to_pylist()], dtype="str")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _visible(column)
    if pa.types.is_signed_integer(column.type) and column.null_count:
        return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return column.to_pandas(date_as_object=False)


def _visible(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts with hidden characters replaced, so that a table says no more than can be seen in it."""
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(column, _HIDDEN)).as_py():
        return column
    return pc.replace_substring_regex(column, _HIDDEN, "\N{REPLACEMENT CHARACTER}")


def describe(found: list[tuple[str, str, str]], title: str) -> toolkit.Table:
    """Rows of (table, column, type) as a table; more tables than `MAX_DESCRIBED` are counted only."""
    import pandas as pd

    names = list(dict.fromkeys(table for table, _, _ in found))
    shown = set(names[:MAX_DESCRIBED])
    if len(names) > len(shown):
        title = f"{title} (first {len(shown)} of {len(names):,} tables)"
    rows = [[" ".join(labels([part])) for part in row] for row in found if row[0] in shown]
    return toolkit.Table(pd.DataFrame(rows, columns=["table", "column", "type"], dtype="str"), title=title)
