"""The way out for tools: the host function `http`. A tool names a host and a secret; this decides, and adds the key.

Only hosts that the tool's file declares, only https, never an address inside the user's network. What the user set as
their own base URL for a host (a proxy, a test server) is the user's word and may be plain or local.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from workbench.core.errors import Denied, ToolFailed, TransientError
from workbench.core.tools import Permissions
from workbench.policy.secrets import redactor

if TYPE_CHECKING:
    import httpx2

    from workbench.sandbox.base import Service

MAX_BYTES = 4_000_000
SECONDS = 30.0
METHODS = frozenset({"GET", "POST", "HEAD"})
HEADERS = frozenset({"accept", "accept-language", "content-type"})
HOW_TO_GET = {"TAVILY_API_KEY": "Get one at tavily.com, then set TAVILY_API_KEY before Jupyter starts."}


def http_service(
    permissions: Permissions,
    secrets: Mapping[str, SecretStr],
    bases: Mapping[str, str],
    *,
    max_bytes: int = MAX_BYTES,
    seconds: float = SECONDS,
) -> Service:
    """The host function `http` for a tool with these permissions.

    It takes {method, url, headers, json | body, auth: {"bearer": NAME}} and gives {status, headers, json | text,
    retry_after}. `bases`: declared host → the user's own base URL for it. Raises Denied for what was not declared,
    ToolFailed for a missing secret or too large an answer, TransientError when the other side cannot be reached.
    """
    redact = redactor(secrets.values())

    async def http(params: Mapping[str, Any]) -> Any:
        url, trusted = _target(str(params.get("url", "")), permissions, bases)
        method = str(params.get("method", "GET")).upper()
        if method not in METHODS:
            raise Denied(f"The method {method[:20]} is not allowed.")
        headers = {k: str(v) for k, v in (params.get("headers") or {}).items() if str(k).lower() in HEADERS}
        headers |= _auth(params.get("auth"), permissions, secrets)
        if not trusted:
            await _refuse_inside(urlsplit(url).hostname or "")
        content = params.get("body")
        if "json" in params:
            content, headers["content-type"] = json.dumps(params["json"]), "application/json"
        try:
            async with asyncio.timeout(seconds):
                status, answered, body = await _fetch(method, url, headers, content, max_bytes)
        except TimeoutError as error:
            raise TransientError(f"{urlsplit(url).hostname} did not answer in {seconds:g} s.") from error
        return _answer(status, answered, redact(body))

    return http


def _target(url: str, permissions: Permissions, bases: Mapping[str, str]) -> tuple[str, bool]:
    """The address to call and whether the user chose it themselves."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError as error:
        raise Denied("That is not an address.") from error
    if host not in permissions.network:
        raise Denied(
            f"The tool may not reach {host[:100] or 'that address'}.", hint="It declares its hosts in its file."
        )
    if parts.scheme != "https" or port not in (None, 443) or parts.username or parts.password:
        raise Denied("Tools reach other machines by https only.")
    if host in bases:
        base = urlsplit(bases[host])
        path = base.path.rstrip("/") + parts.path
        own = base.hostname != host or base.scheme != "https"
        return urlunsplit((base.scheme, base.netloc, path, parts.query, "")), own
    return url, False


def _auth(auth: Any, permissions: Permissions, secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    if not auth:
        return {}
    name = auth.get("bearer") if isinstance(auth, Mapping) else None
    if not isinstance(name, str) or name not in permissions.secrets:
        raise Denied("The tool may not use that key.", hint="It declares its secrets in its file.")
    secret = secrets.get(name)
    if secret is None or not secret.get_secret_value():
        raise ToolFailed(f"There is no {name}.", hint=HOW_TO_GET.get(name, f"Set {name} before Jupyter starts."))
    return {"authorization": f"Bearer {secret.get_secret_value()}"}


async def _refuse_inside(host: str) -> None:
    """Raise Denied when a name leads to an address that is not out on the internet."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(f"{host} cannot be found.", hint="Check the network.") from error
    for _, _, _, _, address in found:
        ip = ipaddress.ip_address(address[0])
        mapped = getattr(ip, "ipv4_mapped", None) or ip
        if not mapped.is_global or mapped.is_multicast:
            raise Denied(f"{host} leads to {ip}, inside this network.")


async def _fetch(
    method: str, url: str, headers: Mapping[str, str], content: Any, max_bytes: int
) -> tuple[int, httpx2.Headers, str]:
    import httpx2

    host = urlsplit(url).hostname
    try:
        async with (
            httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client,
            client.stream(method, url, headers=dict(headers), content=content) as answer,
        ):
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise ToolFailed(f"{host} answered with more than {max_bytes:,} bytes.")
            return answer.status_code, answer.headers, body.decode("utf-8", "replace")
    except (httpx2.TransportError, httpx2.StreamError) as error:
        why = str(error) or type(error).__name__
        raise TransientError(f"{host} cannot be reached: {why}.", hint="Check the network.") from error


def _answer(status: int, headers: Any, body: str) -> dict[str, Any]:
    kind = str(headers.get("content-type", ""))
    answer: dict[str, Any] = {"status": status, "headers": {"content-type": kind}}
    if (after := _seconds(headers.get("retry-after"))) is not None:
        answer["retry_after"] = after
    try:
        return {**answer, "json": json.loads(body)}
    except ValueError:
        return {**answer, "text": body}


def _seconds(value: str | None) -> float | None:
    """A Retry-After header in seconds from now, None when there is none or it makes no sense."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    from datetime import UTC, datetime

    return max(0.0, (when - datetime.now(UTC)).total_seconds())
