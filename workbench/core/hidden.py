"""Which characters of a text a reader does not see, or sees where they do not stand.

Whole messages have been hidden from people and shown to models in them: in tag characters, in runs of zero-width
characters, in variation selectors. The same characters join emoji, and letters in the scripts of Iran and India, and
there they stay.
"""

from __future__ import annotations

import re
import unicodedata

TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Codes that colour a terminal, move its cursor, or name a link."""
FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,10}\U000e007f")
"""A flag that is spelled in tag characters, such as Scotland's."""
_JOINERS = "\u200c\u200d"
_STYLES = "\ufe0e\ufe0f"
"""Ask for the character before as text or as emoji."""
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing."""
_IDEOGRAPH = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff][\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_VISIBLE = frozenset("\n\t ")


def escaped(text: str) -> str:
    r"""The text with every character that is not seen as `\u{…}`; line ends and tabs stay.

    >>> print(escaped("a\u202eb"))
    a\u{202e}b
    """
    # What Python calls printable is seen wherever it stands, but for the letters that are blank: most texts end here.
    printable = text.replace("\n", "").replace("\t", "").isprintable()
    if printable and (text.isascii() or _BLANK.search(text) is None):
        return text
    shown = {at for found in _wholes(text) for at in range(*found)}
    return "".join(
        c if c in _VISIBLE or at in shown or is_shown(text, at) else f"\\u{{{ord(c):x}}}" for at, c in enumerate(text)
    )


def is_shown(text: str, at: int) -> bool:
    """Whether a reader sees the character that stands there, or it shapes one that they see."""
    character = text[at]
    if character in _JOINERS:
        return _joins(text, at - 1) and _joins(text, at + 1)
    if character in _STYLES:
        return at > 0 and (text[at - 1] in "#*0123456789" or _joins(text, at - 1)) and text[at - 1] not in _STYLES
    return is_plain(character)


def _wholes(text: str) -> list[tuple[int, int]]:
    """Where flags, and ideographs in a chosen form, stand: their invisible parts belong to them."""
    return [found.span() for pattern in (FLAG, _IDEOGRAPH) for found in pattern.finditer(text)]


def _joins(text: str, at: int) -> bool:
    """Whether a visible character that can be part of a joined one stands there."""
    return 0 <= at < len(text) and not text[at].isascii() and (text[at] in _STYLES or is_plain(text[at]))


def is_plain(character: str) -> bool:
    """Whether a reader sees the character, wherever it stands. A space counts as seen."""
    return (
        unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
        and _BLANK.match(character) is None
    )
