"""A copy of the shared file that is made piece by piece, each in a hold of its own, so that others get their turn.

    begin    the small tables, and up to which event the copy is to go
    step     the next so many events, then the vectors, until nothing is left
    again    from the beginning, when the file is another by then or something was erased

What is copied of the events is what was there at the beginning, for they only ever come behind those that are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.memory import copies, rows, tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

EVENTS = 8_000
"""So many events a hold: about as long as taking over a journal takes."""
_VECTORS = 8_000
_LARGE = ("events", "embeddings")


class Moved(Exception):
    """The file is not the one that the copy was begun from."""


class Pieces:
    """A copy at `part`, without a log, private. `user`: only what is this user's. `vectors`: with the vectors.
    `signature` and `taken` (how far each journal is in it) hold for what was copied, when `step` has said that it is
    all. Each function is called in a hold; raises Moved, Unavailable when the copy cannot be written, duckdb.Error,
    OSError."""

    def __init__(self, part: Path, *, user: str | None = None, vectors: bool = False, events: int = EVENTS) -> None:
        self._part = part
        self._user = user
        self._vectors = vectors
        self._size = events
        self._done, self._last = 0, 0
        self._slices, self._slice = 0, 0
        self._of: tuple[Any, ...] = ()
        self._runs: list[str] = []
        self._sums = [0, 0, 0, 0]
        self.taken: dict[str, int] = {}
        self.erased: frozenset[str] = frozenset()

    @property
    def signature(self) -> copies.Signature:
        """As `copies.signature_of` gives it for the same content."""
        return tuple(self._sums)

    def begin(self, connection: Connection) -> None:
        """Copy what is small, and note what else is to be copied."""
        copies.remove(self._part)
        self._of = _which(connection)
        self._last = connection.execute("select coalesce(max(merged), 0) from events").fetchall()[0][0]
        self.taken = dict(connection.execute("select journal, taken from journal_offsets").fetchall())
        self.erased = tables.erased(connection)
        if self._user is not None:
            values = {"user": rows.clean(self._user)}
            self._runs = [row[0] for row in connection.execute(f"from {tables.RUNS_OF_USER}", values).fetchall()]
        if self._vectors:
            count = connection.execute("select count(*) from embeddings").fetchall()[0][0]
            self._slices = -(-count // _VECTORS)
        with copies.attached(connection, self._part) as source:
            connection.execute(f"copy from database {source} to copied (schema)")
            for name in copies.names(connection):
                if name not in _LARGE:
                    connection.execute(f'insert into copied."{name}" select * from {source}."{name}"')  # noqa: S608 - ours

    def step(self, connection: Connection) -> bool:
        """Copy the next piece. True when nothing is left."""
        if _which(connection) != self._of:
            raise Moved
        with copies.attached(connection, self._part) as source:
            if self._done < self._last:
                upto = min(self._last, self._done + self._size)
                self._copy(connection, source, "events", f"merged > {self._done} and merged <= {upto}")
                self._done = upto
            elif self._slice < self._slices:
                which = f"hash(content_hash, model) % {self._slices} = {self._slice}"
                self._copy(connection, source, "embeddings", which)
                self._slice += 1
        return self._done >= self._last and self._slice >= self._slices

    def _copy(self, connection: Connection, source: str, table: str, which: str) -> None:
        values: dict[str, Any] = {}
        if table == "events" and self._user is not None:
            mine = f"case when ({tables.OWNER}) is null then run in (select unnest($runs::varchar[]))"
            which += f" and ({mine} else ({tables.OWNER}) = $user end)"
            values = {"runs": self._runs, "user": rows.clean(self._user)}
        rest = f"from {source}.{table} where {which}"
        connection.execute(f"insert into copied.{table} select * {rest}", values)
        count, mixed = connection.execute(f"select {copies.SUMS[table]} {rest}", values).fetchall()[0]
        place = 2 * _LARGE.index(table)
        self._sums[place] += count
        self._sums[place + 1] ^= mixed or 0


def _which(connection: Connection) -> tuple[Any, ...]:
    """What tells one file, and one state of erasures, from another."""
    query = "select (select value from meta where key = 'store'), (select count(*) from erased)"
    return tuple(connection.execute(query).fetchall()[0])
