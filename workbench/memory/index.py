"""The vectors of one owner's texts, searchable by FAISS: which lie nearest to a question's.

Half floats, which rank as whole ones do and take half the room. Up to 50,000 all of them are looked at; beyond, `build`
sorts them into lists of which a question visits some, and what comes later waits in a small flat index beside them.
Removing marks a row as dead. Everything here can be made again from the vectors, and `build` does so without them:
half floats come back out as they went in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MAX_FLAT = 50_000
_MOST_LOOSE = 0.2
"""The part of all rows that may be dead, or wait outside of the lists, before `build` is worth its time."""

_WANTED_RECALL = 0.99
_SAMPLE = 64


class VectorIndex:
    """Vectors of length 1 and `dim` numbers by name. Thread-safe; only `build` takes longer than a moment."""

    def __init__(self, dim: int, *, max_flat: int = MAX_FLAT) -> None:
        self.dim = dim
        self._max_flat = max_flat
        self._guard = threading.RLock()
        self._names: list[str | None] = []  # by row; None: dead
        self._rows: dict[str, int] = {}
        self._base = _flat(dim)
        self._late: Any = None  # flat, for rows behind those of `_base`, once that is sorted into lists
        self._dead: set[int] = set()
        self._living: tuple[Any, Any] | None = None  # selectors of the living rows, made when asked for

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def add(self, names: Sequence[str], vectors: NDArray[Any]) -> None:
        """Take in vectors `(n, dim)`, whole or half floats; those whose name is there already are left out."""
        with self._guard:
            new = [n for n, name in enumerate(names) if name not in self._rows]
            for n in new:
                self._rows[names[n]] = len(self._names)
                self._names.append(names[n])
            if new:
                some = vectors if len(new) == len(names) else vectors[new]
                _append(self._base if self._late is None else self._late, some)

    def remove(self, name: str) -> None:
        with self._guard:
            row = self._rows.pop(name, None)
            if row is not None:
                self._names[row] = None
                self._dead.add(row)
                self._living = None

    def search(self, vector: Floats, most: int) -> list[tuple[str, float]]:
        """The names of the nearest vectors with their cosines, best first, at most so many."""
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread only: one query is not worth waking others for
        with self._guard:
            living = self._selectors()
            hits = _nearest(self._base, vector, most, living[0], 0)
            if self._late is not None and self._late.ntotal:
                hits = sorted(hits + _nearest(self._late, vector, most, living[1], self._base.ntotal), reverse=True)
            return [(str(self._names[row]), cosine) for cosine, row in hits[:most]]

    def cosines(self, names: Iterable[str], vector: Floats) -> dict[str, float]:
        """The cosines of these vectors with one, by name; those that are not here are left out."""
        with self._guard:
            rows = {name: row for name in names if (row := self._rows.get(name)) is not None}
            if not rows:
                return {}
            products = self._vectors(list(rows.values())) @ vector
        return dict(zip(rows, products.tolist(), strict=True))

    def vector(self, name: str) -> Floats | None:
        """The vector of a name, as it is kept; None when it is not here."""
        with self._guard:
            row = self._rows.get(name)
            return None if row is None else self._vectors([row])[0]

    @property
    def is_loose(self) -> bool:
        """Whether `build` would make searching cheaper."""
        with self._guard:
            rows, sorted_ = len(self._names), 0 if self._late is None else self._base.ntotal
            waits = len(self._rows) > self._max_flat and rows - sorted_ > _MOST_LOOSE * sorted_
            return waits or (rows > 1_000 and len(self._dead) > _MOST_LOOSE * rows)

    def build(self) -> None:
        """Leave the dead out, and sort what is too much for a flat index into lists. Others may search meanwhile."""
        with self._guard:
            before, names = len(self._names), list(self._rows)
            vectors = self._vectors(list(self._rows.values()))
        sorted_ = len(names) > self._max_flat
        base = _listed(vectors) if sorted_ else _flat(self.dim, vectors)
        with self._guard:
            gone = [name for name in names if name not in self._rows]
            come = [name for name in self._names[before:] if name is not None]
            meanwhile = self._vectors([self._rows[name] for name in come])
            self._names, self._rows = list(names), {name: row for row, name in enumerate(names)}
            self._base, self._dead, self._living = base, set(), None
            self._late = _flat(self.dim) if sorted_ else None
            self.add(come, meanwhile)
            for name in gone:
                self.remove(name)

    def dump(self) -> tuple[list[str | None], bytes] | None:
        """The names by row and the index as bytes; None when rows wait outside of it."""
        import faiss

        with self._guard:
            if self._late is not None and self._late.ntotal:
                return None
            return list(self._names), faiss.serialize_index(self._base).tobytes()

    @classmethod
    def load(cls, dim: int, names: Sequence[str | None], data: bytes, *, max_flat: int = MAX_FLAT) -> VectorIndex:
        """What `dump` gave. The bytes must be known to be those: FAISS trusts them. Raises ValueError, RuntimeError."""
        import faiss
        import numpy as np

        index = cls(dim, max_flat=max_flat)
        index._base = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        if index._base.d != dim or index._base.ntotal != len(names):
            raise ValueError("the index does not have the vectors that it should have")
        index._names = list(names)
        index._rows = {name: row for row, name in enumerate(names) if name is not None}
        index._dead = {row for row, name in enumerate(names) if name is None}
        if isinstance(index._base, faiss.IndexIVF):
            index._late = _flat(dim)
        return index

    def _vectors(self, rows: Sequence[int]) -> Floats:
        import numpy as np

        wanted, first = np.array(rows, np.int64), self._base.ntotal
        if first == len(self._names):
            whole: Floats = self._base.reconstruct_batch(wanted)
            return whole
        vectors = np.empty((len(rows), self.dim), np.float32)
        late = wanted >= first
        vectors[~late] = self._base.reconstruct_batch(wanted[~late])
        vectors[late] = self._late.reconstruct_batch(wanted[late] - first)
        return vectors

    def _selectors(self) -> tuple[Any, Any]:
        if self._living is None:
            first = self._base.ntotal
            dead = ([row for row in self._dead if row < first], [row - first for row in self._dead if row >= first])
            self._living = (_all_but(dead[0]), _all_but(dead[1]))
        return self._living


def _append(index: Any, vectors: NDArray[Any]) -> None:
    import numpy as np

    if vectors.dtype == np.float16:
        index.add_sa_codes(np.ascontiguousarray(vectors, "<f2").view(np.uint8))  # what the index would make of them
    else:
        index.add(vectors)


def _flat(dim: int, vectors: Floats | None = None) -> Any:
    import faiss

    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    if vectors is not None and len(vectors):
        index.add(vectors)
    return index


def _listed(vectors: Floats) -> Any:
    """Vectors sorted into lists, of which a search visits as many as a sample of them needs to find its own nearest."""
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(1)
    count, dim = vectors.shape
    lists = min(4096, max(1, count // 100))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 4, 32, 1
    index.train(vectors)
    index.add(vectors)
    index.make_direct_map()
    sample = _questions(vectors[np.linspace(0, count - 1, _SAMPLE).astype(np.int64)])
    true = np.argpartition(-(sample @ vectors.T), 10, axis=1)[:, :10]
    # The sample was there when the lists were made, which flatters them: fewer than these are never enough.
    index.nprobe = min(lists, max(8, lists // 32))
    while index.nprobe < lists:
        _, found = index.search(sample, 10)
        hit = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist(), strict=True))
        if hit >= _WANTED_RECALL * true.size:
            break
        index.nprobe = min(lists, index.nprobe * 3 // 2)
    return index


def _questions(vectors: Floats) -> Floats:
    """Vectors that lie as far from these as questions do from what answers them."""
    import numpy as np

    away = np.random.default_rng(0).normal(size=vectors.shape)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return (0.8 * vectors + 0.6 * away).astype(np.float32)


def _nearest(index: Any, vector: Floats, most: int, living: Any, first: int) -> list[tuple[float, int]]:
    import faiss

    options = None
    if living is not None:
        options = faiss.SearchParametersIVF() if isinstance(index, faiss.IndexIVF) else faiss.SearchParameters()
        options.sel = living
        if isinstance(options, faiss.SearchParametersIVF):
            options.nprobe = index.nprobe
    cosines, rows = index.search(vector.reshape(1, -1), max(1, min(most, index.ntotal)), params=options)
    return [
        (cosine, row + first) for cosine, row in zip(cosines[0].tolist(), rows[0].tolist(), strict=True) if row >= 0
    ]


def _all_but(rows: list[int]) -> Any:
    import faiss
    import numpy as np

    if not rows:
        return None
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(np.array(rows, np.int64)))
