"""What the texts of a memory mean, as vectors: made in the background, kept, and compared with a question.

    want(text)  →  thread: the index on disk, then the vectors in memory.duckdb, then the embedder  →  nearest(question)

Nobody waits for it. A text whose vector is not there yet is found by its words, and a new model, whose vectors are all
missing at first, delays nothing. When the embedder fails it is left alone for a while, `trouble` says why in one line,
and everything is found by its words until it answers.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.core.errors import Unavailable, WorkbenchError
from workbench.memory import indexfile
from workbench.memory.embed import Embedder, content_hash
from workbench.memory.index import MAX_FLAT, VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

Owner = tuple[str, ...]
_BATCH = 16
_SOON = 32
"""So few missing vectors are worth a moment's wait before a question is answered."""

_MOMENT = 1.0
_PATIENCE = 5.0
_LONGEST_REST = 600.0


@dataclass(slots=True)
class _Missing:
    text: str
    places: set[tuple[Owner, str]] = field(default_factory=set)


class Blobs(Protocol):
    """Where vectors are kept, by model and by the hash of what a text says. Blocks; each raises Unavailable."""

    def making(self) -> AbstractContextManager[bool]:
        """Whether this process may make new vectors until it leaves: one at a time does, so that no text is paid for
        twice."""
        ...

    def models(self) -> Sequence[str]:
        """The models of which there are vectors."""
        ...

    def read(self, model: str, hashes: Collection[str]) -> Mapping[str, Halves]:
        """Those of the asked that are there, as half floats; each may have a length of its own."""
        ...

    def write(self, model: str, vectors: Mapping[str, Floats | Halves]) -> None:
        """Keep vectors of one length; those that are there already stay as they are."""
        ...


