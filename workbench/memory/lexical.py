"""Which texts share words with a question: BM25 over English stems, from RAM.

A token with a digit, `_` or `-` is an identifier and is kept whole besides its words. Rows and counts of a term are
arrays of numbers, so that a question over 100,000 texts is a few operations of numpy.
"""

from __future__ import annotations

import heapq
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

_TOKEN = re.compile(r"\w+(?:[-./]\w+)*")
_WORD = re.compile(r"[^\W_]+")
_IDENTIFIER = re.compile(r"[\d_-]")
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


class Shelf:
    """The texts of one owner: for each stem the rows that hold it and how often, and how long each text is in words.

    Taking a text out marks its row as dead; `put` sweeps when more than half are. Not thread-safe.
    """

    def __init__(self) -> None:
        self.names: list[str | None] = []  # by row; None: dead
        self.lengths = array("I")  # 0: dead
        self.postings: dict[str, tuple[array[int], array[int]]] = {}
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
            rows, counts = self.postings.setdefault(term, (array("I"), array("I")))
            rows.append(row)
            counts.append(count)

    def take(self, name: str, terms: Counter[str]) -> None:
        row = self._rows.pop(name)
        self.names[row] = None
        self.words -= self.lengths[row]
        self.lengths[row] = 0
        self._gone.update(terms.keys())

    def holders(self, term: str) -> int:
        """How many texts hold a term."""
        return len(self.postings[term][0]) - self._gone[term] if term in self.postings else 0

    def _sweep(self) -> None:
        place = {row: n for n, row in enumerate(self._rows.values())}
        self.lengths = array("I", [self.lengths[row] for row in place])
        self.names = list(self._rows)
        self._rows = {name: n for n, name in enumerate(self._rows)}
        swept = {}
        for term, (rows, counts) in self.postings.items():
            kept = [(place[row], count) for row, count in zip(rows, counts, strict=True) if row in place]
            if kept:
                swept[term] = (array("I", [row for row, _ in kept]), array("I", [count for _, count in kept]))
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
        for row, score in _best(shelf, weights, most, _K1 * (1 - _B), _K1 * _B / mean):
            found[str(shelf.names[row])] = score / best
    return found


def _best(
    shelf: Shelf, weights: Mapping[str, float], most: int, base: float, slope: float
) -> Iterator[tuple[int, float]]:
    """The rows of the best scores with these, at most so many; of equals those whose names come first, everywhere."""
    import numpy as np

    held = [(weight, *shelf.postings[term]) for term, weight in weights.items() if term in shelf.postings]
    if not held or most < 1:
        return
    # All terms in one go: each operation of numpy costs as much as a thousand texts do.
    rows = np.concatenate([np.frombuffer(rows, np.uint32) for _, rows, _ in held])
    counts = np.concatenate([np.frombuffer(counts, np.uint32) for _, _, counts in held]).astype(np.float32)
    weight = np.repeat(np.array([weight for weight, _, _ in held], np.float32), [len(rows) for _, rows, _ in held])
    lengths = np.frombuffer(shelf.lengths, np.uint32)
    norms = np.float32(base) + np.float32(slope) * lengths[rows].astype(np.float32)
    sums = np.bincount(rows, weight * counts / (counts + norms), len(lengths))
    if len(shelf) < len(lengths):
        sums[lengths == 0] = 0.0
    cut, best = 0.0, np.flatnonzero(sums > 0.7 * sums.max())  # most texts share a word or two: they need no sorting
    if len(best) < most:
        best = np.flatnonzero(sums)
    if len(best) > most:
        cut = np.partition(sums[best], -most)[-most]
        best = best[sums[best] > cut]
    if cut > 0:
        equal = np.flatnonzero(sums == cut).tolist()
        named = heapq.nsmallest(most - len(best), equal, key=lambda row: shelf.names[row] or "")
        best = np.concatenate([best, np.array(named, np.int64)])
    yield from zip(best.tolist(), sums[best].tolist(), strict=True)


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
        rows = shelf.postings[term][0][-_LOOKS:] if term in shelf.postings else ()
        found += [name for row in rows if (name := shelf.names[row]) is not None]
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
    for ending, rest in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        short = word.removesuffix(ending) + rest
        if word.endswith(ending) and not word.endswith("ss") and len(short) >= 3 and re.search(r"[aeiouy]", short):
            word = short
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] + "i" if word.endswith("y") else word
