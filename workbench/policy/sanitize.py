"""What a request's text must be before it is stored and sent; everything else in it stays byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.errors import Refused

MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text that every store and model takes. `notes` say what was changed, one line each; mostly there are none."""

    text: str
    notes: tuple[str, ...] = ()


def clean_prompt(text: str) -> Cleaned:
    """The text without NUL and without halves of surrogate pairs, which no database and no JSON parser takes.

    Raises Refused when it is longer than `MAX_CHARACTERS`, or says nothing.
    """
    if len(text) > MAX_CHARACTERS:
        raise Refused(
            f"The request has {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken.",
            hint="Put the data into a variable and name it with @.",
        )
    notes = []
    if nuls := text.count("\0"):
        text = text.replace("\0", "")
        notes.append(f"NUL characters removed from the request: {nuls}.")
    whole = without_lone_surrogates(text)
    if whole != text:
        notes.append("Broken characters in the request were replaced by \N{REPLACEMENT CHARACTER}.")
    if not whole.strip():
        raise Refused("The request is empty.", hint="Say what you want, in words.")
    return Cleaned(whole, tuple(notes))


def without_lone_surrogates(text: str) -> str:
    """Halves that stand together are one character again; a half that stands alone is replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
