"""Takes known secrets out of text, in the forms in which they leak."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

from pydantic import SecretStr

MARK = "[redacted]"
MIN_LENGTH = 4
"""Shorter values are no secrets, and redacting them would eat ordinary words."""


def redactor(secrets: Iterable[SecretStr]) -> Callable[[str], str]:
    """A function that replaces every one of the secrets in a text: plain, URL-quoted, JSON-escaped, hex, base64."""
    forms = {form for secret in secrets for form in _forms(secret.get_secret_value()) if len(form) >= MIN_LENGTH}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(MARK, text)


def _forms(value: str) -> set[str]:
    if len(value) < MIN_LENGTH:
        return set()
    data = value.encode()
    encoded = {value, quote(value, safe=""), json.dumps(value)[1:-1], data.hex(), data.hex().upper()}
    for lead in range(3):
        # Inside a longer text a secret starts at any of three places of a base64 group; only the edges differ.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            middle = encode(b"\0" * lead + data).decode().rstrip("=")
            encoded.add(middle[4 if lead else 0 : -1])
    return encoded
