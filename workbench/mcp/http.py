"""The way to an MCP server at an address: the SDK's streamable HTTP, over a client that counts and follows nothing.

Each call is an exchange of its own, and what goes wrong with one is told to that one: the SDK would end them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from workbench.mcp.bounds import Heard

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams


@asynccontextmanager
async def reached_at(url: str, token: str, heard: Heard) -> AsyncIterator[TransportStreams]:
    """A server at an address as the SDK's two streams. `token`: what it is shown as bearer, "" for none. How long it
    may say nothing is the affair of each call."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(None, connect=10.0),
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
    from mcp_types import CONNECTION_CLOSED

    class Counted(httpx2.AsyncByteStream):
        """A body that ends with an error when the server says too much."""

        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._inner:
                    # An event ends with an empty line; what is short of one is part of the one before.
                    if not heard.take(len(piece), piece.count(b"\n\n") + piece.count(b"\r\n\r\n")):
                        raise httpx2.StreamError(heard.problem)
                    yield piece
            except httpx2.TransportError as error:
                raise httpx2.StreamError(_said(error)) from error

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Counting(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            request.headers["Accept-Encoding"] = "identity"  # a few bytes must not unpack to many
            if request.method == "DELETE":
                return await self._farewell(request)
            try:
                response = await self._inner.handle_async_request(request)
            except httpx2.TransportError as error:
                return self._broken_off(request, error)
            if response.status_code in (400, 404) and "mcp-session-id" in request.headers:
                heard.lost = True  # the one is what the protocol wants, the other what servers say
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous transport
            response.stream = Counted(response.stream)
            return response

        async def _farewell(self, request: httpx2.Request) -> httpx2.Response:
            """Have the server forget the session. Nobody waits for what it says to that."""
            patience = httpx2.Timeout(heard.bounds.patience).as_dict()
            request.extensions = {**request.extensions, "timeout": patience}
            with suppress(httpx2.TransportError):
                await (await self._inner.handle_async_request(request)).aclose()
            return httpx2.Response(204, request=request)

        def _broken_off(self, request: httpx2.Request, error: httpx2.TransportError) -> httpx2.Response:
            """An error for the one who asked."""
            said = _said(error)
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                heard.over, heard.last_words = True, f"it cannot be reached ({said})".encode()
            told = {"jsonrpc": "2.0", "id": None, "error": {"code": CONNECTION_CLOSED, "message": said}}
            return httpx2.Response(502, json=told, request=request)

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Counting()


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
