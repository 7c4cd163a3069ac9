"""A request cut into words, and the small rules of spelling that requests and column names share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"""
      (?P<name>@[^\W\d]\w*)
    | (?P<quoted>"[^"\n]*"|“[^”\n]*”|(?<!\w)'[^'\n]*'(?!\w))
    | (?P<date>(?<![\w.-])\d{4}-\d{2}(?:-\d{2})?(?![\w-]))
    | (?P<number>(?:(?<![\w.)])-)?(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:k\b|(?!\w|\.\d)))
    | (?P<sign>>=|<=|!=|<>|==|[=<>≥≤≠])
    | (?P<not>n['’]t\b)
    | (?P<genitive>(?<=\w)['’]s?(?!\w))
    | (?P<hyphen>(?<=\w)[_-](?=\w))
    | (?P<word>[^\W_]+?(?=n['’]t\b)|[^\W_]+)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BREAKS = re.compile(r"[\W_]+")
_TWO_READINGS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
_SPELLED = {
    word: value
    for value, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
} | {"fifteen": 15, "twenty": 20, "fifty": 50}

_IRREGULAR = {
    "diagnoses": "diagnosis", "analyses": "analysis", "hypotheses": "hypothesis", "people": "person", "men": "man",
    "children": "child", "women": "woman", "indices": "index", "criteria": "criterion", "matrices": "matrix",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """One word, `start` to `end` in the text. `low` is casefolded, `stem` that without a plural ending.

    `kind` is one of: word; number (1,000 or 5k); date (2025-03-31 or 2025-03); quoted; name (@variable); sign (a
    comparison); mark (punctuation, or a character that means nothing here).
    """

    text: str
    kind: str
    start: int
    end: int
    low: str
    stem: str


def split(text: str) -> list[Word]:
    """The words of a request, in order. Hyphens and underscores part words; "isn't" is read as "is not"."""
    return list(_words(text))


def _words(text: str) -> Iterator[Word]:
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind in ("genitive", "hyphen"):
            continue
        if kind == "not":
            yield Word(found[0], "word", found.start(), found.end(), "not", "not")
            continue
        low = found[0].casefold()
        yield Word(found[0], kind, found.start(), found.end(), low, singular(low))


@lru_cache(maxsize=20_000)
def singular(word: str) -> str:
    """The word without its plural ending. Used on both sides of a comparison, so it need not be a word."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=20_000)
def name_parts(name: str) -> tuple[str, ...]:
    """The words of a column or table name, as stems: `unit_price`, `unitPrice` and "Unit Prices" give unit, price."""
    return tuple(singular(part.casefold()) for part in _PARTS.findall(_CAMEL.sub(" ", name)))


def plain(text: str) -> str:
    """A text as values are compared: casefolded, all but letters and digits as single spaces."""
    return _BREAKS.sub(" ", text.casefold()).strip()


def is_number_word(low: str) -> bool:
    return low in _SPELLED


def number(word: Word) -> int | float | None:
    """The number that a word spells. None when it spells none, or one that could be read in two ways (1.000)."""
    if word.kind != "number":
        return _SPELLED.get(word.low)
    if _TWO_READINGS.fullmatch(word.text):
        return None
    digits = word.low.replace(",", "")
    if digits.endswith("k"):
        value = float(digits[:-1]) * 1000
        return int(value) if value.is_integer() else value
    return float(digits) if "." in digits else int(digits)
