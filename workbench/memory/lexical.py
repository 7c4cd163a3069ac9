"""Which texts share words with a question: BM25 over English stems, from RAM.

A token with a digit, `_` or `-` is an identifier and is kept whole besides its words. Rows and counts of a term are
arrays of numbers, so that a question over 100,000 texts is a few operations of numpy.
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_TOKEN = re.compile(r"\w+(?:[-./]\w+)*")
_WORD = re.compile(r"[^\W_]+")
_IDENTIFIER = re.compile(r"[\d_-]")
_VOWEL = re.compile(r"[aeiouy]")
_ENDINGS = (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))
_STOP = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been by can could did do does for from had has have how i if in into is it its me my no
        not of on or our shall should so than that the their them then there these they this those to us was we were
        what when where which who whom why will with would you your""",
    )
)
_K1, _B = 1.2, 0.75
_COMMON = 1_000
"""Texts that may hold a term before it can be too common to be asked for."""

_LOOKS = 2_500
"""Of the texts that hold an identifier, so many of the newest come first."""

_SWEEP = 200


class Posting:
    """The rows of a shelf that hold a term, and how often each does. `parts` is kept until what it comes from changes:
    memories are asked for far more often than they are made."""

    __slots__ = ("_parts", "_slope", "counts", "rows")

    def __init__(self) -> None:
        self.rows = array("q")
        self.counts = array("f")
        self._slope = 0.0
        self._parts: Floats | None = None

    def add(self, row: int, count: float) -> None:
        self.rows.append(row)
        self.counts.append(count)
        self._parts = None

    def parts(self, lengths: Floats, slope: float) -> Floats:
        """What BM25 gives each row, between 0 and 1, where each word of a text's length costs `slope`."""
        import numpy as np

        if self._parts is None or self._slope != slope:
            counts = np.frombuffer(self.counts, np.float32)
            norms = np.float32(_K1 * (1 - _B)) + np.float32(slope) * lengths.take(np.frombuffer(self.rows, np.int64))
            self._parts, self._slope = (counts / (counts + norms)).astype(np.float32), slope
        return self._parts


class Shelf:
    """The texts of one owner: for each stem the rows that hold it and how often, and how long each text is in words.

    Taking a text out marks its row as dead; `put` sweeps when more than half are. Not thread-safe.
    """

    def __init__(self) -> None:
        self.names: list[str] = []  # by row
        self.lengths = array("f")  # 0: dead
        self.postings: dict[str, Posting] = {}
        self.words = 0
        self._rows: dict[str, int] = {}
        self._gone: Counter[str] = Counter()  # by term, how many of the rows that hold it are dead

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, name: str, terms: Counter[str]) -> None:
        if len(self.names) > 2 * len(self._rows) + _SWEEP:
            self._sweep()
        row = self._rows[name] = len(self.names)
        self.names.append(name)
        self.lengths.append(terms.total())
        self.words += terms.total()
        for term, count in terms.items():
            posting = self.postings.get(term)
            if posting is None:
                posting = self.postings[term] = Posting()
            posting.add(row, count)

    def take(self, name: str, terms: Counter[str]) -> None:
        row = self._rows.pop(name)
        self.words -= int(self.lengths[row])
        self.lengths[row] = 0
        self._gone.update(terms.keys())

    def holders(self, term: str) -> int:
        """How many texts hold a term."""
        return len(self.postings[term].rows) - self._gone[term] if term in self.postings else 0

    def _sweep(self) -> None:
        place = {row: n for n, row in enumerate(self._rows.values())}
        self.lengths = array("f", [self.lengths[row] for row in place])
        self.names = list(self._rows)
        self._rows = {name: n for n, name in enumerate(self._rows)}
        swept: dict[str, Posting] = {}
        for term, posting in self.postings.items():
            for row, count in zip(posting.rows, posting.counts, strict=True):
                if row in place:
                    swept.setdefault(term, Posting()).add(place[row], count)
        self.postings = swept
        self._gone = Counter()


