"""Takes the values of secrets out of text, in the encodings in which they leak: logs, answers of servers, errors.

A secret is known by its name and read once (`Secrets`). Each is looked for in all its forms: plain, in URLs, in JSON
and in quotes of Python, in HTML, in hex, and in base64 wherever in a longer text the secret stood. Who reads JSON, URLs
or HTML undoes the escape of any letter, also of one that needed none: so does the search. A value that was cut up,
encrypted, compressed or painted is not found: what must not leave is not handed out in the first place.

Nearly every text holds no secret, so what counts is how fast that is known: `in`, once for each form, is several times
faster than one pattern of all forms.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from workbench.policy.disguise import MAX_TEXT, bare, disguises

REDACTED = "[redacted]"
MIN_LENGTH = 6
"""Shorter values are no keys: taking out every "x" would spoil the text and protect nothing."""
_PLACEHOLDER = re.compile(r"[a-z_-]{0,19}")
_CHUNK = 1 << 20
_ESCAPED = re.compile(
    r"\\+(?:[uU]([0-9a-fA-F]{4})|[xX]([0-9a-fA-F]{2})|(/))|%([0-9a-fA-F]{2})|&#(?:[xX]0{0,8}([0-9a-fA-F]{1,4})|0{0,8}([0-9]{1,5}));?"
)
_ESCAPES = ("\\u", "\\U", "\\x", "\\X", "\\/", "%", "&#")
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")


class Secrets(Mapping[str, SecretStr]):
    """The secrets of this process by name, and the way to keep them out of what is shown and stored. Thread-safe.

    `look` gives the secret of a name that is not among `known`, None where there is none; it may block, and is asked
    once a name, by `read`.
    """

    def __init__(
        self, known: Mapping[str, SecretStr], look: Callable[[str], SecretStr | None] = lambda name: None
    ) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._asked = set(known)
        self._know(dict(known))

    def read(self, names: Iterable[str]) -> None:
        """Look up those of the names that nobody has asked for yet: from now on they are known, and taken out of
        text."""
        with self._lock:
            new = [name for name in names if name not in self._asked]
            self._asked.update(new)
            found = {name: secret for name in new if (secret := self._look(name)) is not None}
            if found:
                self._know(self._known | found)

    def _know(self, known: dict[str, SecretStr]) -> None:
        keys = [secret for secret in known.values() if not _PLACEHOLDER.fullmatch(secret.get_secret_value())]
        self._known, self._forms, self._keys = known, _Forms(known.values()), _Forms(keys)
        self._disguised = disguises(secret.get_secret_value().strip() for secret in keys)

    def redact(self, text: str) -> str:
        """The text with each secret replaced by `[redacted]`."""
        return self._forms.redact(text)

    def holds_key(self, text: str) -> bool:
        """Whether a text holds a secret, in any encoding that `redact` knows, or in disguise.

        A short word in small letters is no key: servers of one's own often want some text in its place ("ollama"), and
        a request may well hold that word.
        """
        if self._keys.spans(text):
            return True
        undressed = bare(text) if self._disguised and len(text) <= MAX_TEXT else ""
        return any(form in undressed for form in self._disguised)

    def begun(self, text: str) -> str:
        """The same for a text that is still coming: what may be the beginning of a secret is left off its end."""
        return self.chunks().feed(text)

    def redacted(self, value: Any) -> Any:
        """A JSON value with every text in it redacted, names of fields too."""
        return _each_text(value, self._forms.redact) if self._forms.all else value

    def chunks(self) -> Chunks:
        """For a text that arrives in pieces: no secret is missed because it was cut in two."""
        return Chunks(self._forms)

    def are_in(self, path: Path) -> bool:
        """Whether a file holds a secret, as it is or encoded. Reads the file piece by piece. Raises OSError."""
        return self._forms.are_in(path)

    def __getitem__(self, name: str) -> SecretStr:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Chunks:
    """Redacts a text that comes in pieces. A little of its end is kept back until it can no longer begin a secret."""

    def __init__(self, forms: _Forms) -> None:
        self._forms = forms
        self._kept = ""

    def feed(self, piece: str) -> str:
        """As much of the redacted text as is certain now."""
        self._kept += piece
        return self._give(self._forms.certain(self._kept))

    def end(self) -> str:
        """What was kept back."""
        return self._give(len(self._kept))

    def _give(self, most: int) -> str:
        spans = [span for span in self._forms.spans(self._kept) if span[0] < most]
        most = max(most, spans[-1][1] if spans else 0, 0)
        given, self._kept = _without(self._kept[:most], spans), self._kept[most:]
        return given


class _Forms:
    """How a set of secrets may look in a text. `plain` forms stand there as they are, `coded` ones in base64, in which
    two alphabets are in use: they are looked for after the second was turned into the first. `longest`, `shortest`:
    characters of a form, 1 when there are none."""

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        stripped = (secret.get_secret_value().strip() for secret in secrets)
        values = [value for value in stripped if len(value) >= MIN_LENGTH]
        self.plain = sorted({form for value in values for form in _forms(value)})
        self.coded = sorted({form for value in values for form in _coded(value)})
        self.all = [*self.plain, *self.coded]
        self.longest = max(map(len, self.all), default=1)
        self.shortest = min(map(len, self.all), default=1)

    def redact(self, text: str) -> str:
        return _without(text, self.spans(text))

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Where secrets stand, from left to right and apart; of two that begin together, the longer."""
        if len(text) < self.shortest:
            return ()
        spans = self._spans(text)
        if (undone := _undone(text)) is None:
            return spans
        found = self._spans(undone.text)
        return _merged([*spans, *((undone.at(start), undone.at(end)) for start, end in found)]) if found else spans

    def certain(self, text: str) -> int:
        """How many characters of a text that is still coming cannot belong to a secret that is not whole yet."""
        text_end = len(text) - 16 if any(mark in text[-16:] for mark in "\\%&") else len(text)  # an escape may be cut
        undone = _undone(text[: max(text_end, 0)])
        most = text_end - self.longest + 1
        return most if undone is None or most <= 0 else undone.at(max(len(undone.text) - self.longest + 1, 0))

    def _spans(self, text: str) -> list[tuple[int, int]]:
        coded = text.replace("-", "+").replace("_", "/")
        found = [(start, -len(form)) for form in self.plain if form in text for start in _starts(text, form)]
        found += [(start, -len(form)) for form in self.coded if form in coded for start in _starts(coded, form)]
        found.sort()
        spans: list[tuple[int, int]] = []
        for start, size in found:
            if not spans or start >= spans[-1][1]:
                spans.append((start, start - size))
        return spans

    def are_in(self, path: Path) -> bool:
        forms = [form.encode("utf-8", "surrogatepass") for form in self.plain]
        coded_forms = [form.encode("ascii") for form in self.coded]
        overlap = max(map(len, [*forms, *coded_forms]), default=1) - 1
        with path.open("rb") as file:
            data = b""
            while more := file.read(_CHUNK):
                data = data[len(data) - min(overlap, len(data)) :] + more
                coded = data.translate(_ONE_ALPHABET)
                if any(form in data for form in forms) or any(form in coded for form in coded_forms):
                    return True
        return False


