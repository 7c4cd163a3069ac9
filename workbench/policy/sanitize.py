"""Makes a request safe to store and to send, and says what it changed. It does not claim to stop injection."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.core.errors import Refused

MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A request as it goes on, and a line for each thing that was changed."""

    text: str
    notes: tuple[str, ...] = ()


def clean_prompt(text: str) -> Cleaned:
    """The text without what no store and no endpoint can carry: NUL characters and halves of surrogate pairs.

    Everything else stays byte for byte. Raises Refused when it is longer than `MAX_CHARACTERS` or says nothing.
    """
    if len(text) > MAX_CHARACTERS:
        raise Refused(
            f"The request has {len(text):,} characters; at most {MAX_CHARACTERS:,} can be taken.",
            hint="Put the data into a table or a file and name it.",
        )
    notes = []
    clean = text.replace("\x00", "")
    if len(clean) < len(text):
        notes.append("NUL characters were taken out of the request.")
    whole = re.sub(r"[\ud800-\udfff]", "\ufffd", clean)
    if whole != clean:
        notes.append("Broken characters in the request were replaced.")
    if not whole.strip():
        raise Refused("The request is empty.", hint="Say what you want, in words.")
    return Cleaned(whole, tuple(notes))
