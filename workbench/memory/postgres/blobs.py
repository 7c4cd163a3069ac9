"""Vectors kept on the server, by what a text says and by the model that made them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable
from workbench.memory.postgres.server import Server

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    from numpy.typing import NDArray

    Connection = psycopg.AsyncConnection[Any]
    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

_AT_ONCE = 1_000
_LOCK = 0x776F726B63
_INSERT = """
insert into workbench.embeddings (content_hash, model, dim, vector)
select content_hash, %s, %s, vector from unnest(%s::text[], %s::bytea[]) as new (content_hash, vector)
on conflict do nothing
"""


class Blobs:
    """The vectors of one store. Blocks; raises Unavailable."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @contextmanager
    def making(self) -> Iterator[bool]:
        """Whether this process may make new vectors now: one at a time does, so that no text is paid for twice."""

        async def ask(connection: Connection, query: str) -> bool:
            return bool((await (await connection.execute(query, [_LOCK])).fetchall())[0][0])

        got = self._server.ask(lambda connection: ask(connection, "select pg_try_advisory_lock(%s)"))
        try:
            yield got
        finally:
            if got:
                with suppress(Unavailable):  # a connection that is gone has let go of its locks
                    self._server.ask(lambda connection: ask(connection, "select pg_advisory_unlock(%s)"))

    def models(self) -> list[str]:
        """The models of which there are vectors."""

        async def ask(connection: Connection) -> list[str]:
            cursor = await connection.execute("select distinct model from workbench.embeddings order by 1")
            return [model for (model,) in await cursor.fetchall()]

        return self._server.ask(ask)

    def read(self, model: str, hashes: Collection[str]) -> dict[str, Halves]:
        """Those of the asked that are there, as half floats; each may have a length of its own."""
        import numpy as np

        query = "select content_hash, vector from workbench.embeddings where model = %s and content_hash = any(%s)"
        found: dict[str, Halves] = {}
        wanted = sorted(hashes)
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]

            async def fetch(connection: Connection, some: list[str] = some) -> list[tuple[str, bytes]]:
                cursor = connection.cursor(binary=True)
                return await (await cursor.execute(query, [model, some])).fetchall()

            rows = self._server.ask(fetch)
            found |= {name: np.frombuffer(blob, "<f2") for name, blob in rows if len(blob) % 2 == 0}
        return found

    def write(self, model: str, vectors: Mapping[str, Floats | Halves]) -> None:
        """Keep vectors of one length; those that are there already stay as they are."""
        items = list(vectors.items())
        for start in range(0, len(items), _AT_ONCE):
            some = items[start : start + _AT_ONCE]
            values = [
                model,
                len(some[0][1]),
                [name for name, _ in some],
                [vector.astype("<f2").tobytes() for _, vector in some],
            ]

            async def put(connection: Connection, values: list[Any] = values) -> None:
                await connection.execute(_INSERT, values)

            self._server.ask(put)
