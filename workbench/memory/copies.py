"""Copies of an attached memory, as DuckDB files of their own, and what tells one content from another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import Unavailable
from workbench.memory import engine, locks, rows, tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_TABLES = "select table_name from duckdb_tables() where database_name = current_database() order by table_name"
SUMS = {
    "events": (
        "count(*), bit_xor(hash(merged, id, run, attempt, seq, v, happened_at, kind, step, body::varchar, exact))"
    ),
    "embeddings": "count(*), bit_xor(hash(content_hash, model, dim, vector))",
}
"""What tells the rows of a table from others: how many there are, and all their hashes in one."""

Signature = tuple[object, ...]


def copy(connection: Connection, part: Path, *, user: str | None = None, vectors: bool = False) -> None:
    """A copy of the current database at `part`, one file without a log, private, nothing of what was deleted in it.

    `user`: copy only what is this user's. `vectors`: with the vectors. Raises Unavailable when it cannot be written,
    duckdb.Error, OSError; then there is no `part`.
    """
    remove(part)
    with attached(connection, part) as source:
        connection.execute(f"copy from database {source} to copied (schema)")
        for table in names(connection):
            if table == "embeddings" and not vectors:
                continue
            of_user = user is not None and table == "events"
            where = f" where {tables.MINE}" if of_user else ""
            values = {"user": rows.clean(user or "")} if of_user else {}
            connection.execute(f'insert into copied."{table}" select * from {source}."{table}"{where}', values)  # noqa: S608 - ours


@contextmanager
def attached(connection: Connection, part: Path) -> Iterator[str]:
    """The copy at `part` is attached as `copied`, and afterwards is one private file without a log; gives the name of
    the database that is copied. Raises as `copy` does."""
    source = str(connection.execute("select current_database()").fetchall()[0][0])
    try:
        connection.execute(f"attach '{quoted(part)}' as copied (type duckdb)")
        try:
            yield source
            connection.execute("checkpoint copied")
        finally:
            connection.execute("detach copied")
        part.with_name(part.name + ".wal").unlink(missing_ok=True)
        part.chmod(locks.PRIVATE_FILE)
    except BaseException as error:
        with suppress(OSError):
            remove(part)
        if str(part) in str(error):  # it is not the store that cannot be used
            raise Unavailable(
                f"{part.parent} takes no copy: {str(error).splitlines()[0]}", hint="Free some space there."
            ) from error
        raise


def signature(connection: Connection) -> Signature:
    """What is the same for the same content of the current database, and only then."""
    found = [connection.execute(f"select {sums} from {table}").fetchall()[0] for table, sums in SUMS.items()]  # noqa: S608 - ours
    return tuple(part or 0 for row in found for part in row)


def names(connection: Connection) -> list[str]:
    """The tables of the current database."""
    return [row[0] for row in connection.execute(_TABLES).fetchall()]


def signature_of(path: Path) -> Signature:
    """The signature of a copy, read from the disk. Raises duckdb.Error when it cannot be read."""
    with engine.connect(path, read_only=True) as connection:
        return signature(connection)


def remove(part: Path) -> None:
    """Remove a copy and its log, when they are there."""
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".wal").unlink(missing_ok=True)


def quoted(path: Path) -> str:
    """The path between the quotes of a string in SQL."""
    return str(path).replace("'", "''")
