"""One request over the network to a place that was checked: whole, within its limits, asking nobody else the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from workbench.core.errors import ToolFailed, TransientError
from workbench.policy.messages import Outgoing
from workbench.policy.target import Target

if TYPE_CHECKING:
    import ssl

    import httpx2


async def fetched(
    request: Outgoing,
    headers: Mapping[str, str],
    target: Target,
    max_bytes: int,
    transport: httpx2.AsyncBaseTransport | None,
    *,
    cut: bool = False,
) -> tuple[httpx2.Response, bytes, bool]:
    """The answer's head and body, and whether the body was broken off at `max_bytes`, which happens with `cut`; without
    it an answer that is larger fails. Raises TransientError when the network fails."""
    import httpx2

    # The environment is not asked: a proxy named there would look the host up again and go where it likes.
    tls = await asyncio.to_thread(_tls)
    async with httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False, verify=tls) as client:
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
                return response, *await _read(response, max_bytes, target.host, cut)
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise _failure(error, target) from None


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted. Reading them takes longer than many a request."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


async def _read(response: httpx2.Response, max_bytes: int, host: str, cut: bool) -> tuple[bytes, bool]:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ToolFailed(f"{host} sent a compressed answer, which was not asked for.")
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > max_bytes and cut:
            return bytes(data[:max_bytes]), True
        if len(data) > max_bytes:
            raise ToolFailed(f"The answer of {host} is larger than {max_bytes:,} bytes.", hint="Ask for less.")
    return bytes(data), False


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
