"""A conversation with one MCP server: one call at a time, each after a look at what the server says it can do.

A task of its own owns the connection, because the SDK wants it closed where it was opened. Whatever the server does, a
call ends with a result or with `Broken`, and then the session is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import ToolFailed, Unavailable, WorkbenchError
from workbench.mcp.bounds import Heard
from workbench.mcp.listing import MAX_TOOLS

if TYPE_CHECKING:
    import mcp_types as types
    from mcp import Client
    from mcp.client._transport import TransportStreams

T = TypeVar("T")
Elicit = Callable[[Any], Awaitable[Any]]
"""Answers a question of the server: the SDK's parameters in, its result out."""
_PAGES = 20


class Broken(ToolFailed):
    """The server is gone, or says what it may not: the session is over."""


def needed() -> None:
    """Raises Unavailable when the SDK is not installed."""
    try:
        import mcp  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise Unavailable("MCP servers need the package mcp.", hint="pip install 'agent-workbench[mcp]'") from error


class Session:
    """`way` opens the connection, `heard` is what it counts. Belongs to the event loop that it was started on."""

    def __init__(self, name: str, way: AbstractAsyncContextManager[TransportStreams], heard: Heard) -> None:
        self._name = name
        self._way = way
        self._heard = heard
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {name}")
        self._elicit: Elicit | None = None
        self.idle_since = float("inf")
        """When the last call ended, by the loop's clock; infinite while one is made."""

    @property
    def over(self) -> bool:
        return self._heard.over or self._owner.done() or self._stop.is_set()

    async def _own(self) -> None:
        from mcp import Client
        from mcp.types import Implementation

        from workbench import __version__

        try:
            client = Client(
                self._way,
                elicitation_callback=self._asked,
                client_info=Implementation(name="agent-workbench", version=__version__),
                cache=None,
            )
            async with client:
                if not self._ready.done():
                    self._ready.set_result(client)
                await self._stop.wait()
        except BaseException as error:
            self._heard.over = True
            if not self._ready.done():
                self._ready.set_exception(self._broken(error) if isinstance(error, Exception) else Broken("stopped"))
                self._ready.exception()  # somebody may have stopped waiting
            if not isinstance(error, Exception):
                raise

    async def _asked(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        from mcp.types import ElicitResult

        if self._elicit is None:
            return ElicitResult(action="cancel")
        answer: ElicitResult = await self._elicit(params)
        return answer

    async def listing(self) -> list[dict[str, Any]]:
        """All that the server says of its tools, as JSON. Raises Broken, ToolFailed."""
        async with self._turn:
            self._heard.begin()
            return await self._listing()

    async def _listing(self) -> list[dict[str, Any]]:
        client = await self._client()
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._said(client.list_tools(cursor=cursor))
            found += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None or len(found) > MAX_TOOLS:
                break
        if cursor is not None or len(found) > MAX_TOOLS:
            raise ToolFailed(f"The MCP server {self._name} lists more than {MAX_TOOLS} tools.")
        return found

    async def call(
        self,
        tool: str,
        params: Mapping[str, Any],
        *,
        check: Callable[[Sequence[Mapping[str, Any]]], None],
        line: Callable[[str], None],
        elicit: Elicit,
    ) -> types.CallToolResult:
        """What a tool gives. `check` sees the listing of this moment first and raises when it is not as it should
        be; `line` hears how far it is.

        Raises Broken, ToolFailed.
        """

        async def told(progress: float, total: float | None, message: str | None) -> None:
            line(message or (f"{progress:g} of {total:g}" if total else f"{progress:g}"))

        async with self._turn:
            self._heard.begin()
            self._elicit, self.idle_since = elicit, float("inf")
            try:
                check(await self._listing())
                client = await self._client()
                return await self._said(client.call_tool(tool, dict(params), progress_callback=told))
            finally:
                self._elicit, self.idle_since = None, asyncio.get_running_loop().time()

    async def _client(self) -> Client:
        if self._ready.done():
            return self._ready.result()
        try:
            async with asyncio.timeout(self._heard.bounds.start):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            await self.close()
            raise Broken(
                f"The MCP server {self._name} did not answer within {self._heard.bounds.start:g} seconds."
            ) from None

    async def _said(self, asking: Awaitable[T]) -> T:
        """An answer of the server. Raises Broken when the connection is lost, ToolFailed for an error it reports."""
        from mcp.shared.exceptions import MCPError

        try:
            return await asking
        except WorkbenchError:
            raise
        except MCPError as error:
            await asyncio.sleep(0)
            if self.over or self._heard.problem:
                raise self._broken(error) from error
            raise ToolFailed(f"The MCP server {self._name} says: {_line(error)}") from error
        except Exception as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> Broken:
        if isinstance(error, WorkbenchError):
            return Broken(error.message, hint=error.hint)
        if self._heard.problem:
            return Broken(f"The MCP server {self._name} was stopped: {self._heard.problem}.")
        if self._heard.over:
            return Broken(f"The MCP server {self._name} is gone: {self._heard.ended()}.")
        return Broken(
            f"The MCP server {self._name} answers what the protocol or its own schema does not allow: {_line(error)}"
        )

    def stop(self) -> None:
        """Have the connection end; on its own event loop."""
        self._stop.set()

    async def close(self) -> None:
        """End the connection and all that was started for it. Idempotent; from any event loop."""
        home = self._owner.get_loop()
        if home is not asyncio.get_running_loop():
            if home.is_running():
                home.call_soon_threadsafe(self._owner.cancel)
            return
        self._stop.set()
        self._owner.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await asyncio.shield(asyncio.wait([self._owner]))


def _line(error: Exception) -> str:
    """The innermost reason, on one line."""
    while isinstance(error, ExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 500 else f"{text[:499]}…"
