"""Why a request is no question that the grammar reads: code, a pasted table, another language, an odd number or day.

It is only asked when there is no reading, to give the reason in one line instead of the first word without a place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from workbench.planners.grammar.words import Word, number

_CODE = re.compile(
    r"```|\w\.\w+\(|\bselect\b[^\n]*[(*,][^\n]*\bfrom\b|^\s*(?:import \w+ as |from \w+ import |def \w+\()",
    re.IGNORECASE | re.MULTILINE,
)
_DAY = re.compile(r"(?<!\d)\d{1,2}([/.])\d{1,2}\1\d{2,4}(?!\d)")
_MARKED = ("|", "\t")
"""Signs between the cells of a table that stand in no sentence; the others may."""
_FEWEST = 3
"""Unknown words in Latin letters, at least, before a request is said to be in another language."""


def reason(text: str, words: Sequence[Word], unknown: Sequence[int]) -> str | None:
    """The line that says what the request is; None when it looks like a question with a word too many."""
    if _CODE.search(text):
        return "The request holds code. The grammar reads one question in plain words."
    if _is_table(text):
        return "The request holds a pasted table. The grammar reads tables that are variables: load it, then ask."
    if found := _DAY.search(text):
        return f"Is {found[0]} a day of one month or of another? Write days as {date(2025, 3, 31)}."
    return _other_language(words, unknown) or _odd_number(words)


def _is_table(text: str) -> bool:
    """Whether lines are cut into the same number of cells: two that follow each other, or all where the sign is a comma
    or a semicolon."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(one.count(sign) == other.count(sign) > 0 for sign in _MARKED for one, other in pairwise(lines)):
        return True
    return len(lines) > 2 and any(
        len({line.count(sign) for line in lines} - {0}) == 1 and all(sign in line for line in lines) for sign in ";,"
    )


def _other_language(words: Sequence[Word], unknown: Sequence[int]) -> str | None:
    spoken = [word for word in words if word.kind == "word"]
    strange = [words[at].text for at in unknown if words[at].kind == "word"]
    foreign = any(not unicodedata.name(text[0], "LATIN").startswith("LATIN") for text in strange)
    if 2 * len(strange) < len(spoken) or not (foreign or len(strange) >= _FEWEST):
        return None
    said = ", ".join(f"“{text[:40]}”" for text in strange[:3])
    return f"Many words are not known here ({said}). The grammar reads short questions in English."


def _odd_number(words: Sequence[Word]) -> str | None:
    for word in words:
        if word.kind == "number" and number(word) is None:
            whole = word.text.replace(".", "")
            return f"Is {word.text} a whole number or a decimal one? Write {whole}, or one digit less or more."
        if word.kind == "date":
            try:
                date.fromisoformat(word.text if len(word.text) == 10 else f"{word.text}-01")
            except ValueError:
                return f"There is no day {word.text}." if len(word.text) == 10 else f"There is no month {word.text}."
    return None
