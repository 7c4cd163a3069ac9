"""Embedders that a test can read: they know what means the same, count what they are asked, and fail on request."""

import random
import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Unavailable


class Scripted:
    """Texts that `means` gives the same meaning have the same vector; all others have nothing to do with each other."""

    lexical = False
    floor = 0.5

    def __init__(self, name: str = "scripted", dim: int = 32, means: Mapping[str, str] | None = None) -> None:
        self.id = self.name = name
        self.dim = dim
        self.means = means or {}
        self.asked: list[str] = []
        self.refuses: set[str] = set()
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.gate.wait(20)
        if self.broken:
            raise Unavailable("no answer from the embedder")
        self.asked += texts
        rows = [np.zeros(self.dim) if text in self.refuses else self._vector(text) for text in texts]
        return np.array(rows, np.float32)

    def _vector(self, text: str) -> NDArray[np.float64]:
        generator = random.Random(self.means.get(text, text))
        vector = np.array([generator.gauss(0, 1) for _ in range(self.dim)])
        unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit
