"""Whether two texts say the same, and whether the newer takes the older's place.

Vectors cannot tell: "due on Monday" and "due on Tuesday" have a cosine of .96, more than many a paraphrase. So words
are looked at first. Texts that differ in a number, a name, a negation or one of two opposed words never say the same,
however near they are; nor do texts in which but one word stands for another that does not mean the same. Where nobody
compares meanings, only texts of the same words in the same order are the same. When in doubt, both are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from workbench.memory.lexical import stem

NEAR = 0.80
"""The cosine from which two texts may say the same."""

_REWORDED = 0.85
_SAME_WORD, _SAME_ROOT = 0.80, 0.50
_SUBJECT = 0.6
"""The part of two texts' other words that must be shared before one corrects the other."""

Likeness = Callable[[str, str], float]
"""The cosine of two words; 0 when nobody compares meanings."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*|\w+(?:['’]\w+)?|[%€$£]")
_NUMERALS = (
    *("zero", "one|once|single", "two|twice|double|both", "three|triple", "four", "five", "six", "seven", "eight"),
    *("nine", "ten", "eleven", "twelve"),
)
_NUMBERS = {word: str(number) for number, words in enumerate(_NUMERALS) for word in words.split("|")} | {
    "dozen": "12",
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "hundred": "100",
    "half": "0.5",
}
_NEGATIONS = _set(
    """not no never none nobody nothing neither nor without cannot except exclude excludes excluded excluding omit omits
    omitted ignore ignores ignored lack lacks lacking forbid forbids forbidden prohibited banned refuse refuses refused
    fail fails failed unless hardly"""
)
_LIGHT = _set(
    """a an the is are was were be been being am do does did has have had of to in on at for from by with as it its that
    this these those there which who when where we our us i my me you your they their them he she his her please note
    remember also just really generally so and or but if then than will would shall should can could may might must
    about towards into count counts"""
)
_FRAME = _set("recall recalled recalls memory memories according found say says said known fact summary noted")
"""Words in which a recalled text is passed on."""

_OPPOSED = tuple(
    frozenset(map(stem, group.split()))
    for group in (
        "monday tuesday wednesday thursday friday saturday sunday weekday weekend",
        "january february march april june july august september october november december",
        "second minute hour day week month quarter year", "hourly daily weekly monthly quarterly yearly annually",
        "up down", "before after until since", "minimum maximum", "least most", "more less fewer",
        "above below", "over under",
        "rise rises rose fall falls fell drop drops dropped", "increase decrease", "grow shrink", "gain lose loss",
        "first second third last", "start end", "begin finish", "open close", "left right",
        "high low", "higher lower", "large small", "larger smaller", "early late", "old new", "buy sell",
        "import export", "inside outside", "internal external", "true false", "on off", "with without", "always never",
        "allow forbid", "allowed forbidden", "enable disable", "enabled disabled", "include exclude",
        "public private", "input output", "read write", "upload download", "morning afternoon evening night",
        "north south east west", "cent euro dollar pound franc yen", "gram kilogram ton", "meter kilometer mile",
        "ascending descending", "male female", "credit debit", "mean median", "train test", "required optional",
    )
)  # fmt: skip
_CHANGED = re.compile(
    r"\b(?:now|no longer|any ?more|from now on|as of|instead|actually|correction|changed|moved to|switched to)\b",
    re.IGNORECASE,
)


def says_the_same(new: str, old: str, cosine: float | None = None, likeness: Likeness = lambda a, b: 0.0) -> bool:
    """Whether the newer text adds nothing. `cosine`: of their vectors, None when only letters are compared."""
    if _words(new) == _words(old):
        return not differences(new, old)
    if cosine is None or cosine < NEAR or differences(new, old):
        return False
    mine, theirs = _other_words(new, old), _other_words(old, new)
    if len(mine) == len(theirs) == 1 and _without(_words(new), mine) == _without(_words(old), theirs):
        return _is_the_same_word(mine[0], theirs[0], likeness)
    if bool(mine) != bool(theirs):
        # Who says one thing more says something else: "contains orders", "contains cancelled orders".
        return cosine >= _REWORDED and _shared(new, old) != _shared(old, new)
    return True


def wording(text: str) -> tuple[str, ...]:
    """What two texts of the same words in the same order have in common, whatever their endings and articles are."""
    return tuple(_words(text))


def takes_the_place_of(new: str, old: str) -> bool:
    """Whether the newer text says of itself that something has changed, and the older is about the same thing.

    Without such a word two texts that contradict each other may both be right, of different things: both are kept.
    """
    if not _CHANGED.search(new) or not differences(new, old) or _words(new) == _words(old):
        return False
    mine, theirs = _subject(_CHANGED.sub(" ", new)), _subject(_CHANGED.sub(" ", old))
    return bool(mine & theirs) and len(mine & theirs) >= _SUBJECT * max(len(mine), len(theirs))


def differences(one: str, other: str) -> list[str]:
    """In what two texts differ that no likeness makes up for, in words; empty when in nothing of that kind."""
    found = []
    if _numbers(one) != _numbers(other):
        found.append("a number")
    names = {stem(name) for name in _names(one) | _names(other)}
    ordered = [[word for word in map(stem, _folded(text)) if word in names] for text in (one, other)]
    if set(ordered[0]) != set(ordered[1]):
        found.append("a name")
    elif ordered[0] != ordered[1] and len(names) > 1:
        found.append("the order of names")
    if _negations(one) != _negations(other):
        found.append("a negation")
    stems = {stem(word) for word in _folded(one)}, {stem(word) for word in _folded(other)}
    for group in _OPPOSED:
        mine, theirs = stems[0] & group, stems[1] & group
        if mine != theirs and mine and theirs:
            found.append(f"{sorted(mine)[0]} and {sorted(theirs)[0]}")
    return found


def _without(words: Sequence[str], left_out: Sequence[str]) -> list[str]:
    gone = set(map(stem, left_out))
    return [word for word in words if word not in gone]


def _shared(text: str, other: str) -> list[str]:
    """The content words that the other text has too, as stems in their order here."""
    there = set(_words(other))
    return [word for word in map(stem, (w for w in _folded(text) if w not in _LIGHT | _NEGATIONS)) if word in there]


def _is_the_same_word(one: str, other: str, likeness: Likeness) -> bool:
    """Whether one may stand for the other: a synonym, or the same word in a form that endings do not explain (leads,
    led). "spain" and "france" are as near as many synonyms are, so likeness alone must be great."""
    near = likeness(one, other)
    return near >= _SAME_WORD or (near >= _SAME_ROOT and one[:2] == other[:2])


def _folded(text: str) -> list[str]:
    return [token.casefold() for token in _TOKEN.findall(text)]


def _words(text: str) -> list[str]:
    return [stem(word) for word in _folded(text) if word not in ("a", "an", "the", "please")]


def _other_words(text: str, other: str) -> list[str]:
    """The content words of a text that the other does not have in any form."""
    there = {stem(word) for word in _folded(other)}
    return [word for word in _folded(text) if word not in _LIGHT | _NEGATIONS and stem(word) not in there]


def _numbers(text: str) -> Counter[str]:
    """The numbers in a text, and the identifiers, which are numbers of things."""
    found: Counter[str] = Counter()
    for word in _folded(text):
        if word in _NUMBERS:
            found[_NUMBERS[word]] += 1
        elif word[0].isdigit() or any(c.isdigit() or c == "_" for c in word):
            found[word.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+", word) else word] += 1
    return found


def _names(text: str) -> set[str]:
    """What is written with a capital inside of a sentence, or in capitals anywhere."""
    names = set()
    for match in _TOKEN.finditer(text):
        word = match[0]
        before = text[: match.start()].rstrip()
        opens = not before or before[-1] in ".!?:"
        if any(c.isupper() for c in (word[1:] if opens else word)) and word != "I":
            names.add(word.casefold())
    return names


def _negations(text: str) -> int:
    return sum(word in _NEGATIONS or word.endswith(("n't", "n’t")) for word in _folded(text))


def _subject(text: str) -> set[str]:
    """The stems that say what a text is about: not numbers, names and opposed words, which are what may change."""
    names = _names(text)
    stems = {
        stem(word)
        for word in _folded(text)
        if word not in _LIGHT | _NEGATIONS | names and word not in _NUMBERS and not any(c.isdigit() for c in word)
    }
    return stems - frozenset().union(*_OPPOSED[:4])


def echoes(text: str, recalled: str) -> bool:
    """Whether a text only says again what was recalled, with or without words around it."""
    return not (set(_other_words(text, recalled)) - _FRAME) and not differences(text, recalled)


def closest(new: str, olds: Sequence[tuple[str, float | None]], likeness: Likeness) -> int | None:
    """The place of the first text that says the same as the new one; None when none does."""
    return next((n for n, (old, cosine) in enumerate(olds) if says_the_same(new, old, cosine, likeness)), None)
