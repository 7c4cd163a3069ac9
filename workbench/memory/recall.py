"""Recall from RAM: the remembered texts that answer a question, by their words and by what they mean.

Two legs, added up: how near the vectors are, and a small part of what BM25 says. (Ranks added up in place of scores
lost half of the right answers.) A text that holds one of the question's identifiers comes before every text that does
not. What is newer or pinned is a little ahead. Each owner has shelves of its own, so that nobody's texts weigh in
anyone else's scores, and nobody's are found by anyone else.
"""

from __future__ import annotations

import heapq
import math
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.request import Scope
from workbench.memory.base import MEMORY_KINDS, Hit
from workbench.memory.embed import content_hash
from workbench.memory.lexical import Shelf, holding, is_identifier, scores, terms
from workbench.memory.vectors import Owner, Vectors

_CANDIDATES = 24
_WORDS = 0.03
"""What the best match of words adds to a cosine. Where vectors know letters only, words count as much as they do."""

_PIN, _NEW = 0.03, 0.01
_DAYS = 90.0
"""After so many days a memory is half as new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    hit: Hit
    owner: Owner
    terms: Counter[str]
    day: float
    same: tuple[Owner, str]
    run: str


class Recall:
    """What is remembered, searchable once `hear` has returned. Thread-safe; hearing an event twice changes nothing.

    `vectors`: for the second leg, None to go by words alone.
    """

    def __init__(self, vectors: Vectors | None = None) -> None:
        self.vectors = vectors
        self._guard = threading.Lock()
        self._shelves: dict[Owner, Shelf] = {}
        self._entries: dict[str, _Entry] = {}
        self._copies: dict[
            tuple[Owner, str], list[str]
        ] = {}  # by owner and content; the first is the one that is found
        self._closed: dict[str, str] = {}  # the id of a memory → of the one that took its place
        self._forgotten: set[str] = set()
        self._erased: set[str] = set()
        self._pins: dict[tuple[str, str], tuple[str, bool]] = {}  # user and id → when it was said, and whether pinned
        self._newest = 0.0

    def hear(self, event: AnyEvent) -> None:
        """Take in an event; only what was remembered, forgotten or pinned matters, and a malformed one does not."""
        if not isinstance(event, Event) or event.kind not in MEMORY_KINDS:
            return
        name = event.body.get("id")
        if not isinstance(name, str):
            return
        with self._guard:
            if event.kind is Kind.MEMORY_FORGOTTEN:
                self._forgotten.add(name)  # also before the text itself is heard of, from a slower journal
                self._lose(name)
            elif event.kind is Kind.MEMORY_PINNED:
                self._pin(name, event)
            elif name not in self._forgotten and name not in self._entries and event.run not in self._erased:
                self._put_in(name, event)

    def erase(self, runs: Collection[str]) -> None:
        """Lose what was remembered in these runs; what comes of them later is not taken in."""
        with self._guard:
            self._erased |= set(runs)
            for name in [name for name, entry in self._entries.items() if entry.run in runs]:
                self._lose(name)

    def search(self, question: str, scope: Scope, limit: int) -> list[Hit]:
        """The best texts of this user, of this workspace or of none, best first."""
        asked = dict(terms(question))
        owners = _owners(scope)
        most = max(_CANDIDATES, 2 * limit)
        identifiers = list(filter(is_identifier, asked))
        with self._guard:
            shelves = [self._shelves[owner] for owner in owners if owner in self._shelves]
            words = scores(list(asked), shelves, most)
            exact = Counter(name for term in identifiers for name in holding(term, shelves))
        if not shelves:
            return []
        words |= {name: 0.0 for name in exact if name not in words}
        near = self._near(owners, question, most, words) if question.strip() else None
        with self._guard:
            return self._ranked(asked, identifiers, words, exact, near, limit)

    def all(self, scope: Scope) -> list[Hit]:
        """All that is there in this scope, newest first, closed ones too."""
        owners = set(_owners(scope))
        with self._guard:
            entries = [entry for entry in self._entries.values() if entry.owner in owners]
            hits = [
                _with(entry.hit, closed_by=self._closed[name]) if self._is_closed(name := entry.hit.id) else entry.hit
                for entry in entries
            ]
        return sorted(hits, key=lambda hit: (hit.at, hit.id), reverse=True)

    def _put_in(self, name: str, event: Event) -> None:
        body, scope, text = event.body, event.body.get("scope"), event.body.get("text")
        if not isinstance(scope, Mapping) or not isinstance(text, str):
            return
        owner = tuple(str(scope.get(part, "")) for part in ("user", "workspace", "persona"))
        hit = Hit(
            id=name,
            text=text,
            score=0.0,
            why="",
            source=str(body.get("source") or (f"{event.run}/{event.step}" if event.step else event.run)),
            at=event.at,
            kind=str(body.get("memory_kind", "fact")),
            by=str(body.get("by", "")),
            pinned=self._pins.get((owner[0], name), ("", body.get("pinned") is True))[1],
        )
        found = Counter(sys.intern(term) for term, _ in terms(text))  # most texts are made of the same words
        entry = _Entry(
            hit=hit, owner=owner, terms=found, day=_day(event.at), same=(owner, content_hash(text)), run=event.run
        )
        self._entries[name] = entry
        self._newest = max(self._newest, entry.day)
        self._open(name)
        for old in _ids(body.get("closes")):
            self._closed[old] = name
            if self._is_closed(old):
                self._hide(old)

    def _lose(self, name: str) -> None:
        self._hide(name)
        self._entries.pop(name, None)
        for old in [old for old, closer in self._closed.items() if closer == name]:
            self._open(old)

    def _pin(self, name: str, event: Event) -> None:
        """Keep what was said last, also before the text itself is heard of, from a slower journal."""
        user, pinned = str(event.body.get("user", "")), event.body.get("pinned") is True
        if event.at < self._pins.get((user, name), ("", False))[0]:
            return
        self._pins[user, name] = event.at, pinned
        entry = self._entries.get(name)
        if entry is not None and entry.owner[0] == user:
            self._entries[name] = replace(entry, hit=replace(entry.hit, pinned=pinned))

    def _is_closed(self, name: str) -> bool:
        """Whether another memory of the same user took its place: nobody closes what somebody else remembers."""
        closer, entry = self._entries.get(self._closed.get(name, "")), self._entries.get(name)
        return closer is not None and entry is not None and closer.owner[0] == entry.owner[0]

    def _open(self, name: str) -> None:
        """Let a memory be found, unless another took its place or one that says the same is found already."""
        entry = self._entries.get(name)
        if entry is None or self._is_closed(name):
            return
        copies = self._copies.setdefault(entry.same, [])
        if name not in copies:
            copies.append(name)
            if len(copies) == 1:
                self._show(entry)

    def _show(self, entry: _Entry) -> None:
        self._shelves.setdefault(entry.owner, Shelf()).put(entry.hit.id, entry.terms)
        if self.vectors is not None:
            self.vectors.want(entry.owner, entry.hit.id, entry.hit.text)

    def _hide(self, name: str) -> None:
        entry = self._entries.get(name)
        copies = self._copies.get(entry.same, []) if entry is not None else []
        if entry is None or name not in copies:
            return
        was_shown = copies[0] == name
        copies.remove(name)
        if not copies:
            del self._copies[entry.same]
        if was_shown:
            self._shelves[entry.owner].take(name, entry.terms)
            if self.vectors is not None:
                self.vectors.drop(entry.owner, name)
            if copies:
                self._show(self._entries[copies[0]])

    def _near(
        self, owners: Sequence[Owner], question: str, most: int, likely: Iterable[str]
    ) -> Mapping[str, float] | None:
        if self.vectors is None:
            return None
        self.vectors.settle()
        return self.vectors.nearest(owners, question, most, likely)

    def _ranked(
        self,
        asked: Mapping[str, str],
        identifiers: Collection[str],
        words: Mapping[str, float],
        exact: Mapping[str, int],
        near: Mapping[str, float] | None,
        limit: int,
    ) -> list[Hit]:
        by_letters = self.vectors is None or near is None or self.vectors.embedder.lexical
        floor = 0.0 if self.vectors is None else self.vectors.embedder.floor
        best = max(words.values(), default=0.0) or 1.0
        cosines = near or {}

        names = [*words, *(name for name, cosine in cosines.items() if cosine >= floor and name not in words)]
        entries, newest, sure = self._entries, self._newest, []
        for name in names:
            if name not in entries:
                continue  # forgotten meanwhile
            relevance = word = words.get(name, 0.0)
            if near is not None:
                # A text whose vector is still being made stands where its words would put it.
                cosine = max(0.0, near.get(name, 0.5 * word))
                relevance = (cosine + word) / 2 if by_letters else (cosine + _WORDS * word / best) / (1 + _WORDS)
            # An identifier lifts a text into the upper half, where no number of shared words reaches.
            start, share = (0.5 + 0.4 * exact[name] / len(identifiers), 0.1) if name in exact else (0.0, 0.5)
            share /= 1 + _PIN + _NEW
            sure.append((start + share * relevance, share, name))
        # What is new or pinned is ahead by so little that most others need not be looked at.
        least = sorted(score for score, _, _ in sure)[-limit] - 0.5 * (_PIN + _NEW) if len(sure) > limit else 0.0
        ranked = []
        for score, share, name in sure:
            if score >= least:
                entry = entries[name]
                ahead = _PIN * entry.hit.pinned + _NEW * math.exp2((entry.day - newest) / _DAYS)
                ranked.append((-score - share * ahead, name))
        named = {term: asked[term] for term in identifiers}
        spoken = {term: word for term, word in asked.items() if term not in named}
        hits = []
        for least, name in heapq.nsmallest(limit, ranked):
            entry, found = entries[name], cosines.get(name)
            why = _why(entry, named, spoken, None if found is None or found < floor else found, by_letters)
            hits.append(_found(entry.hit, round(-least, 4), why, by_letters, found))
        return hits


def _owners(scope: Scope) -> list[Owner]:
    """Whose texts are seen: this user's, of this workspace or of none, of this persona or of none."""
    workspaces, personas = dict.fromkeys((scope.workspace, "")), dict.fromkeys((scope.persona, ""))
    return [(scope.user, workspace, persona) for workspace in workspaces for persona in personas]


