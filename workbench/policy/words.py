"""Whether a value is made of what the user wrote.

Values are compared word by word, never letter by letter: an address that is a piece of the user's address is another
address. Only the case of plain words is ignored; links, paths, addresses and numbers must be the very ones. Characters
that nobody sees make a value nobody's.

A value must also be written as people write: one blank between words, one mark after a word, one case in it. Else the
user's own words would carry any message: in how many blanks, marks or zeros there are, not in what they say.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from workbench.core import hidden

_UNSPACED = re.compile(
    # Scripts that put no space between words: here each letter is a word.
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    "|[^\\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+"
)
_AROUND = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb()[]{}<>\u3008\u3009\u300c\u300d\uff08\uff09"
_AFTER = ".,;:!?\u2026\u3002\u3001\uff0c\uff01\uff1f"
_MONEY = "$\u20ac\u00a3\u00a5%"
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,(?:\d{1,2}|\d{4,})")
_WRITTEN = re.compile(
    rf"[{re.escape(_AROUND + _MONEY)}]?[+-]?(?!0\d)[\d.,]{{1,40}}?[{re.escape(_AROUND + _AFTER + _MONEY)}]?"
)
_SPACED = re.compile(r"\S+(?:[ \n]\S+)*\n?")
_MIXED = re.compile(r"[^\W_]+")
_LOOK_LIKE_LATIN = frozenset(
    {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL", "LISU"}
)
_COUNTED = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_BRAILLE_BLANK = "\u2800"


class Wording:
    """The words of one request."""

    def __init__(self, request: str) -> None:
        self._request = request
        tokens = _tokens(request)
        self._forms = [_forms(token) for token in tokens]
        self._counts = Counter(_plain(token) for token in tokens)
        self._numbers = {number for token in tokens if (number := _number(token)) is not None}

    def has(self, value: Any, *, in_order: bool) -> bool:
        """Whether a JSON value is made of the request's words and numbers alone.

        `in_order`: as they stand there, next to each other; else each at most as often as it stands there. A list or an
        object is when all its keys and values are. Nothing (an empty text, None) is not, and neither is true or false.
        """
        match value:
            case None | bool():
                return False
            case str():
                return is_visible(value) and self._says(value, in_order)
            case int() | float():
                # Exactly: of a long account number each digit counts.
                return Decimal(value if isinstance(value, int) else repr(value)) in self._numbers
            case Mapping():
                return bool(value) and all(
                    self.has(key, in_order=in_order) and self.has(item, in_order=in_order)
                    for key, item in value.items()
                )
            case list() | tuple():
                return bool(value) and all(self.has(item, in_order=in_order) for item in value)
            case _:
                return False

    def _says(self, text: str, in_order: bool) -> bool:
        tokens = _tokens(text)
        if not tokens or not (_SPACED.fullmatch(text) or text in self._request):
            return False
        if len(tokens) == 1 and _as_written(tokens[0]) and _number(tokens[0]) in self._numbers:
            return True
        if in_order:
            last = len(self._forms) - len(tokens)
            return any(
                all(_is(token, self._forms[at + offset]) for offset, token in enumerate(tokens))
                for at in range(last + 1)
            )
        known = all(any(_is(token, forms) for forms in self._forms) for token in tokens)
        return known and not Counter(map(_plain, tokens)) - self._counts


def is_visible(text: str) -> bool:
    """Whether a person sees every character of a text. Stricter than what a cell shows: also a joiner that makes one
    emoji of two counts as hidden here."""
    return all(
        " " <= character <= "~" or character in "\n\t\r" or (hidden.is_plain(character) and character != _BRAILLE_BLANK)
        for character in text
    )


def visible(text: str) -> str:
    """The text with every character shown that would change how it reads: `\\u{200b}`.

    >>> visible("pay\u200b me")
    'pay\\\\u{200b} me'
    """
    return "".join(
        character
        if character == " " or (character.isprintable() and is_visible(character))
        else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def unmixed(text: str) -> str:
    """The text with the letters shown that look like Latin ones in a word that has those, too: `b\\u{43e}b`.

    >>> unmixed("b\u043eb@corp.example") == "b\\\\u{43e}b@corp.example"
    True
    """
    return _MIXED.sub(_named, text)


def _named(word: re.Match[str]) -> str:
    if word[0].isascii() or not any(_script(letter) == "LATIN" for letter in word[0]):
        return word[0]
    return "".join(
        f"\\u{{{ord(letter):x}}}" if letter.isalnum() and _script(letter) in _LOOK_LIKE_LATIN else letter
        for letter in word[0]
    )


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def leaves(value: Any) -> Iterator[Any]:
    """Every key and every scalar of a JSON value; what is neither JSON nor a container as it is."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield key
                yield from leaves(item)
        case list() | tuple():
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def _tokens(text: str) -> list[str]:
    return _UNSPACED.findall(unicodedata.normalize("NFC", text))


def _forms(token: str) -> frozenset[str]:
    """What a word of the request may be called: as it stands, and without what stands around it in a sentence."""
    bare = token
    while (inner := bare.strip(_AROUND).rstrip(_AFTER)) != bare:
        bare = inner
    forms = {token, token.rstrip(_AFTER), bare, bare.strip(_MONEY), bare.removesuffix("'s").removesuffix("\u2019s")}
    return frozenset(form for form in forms | {form.casefold() for form in forms if _is_word(form)} if form)


def _is(token: str, forms: frozenset[str]) -> bool:
    """Whether a word of a value is one of the request's. A mark that stands alone is a word of its own."""
    called = {token, token[:-1] if token[-1] in _AFTER else token, token.removesuffix("..."), _bare_link(token)} - {""}
    return any(name in forms or (_is_word(name) and _one_case(name) and name.casefold() in forms) for name in called)


def _plain(token: str) -> str:
    return _bare_link(token.strip(_AROUND + _AFTER + _MONEY)).casefold() or token


def _bare_link(token: str) -> str:
    """A link as people write it, who leave the scheme away."""
    return token.removeprefix("https://")


def _is_word(text: str) -> bool:
    """Whether a text is letters alone, so that its case says nothing."""
    return text.replace("'", "").replace("\u2019", "").isalpha()


def _one_case(word: str) -> bool:
    """Whether a word is all small, all capital, or begins with a capital."""
    return word[1:] in (word[1:].lower(), word[1:].upper())


def _as_written(token: str) -> bool:
    """Whether a number is written without padding: no zeros before it, at most one mark on each side."""
    return bool(_WRITTEN.fullmatch(token)) or token.isalpha()


def _number(token: str) -> Decimal | None:
    """The number that a word is, None when it is none: 1,250.5 and 12,5 and twelve; not the digits of a longer word."""
    bare = token.strip(_AROUND + _MONEY).rstrip(_AFTER).strip(_MONEY)
    if _NUMBER.fullmatch(bare):
        return Decimal(bare.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(bare):
        return Decimal(bare.replace(",", "."))
    return Decimal(_COUNTED.index(bare.casefold())) if bare.casefold() in _COUNTED else None
