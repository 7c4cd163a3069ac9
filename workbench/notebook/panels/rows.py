"""Pages of a run's table: sorted, filtered and cut on the kernel's side, so that a million rows stay quick and only
what is looked at travels.

A table is read once, checked as every file of a run is, and kept while it is among the few that were looked at last; so
is the order of its rows for what it was last sorted and filtered by.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.core.artifacts import Artifact
from workbench.core.errors import Refused, Unavailable
from workbench.render import cell
from workbench.run import Run

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = 20
"""Rows of a page, when nothing else is asked for."""
MAX_COUNT = 200
"""Rows of a page."""
MAX_COLUMNS = 60
"""Columns of a page, the first ones: more than a screen shows."""
MAX_BYTES = 1_000_000_000
"""Of a table that is opened here, and of all that are kept together."""
MAX_KEPT = 4
MAX_FILTER = 200
"""Characters of what rows are filtered by."""
_NUMBERED = re.compile(r"[\d.,:+\-eT ]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows of a table are asked for. `sort`: a column's name, None for the table's own order. `filter`: a text
    that a row must have in one of its columns, upper or lower case. `start` counts from 0."""

    sort: str | None = None
    descending: bool = False
    filter: str = ""
    start: int = 0
    count: int = PAGE

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Wanted:
        """From what a front end sent, anything of which may be wrong: numbers are brought within their bounds. Raises
        Refused for what is no number and no text."""
        sort, filtered = message.get("sort"), message.get("filter") or ""
        if not isinstance(sort, str | None) or not isinstance(filtered, str):
            raise Refused("`sort` and `filter` are texts.")
        return cls(
            sort=sort,
            descending=message.get("descending") is True,
            filter=" ".join(filtered.split())[:MAX_FILTER],
            start=max(0, _whole(message, "start", 0)),
            count=min(max(1, _whole(message, "count", PAGE)), MAX_COUNT),
        )


def _whole(message: Mapping[str, Any], name: str, default: int) -> int:
    value = message.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"`{name}` is a whole number.")
    return value


@dataclass(slots=True)
class _Opened:
    table: pa.Table
    lock: threading.Lock = field(default_factory=threading.Lock)
    by: tuple[str | None, bool, str] = (None, False, "")
    order: pa.Array | None = None
    """The numbers of the rows in their order; None for all, as they are."""


_opened: OrderedDict[tuple[str, str], _Opened] = OrderedDict()
_opening = threading.Lock()


def page(run: Run, artifact: Artifact, wanted: Wanted) -> dict[str, Any]:
    """The rows as texts, `total` rows of the table, `matching` those that the filter leaves, and where the page starts:
    at the last one when there are fewer than was thought. Blocks; from any thread. Raises Refused for a column that the
    table has not, or whose values have no order; Unavailable when the file is gone or damaged."""
    opened = _open(run, artifact)
    with opened.lock:
        table = opened.table
        by = (wanted.sort, wanted.descending, wanted.filter)
        if by != opened.by:
            opened.order = _ordered(table, wanted)  # before `by`: it may be refused
            opened.by = by
        order = opened.order
    matching = len(table) if order is None else len(order)
    start = min(wanted.start, max(0, (matching - 1) // wanted.count * wanted.count))
    shown = table.select(range(min(table.num_columns, MAX_COLUMNS)))
    rows = shown.slice(start, wanted.count) if order is None else shown.take(order.slice(start, wanted.count))
    return {"rows": texts(rows), "total": len(table), "matching": matching, "start": start}


def texts(table: pa.Table) -> list[list[str]]:
    """The rows as a reader sees them."""
    from workbench.sandbox.frames import scalars

    return shown(scalars(table))


def shown(values: Iterable[Sequence[Any]]) -> list[list[str]]:
    """Values as texts, for a page that is read from a record."""
    return [[cell(value) for value in row] for row in values]


def _open(run: Run, artifact: Artifact) -> _Opened:
    from workbench.sandbox.frames import check_table

    key = (artifact.path, artifact.sha256)
    with _opening:
        if key in _opened:
            _opened.move_to_end(key)
            return _opened[key]
        if artifact.bytes > MAX_BYTES:
            raise Refused(
                f"A table of {artifact.bytes:,} bytes is not opened here.", hint="The run's .df has all of it."
            )
        data = run.load(artifact)
        if data is None:
            raise Unavailable("The table is gone.", hint="Run the request again.")
        try:
            _opened[key] = opened = _Opened(check_table(data))
        except ValueError as error:
            raise Unavailable(f"The table is damaged: {error}.", hint="Run the request again.") from None
        while len(_opened) > 1 and (len(_opened) > MAX_KEPT or _held() > MAX_BYTES):
            _opened.popitem(last=False)
        return opened


def _held() -> int:
    return sum(opened.table.nbytes for opened in _opened.values())


def _ordered(table: pa.Table, wanted: Wanted) -> pa.Array | None:
    """The numbers of the rows to show, in order. Rows that are equal stay in the table's own order, up and down; gaps
    and what is not a number come last both ways."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = pc.indices_nonzero(_matching(table, wanted.filter)) if wanted.filter else None
    if wanted.sort is None:
        return kept
    if wanted.sort not in table.column_names:
        raise Refused(f"The table has no column {wanted.sort[:100]!r}.")
    column = _plain(table[wanted.sort])
    if kept is not None:
        column = column.take(kept)
    try:
        order = pc.array_sort_indices(column, order="descending" if wanted.descending else "ascending")
    except pa.ArrowNotImplementedError:
        raise Refused(f"The values of {wanted.sort[:100]!r} have no order.") from None
    return order if kept is None else kept.take(order)


def is_sortable(kind: str) -> bool:
    """Whether a column of an artifact, by its type's word, surely has an order."""
    return kind != "other"


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as the values that they stand for."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _matching(table: pa.Table, wanted: str) -> Any:
    """For each row whether one of its cells holds the text, as it is shown. Numbers are looked at only for what could
    be part of one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = wanted.replace(",", "") if _NUMBERED.fullmatch(wanted) else None
    found: Any = None
    for column in map(_plain, table.columns):
        kind, needle = column.type, wanted
        if pa.types.is_boolean(kind):
            column = pc.if_else(column, "yes", "no")
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            if number is None or pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                continue
            column, needle = column.cast(pa.string()), number if not pa.types.is_temporal(kind) else wanted
        hit = pc.fill_null(pc.match_substring(column, needle, ignore_case=True), False)
        found = hit if found is None else pc.or_(found, hit)
    return found if found is not None else pa.array([False] * len(table), pa.bool_())
