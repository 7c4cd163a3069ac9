"""The seam to what turns texts into vectors, and the way to do so without any model."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from workbench.memory.lexical import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors. Called from one thread at a time, never from an event loop's."""

    @property
    def id(self) -> str:
        """Names the model for good: vectors of different ids are never compared."""
        ...

    @property
    def name(self) -> str:
        """What people are told it is."""
        ...

    @property
    def lexical(self) -> bool:
        """Whether it knows letters only and no meaning. Its vectors cost nothing and are not kept."""
        ...

    @property
    def floor(self) -> float:
        """The cosine below which two texts have nothing to do with each other."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """The vectors `(n, dim) float32`, each of length 1; a row of zeros for a text that it will not take.

        Raises Unavailable, or TransientError when the same may work later.
        """
        ...


class Hashing:
    """Stems and groups of three letters, hashed into 512 numbers: finds misspelled words, knows no meaning."""

    id = "hashing-1"
    name = "no embedding model"
    lexical = True
    floor = 0.25
    dim = 512

    def embed(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text):
                number = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
                row[(number >> 1) % self.dim] += weight if number & 1 else -weight
        return unit(vectors)


def unit(vectors: Floats) -> Floats:
    """The vectors scaled to length 1, zeros left as they are."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def content_hash(text: str) -> str:
    """Names a text by what it says."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _features(text: str) -> Iterator[tuple[str, float]]:
    for stem, word in terms(text[:8_000]):
        yield f" {stem}", 1.0
        marked = f"<{word.casefold()}>"
        for start in range(len(marked) - 2):
            yield marked[start : start + 3], 1 / math.sqrt(len(marked) - 2)
