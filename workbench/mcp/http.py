"""The way to an MCP server at an address: the SDK's streamable HTTP, over a client that counts and follows nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from workbench.mcp.bounds import Heard

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams


@asynccontextmanager
async def reached_at(url: str, token: str, seconds: float, heard: Heard) -> AsyncIterator[TransportStreams]:
    """A server at an address as the SDK's two streams. `token`: what it is shown as bearer, "" for none.
    `seconds`: how long it may say nothing."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(seconds, connect=10.0),
        transport=_counting(heard),
        trust_env=False,
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=heard.bounds.message) as streams,
    ):
        yield streams


def _counting(heard: Heard) -> httpx2.AsyncBaseTransport:
    import httpx2

    class Counted(httpx2.AsyncByteStream):
        """A body that ends with an error when the server says too much."""

        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._inner:
                # An event ends with an empty line; what is short of one is part of the one before.
                if not heard.take(len(piece), piece.count(b"\n\n") + piece.count(b"\r\n\r\n")):
                    raise httpx2.ReadError(heard.problem)
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Counting(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            request.headers["Accept-Encoding"] = "identity"  # a few bytes must not unpack to many
            response = await self._inner.handle_async_request(request)
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous transport
            response.stream = Counted(response.stream)
            return response

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Counting()
