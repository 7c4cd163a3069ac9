"""The MCP servers of a project: what they offer while they are trusted, and the sessions with those that are used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.calls import Call, Tell
from workbench.core.errors import Unavailable, Untrusted, WorkbenchError
from workbench.core.events import Kind
from workbench.core.mcp import McpServer
from workbench.core.settings import Settings
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.mcp import listing
from workbench.mcp.bounds import Bounds, Heard
from workbench.mcp.connection import Lost, needed
from workbench.mcp.declared import declared
from workbench.mcp.http import reached_at
from workbench.mcp.results import failed, result
from workbench.mcp.session import Session
from workbench.mcp.stdio import spoken_with
from workbench.mcp.underway import Served
from workbench.policy.gate import Gate
from workbench.policy.secrets import Secrets
from workbench.registry.trust import Trust
from workbench.sandbox.course import imports

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client._transport import TransportStreams

MAX_LINES = 100
"""Lines of progress that one call may show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """`tools` of trusted servers by name. `notes`: lines about the others, and about what could not be read."""

    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


_Key = tuple[int, str, str]
"""Of a session: the event loop, the server's name and identity."""


class Servers:
    """`env`: what every server gets of the environment. May be used from any event loop; each has its own sessions, in
    which several calls are under way at once (`McpServer.parallel`)."""

    def __init__(
        self, settings: Settings, secrets: Secrets, env: Mapping[str, str], bounds: Bounds | None = None
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._env = env
        self._bounds = bounds or Bounds()
        self._trust = Trust(settings.config, settings.project)
        self._sessions: dict[_Key, Session] = {}
        self._left: list[Session] = []
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], asyncio.Semaphore]]
        self._rooms = WeakKeyDictionary()

    def offered(self) -> Offered:
        """What may be used now. Starts nothing."""
        found = declared(self._settings)
        notes = list(found.problems)
        tools: dict[str, ToolSpec] = {}
        for name, server in found.servers.items():
            try:
                pin = self._trust.pinned(f"mcp {name}")
            except Unavailable as error:
                notes.append(str(error))
                break
            if not pin:
                notes.append(
                    f"The MCP server {name} is not trusted yet: {server.said}. Then: workbench trust --mcp {name}"
                )
            elif pin.get("sha256") != server.identity:
                notes.append(
                    f"The MCP server {name} is another than you have trusted: {server.said}. "
                    f"Then: workbench trust --mcp {name}"
                )
            else:
                tools |= {spec.name: spec for spec in listing.specs(name, server, _pinned(pin), pin.get("reads") or ())}
        return Offered(tools=tools, notes=tuple(notes))

    def server(self, name: str) -> McpServer:
        """A declared server. Raises Unavailable."""
        found = declared(self._settings)
        if name not in found.servers:
            there = f"There are: {', '.join(found.servers)}." if found.servers else "None is declared."
            problem = next((line for line in found.problems if f" {name}:" in line), there)
            raise Unavailable(f"There is no MCP server {name}.", hint=problem)
        return found.servers[name]

    async def ask(self, name: str) -> listing.Listing:
        """Start a server and ask what it can do. Raises ToolFailed, Unavailable."""
        needed()
        session = self._open(name, self.server(name))
        try:
            return listing.read(await session.listing())
        finally:
            await session.close()

    def trust(self, name: str, listed: listing.Listing, reads: Sequence[str]) -> None:
        """Pin a server and its tools as they are. `reads`: tools, or patterns, that only read."""
        server = self.server(name)
        pins = [{"sha256": listing.sha256(tool), "tool": tool} for tool in listed.tools]
        left = sorted(listed.refused)
        self._trust.pin(f"mcp {name}", server.identity, tools=pins, left_out=left, reads=list(reads))

    def served(self, gate: Gate, folder: Path, tell: Tell) -> Call:
        """Calls tools on their servers. `folder`: that of the runs' files."""

        async def call(what: ToolCall) -> ToolResult:
            name, _, tool = what.tool.name.partition(".")
            lines = 0

            def progress(text: str) -> None:
                nonlocal lines
                lines += 1
                if lines <= MAX_LINES:
                    tell(Kind.STEP_PROGRESS, {"text": " ".join(text.split())[:500]}, what.step)

            try:
                needed()
                async with await self._room(name):  # the call's own time begins when it is its turn
                    server, check = await asyncio.to_thread(self._trusted, name)

                    async def ask() -> types.CallToolResult:
                        with self._session(name, server) as session:
                            served = Served(what, gate)
                            return await session.call(tool, what.params, served=served, check=check, line=progress)

                    async with asyncio.timeout(what.timeout):
                        try:
                            given = await ask()
                        except Lost:
                            given = await ask()
            except TimeoutError:
                said = f"The MCP server {name} took longer than {what.timeout:g} seconds for {tool}, which was stopped."
                return ToolResult(status="timeout", error=said, isolation="none")
            except WorkbenchError as error:
                return failed(error.message, error.hint)
            return await asyncio.to_thread(result, given, what, folder)

        return call

    def _trusted(self, name: str) -> tuple[McpServer, Callable[[Sequence[Mapping[str, Any]]], None]]:
        """The server and what holds its listing against the pin. Raises Untrusted."""
        server = self.server(name)
        pin = self._trust.pinned(f"mcp {name}")
        again = f"Read what it is now, then: workbench trust --mcp {name}"
        if pin.get("sha256") != server.identity:
            raise Untrusted(f"The MCP server {name} is not the one that you have trusted.", hint=again)
        pinned = _pinned(pin)

        def check(listed: Sequence[Mapping[str, Any]]) -> None:
            now = listing.read(listed)
            new = [why for sha256, why in now.refused.items() if sha256 not in (pin.get("left_out") or ())]
            if changed := "; ".join(filter(None, [listing.changes(pinned, now.tools), *new])):
                raise Untrusted(f"The MCP server {name} has changed since you trusted it: {changed}.", hint=again)

        return server, check

    async def _room(self, name: str) -> asyncio.Semaphore:
        """The places for calls of a server. Raises Unavailable."""
        most = (await asyncio.to_thread(self.server, name)).parallel
        rooms = self._rooms.setdefault(asyncio.get_running_loop(), {})
        return rooms.setdefault((name, most), asyncio.Semaphore(most))

    @contextmanager
    def _session(self, name: str, server: McpServer) -> Iterator[Session]:
        """The session for a call. One that nobody has used for a while after it is ended."""
        loop = asyncio.get_running_loop()
        key = (id(loop), name, server.identity)
        session = self._sessions.get(key)
        if session is None or session.over:
            self._left = [one for one in [*self._left, *filter(None, [session])] if not one.connection.ended]
            session = self._sessions[key] = self._open(name, server)
        try:
            yield session
        finally:
            loop.call_later(self._bounds.idle, self._end_idle, key, session)

    def _end_idle(self, key: _Key, session: Session) -> None:
        now = asyncio.get_running_loop().time()
        if session.idle_since + self._bounds.idle <= now and self._sessions.get(key) is session:
            self._sessions.pop(key)
            session.stop()

    def _open(self, name: str, server: McpServer) -> Session:
        heard = Heard(self._bounds)
        self._secrets.read([*server.env, *([server.secret] if server.secret else [])])
        return Session(name, self._way(server, heard), heard)

    def _way(self, server: McpServer, heard: Heard) -> AbstractAsyncContextManager[TransportStreams]:
        def value(name: str) -> str:
            return self._secrets[name].get_secret_value() if name in self._secrets else ""

        if server.url:
            return reached_at(server.url, value(server.secret) if server.secret else "", heard)
        env = {**self._env, **server.set, **{name: value(name) for name in server.env if name in self._secrets}}
        places = imports(self._settings.project)
        return spoken_with([server.command, *server.args], env, self._settings.project, places, heard)

    async def close(self) -> None:
        """End every server. Idempotent."""
        sessions, self._sessions, self._left = [*self._sessions.values(), *self._left], {}, []
        for session in sessions:
            await session.close()


def _pinned(pin: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tools of a pin, without any whose hash is not that of what stands beside it."""
    tools = [
        entry for entry in pin.get("tools") or () if isinstance(entry, dict) and isinstance(entry.get("tool"), dict)
    ]
    return [entry["tool"] for entry in tools if entry.get("sha256") == listing.sha256(entry["tool"])]