class Vectors:
    """The vectors of one embedder. Thread-safe. Imports numpy and faiss when first woken.

    `blobs`: where vectors are kept, None to keep none. `folder`: for the indexes of large owners, None for none.
    `rest`: seconds for which an embedder that failed is left alone; doubled with each failure, up to ten minutes.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        blobs: Blobs | None = None,
        folder: Path | None = None,
        max_flat: int = MAX_FLAT,
        rest: float = 5.0,
    ) -> None:
        self.embedder = embedder
        self.trouble = ""
        self._blobs = None if embedder.lexical else blobs
        self._folder = folder
        self._max_flat = max_flat
        self._changed = threading.Condition()
        self._embedding = threading.Lock()
        self._missing: dict[str, _Missing] = {}
        self._hashes: dict[Owner, dict[str, str]] = {}
        self._places: dict[str, tuple[Owner, str]] = {}  # of each hash, where a text of it stands
        self._indexes: dict[Owner, VectorIndex] = {}
        self._looked: set[Owner] = set()
        self._fresh: OrderedDict[str, Floats] = OrderedDict()
        self._first_rest = self._rest = rest
        self._rest_until = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False

    def want(self, owner: Owner, name: str, text: str) -> None:
        """A text of this owner is to be found by its meaning, soon."""
        digest = content_hash(text)
        with self._changed:
            self._hashes.setdefault(owner, {})[name] = digest
            self._places[digest] = owner, name
            self._missing.setdefault(digest, _Missing(text)).places.add((owner, name))
            self._changed.notify_all()

    def drop(self, owner: Owner, name: str) -> None:
        """A text is not to be found any more."""
        with self._changed:
            digest = self._hashes.get(owner, {}).pop(name, "")
            if self._places.get(digest) == (owner, name):
                del self._places[digest]
            if (missing := self._missing.get(digest)) is not None:
                missing.places.discard((owner, name))
                if not missing.places:
                    del self._missing[digest]
            if owner in self._indexes:
                self._indexes[owner].remove(name)

    def describe(self) -> str:
        """How texts are found, in words, with what is wrong and what can be done."""
        waits = f"; {self.waiting:,} texts have no vector yet" if self.waiting else ""
        if self.trouble:
            return f"lexical recall until {self.embedder.name} answers: {self.trouble}"
        if self.embedder.lexical:
            return f"lexical recall, {self.embedder.name}; for recall by meaning: workbench embed install"
        return f"recall by meaning with {self.embedder.name}{waits}"

    @property
    def waiting(self) -> int:
        """How many texts have no vector yet."""
        with self._changed:
            return len(self._missing)

    def wake(self) -> None:
        """Begin to make what is missing, in the background."""
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="workbench-embed", daemon=True)
                self._thread.start()

    def settle(self, seconds: float = _MOMENT, most: int = _SOON) -> bool:
        """Wait until nothing is missing, but not so long, not for more than so many texts, and not for an embedder that
        is left alone longer. Whether nothing is."""
        self.wake()
        deadline = time.monotonic() + seconds
        with self._changed:
            while 0 < len(self._missing) <= most and self._rest_until < deadline and not self._closed:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) or time.monotonic() >= deadline:
                    break
            return not self._missing

    def nearest(
        self, owners: Sequence[Owner], question: str, most: int, also: Iterable[str] = ()
    ) -> Mapping[str, float] | None:
        """The cosines of the texts nearest to a question, by name, and of those in `also`; None when the embedder
        cannot be asked."""
        with self._changed:
            indexes = [self._indexes[owner] for owner in owners if owner in self._indexes]
        if not any(map(len, indexes)):
            return {} if not self.trouble else None
        vector = self._asked(question)
        if vector is None:
            return None
        names, found = list(also), dict[str, float]()
        for index in indexes:
            if index.dim != len(vector):
                self._fail(Unavailable(_two_lengths(self.embedder.name, len(vector), index.dim)))
                return None
            found |= index.nearest(vector, most, names)
        return found

    def likeness(self, one: str, other: str) -> float:
        """The cosine of two texts; 0 when only letters are compared, or the embedder cannot be asked."""
        if self.embedder.lexical:
            return 0.0
        vectors = self._asked(one), self._asked(other)
        return 0.0 if vectors[0] is None or vectors[1] is None else float(vectors[0] @ vectors[1])

    def close(self) -> None:
        """Let the thread end; what is missing is made next time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._missing or self._is_resting()):
                    rests = self._rest_until - time.monotonic() if self._missing else None
                    self._changed.wait(None if rests is None else max(0.01, rests))
                if self._closed:
                    return
            try:
                if not self._fill():
                    time.sleep(0.2)  # another process is at it; what it makes is found in the file
            except WorkbenchError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - recall by words goes on whatever a model or an index does
                self._fail(Unavailable(f"{self.embedder.name} failed: {type(error).__name__}: {error}"))

    def _fill(self) -> bool:
        """Make what is missing; False when another process is making it."""
        for owner in self._owners():
            self._load(owner)
        wanted = self._wanted()
        self._take({digest: self._fresh[digest] for digest in wanted if digest in self._fresh}, keep=True)
        if wanted and self._blobs is not None:
            self._take(self._blobs.read(self.embedder.id, wanted))
        if wanted := self._wanted():
            if self._blobs is None:
                self._make(wanted)
            else:
                with self._blobs.making() as got:
                    if not got:
                        return False
                    self._take(self._blobs.read(self.embedder.id, wanted))
                    self._make(self._wanted())
        for owner in self._owners():
            self._tidy(owner)
        return True

    def _make(self, wanted: Mapping[str, str]) -> None:
        hashes = list(wanted)
        for start in range(0, len(hashes), _BATCH):
            if self._closed:
                return
            batch = hashes[start : start + _BATCH]
            vectors = self._embed([wanted[digest] for digest in batch])
            usable = {digest: vector for digest, vector in zip(batch, vectors, strict=True) if vector.any()}
            self._take(usable, keep=True)
            with self._changed:
                for digest in set(batch) - set(usable):
                    self._missing.pop(digest, None)

    def _take(self, vectors: Mapping[str, NDArray[Any]], *, keep: bool = False) -> None:
        """Put vectors into the indexes of those who want them; `keep`: into the file too."""
        import numpy as np

        if keep and self._blobs is not None:
            self._blobs.write(self.embedder.id, vectors)
        rows: dict[Owner, tuple[list[str], list[NDArray[Any]]]] = {}
        with self._changed:
            for digest, vector in vectors.items():
                missing = self._missing.pop(digest, None)
                for owner, name in missing.places if missing is not None else ():
                    names, stack = rows.setdefault(owner, ([], []))
                    names.append(name)
                    stack.append(vector)
            for owner, (names, stack) in rows.items():
                dim = len(stack[0])
                index = self._indexes.setdefault(owner, VectorIndex(dim, max_flat=self._max_flat))
                fits = [n for n, vector in enumerate(stack) if len(vector) == index.dim]
                if len(fits) < len(stack):
                    self.trouble = _two_lengths(self.embedder.name, dim, index.dim)
                if fits:
                    # `stack` would look at each of them twice.
                    whole = np.concatenate([stack[n] for n in fits]).reshape(len(fits), index.dim)
                    index.add([names[n] for n in fits], whole)
            self._changed.notify_all()

    def _embed(self, texts: Sequence[str]) -> Floats:
        with self._embedding:
            vectors = self.embedder.embed(texts)
        self.trouble, self._rest = "", self._first_rest
        return vectors

    def _asked(self, question: str) -> Floats | None:
        digest = content_hash(question)
        with self._changed:
            if (known := self._fresh.get(digest)) is not None:
                self._fresh.move_to_end(digest)
                return known
            owner, name = self._places.get(digest, ((), ""))
            if owner in self._indexes and (kept := self._indexes[owner].vector(name)) is not None:
                return kept  # a question that is itself remembered
            if self._is_resting():
                return None
        try:
            vector: Floats = self._embed([question])[0]
            if not vector.any():
                return None  # nothing that it could compare
        except WorkbenchError as error:
            self._fail(error)
            return None
        with self._changed:
            self._fresh[digest] = vector
            while len(self._fresh) > 256:
                self._fresh.popitem(last=False)
        return vector

    def _fail(self, error: WorkbenchError) -> None:
        with self._changed:
            self.trouble = error.message
            self._rest_until = time.monotonic() + self._rest
            self._rest = min(_LONGEST_REST, self._rest * 2)
            self._changed.notify_all()

    def _is_resting(self) -> bool:
        return time.monotonic() < self._rest_until

    def _owners(self) -> list[Owner]:
        with self._changed:
            return list(self._hashes)

    def _wanted(self) -> dict[str, str]:
        with self._changed:
            return {digest: missing.text for digest, missing in self._missing.items()}

    def _load(self, owner: Owner) -> None:
        """Take the owner's index from the disk, once, as far as it holds what is wanted."""
        if self._folder is None or owner in self._looked:
            return
        self._looked.add(owner)
        with self._changed:
            hashes = dict(self._hashes[owner])
        index = indexfile.load(self._folder, self.embedder.id, owner, hashes, max_flat=self._max_flat)
        if index is None:
            return
        with self._changed:
            if owner in self._indexes:
                return
            self._indexes[owner] = index
            for name, digest in hashes.items():
                if name not in self._hashes[owner]:
                    index.remove(name)
                elif name in index and (missing := self._missing.get(digest)) is not None:
                    missing.places.discard((owner, name))
                    if not missing.places:
                        del self._missing[digest]
            self._changed.notify_all()

    def _tidy(self, owner: Owner) -> None:
        index = self._indexes.get(owner)
        if index is None:
            return
        if index.is_loose:
            index.build()
        if self._folder is not None:
            with self._changed:
                hashes = dict(self._hashes[owner])
            with suppress(OSError):  # a cache: a full disk costs the next start a moment
                indexfile.save(self._folder, self.embedder.id, owner, index, hashes)


def _two_lengths(name: str, one: int, other: int) -> str:
    return f"{name} gives vectors of {one} numbers where it gave {other} before"
