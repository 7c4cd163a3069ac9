"""A conversation with one MCP server: several calls at once, each after a look at what the server says it can do.

Whatever the server does, a call ends with a result or with an error of its own, and as few others as can be with it:

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

from workbench.core.errors import Untrusted
from workbench.mcp.bounds import Heard
from workbench.mcp.connection import Broken, Connection
from workbench.mcp.elicit import answered, unanswered
from workbench.mcp.underway import Served, UnderWay
from workbench.sandbox.course import to_the_end

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client._transport import TransportStreams

T = TypeVar("T")


class Session:
    """`way` opens the connection, `heard` is what it counts. Belongs to the event loop that it was started on."""

    def __init__(self, name: str, way: AbstractAsyncContextManager[TransportStreams], heard: Heard) -> None:
        self._name = name
        self._heard = heard
        self._under_way = UnderWay()
        self._left = False
        self.connection = Connection(name, way, heard, self._asked)
        self.idle_since = float("inf")
        """When the last call ended, by the loop's clock; infinite while any is made."""

    @property
    def over(self) -> bool:
        """Whether it takes no further call."""
        return self._left or self.connection.gone

    async def _asked(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        whose = await self._under_way.whose()
        if isinstance(whose, Served):
            return await answered(params, self._name, whose.call, whose.gate)
        return unanswered(params, self._name, whose)

    async def listing(self) -> list[dict[str, Any]]:
        """All that the server says of its tools, as JSON. Raises Broken, ToolFailed."""
        self._heard.begin()
        try:
            async with asyncio.timeout(self._heard.bounds.start):
                return await self.connection.listing()
        except TimeoutError:
            raise self.connection.late() from None
        finally:
            self._heard.end()

    async def call(
        self,
        tool: str,
        params: Mapping[str, Any],
        *,
        served: Served,
        check: Callable[[Sequence[Mapping[str, Any]]], None],
        line: Callable[[str], None],
    ) -> types.CallToolResult:
        """What a tool gives. `served` is the call, `check` sees the listing of this moment first and raises when it is
        not as it should be, `line` hears how far it is.

        Raises Broken, ToolFailed, Untrusted. One that is cancelled ends when the server has let go of it, or is left.
        """

        async def told(progress: float, total: float | None, message: str | None) -> None:
            line(message or (f"{progress:g} of {total:g}" if total else f"{progress:g}"))

        async def asked() -> types.CallToolResult:
            check(await self.connection.listing())
            client = await self.connection.client()
            return await self.connection.said(client.call_tool(tool, dict(params), progress_callback=told))

        try:
            return await self._counted(asked, served)
        except asyncio.CancelledError:
            await to_the_end(self._let_go(served))
            raise
        except Untrusted as error:
            await self.connection.close(Broken(error.message, hint=error.hint))
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
        if not self.connection.is_ready:
            return bool(self._under_way)  # which wait for it as well
        return await self.connection.answers()

    async def _leave(self) -> None:
        """Have it end with the last call that is under way, or at once when there is no hope for those."""
        self._left = True
        if self.connection.gone or self._heard.problem or not self._under_way:
            await self.close()

    def stop(self) -> None:
        """Have the connection end, which no call uses; on its own event loop."""
        self.connection.stop()

    async def close(self) -> None:
        """End the connection and all that was started for it. Idempotent; from any event loop."""
        await self.connection.close()
