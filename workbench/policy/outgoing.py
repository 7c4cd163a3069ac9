"""The one way out of a call, for the host function `http` and for the doors that libraries use.

    request ──▶ declared host? ──▶ no secret in it? ──▶ recorded? ──▶ key added ──▶ public address? ──▶ TLS for the name
    answer  ◀── kept and told  ◀── secrets taken out ◀── whole, within the limits

Redirects are answers and are not followed. A tool never sees a key, and sends none: what it puts into a header that
carries keys is refused, and a request that holds the value of any secret stays here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from workbench.core.errors import BudgetExceeded, Denied, ToolFailed, TransientError
from workbench.core.tools import Permissions, digest
from workbench.policy.recording import Received, Recorder
from workbench.policy.secrets import redactor
from workbench.policy.target import Resolve, Target, declared_host, declared_url, located

if TYPE_CHECKING:
    import httpx2

MAX_BYTES = 5_000_000
"""Of one request's body, and of one answer's."""
TIMEOUT = 30.0
"""Seconds for one exchange, from the look-up of the name to the last byte."""
MAX_EXCHANGES = 500
MAX_RECEIVED = 100_000_000
"""Exchanges, and bytes of all answers, of one call."""
_AT_ONCE = 8

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
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
_NOT_PASSED_ON = frozenset(
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
    }
)
"""Headers of an answer that belong to its connection, or that would give the tool a session of its own."""
_PLACEHOLDER = re.compile(r"[a-z_-]{0,19}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,200}")


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
    """An answer without any secret; header names in small letters, those of the connection left out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    def header(self, name: str) -> str:
        """The first header of that name, "" when there is none."""
        return next((value for given, value in self.headers if given == name), "")

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON; `from_json` gives the same bytes back."""
        try:
            body = {"text": self.content.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(self.content).decode("ascii")}
        return {"status": self.status, "headers": [list(pair) for pair in self.headers], **body}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answered:
        content = base64.b64decode(value["base64"]) if "base64" in value else str(value["text"]).encode("utf-8")
        headers = tuple((str(name), str(text)) for name, text in value["headers"])
        return cls(status=int(value["status"]), headers=headers, content=content)


def key_finder(secrets: Iterable[SecretStr]) -> Callable[[str], bool]:
    """A function that says whether a text holds one of the keys, in any encoding that `redactor` knows.

    A short word in small letters is no key: servers of one's own often want some text in its place ("ollama"), and a
    request may well hold that word.
    """
    keys = [secret for secret in secrets if not _PLACEHOLDER.fullmatch(secret.get_secret_value())]
    without_keys = redactor(keys)
    return lambda text: without_keys(text) != text


class WayOut:
    """The way out of one call.

    `secrets`: every secret that the host has, by name; the tool may name those that it declares, as
    `auth={"bearer": NAME, "hint": how to get one}`. `bases`: a declared host → the URL where the user has it served.
    Without a `recorder` nothing is told or kept. The other parameters are limits, and what tests replace.
    """

    def __init__(
        self,
        permissions: Permissions,
        secrets: Mapping[str, SecretStr],
        bases: Mapping[str, str],
        recorder: Recorder | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT,
        resolve: Resolve | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self._permissions = permissions
        self._secrets = secrets
        self._bases = bases
        self._recorder = recorder
        self._timeout = timeout
        self._resolve = resolve
        self._transport = transport
        self._redact = redactor(secrets.values())
        self._holds_key = key_finder(secrets.values())
        self._exchanges = self._received = 0
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def check(self, host: str, auth: Mapping[str, Any] | None) -> None:
        """Raises as `send` does for every request to that host with that key: Denied, or ToolFailed without the key."""
        declared_host(host, self._permissions)
        if self._recorder is None or self._recorder.recorded is None:
            self._authorization(auth)

    async def send(self, params: Mapping[str, Any]) -> Answered:
        """The answer to `{method, url, headers, json | body, auth}`. An error status is an answer, not a failure.

        Raises Denied for what the tool did not declare, TransientError when the network fails, BudgetExceeded when the
        call has used up its exchanges, ToolFailed otherwise.
        """
        request = self._request(params)
        self._admit()
        if self._recorder is None:
            return (await self._exchange(request, self._checked(request), params.get("auth")))[0]
        host = _host(request.url)
        async with self._recorder.exchange(
            service="http",
            host=host if host in map(str.lower, self._permissions.network) else "",  # any other text is the tool's
            method=request.method,
            request_sha256=request.sha256(),
            bytes_out=len(request.content),
        ) as exchange:
            url = self._checked(request)
            received = await exchange.recalled()
            if received is None:
                answered, size = await self._exchange(request, url, params.get("auth"))
                received = Received(value=answered.as_json(), bytes_in=size, status=answered.status)
            await exchange.keep(received)
        return Answered.from_json(received.value)

    def _request(self, params: Mapping[str, Any]) -> Outgoing:
        method = str(params.get("method", "GET")).upper()
        if method not in _METHODS:
            raise ToolFailed(f"http does not know the method {method[:20]!r}.")
        headers = {str(name).lower(): str(value) for name, value in (params.get("headers") or {}).items()}
        if taken := sorted(filter(is_ours, headers)):
            raise Denied(f"A tool may not set the header {taken[0]}.", hint='Keys are named: auth={"bearer": "NAME"}.')
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise ToolFailed(f"{name[:100]!r} is no header that can be sent.")
        body = params.get("body") or ""
        content = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
        if params.get("json") is not None:
            content = json.dumps(params["json"], allow_nan=False).encode()
            headers.setdefault("content-type", "application/json")
        if len(content) > self.max_bytes:
            raise ToolFailed(f"The request has {len(content):,} bytes; at most {self.max_bytes:,} are sent.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Denied("A tool may not send a compressed request.", hint="Nobody could look for secrets in it.")
        said = str(params["url"])
        return Outgoing(method=method, url=_canonical(said), said=said, headers=headers, content=content)

    def _admit(self) -> None:
        self._exchanges += 1
        if self._exchanges > MAX_EXCHANGES or self._received > MAX_RECEIVED:
            most = f"{MAX_EXCHANGES} requests and {MAX_RECEIVED // 1_000_000} MB of answers"
            raise BudgetExceeded(f"The call has used up its {most}.", hint="Ask for less at once.")

    def _checked(self, request: Outgoing) -> httpx2.URL:
        if any(map(self._holds_key, request.texts())):
            raise Denied("The request holds the value of a secret and was not sent.", hint="Name keys instead.")
        return declared_url(request.url, self._permissions)

    def _authorization(self, auth: Mapping[str, Any] | None) -> dict[str, str]:
        if not auth:
            return {}
        name = str(auth["bearer"])
        if name not in self._permissions.secrets:
            raise Denied(f"The tool does not declare the secret {name[:80]}.", hint="Add it to PERMISSIONS: secrets.")
        secret = self._secrets.get(name)
        if secret is None or not secret.get_secret_value().strip():
            raise ToolFailed(f"{name} is not set.", hint=str(auth.get("hint") or f"Set {name} and try again."))
        value = secret.get_secret_value().strip()
        if not (value.isascii() and value.isprintable()):
            raise ToolFailed(f"{name} holds characters that no key has.", hint=f"Copy the key into {name} again.")
        return {"authorization": f"Bearer {value}"}

    async def _exchange(
        self, request: Outgoing, url: httpx2.URL, auth: Mapping[str, Any] | None
    ) -> tuple[Answered, int]:
        """The answer, and how many bytes its body had."""
        # Compressed answers are not asked for: a small one could grow without end.
        headers = {**request.headers, **self._authorization(auth), "accept-encoding": "identity"}
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                target = await located(url, self._bases, self._resolve)
                response, data = await _fetched(request, headers, target, self.max_bytes, self._transport)
        except TimeoutError:
            raise TransientError(f"{url} did not answer within {self._timeout:g} seconds.") from None
        self._received += len(data)
        return self._cleaned(response, data), len(data)

    def _cleaned(self, response: httpx2.Response, data: bytes) -> Answered:
        text = self._redact(data.decode("utf-8", "surrogateescape"))
        headers = tuple(
            (name.lower(), self._redact(value))
            for name, value in response.headers.multi_items()
            if name.lower() not in _NOT_PASSED_ON and value.isascii() and value.isprintable()
        )
        return Answered(status=response.status_code, headers=headers, content=text.encode("utf-8", "surrogateescape"))


async def _fetched(
    request: Outgoing,
    headers: Mapping[str, str],
    target: Target,
    max_bytes: int,
    transport: httpx2.AsyncBaseTransport | None,
) -> tuple[httpx2.Response, bytes]:
    """The answer's head and body. Raises TransientError when the network fails."""
    import httpx2

    # The environment is not asked: a proxy named there would look the host up again and go where it likes.
    async with httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:
        built = client.build_request(
            request.method,
            target.url,
            headers={**headers, "host": target.sent_as},
            content=request.content or None,
            extensions=dict(target.extensions),
        )
        try:
            response = await client.send(built, stream=True)
            try:
                return response, await _read(response, max_bytes, target.host)
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise _failure(error, target) from None


