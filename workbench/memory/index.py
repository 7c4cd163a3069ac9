"""The vectors of one owner's texts, searchable by FAISS: which lie nearest to a question's.

Half floats, which rank as whole ones do and take half the room. A search looks at them as numbers of one byte first,
which is less than half the work, and then at the best of these as they are: at so many that what is left out is too far
away to be among the nearest. Up to 50,000 all are looked at; beyond, `build` sorts them into lists of which a question
visits some, and what comes later waits in a small flat index beside them. Removing marks a row as dead. Everything here
can be made again from the vectors, and `build` does so without them: half floats come back out as they went in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

MAX_FLAT = 50_000
_MOST_LOOSE = 0.2
"""The part of all rows that may be dead, or wait outside of the lists, before `build` is worth its time."""

_WANTED_RECALL = 0.99
_SAMPLE = 64

_STEPS = 127.0
"""Steps of a byte to a component of 1."""

_DOUBT = 0.01
"""How far a cosine of bytes lies from the true one, but for one in ten thousand: four standard deviations."""

_LOOKS = 2
"""Rows looked at a second time for each that is wanted, to begin with."""


class VectorIndex:
    """Vectors of length 1 and `dim` numbers by name. Thread-safe; only `build` takes longer than a moment."""

    def __init__(self, dim: int, *, max_flat: int = MAX_FLAT) -> None:
        self.dim = dim
        self._max_flat = max_flat
        self._guard = threading.RLock()
        self._names: list[str | None] = []  # by row; None: dead
        self._rows: dict[str, int] = {}
        self._halves = _no_rows(dim)  # by row; more than there are, so that it seldom has to grow
        self._base = _flat(dim)
        self._late: Any = None  # flat, for rows behind those of `_base`, once that is sorted into lists
        self._dead: set[int] = set()
        self._living: tuple[Any, Any] | None = None  # selectors of the living rows, made when asked for

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def add(self, names: Sequence[str], vectors: NDArray[Any]) -> None:
        """Take in vectors `(n, dim)`, whole or half floats, which nobody changes afterwards; those whose name is there
        already are left out."""
        with self._guard:
            new = [n for n, name in enumerate(names) if name not in self._rows]
            for n in new:
                self._rows[names[n]] = len(self._names)
                self._names.append(names[n])
            if new:
                self._append(vectors if len(new) == len(names) else vectors[new])

    def remove(self, name: str) -> None:
        with self._guard:
            row = self._rows.pop(name, None)
            if row is not None:
                self._names[row] = None
                self._dead.add(row)
                self._living = None

    def search(self, vector: Floats, most: int) -> list[tuple[str, float]]:
        """The names of the nearest vectors with their cosines, best first, at most so many."""
        return list(self.nearest(vector, most).items())

    def nearest(self, vector: Floats, most: int, also: Iterable[str] = ()) -> dict[str, float]:
        """The cosines of the nearest vectors, best first, at most so many (one or more), then of those in `also` that
        are here."""
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread only: one query is not worth waking others for
        with self._guard:
            others = {name: row for name in also if (row := self._rows.get(name)) is not None}
            looks = _LOOKS * most
            while True:
                rough, rows = self._roughly(vector, looks)
                exact = self._vectors([*rows, *others.values()]) @ vector
                order = (-exact[: len(rows)]).argsort(kind="stable")[:most]
                if len(rows) < looks or exact[order[-1]] > rough + _DOUBT:
                    break
                looks *= 4  # more lie as near as the last of these
            cosines = exact.tolist()
            found = {str(self._names[rows[n]]): cosines[n] for n in order.tolist()}
            found.update(zip(others, cosines[len(rows) :], strict=True))
            return found

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
            halves = self._halves[list(self._rows.values())]
        sorted_ = len(names) > self._max_flat
        base = _listed(halves) if sorted_ else _flat(self.dim, halves)
        with self._guard:
            gone = [name for name in names if name not in self._rows]
            come = [name for name in self._names[before:] if name is not None]
            meanwhile = self._halves[[self._rows[name] for name in come]]
            self._names, self._rows = list(names), {name: row for row, name in enumerate(names)}
            self._halves, self._base, self._dead, self._living = halves, base, set(), None
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
            base = faiss.serialize_index(self._base).tobytes()
            return list(self._names), len(base).to_bytes(8, "big") + base + self._halves[: len(self._names)].tobytes()

    @classmethod
    def load(cls, dim: int, names: Sequence[str | None], data: bytes, *, max_flat: int = MAX_FLAT) -> VectorIndex:
        """What `dump` gave. The bytes must be known to be those: FAISS trusts them. Raises ValueError, RuntimeError."""
        import faiss
        import numpy as np

        index = cls(dim, max_flat=max_flat)
        end = 8 + int.from_bytes(data[:8], "big")
        index._base = faiss.deserialize_index(np.frombuffer(data[8:end], np.uint8))
        halves = np.frombuffer(data[end:], np.float16)
        if index._base.d != dim or index._base.ntotal != len(names) or len(halves) != dim * len(names):
            raise ValueError("the index does not have the vectors that it should have")
        index._halves = halves.reshape(len(names), dim)
        index._names = list(names)
        index._rows = {name: row for row, name in enumerate(names) if name is not None}
        index._dead = {row for row, name in enumerate(names) if name is None}
        if isinstance(index._base, faiss.IndexIVF):
            index._late = _flat(dim)
        return index

    def _append(self, vectors: NDArray[Any]) -> None:
        import numpy as np

        count = len(self._names)
        known = count - len(vectors)
        if not known:
            self._halves = np.ascontiguousarray(vectors, np.float16)
        else:
            if count > len(self._halves):
                grown = np.empty((max(count, known * 3 // 2), self.dim), np.float16)
                grown[:known] = self._halves[:known]
                self._halves = grown
            self._halves[known:count] = vectors
        _add(self._base if self._late is None else self._late, self._halves[known:count])

    def _roughly(self, vector: Floats, most: int) -> tuple[float, list[int]]:
        """The rows that are nearest by their bytes, at most so many, and the cosine that the last of them has so."""
        import numpy as np

        # The question is made bytes too, of as many steps as fit.
        steps = _STEPS / (float(np.abs(vector).max()) or 1.0)
        asked, living = np.rint(vector * np.float32(steps)), self._selectors()
        scores, rows = _nearest(self._base, asked, most, living[0])
        if self._late is not None and self._late.ntotal:
            late_scores, late = _nearest(self._late, asked, most, living[1])
            hits = zip(scores + late_scores, rows + [row + self._base.ntotal for row in late], strict=True)
            best = sorted(hits, reverse=True)[:most]
            scores, rows = [score for score, _ in best], [row for _, row in best]
        return scores[-1] / (_STEPS * steps) if scores else 0.0, rows

    def _vectors(self, rows: Sequence[int]) -> Floats:
        import numpy as np

        return self._halves.take(np.array(rows, np.int64), axis=0).astype(np.float32)

    def _selectors(self) -> tuple[Any, Any]:
        if self._living is None:
            first = self._base.ntotal
            dead = ([row for row in self._dead if row < first], [row - first for row in self._dead if row >= first])
            self._living = (_all_but(dead[0]), _all_but(dead[1]))
        return self._living


def _no_rows(dim: int) -> Halves:
    import numpy as np

    return np.empty((0, dim), np.float16)


def _bytes(halves: Halves) -> NDArray[np.uint8]:
    """The components as steps of 1/127 beside 128, as FAISS keeps signed bytes."""
    import numpy as np

    made = np.empty(halves.shape, np.uint8)
    for start in range(0, len(halves), 512):  # what fits into the processor's own memory
        some = halves[start : start + 512].astype(np.float32)
        some *= np.float32(_STEPS)
        some += np.float32(128.5)
        made[start : start + 512] = some
    return made


def _add(index: Any, halves: Halves) -> None:
    if len(halves):
        index.add_sa_codes(_bytes(halves))


def _flat(dim: int, halves: Halves | None = None) -> Any:
    import faiss

    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT)
    if halves is not None:
        _add(index, halves)
    return index


def _listed(halves: Halves) -> Any:
    """Vectors sorted into lists, of which a search visits as many as a sample of them needs to find its own nearest."""
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(1)
    vectors = halves.astype(np.float32)
    count, dim = vectors.shape
    lists = min(4096, max(1, count // 100))
    signed = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dim), dim, lists, signed, faiss.METRIC_INNER_PRODUCT, False)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 4, 32, 1
    index.train(vectors)
    index.add(np.rint(vectors * np.float32(_STEPS)))
    sample = _questions(vectors[np.linspace(0, count - 1, _SAMPLE).astype(np.int64)])
    true = np.argpartition(-(sample @ vectors.T), 10, axis=1)[:, :10]
    # The sample was there when the lists were made, which flatters them: fewer than these are never enough.
    index.nprobe = min(lists, max(8, lists // 32))
    asked = np.rint(sample * (np.float32(_STEPS) / np.abs(sample).max(axis=1, keepdims=True)))
    while index.nprobe < lists:
        _, found = index.search(asked, 10 * _LOOKS)
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


def _nearest(index: Any, vector: Floats, most: int, living: Any) -> tuple[list[float], list[int]]:
    """The scores and the rows of the nearest, best first."""
    import faiss

    options = None
    if living is not None:
        options = faiss.SearchParametersIVF() if isinstance(index, faiss.IndexIVF) else faiss.SearchParameters()
        options.sel = living
        if isinstance(options, faiss.SearchParametersIVF):
            options.nprobe = index.nprobe
    scores, rows = index.search(vector.reshape(1, -1), max(1, min(most, index.ntotal)), params=options)
    found = rows[0].tolist()
    there = len(found) - found.count(-1)  # where fewer are, -1 fills up the end
    return scores[0, :there].tolist(), found[:there]


def _all_but(rows: list[int]) -> Any:
    import faiss
    import numpy as np

    if not rows:
        return None
    return faiss.IDSelectorNot(faiss.IDSelectorBatch(np.array(rows, np.int64)))