def scores(asked: Sequence[str], shelves: Sequence[Shelf], most: int) -> dict[str, float]:
    """The texts that answer best, at most so many of a shelf: their BM25 by name, as a part of the best possible."""
    texts = sum(map(len, shelves))
    mean = max(1.0, sum(shelf.words for shelf in shelves) / max(1, texts))
    weights = _weights(asked, shelves, texts)
    best = sum(weights.values()) or 1.0
    found: dict[str, float] = {}
    for shelf in shelves:
        for row, score in _best(shelf, weights, most, _K1 * _B / mean):
            found[shelf.names[row]] = score / best
    return found


def _best(shelf: Shelf, weights: Mapping[str, float], most: int, slope: float) -> Iterator[tuple[int, float]]:
    """The rows of the best scores with these, at most so many; of equals those whose names come first, everywhere."""
    import numpy as np

    held = [(weight, posting) for term, weight in weights.items() if (posting := shelf.postings.get(term)) is not None]
    if not held or most < 1:
        return
    lengths = np.frombuffer(shelf.lengths, np.float32)
    rows = np.concatenate([np.frombuffer(posting.rows, np.int64) for _, posting in held])
    parts = [np.float32(weight) * posting.parts(lengths, slope) for weight, posting in held]
    sums = np.bincount(rows, np.concatenate(parts, dtype=np.float64), len(lengths))
    if len(shelf) < len(lengths):
        sums[lengths == 0] = 0.0
    (best,) = (sums > 0.7 * sums.max()).nonzero()  # most texts share a word or two: they need no sorting
    if len(best) < most:
        (best,) = sums.nonzero()
    those = sums[best]
    if len(best) > most:
        cut = np.partition(those, -most)[-most]
        equal = sorted(best[those == cut].tolist(), key=shelf.names.__getitem__)
        best = best[those > cut]
        best = np.concatenate([best, np.array(equal[: most - len(best)], np.intp)])
        those = sums[best]
    yield from zip(best.tolist(), those.tolist(), strict=True)


def _weights(asked: Sequence[str], shelves: Sequence[Shelf], texts: int) -> dict[str, float]:
    """What each term of a question is worth. One that a fifth of very many texts hold is worth nothing beside rarer."""
    held = sorted((sum(shelf.holders(term) for shelf in shelves), term) for term in asked)
    common = max(_COMMON, texts // 5, held[0][0] if held else 0)
    return {
        term: math.log(1 + max(0.0, texts - holders + 0.5) / (holders + 0.5)) * (_K1 + 1)
        for holders, term in held
        if holders <= common
    }


def holding(term: str, shelves: Sequence[Shelf]) -> list[str]:
    """The names of the newest texts that hold a term."""
    found = []
    for shelf in shelves:
        rows = shelf.postings[term].rows[-_LOOKS:] if term in shelf.postings else ()
        found += [shelf.names[row] for row in rows if shelf.lengths[row]]
    return found


def terms(text: str) -> Iterator[tuple[str, str]]:
    """The terms of a text, each with the word it came from: identifiers whole, words as stems."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text))
    for token in tokens:
        if _IDENTIFIER.search(token):
            yield token.casefold(), token
        for word in _WORD.findall(token):
            folded = word.casefold()
            if folded not in _STOP and not (word == token and is_identifier(folded)):
                yield stem(folded), word


def is_identifier(term: str) -> bool:
    return _IDENTIFIER.search(term) is not None


def stem(word: str) -> str:
    """The word without its English endings, so that "issues", "issued" and "issuing" meet."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    for ending, rest in _ENDINGS if word[-1] in "sdg" and not word.endswith("ss") else ():
        if word.endswith(ending):
            short = word.removesuffix(ending) + rest
            if len(short) >= 3 and _VOWEL.search(short):
                word = short
                break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] + "i" if word.endswith("y") else word
