"""Vectors kept in memory.duckdb, by what a text says and by the model that made them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from workbench.memory import locks
from workbench.memory.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

_MANY = 5_000
"""Asked for more than that, the file is better read from end to end."""

_INSERT = """
insert into embeddings
select content_hash, $1, $2, vector, now() at time zone 'UTC'
from (select unnest($3::varchar[]) as content_hash, unnest($4::blob[]) as vector) as new
where not exists (select 1 from embeddings as old where old.content_hash = new.content_hash and old.model = $1)
"""


class Blobs:
    """The vectors of one store. Blocks; raises Unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def making(self) -> AbstractContextManager[bool]:
        """Whether this process may make new vectors now: one at a time does, so that no text is paid for twice."""
        return locks.held(self._store.home / "embed.lock", 0.0)

    def models(self) -> list[str]:
        """The models of which there are vectors."""
        query = "select distinct model from embeddings order by 1"
        return [model for (model,) in self._store.read(lambda connection: connection.execute(query).fetchall())]

    def read(self, model: str, hashes: Collection[str]) -> dict[str, Halves]:
        """Those of the asked that are there, as half floats; each may have a length of its own."""
        import numpy as np

        query, values = "select content_hash, vector from embeddings where model = $1", [model]
        if len(hashes) <= _MANY:
            query += " and list_contains($2::varchar[], content_hash)"
            values.append(list(hashes))  # type: ignore[arg-type]  # a list is a value too
        rows = self._store.read(lambda connection: connection.execute(query, values).fetchall())
        wanted = set(hashes)
        whole = [(name, blob) for name, blob in rows if name in wanted and len(blob) % 2 == 0]
        return {name: np.frombuffer(blob, "<f2") for name, blob in whole}

    def write(self, model: str, vectors: Mapping[str, Floats | Halves]) -> None:
        """Keep vectors of one length; those that are there already stay as they are."""
        if not vectors:
            return
        dim = len(next(iter(vectors.values())))
        blobs = [vector.astype("<f2").tobytes() for vector in vectors.values()]
        self._store.change(lambda connection: connection.execute(_INSERT, [model, dim, list(vectors), blobs]))
