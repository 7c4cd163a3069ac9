"""Lexical recall from RAM: which remembered texts share words with a question.

BM25 over English stems, per owner, so that nobody's texts weigh in anyone else's scores. A token with a digit, `_` or
`-` is an identifier: a text that holds one of the question's identifiers comes before every text that does not.
Embeddings join here later, as a second leg whose scores are added to this one's.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.request import Scope
from workbench.memory.base import Hit

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


@dataclass(slots=True)
class _Shelf:
    """The texts of one owner: postings by stem, and how long each text is in words."""

    postings: dict[str, dict[str, int]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    text: str
    source: str
    at: str
    terms: Counter[str]
    shelf: _Shelf


class Recall:
    """What is remembered, searchable once `hear` has returned. Thread-safe; hearing an event twice changes nothing."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._entries: dict[str, _Entry] = {}
        self._forgotten: set[str] = set()

    def hear(self, event: AnyEvent) -> None:
        """Take in an event; only what was remembered or forgotten matters, and a malformed one does not."""
        if not isinstance(event, Event) or event.kind not in (Kind.MEMORY_WRITTEN, Kind.MEMORY_FORGOTTEN):
            return
        name = event.body.get("id")
        if not isinstance(name, str):
            return
        with self._guard:
            if event.kind is Kind.MEMORY_FORGOTTEN:
                self._forgotten.add(name)  # also before the text itself is heard of, from a slower journal
                self._take_out(name)
            elif name not in self._forgotten and name not in self._entries:
                self._put_in(name, event)

    def search(self, question: str, scope: Scope, limit: int) -> list[Hit]:
        """The best texts of this user, of this workspace or of none, best first."""
        asked = dict(_terms(question))
        with self._guard:
            shelves = [
                shelf
                for workspace in dict.fromkeys((scope.workspace, ""))
                if (shelf := self._shelves.get((scope.user, workspace))) is not None
            ]
            hits = _ranked(asked, shelves)[: max(0, limit)]
            return [self._hit(name, score, matched, asked) for score, name, matched in hits]

    def _put_in(self, name: str, event: Event) -> None:
        scope, text = event.body.get("scope"), event.body.get("text")
        if not isinstance(scope, Mapping) or not isinstance(text, str):
            return
        shelf = self._shelves.setdefault((str(scope.get("user", "")), str(scope.get("workspace", ""))), _Shelf())
        terms = Counter(stem for stem, _ in _terms(text))
        source = str(event.body.get("source") or (f"{event.run}/{event.step}" if event.step else event.run))
        self._entries[name] = _Entry(text=text, source=source, at=event.at, terms=terms, shelf=shelf)
        for term, count in terms.items():
            shelf.postings.setdefault(term, {})[name] = count
        shelf.lengths[name] = terms.total()
        shelf.words += terms.total()

    def _take_out(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        for term in entry.terms:
            del entry.shelf.postings[term][name]
        entry.shelf.words -= entry.shelf.lengths.pop(name)

    def _hit(self, name: str, score: float, matched: list[str], asked: Mapping[str, str]) -> Hit:
        entry = self._entries[name]
        exact = [asked[term] for term in matched if _is_identifier(term)]
        words = [asked[term] for term in matched if not _is_identifier(term)]
        legs = [f"{leg}: {', '.join(found)}" for leg, found in (("exact", exact), ("lexical", words)) if found]
        return Hit(
            id=name, text=entry.text, score=round(score, 4), why="; ".join(legs), source=entry.source, at=entry.at
        )


def _ranked(asked: Mapping[str, str], shelves: list[_Shelf]) -> list[tuple[float, str, list[str]]]:
    """Score, id and matched terms of every text that shares a term, best first; scores are in 0..1."""
    texts = sum(len(shelf.lengths) for shelf in shelves)
    mean = max(1.0, sum(shelf.words for shelf in shelves) / max(1, texts))
    lexical: dict[str, float] = {}
    exact: dict[str, int] = {}
    matched: dict[str, list[str]] = {}
    best = 0.0
    for term in asked:
        postings = [(shelf, shelf.postings[term]) for shelf in shelves if term in shelf.postings]
        holders = sum(len(posting) for _, posting in postings)
        weight = math.log(1 + (texts - holders + 0.5) / (holders + 0.5))
        best += weight * (_K1 + 1)
        for shelf, posting in postings:
            for name, count in posting.items():
                norm = _K1 * (1 - _B + _B * shelf.lengths[name] / mean)
                lexical[name] = lexical.get(name, 0.0) + weight * count * (_K1 + 1) / (count + norm)
                exact[name] = exact.get(name, 0) + _is_identifier(term)
                matched.setdefault(name, []).append(term)
    identifiers = max(1, sum(map(_is_identifier, asked)))

    def score(name: str) -> float:
        part = lexical[name] / best
        # An identifier lifts a text into the upper half, where no number of shared words reaches.
        return 0.5 + 0.4 * exact[name] / identifiers + 0.1 * part if exact[name] else 0.5 * part

    return sorted(((score(name), name, matched[name]) for name in lexical), key=lambda hit: (-hit[0], hit[1]))


def _terms(text: str) -> Iterator[tuple[str, str]]:
    """The terms of a text, each with the word it came from: identifiers whole, words as stems."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text))
    for token in tokens:
        if _IDENTIFIER.search(token):
            yield token.casefold(), token
        for word in _WORD.findall(token):
            folded = word.casefold()
            if folded not in _STOP and not (word == token and _is_identifier(folded)):
                yield stem(folded), word


def _is_identifier(term: str) -> bool:
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
