"""What a request's text must be before it is stored and sent; everything else in it stays byte for byte.

The request is the user's own, and models are used to odd text. So only that is taken out which nobody can have meant to
write, because no language, program or emoji has it:

    NUL and other control characters, except tab, line ends, form feed     halves of surrogate pairs (replaced)
    codes that colour a terminal or move its cursor                        tag characters outside of a flag
    a variation selector behind another                                    four or more zero-width characters in a row

What is unusual and can be meant is named and left as it is: direction and other invisible characters, and words that
look like the marks between the turns of a chat. Each change and each find is one note, and the user sees the notes.

None of this stops an injection. A text can ask for anything in plain words; what may then be done the policy decides.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from workbench.core import hidden
from workbench.core.errors import Refused

MAX_CHARACTERS = 200_000

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""All but tab, line ends (LF, VT, FF, CR, NEL)."""
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_TAGS = re.compile(f"({hidden.FLAG.pattern})|[\U000e0000-\U000e007f]+")
_SELECTORS = re.compile("([\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_RUN = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff]{4,}")
_MEANT = "\xad\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Soft hyphens and marks of direction, of which those that turn whole words have a note of their own."""
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TOKENS = re.compile(
    r"<[|\uff5c][a-z][\w \u2581-]{1,40}[|\uff5c]>"  # <|im_start|>, <|endoftext|>
    r"|<{1,2}/?(?:SYS|s|start_of_turn|end_of_turn|tool_output|tool_response|tool_call|system|assistant|human)>{1,2}"
    r"|\[/?INST\]",
    re.IGNORECASE,
)
_HEADERS = re.compile(
    r"^[#*\s]{0,6}(?:system|assistant|developer|tool)(?: (?:message|prompt))?[*\s]{0,3}:", re.IGNORECASE | re.MULTILINE
)
"""What servers and models put between the turns of a chat: as tokens of their own, and as headings."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text that every store and model takes. `notes` say what was changed or is odd, one line each; mostly there are
    none."""

    text: str
    notes: tuple[str, ...] = ()


def clean_prompt(text: str) -> Cleaned:
    """The text without what nobody can have meant to write, and notes on what is odd in it.

    Raises Refused when it is longer than `MAX_CHARACTERS`, or says nothing.
    """
    if len(text) > MAX_CHARACTERS:
        raise Refused(
            f"The request has {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken.",
            hint="Put the data into a variable and name it with @.",
        )
    notes = []
    whole = without_lone_surrogates(text)
    if whole != text:
        notes.append("Broken characters in the request were replaced by \N{REPLACEMENT CHARACTER}.")
    for name, pattern, kept in _REMOVED:
        shorter = pattern.sub(kept, whole)
        if shorter != whole:
            notes.append(f"{name} removed from the request: {len(whole) - len(shorter)}.")
            whole = shorter
    if not whole.strip():
        raise Refused("The request is empty.", hint="Say what you want, in words.")
    return Cleaned(whole, (*notes, *_odd(whole)))


def without_lone_surrogates(text: str) -> str:
    """Halves that stand together are one character again; a half that stands alone is replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_REMOVED: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("Terminal codes", _COLOURS, ""),
    ("Control characters", _CONTROL, ""),
    ("Hidden tag characters", _TAGS, r"\1"),
    ("Variation selectors without a character", _SELECTORS, r"\1"),
    ("Zero-width characters in rows", _RUN, ""),
)


def defused(text: str) -> str:
    """Text that others wrote, for a prompt: what a reader does not see is an escape, and so is the first character of a
    mark between turns. Servers turn `<|im_start|>` into the token that begins a turn, wherever it stands."""
    return _TOKENS.sub(lambda found: f"\\u{{{ord(found[0][0]):x}}}{found[0][1:]}", hidden.escaped(text))


def _odd(text: str) -> list[str]:
    """Notes on what stays in the text and is not seen, or looks like something that it is not."""
    notes = []
    if turned := len(_DIRECTIONS.findall(text)):
        notes.append(f"The request holds characters that turn its direction ({turned}); they were left.")
    unseen = () if text.isascii() else sorted({c for at, c in enumerate(text) if _is_unseen(text, at)})
    if unseen:
        names = ", ".join(f"U+{ord(c):04X}" for c in unseen[:5])
        notes.append(f"The request holds invisible characters ({names}); they were left.")
    found = (mark.strip() for pattern in (_TOKENS, _HEADERS) for mark in pattern.findall(text))
    if marks := list(dict.fromkeys(found)):
        named = ", ".join(hidden.escaped(mark) for mark in marks[:5])
        notes.append(f"The request holds what looks like a mark in a chat ({named}); it is sent as it stands.")
    return notes


def _is_unseen(text: str, at: int) -> bool:
    """Whether a format character stands there that shows nothing and shapes nothing."""
    c = text[at]
    return unicodedata.category(c) == "Cf" and c not in _MEANT and not _in_flag(c) and not hidden.is_shown(text, at)


def _in_flag(character: str) -> bool:
    # Those that are left after cleaning are parts of flags.
    return "\U000e0000" <= character <= "\U000e007f"
