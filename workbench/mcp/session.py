"""A conversation with one MCP server: several calls at once, each after a look at what the server says it can do.

A task of its own owns the connection, because the SDK wants it closed where it was opened. Whatever the server does, a
call ends with a result or with an error of its own.

    a call is given up        the server is told; one that then answers nothing any more is left
    it breaks the protocol    it is left: it gets no further call, and ends with the last that is under way
    it has changed, floods,   it is ended at once, and every call that is under way hears why
    or crashes
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.core.errors import ToolFailed, Unavailable, Untrusted, WorkbenchError
from workbench.mcp.bounds import Heard
from workbench.mcp.elicit import answered, unanswered
from workbench.mcp.listing import MAX_TOOLS
from workbench.mcp.underway import Served, UnderWay, outside
from workbench.sandbox.course import to_the_end

if TYPE_CHECKING:
    import mcp_types as types
    from mcp import Client
    from mcp.client._transport import TransportStreams

T = TypeVar("T")
_PAGES = 20


class Broken(ToolFailed):
    """The server is gone, or says what it may not: there is no further call in this session."""


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
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {name}")
        self._under_way = UnderWay()
        self._left = False
        self._why: Broken | None = None
        self.idle_since = float("inf")
        """When the last call ended, by the loop's clock; infinite while any is made."""

    @property
    def over(self) -> bool:
        """Whether it takes no further call."""
        return self._left or self._gone

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._owner.done()

    @property
    def _gone(self) -> bool:
        return self._heard.over or self._owner.done() or self._stop.is_set()

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
                stopped = self._why or Broken(f"The MCP server {self._name} was stopped.")
                self._ready.set_exception(self._broken(error) if isinstance(error, Exception) else stopped)
                self._ready.exception()  # somebody may have stopped waiting
            if not isinstance(error, Exception):
                raise

    async def _asked(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        whose = await self._under_way.whose()
        if isinstance(whose, Served):
            return await answered(params, self._name, whose.call, whose.gate)
        return unanswered(params, self._name, whose)

    async def listing(self) -> list[dict[str, Any]]:
        """All that the server says of its tools, as JSON. Raises Broken, ToolFailed."""
        self._heard.begin()
        try:
            async with asyncio.timeout(self._heard.bounds.start):
                return await self._listing()
        except TimeoutError:
            raise self._late() from None
        finally:
            self._heard.end()

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
        served: Served,
        check: Callable[[Sequence[Mapping[str, Any]]], None],
        line: Callable[[str], None],
    ) -> types.CallToolResult:
        """What a tool gives. `check` sees the listing of this moment first and raises when it is not as it should
        be; `line` hears how far it is. Of `served`, the call, the server's questions are.

        Raises Broken, ToolFailed, Untrusted. One that is cancelled ends when the server has let go of it, or is left.
        """

        async def told(progress: float, total: float | None, message: str | None) -> None:
            line(message or (f"{progress:g} of {total:g}" if total else f"{progress:g}"))

        async def asked() -> types.CallToolResult:
            check(await self._listing())
            client = await self._client()
            return await self._said(client.call_tool(tool, dict(params), progress_callback=told))

        try:
            return await self._counted(asked, served)
        except asyncio.CancelledError:
            await to_the_end(self._let_go(served))
            raise
        except Untrusted as error:
            self._why = Broken(error.message, hint=error.hint)
            await self.close()
            raise
        except Broken:
            await self._leave()
            raise
        finally:
            if self._left and not self._under_way:
                await self.close()

    async def _counted(self, ask: Callable[[], Awaitable[T]], served: Served) -> T:
        """What is asked, as one of the calls that are under way."""
        self._heard.begin()
        self.idle_since = float("inf")
        try:
            with self._under_way.serving(served):
                return await ask()
        finally:
            self._heard.end()
            if not self._under_way:
                self.idle_since = asyncio.get_running_loop().time()

    async def _let_go(self, served: Served) -> None:
        """Return when the server answers again after it was told to leave off a call, or is left. What it asked for the
        sake of that call has come before the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._heard.bounds.patience):
                if await self._answers():
                    self._under_way.let_go(served)
                    return
        await self._leave()

    async def _answers(self) -> bool:
        from mcp.shared.exceptions import MCPError

        if not self._ready.done():
            return bool(self._under_way)  # which wait for it as well
        try:
            await self._ready.result().list_tools()
        except MCPError:
            return not self._gone
        except Exception:  # noqa: BLE001 - whatever it says that is no list
            return False
        return True

    async def _leave(self) -> None:
        """Have it end with the last call that is under way, or at once when there is no hope for those."""
        self._left = True
        if self._gone or self._heard.problem or not self._under_way:
            await self.close()

    async def _client(self) -> Client:
        if self._ready.done():
            return self._ready.result()
        try:
            async with asyncio.timeout(self._heard.bounds.start):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            self._why = self._late()
            await self.close()
            raise self._why from None

    async def _said(self, asking: Awaitable[T]) -> T:
        """An answer of the server. Raises Broken when the connection is lost, ToolFailed for an error it reports."""
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED, PARSE_ERROR

        try:
            return await asking
        except WorkbenchError:
            raise
        except MCPError as error:
            await asyncio.sleep(0)
            if self._gone or self._heard.problem or error.code == PARSE_ERROR:
                raise self._broken(error) from error
            if error.code == CONNECTION_CLOSED:
                raise Broken(f"The MCP server {self._name} broke off: {_line(error)}") from error
            raise ToolFailed(f"The MCP server {self._name} says: {_line(error)}") from error
        except Exception as error:
            raise self._broken(error) from error

    def _late(self) -> Broken:
        return Broken(f"The MCP server {self._name} did not answer within {self._heard.bounds.start:g} seconds.")

    def _broken(self, error: Exception) -> Broken:
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

    def stop(self) -> None:
        """Have the connection end, which no call uses; on its own event loop."""
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
