"""Requests that tools send and answers that they get, whichever library speaks: without keys, ready to be kept."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.tools import digest

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OURS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_INCIDENTAL = frozenset({"user-agent", "traceparent", "tracestate", "x-request-id", "idempotency-key"})
"""Headers that name the client or this very request, and say nothing about what is asked for."""
NOT_PASSED_ON = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-workbench-error",  # only the workbench says this
    }
)
"""Headers of an answer that belong to its connection, or that would give the tool a session of its own."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,200}")


def is_ours(header: str) -> bool:
    """Whether a header, in small letters, is set by the host alone: it carries keys, or changes where and how the
    request goes."""
    return header in _OURS or header.startswith(("proxy-", "sec-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as the tool means it: header names in small letters, no key among them. `said`: the URL in the tool's
    own letters."""

    method: str
    url: str
    said: str
    headers: Mapping[str, str]
    content: bytes

    def sha256(self) -> str:
        """What is asked for, as a hash."""
        headers = {
            name: value
            for name, value in self.headers.items()
            if name not in _INCIDENTAL and not name.startswith("x-stainless-")
        }
        content = hashlib.sha256(self.content).hexdigest()
        return digest({"method": self.method, "url": self.url, "headers": headers, "content": content})

    def texts(self) -> Iterator[str]:
        """Everything in it that could hold a secret."""
        yield self.said
        yield self.url
        yield from (f"{name}: {value}" for name, value in self.headers.items())
        yield self.content.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer without any secret; header names in small letters, those of the connection left out. `cut`: whether
    more would have come."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
    cut: bool = False

    def header(self, name: str) -> str:
        """The first header of that name, "" when there is none."""
        return next((value for given, value in self.headers if given == name), "")

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON; `from_json` gives the same bytes back."""
        try:
            body = {"text": self.content.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(self.content).decode("ascii")}
        more = {"cut": True} if self.cut else {}
        return {"status": self.status, "headers": [list(pair) for pair in self.headers], **body, **more}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answered:
        content = base64.b64decode(value["base64"]) if "base64" in value else str(value["text"]).encode("utf-8")
        headers = tuple((str(name), str(text)) for name, text in value["headers"])
        return cls(status=int(value["status"]), headers=headers, content=content, cut=value.get("cut") is True)


def canonical(text: str) -> str:
    """The URL as it names what is asked for: without a fragment; text that is no URL as it is."""
    import httpx2

    try:
        return str(httpx2.URL(text).copy_with(fragment=None))
    except httpx2.InvalidURL:
        return text


def named_host(text: str) -> str:
    """The host that a URL names, "" when it names none."""
    import httpx2

    try:
        return httpx2.URL(text).raw_host.decode("ascii")[:253]
    except httpx2.InvalidURL:
        return ""
