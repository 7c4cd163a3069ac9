"""Ports of one call: a tool connects to 127.0.0.1, and the host serves what is behind, for as long as the call lives.

Libraries that insist on a socket of their own (tavily-python, psycopg) are pointed at such a port. A sandbox that lets
its workers connect by themselves asks for real ports (`listening`), which on Linux no other user may enter. One that
holds the network closed hands in each connection itself (`enter`): then the number means something to this call only,
and no other process of the machine can come in.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from workbench.core.errors import ToolFailed
from workbench.sandbox.peers import is_ours

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection of the worker. What it raises ends that connection and nothing else."""

MAX_DOORS = 16
MAX_CONNECTIONS = 64
"""Of one call, at the same time."""
_FIRST = 49_152
"""Numbers of doors that nobody listens at begin here."""


class Doors:
    """The doors of one call. Belongs to one event loop."""

    def __init__(self) -> None:
        self.listening = False
        """Set by a sandbox before the tool runs: whether each door is a real port that the worker connects to."""
        self._doors: dict[int, Serve] = {}
        self._numbers = itertools.count(_FIRST)
        self._servers: list[asyncio.Server] = []
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._over = False

    async def open(self, serve: Serve) -> int:
        """A new port on 127.0.0.1 with `serve` behind it. Raises ToolFailed when the call has too many."""
        if len(self._doors) >= MAX_DOORS:
            raise ToolFailed(f"a call may have at most {MAX_DOORS} ports")
        if not self.listening:
            port = next(self._numbers)
            self._doors[port] = serve
            return port
        server = await asyncio.start_server(lambda r, w: self._admit(serve, r, w), "127.0.0.1", 0)
        self._servers.append(server)
        port = int(server.sockets[0].getsockname()[1])
        self._doors[port] = serve
        return port

    async def enter(self, port: int) -> socket.socket | None:
        """A connection to that door, to be handed to the worker; None when there is no such door, or none is free."""
        serve = self._doors.get(port)
        if serve is None or len(self._serving) >= MAX_CONNECTIONS:
            return None
        theirs, ours = await _pair()
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            theirs.close()
            ours.close()
            raise
        self._begin(serve, reader, writer)
        return theirs

    async def close(self) -> None:
        """End every connection and every port. Idempotent."""
        self._over = True
        self._doors.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()
        serving = dict(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for writer in serving.values():
            writer.transport.abort()
            with suppress(Exception):
                await writer.wait_closed()

    def _admit(self, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_ours(writer.get_extra_info("socket")):
            self._begin(serve, reader, writer)
        else:
            writer.transport.abort()

    def _begin(self, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who knocked just before the call was over may come in only now.
        if self._over or len(self._serving) >= MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(_served(serve, reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task).close()


async def _served(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(Exception):  # a connection that breaks is the worker's to notice
        await serve(reader, writer)


async def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection on this machine. Anybody may knock at a port while it listens, so the end that is
    taken is the one whose address is ours."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        listener.setblocking(False)
        theirs = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        theirs.setblocking(False)
        try:
            await loop.sock_connect(theirs, listener.getsockname())
            while True:
                ours, address = await loop.sock_accept(listener)
                if address == theirs.getsockname():
                    return theirs, ours
                ours.close()
        except BaseException:
            theirs.close()
            raise