async def _read(response: httpx2.Response, max_bytes: int, host: str) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ToolFailed(f"{host} sent a compressed answer, which was not asked for.")
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > max_bytes:
            raise ToolFailed(f"The answer of {host} is larger than {max_bytes:,} bytes.", hint="Ask for less.")
    return bytes(data)


def _failure(error: httpx2.TransportError, target: Target) -> ToolFailed | TransientError:
    import httpx2

    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ToolFailed(
            f"{target.host} shows a certificate that cannot be checked.",
            hint="Is a proxy in between, or this machine's clock wrong?",
        )
    if isinstance(error, httpx2.ConnectError):
        return TransientError(
            f"{target.host} cannot be reached.", hint="Is this machine online, and the address right?"
        )
    return TransientError(f"The answer of {target.host} was cut short.")


def _canonical(text: str) -> str:
    """The URL as it names what is asked for: without a fragment; text that is no URL as it is."""
    import httpx2

    try:
        return str(httpx2.URL(text).copy_with(fragment=None))
    except httpx2.InvalidURL:
        return text


def _host(text: str) -> str:
    """The host that a URL names, "" when it names none."""
    import httpx2

    try:
        return httpx2.URL(text).raw_host.decode("ascii")[:253]
    except httpx2.InvalidURL:
        return ""
