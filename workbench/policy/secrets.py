"""Takes the values of secrets out of text, in the encodings in which they leak: logs, answers of servers, errors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

REDACTED = "[redacted]"
MIN_LENGTH = 6
"""Shorter values are no keys: taking out every "x" would spoil the text and protect nothing."""


def redactor(secrets: Iterable[SecretStr]) -> Callable[[str], str]:
    """A function that replaces each secret by `[redacted]`: plain, in URLs, in JSON, in hex, and in base64 wherever in
    a longer text the secret stood."""
    values = [secret.get_secret_value() for secret in secrets]
    forms = {form for value in values if len(value) >= MIN_LENGTH for form in _forms(value)}
    if not forms:
        return lambda text: text
    # Longest first: no form may leave the rest of a longer one behind.
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form))))
    return lambda text: pattern.sub(REDACTED, text)


def _forms(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield quote(data, safe="")
    yield quote(data)
    yield quote_plus(data)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        # In base64 a text looks different after 0, 1 or 2 other bytes. The characters that mix with a neighbour's bits
        # are left out of the form; those that remain name the secret.
        encoded = base64.b64encode(bytes(before) + data).rstrip(b"=").decode()
        whole = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
