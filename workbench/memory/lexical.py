"""Which texts share words with a question: BM25 over English stems, from RAM.

A token with a digit, `_` or `-` is an identifier and is kept whole besides its words. A question costs the same however
many texts there are: of a term that very many hold, only those texts are looked at that a rarer term has found, or the
newest when there is no rarer one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

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
_LOOKS = 2_500
"""How many texts a question may bring up; rare terms first."""


@dataclass(slots=True)
class Shelf:
    """The texts of one owner: postings by stem, and how long each text is in words."""

    postings: dict[str, dict[str, int]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    words: int = 0

    def put(self, name: str, terms: Counter[str]) -> None:
        for term, count in terms.items():
            self.postings.setdefault(term, {})[name] = count
        self.lengths[name] = terms.total()
        self.words += terms.total()

    def take(self, name: str, terms: Counter[str]) -> None:
        for term in terms:
            del self.postings[term][name]
        self.words -= self.lengths.pop(name)


def scores(asked: Sequence[str], shelves: Sequence[Shelf]) -> tuple[dict[str, float], float]:
    """The BM25 of each text that shares a term, by its name, and the best that could be."""
    texts = sum(len(shelf.lengths) for shelf in shelves)
    mean = max(1.0, sum(shelf.words for shelf in shelves) / max(1, texts))
    held = [(term, sum(len(shelf.postings.get(term, ())) for shelf in shelves)) for term in asked]
    found: dict[str, float] = {}
    before, base, slope = found.get, _K1 * (1 - _B), _K1 * _B / mean
    best, looks = 0.0, _LOOKS
    for term, holders in sorted(held, key=lambda pair: pair[1]):
        weight = math.log(1 + (texts - holders + 0.5) / (holders + 0.5)) * (_K1 + 1)
        best += weight
        for shelf in shelves:
            if posting := shelf.postings.get(term):
                lengths = shelf.lengths
                for name, count in _looked_at(posting, found, looks):
                    found[name] = before(name, 0.0) + weight * count / (count + base + slope * lengths[name])
        looks -= holders
    return found, best or 1.0


def _looked_at(posting: dict[str, int], found: Mapping[str, float], looks: int) -> Iterable[tuple[str, int]]:
    if len(posting) <= looks:
        return posting.items()
    if found:
        return [(name, posting[name]) for name in found if name in posting]
    return islice(reversed(posting.items()), looks)


def holding(term: str, shelves: Sequence[Shelf]) -> list[str]:
    """The names of the newest texts that hold a term."""
    return [name for shelf in shelves for name in islice(reversed(shelf.postings.get(term, {})), _LOOKS)]


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
