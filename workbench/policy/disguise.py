"""Finds a key that was dressed up to leave: backwards, shifted, spelled with blanks, in letters of another alphabet.

Only what is about to leave is looked at so closely; a key that was encrypted or sent in parts is not found. It is a
second look, behind the question that such a value raises anyway.
"""

from __future__ import annotations

import base64
import codecs
import unicodedata
from collections.abc import Iterable

MIN_LENGTH, MIN_DIGITS = 12, 3
"""Letters and digits of a key that is looked for so. A shorter one, or a password of words, may stand in any text."""
MAX_TEXT = 200_000
"""Characters of a text that is looked at so: the value of a parameter is shorter, a file takes too long."""
_ALIKE = str.maketrans("аеосрхуіѕјԁһкмтвнαεορκνυικτ", "aeocpxyisjdhkmtbhaeopkvuikt")


def bare(text: str) -> str:
    """The letters and digits of a text alone, small, each as it looks.

    >>> bare("K-e Y\u200b_\uff11\u0435")
    'key1e'
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_ALIKE)
    return "".join(letter for letter in folded if letter.isalnum())


def disguises(keys: Iterable[str]) -> list[str]:
    """What the bare text holds when one of the keys stands in it in disguise."""
    found: list[str] = []
    for key in keys:
        plain = bare(key)
        if len(plain) < MIN_LENGTH or sum(map(str.isdigit, plain)) < MIN_DIGITS:
            continue
        shifted = codecs.encode(plain, "rot13")
        found += plain, plain[::-1], shifted, shifted[::-1]
        for data in (key.encode(), key[::-1].encode()):
            found += data.hex(), data.hex()[::-1]
            # The last character also depends on what follows.
            found.append(bare(base64.b32encode(data).decode().rstrip("=")[:-1]))
    return found
