"""all-MiniLM-L6-v2 by numpy: sentences in, vectors of 384 numbers out, without torch.

A BERT of six layers, read straight from `model.safetensors` as a map of the file, so that several kernels share its
pages. One text at a time: short texts need no padding then, and a batch would save little on one core.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

DIM = 384
MAX_PIECES = 256
"""Word pieces of a text that count; what stands behind them does not reach the vector."""

_MAX_CHARACTERS = 8_000
_HEADS = 12
_MAX_WORD = 100


class MiniLM:
    """An embedder (see `memory.embed`) on the folder that holds the model's files. Loaded at the first text."""

    id = "all-MiniLM-L6-v2"
    name = "all-MiniLM-L6-v2, on this machine"
    lexical = False
    floor = 0.22

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._network: _Network | None = None

    def embed(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        network = self._loaded()
        # Two BLAS threads that wait for each other on a busy machine took 14 times as long as one.
        with network.one_thread():
            vectors = [network.vector(text) for text in texts]
        return np.stack(vectors) if vectors else np.empty((0, DIM), np.float32)

    def pieces(self, text: str) -> list[int]:
        """The numbers of a text's word pieces, between the marks of its beginning and its end."""
        return self._loaded().pieces(text)

    def _loaded(self) -> _Network:
        if self._network is None:
            self._network = _Network(self._folder)
        return self._network


class _Network:
    """The weights and the word pieces. Raises Unavailable when the files are not whole."""

    def __init__(self, folder: Path) -> None:
        import numpy as np  # noqa: F401 - its BLAS must be there when it is looked for
        from threadpoolctl import ThreadpoolController

        self._blas = ThreadpoolController()
        try:
            lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
            self._pieces = {piece: number for number, piece in enumerate(lines)}
            self._weights = _read(folder / "model.safetensors")
            self._weights["embeddings.word_embeddings.weight"]
            self._marks = [self._pieces[mark] for mark in ("[CLS]", "[SEP]", "[UNK]")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"The embedding model in {folder} cannot be read.", hint="Put it in again: workbench embed install"
            ) from error

    def one_thread(self) -> AbstractContextManager[object]:
        """While it is entered, numpy multiplies matrices in the calling thread alone."""
        limit: AbstractContextManager[object] = self._blas.limit(limits=1, user_api="blas")
        return limit

    def vector(self, text: str) -> Floats:
        import numpy as np

        x = self._embedded(self.pieces(text))
        for layer in range(6):
            x = self._layer(x, f"encoder.layer.{layer}.")
        mean = x.mean(axis=0)
        unit: Floats = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        return unit

    def pieces(self, text: str) -> list[int]:
        first, last, unknown = self._marks
        numbers = [first]
        for word in words(text[:_MAX_CHARACTERS]):
            numbers += self._split(word) or [unknown]
            if len(numbers) >= MAX_PIECES - 1:
                break
        return [*numbers[: MAX_PIECES - 1], last]

    def _split(self, word: str) -> list[int]:
        """The word's pieces, the longest first; empty when it has none."""
        if len(word) > _MAX_WORD:
            return []
        numbers: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._pieces), None)
            if end is None:
                return []
            numbers.append(self._pieces[mark + word[start:end]])
            start = end
        return numbers

    def _embedded(self, numbers: list[int]) -> Floats:
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][numbers]
        x = x + w["embeddings.position_embeddings.weight"][: len(numbers)]
        return self._normed(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")

    def _layer(self, x: Floats, name: str) -> Floats:
        import numpy as np

        n = len(x)
        query, key, value = (
            self._dense(x, f"{name}attention.self.{part}").reshape(n, _HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(DIM / _HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = (scores / scores.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(n, DIM)
        attended = self._dense(seen, f"{name}attention.output.dense")
        x = self._normed(x + attended, f"{name}attention.output.LayerNorm")
        inner = _gelu(self._dense(x, f"{name}intermediate.dense"))
        return self._normed(x + self._dense(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _dense(self, x: Floats, name: str) -> Floats:
        product: Floats = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return product

    def _normed(self, x: Floats, name: str) -> Floats:
        import numpy as np

        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        scaled: Floats = x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return scaled


def words(text: str) -> Iterator[str]:
    """The words of a text as BERT's uncased models read them: lower case, no accents, punctuation and CJK characters
    each on their own."""
    word = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(character)
        if kind == "Mn" or character == "\ufffd" or (kind[0] == "C" and character not in "\t\n\r"):
            continue
        if character.isspace():
            alone = ""
        elif _stands_alone(character, kind):
            alone = character
        else:
            word += character
            continue
        if word:
            yield word
        if alone:
            yield alone
        word = ""
    if word:
        yield word


def _stands_alone(character: str, kind: str) -> bool:
    number = ord(character)
    if number < 128:
        return not character.isalnum()
    chinese = 0x4E00 <= number <= 0x9FFF or 0x3400 <= number <= 0x4DBF or 0xF900 <= number <= 0xFAFF
    return kind[0] == "P" or chinese or 0x20000 <= number <= 0x2CEAF or 0x2F800 <= number <= 0x2FA1F


def _gelu(x: Floats) -> Floats:
    """x · Φ(x), with the error function to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    import numpy as np

    z = np.abs(x) * np.float32(0.7071067811865476)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    erf = 1 - series * np.exp(-z * z)
    gelu: Floats = np.float32(0.5) * (x + np.abs(x) * erf)
    return gelu


def _read(path: Path) -> dict[str, Floats]:
    """The tensors of a safetensors file, as views of the file. Raises OSError, ValueError, KeyError, TypeError."""
    import numpy as np

    data = np.memmap(path, np.uint8, mode="r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length].tobytes())
    tensors = {}
    for name, told in header.items():
        if name != "__metadata__" and told["dtype"] == "F32":
            start, end = told["data_offsets"]
            tensors[name] = data[8 + length + start : 8 + length + end].view(np.float32).reshape(told["shape"])
    return tensors
