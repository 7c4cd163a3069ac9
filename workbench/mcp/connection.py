"""A connection with one MCP server, as the SDK's client, and whatever goes wrong on it as one of our errors.

A task of its own owns the connection, because the SDK wants it closed where it was opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import ToolFailed, Unavailable, WorkbenchError
from workbench.mcp.bounds import Heard
from workbench.mcp.listing import MAX_TOOLS
from workbench.mcp.underway import outside

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import TransportStreams

T = TypeVar("T")
Elicit = Callable[[Any], Awaitable[Any]]
"""Answers a question of the server: the SDK's parameters in, its result out."""
_PAGES = 20


class Broken(ToolFailed):
    """The server is gone, or says what it may not: nothing more is asked of it over this connection."""


class Lost(Broken):
    """The server knows nothing of this session any more, and nothing was asked of it yet but what it can do."""


def needed() -> None:
    """Raises Unavailable when the SDK is not installed."""
    try:
        import mcp  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise Unavailable("MCP servers need the package mcp.", hint="pip install 'agent-workbench[mcp]'") from error


class Connection:
    """`way` opens it, `heard` is what it counts, `elicit` answers. Belongs to the event loop that it was started on."""

    def __init__(
        self, name: str, way: AbstractAsyncContextManager[TransportStreams], heard: Heard, elicit: Elicit
    ) -> None:
        self._name = name
        self._way = way
        self._heard = heard
        self._elicit = elicit
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {name}")
        self._why: Broken | None = None

    @property
    def is_ready(self) -> bool:
        return self._ready.done()

    @property
    def gone(self) -> bool:
        """Whether nothing can be asked over it any more."""
        return self._heard.over or self._owner.done() or self._stop.is_set()

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._owner.done()

    async def _own(self) -> None:
        from mcp import Client
        from mcp.types import Implementation

        from workbench import __version__

        outside()
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
                self._ready.set_exception(self._broken(error))
                self._ready.exception()  # somebody may have stopped waiting
            if not isinstance(error, Exception):
                raise

    async def _asked(self, context: Any, params: Any) -> Any:
        return await self._elicit(params)

    async def client(self) -> Client:
        """The SDK's client when the server is ready. Raises Broken."""
        if self._ready.done():
            return self._ready.result()
        try:
            async with asyncio.timeout(self._heard.bounds.start):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            why = self.late()
            await self.close(why)
            raise why from None

    async def listing(self) -> list[dict[str, Any]]:
        """All that the server says of its tools, as JSON. Raises Broken, ToolFailed."""
        client = await self.client()
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            try:
                page = await self.said(client.list_tools(cursor=cursor))
            except Broken as error:
                if self._heard.lost:
                    raise Lost(error.message, hint=error.hint) from error
                raise
            found += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None or len(found) > MAX_TOOLS:
                break
        if cursor is not None or len(found) > MAX_TOOLS:
            raise ToolFailed(f"The MCP server {self._name} lists more than {MAX_TOOLS} tools.")
        return found

    async def said(self, asking: Awaitable[T]) -> T:
        """An answer of the server. Raises Broken when the connection is lost, ToolFailed for an error it reports."""
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED, PARSE_ERROR

        try:
            return await asking
        except WorkbenchError:
            raise
        except MCPError as error:
            await asyncio.sleep(0)
            if self.gone or self._heard.problem or error.code == PARSE_ERROR:
                raise self._broken(error) from error
            if self._heard.lost or error.code == CONNECTION_CLOSED:
                raise Broken(f"The MCP server {self._name} broke off: {_line(error)}") from error
            raise ToolFailed(f"The MCP server {self._name} says: {_line(error)}") from error
        except Exception as error:
            raise self._broken(error) from error

    def late(self) -> Broken:
        """What is to say of a server that takes too long."""
        return Broken(f"The MCP server {self._name} did not answer within {self._heard.bounds.start:g} seconds.")

    def _broken(self, error: BaseException) -> Broken:
        if isinstance(error, WorkbenchError):
            return Broken(error.message, hint=error.hint)
        if self._why is not None:
            return Broken(self._why.message, hint=self._why.hint)
        if self._heard.problem:
            return Broken(f"The MCP server {self._name} was stopped: {self._heard.problem}.")
        if self._heard.over:
            return Broken(f"The MCP server {self._name} is gone: {self._heard.ended()}.")
        return Broken(
            f"The MCP server {self._name} answers what the protocol or its own schema does not allow: {_line(error)}"
        )

    async def answers(self) -> bool:
        """Whether the server, which is ready, answers anything."""
        from mcp.shared.exceptions import MCPError

        try:
            await (await self.client()).list_tools()
        except MCPError:
            return not self.gone
        except Exception:  # noqa: BLE001 - whatever it says that is no list
            return False
        return True

    def stop(self) -> None:
        """Have the connection end, which no call uses; on its own event loop."""
        self._stop.set()

    async def close(self, why: Broken | None = None) -> None:
        """End it and all that was started for it. Idempotent; from any event loop. Who waits for an answer hears why,
        where that is said."""
        if not (self.gone or self._heard.problem):
            self._why = why or Broken(f"The MCP server {self._name} was stopped.")
        home = self._owner.get_loop()
        if home is not asyncio.get_running_loop():
            if home.is_running():
                home.call_soon_threadsafe(self._owner.cancel)
            return
        self._stop.set()
        self._owner.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await asyncio.shield(asyncio.wait([self._owner]))


def _line(error: BaseException) -> str:
    """The innermost reason, on one line."""
    while isinstance(error, ExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 500 else f"{text[:499]}…"