def _why(
    entry: _Entry, named: Mapping[str, str], spoken: Mapping[str, str], cosine: float | None, by_letters: bool
) -> str:
    """What a text shares with the question, which names these identifiers and these other words."""
    legs, held = [], entry.terms
    if exact := [word for term, word in named.items() if term in held]:
        legs.append("exact: " + ", ".join(exact))
    if words := [word for term, word in spoken.items() if term in held]:
        legs.append("lexical: " + ", ".join(words))
    if cosine is not None:
        legs.append(f"{'spelling' if by_letters else 'meaning'} {cosine:.2f}")
    if entry.hit.pinned:
        legs.append("pinned")
    return "; ".join(legs)


def _found(hit: Hit, score: float, why: str, by_letters: bool, cosine: float | None) -> Hit:
    """A hit with how it was found; written out, for `replace` takes three times as long."""
    return Hit(
        id=hit.id,
        text=hit.text,
        score=score,
        why=why,
        source=hit.source,
        at=hit.at,
        kind=hit.kind,
        by=hit.by,
        pinned=hit.pinned,
        recall="lexical" if by_letters else "semantic",
        cosine=cosine,
    )


def _with(hit: Hit, **changes: object) -> Hit:
    return replace(hit, **changes)  # type: ignore[arg-type]  # each caller names fields of a hit


def _ids(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _day(at: str) -> float:
    """Days since 1970; 0 when the text is no time."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / 86_400
