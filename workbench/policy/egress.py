"""The host function `http`: the only way out for a tool, to the hosts that it declares, with keys that it never sees.

    tool ──call("http", …)──▶ declared host? ──▶ public address? ──▶ key added ──▶ that address, TLS for that name

A name is looked up once, every address it has must be public, and the connection goes to the address that was checked.
Redirects are not followed. The one exception is the user's own setting (`bases`): where it sends a host elsewhere, to a
proxy or a test server on this machine, that place is trusted as it is.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from workbench.core.errors import Denied, ToolFailed, TransientError
from workbench.core.tools import Permissions
from workbench.policy.addresses import is_public
from workbench.policy.secrets import redactor
from workbench.sandbox.base import Service

if TYPE_CHECKING:
    import httpx2

MAX_BYTES = 5_000_000
TIMEOUT = 30.0
"""Seconds for one exchange, from the look-up of the name to the last byte."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name. Raises OSError when it has none."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_OURS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "accept-encoding",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that a tool may not set: they carry keys, or change where and how the request goes."""
_RETURNED = ("content-type", "date", "etag", "last-modified", "link", "location", "retry-after")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where a request goes: the address in `url`; `host` is the name that it is for, `sent_as` the Host header."""

    url: httpx2.URL
    host: str
    sent_as: str
    extensions: Mapping[str, Any]


def http_service(
    permissions: Permissions,
    secrets: Mapping[str, SecretStr],
    bases: Mapping[str, str],
    *,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT,
    resolve: Resolve | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Service:
    """The host function for one tool: `http(method, url, headers, json | body, auth)`.

    `secrets`: every secret that the host has, by name; the tool may name those that it declares, as
    `auth={"bearer": NAME, "hint": how to get one}`. `bases`: a declared host → the URL where the user has it served.

    Answers `{status, headers, retry_after, json, text}`: `json` when the answer says it is JSON, else `text`. An error
    status is an answer, not a failure. Raises Denied for what the tool did not declare, TransientError when the network
    fails, ToolFailed otherwise.
    """
    redact = redactor(secrets.values())

    async def http(params: Mapping[str, Any]) -> dict[str, Any]:
        request = _request(params, max_bytes)
        request.headers.update(_authorization(params.get("auth"), permissions, secrets))
        try:
            async with asyncio.timeout(timeout):
                target = await _target(str(params["url"]), permissions, bases, resolve or _resolve)
                response, data = await _exchange(request, target, max_bytes, transport)
        except TimeoutError:
            raise TransientError(f"{params['url']} did not answer within {timeout:g} seconds.") from None
        return _answer(response, redact(data.decode("utf-8", "replace")), redact, target.host)

    return http


def _request(params: Mapping[str, Any], max_bytes: int) -> _Request:
    method = str(params.get("method", "GET")).upper()
    if method not in _METHODS:
        raise ToolFailed(f"http does not know the method {method[:20]!r}.")
    headers = {str(name).lower(): str(value) for name, value in (params.get("headers") or {}).items()}
    if taken := sorted(name for name in headers if name in _OURS or name.startswith(("proxy-", "sec-"))):
        raise Denied(f"A tool may not set the header {taken[0]}.", hint='Keys are named: auth={"bearer": "NAME"}.')
    content = str(params.get("body") or "").encode()
    if params.get("json") is not None:
        content = json.dumps(params["json"], allow_nan=False).encode()
        headers.setdefault("content-type", "application/json")
    if len(content) > max_bytes:
        raise ToolFailed(f"The request has {len(content):,} bytes; at most {max_bytes:,} are sent.")
    # Compressed answers are not asked for: a small one could grow without end.
    headers = {"accept": "application/json, text/*", **headers, "accept-encoding": "identity"}
    return _Request(method=method, headers=headers, content=content)


def _authorization(
    auth: Mapping[str, Any] | None, permissions: Permissions, secrets: Mapping[str, SecretStr]
) -> dict[str, str]:
    if not auth:
        return {}
    name = str(auth["bearer"])
    if name not in permissions.secrets:
        raise Denied(f"The tool does not declare the secret {name[:80]}.", hint="Add it to PERMISSIONS: secrets.")
    secret = secrets.get(name)
    if secret is None or not secret.get_secret_value().strip():
        raise ToolFailed(f"{name} is not set.", hint=str(auth.get("hint") or f"Set {name} and try again."))
    value = secret.get_secret_value().strip()
    if not (value.isascii() and value.isprintable()):
        raise ToolFailed(f"{name} holds characters that no key has.", hint=f"Copy the key into {name} again.")
    return {"authorization": f"Bearer {value}"}


async def _target(text: str, permissions: Permissions, bases: Mapping[str, str], resolve: Resolve) -> _Target:
    """Where the request really goes. Raises Denied for what is not declared or not public."""
    import httpx2

    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ToolFailed(f"{text[:200]!r} is not a URL: {error}.") from None
    if url.scheme != "https" or url.userinfo or url.port not in (None, 443):
        raise Denied("A tool may only use plain https URLs: no other scheme, no other port, no name in front of @.")
    if url.host not in permissions.network:
        allowed = ", ".join(permissions.network) or "none"
        raise Denied(f"The tool does not declare the host {url.host[:200]}.", hint=f"It declares: {allowed}.")
    base = bases.get(url.host, "").rstrip("/")
    if base and base != f"https://{url.host}":
        moved = httpx2.URL(base + url.raw_path.decode("ascii"))
        if moved.scheme not in ("http", "https") or not moved.host:
            raise ToolFailed(f"{base[:200]!r}, set for {url.host}, is not a URL.", hint="Write http://… or https://….")
        return _Target(url=moved, host=f"{base} (for {url.host})", sent_as=moved.netloc.decode("ascii"), extensions={})
    try:
        addresses = await resolve(url.host)
    except OSError:
        raise TransientError(f"The name {url.host} cannot be looked up.", hint="Is this machine online?") from None
    if private := [address for address in addresses if not is_public(address)]:
        raise Denied(f"{url.host} leads to {private[0]}, which is not a public address.")
    return _Target(
        url=url.copy_with(host=addresses[0]),
        host=url.host,
        sent_as=url.host,
        extensions={"sni_hostname": url.host},  # the certificate must be that of the name, not of the address
    )


async def _resolve(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _exchange(
    request: _Request, target: _Target, max_bytes: int, transport: httpx2.AsyncBaseTransport | None
) -> tuple[httpx2.Response, bytes]:
    """The answer's head and body. Raises TransientError when the network fails."""
    import httpx2

    # The environment is not asked: a proxy named there would look the host up again and go where it likes.
    async with httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:
        built = client.build_request(
            request.method,
            target.url,
            headers=request.headers | {"host": target.sent_as},
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


def _answer(response: httpx2.Response, text: str, redact: Callable[[str], str], host: str) -> dict[str, Any]:
    headers = {name: redact(response.headers[name]) for name in _RETURNED if name in response.headers}
    answer: dict[str, Any] = {
        "status": response.status_code,
        "headers": headers,
        "retry_after": retry_after(headers.get("retry-after", ""), datetime.now(UTC)),
    }
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return answer | {"text": text}
    try:
        return answer | {"json": json.loads(text)}
    except (ValueError, RecursionError):
        if response.is_success:
            raise ToolFailed(f"{host} answered with JSON that cannot be read.") from None
        return answer | {"text": text}


def retry_after(value: str, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, in either of its forms; None when it does not say."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _failure(error: httpx2.TransportError, target: _Target) -> ToolFailed | TransientError:
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