@dataclass(frozen=True, slots=True)
class _Undone:
    """A text without its escapes. `here`, `there`: places in it, and where those were in the text with them."""

    text: str
    here: Sequence[int]
    there: Sequence[int]

    def at(self, place: int) -> int:
        """Where a place in the text was before."""
        known = bisect_right(self.here, place) - 1
        return self.there[known] + place - self.here[known]


def _undone(text: str) -> _Undone | None:
    """None when there is nothing to undo."""
    if not any(escape in text for escape in _ESCAPES):
        return None
    parts, here, there = list[str](), [0], [0]
    size = last = 0
    for found in _ESCAPED.finditer(text):
        unicode, byte, slash, percent, hexadecimal, decimal = found.groups()
        code = unicode or byte or percent or hexadecimal
        letter = slash or chr(int(code, 16) if code else int(decimal))
        parts += text[last : found.start()], letter
        size += found.start() - last
        here += size, size + 1
        there += found.start(), found.end()
        size, last = size + 1, found.end()
    return _Undone("".join([*parts, text[last:]]), here, there) if parts else None


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans from left to right, those that overlap as one."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _starts(text: str, form: str) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + 1)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    if not spans:
        return text
    ends = [0, *(end for _, end in spans)]
    return REDACTED.join(
        text[end:start] for end, start in zip(ends, [*(start for start, _ in spans), None], strict=True)
    )


def _forms(value: str) -> Iterator[str]:
    for spelled in (*_spelled(value), *_spelled(json.dumps(value)[1:-1])):
        for ascii_only in (True, False):
            form = spelled
            # JSON in a text of JSON, as a recorded answer is: what was escaped is escaped again.
            for _ in range(3):
                yield form
                form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]


def _spelled(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield data.decode("latin-1")  # UTF-8 that was read as if it were not
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(data)[2:-1]
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield data.hex()
    yield data.hex().upper()


def _coded(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        # In base64 a text looks different after 0, 1 or 2 other bytes. The characters that mix with a neighbour's bits
        # are left out of the form; those that remain name the secret.
        encoded = base64.b64encode(bytes(before) + data).rstrip(b"=").decode()
        yield encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key) if isinstance(key, str) else key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return value
