"""The way to an MCP server that is a program of ours: lines of JSON over its stdin and stdout, each bounded.

The SDK's own transport reads lines of any length and leaves what a server has started behind when it ends in peace;
this one counts (`bounds`) and puts a keeper around the server (`keeper`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import Unavailable
from workbench.mcp.bounds import Heard
from workbench.mcp.keeper import BOOT
from workbench.sandbox.process import end_session

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

PATIENCE = 2.0
"""Seconds from asking a server to end until it is ended."""
_LAST_WORDS = 4000


@asynccontextmanager
async def spoken_with(
    command: Sequence[str], env: Mapping[str, str], folder: Path, places: Sequence[str], heard: Heard
) -> AsyncIterator[TransportStreams]:
    """A started server as the SDK's two streams; ended, with all that it started, on the way out.

    `env` is its whole environment; `places`: where our own interpreter imports from. Raises Unavailable.
    """
    import anyio
    import mcp_types as types
    from mcp.shared.message import SessionMessage

    ours, theirs = socket.socketpair()
    at = 3 + len(places)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", BOOT, str(theirs.fileno()), str(at), *places, *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            cwd=folder,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            limit=heard.bounds.message,
        )
    except (OSError, ValueError) as error:
        ours.close()
        raise Unavailable(f"Cannot start {command[0]}: {getattr(error, 'strerror', None) or error}.") from error
    finally:
        theirs.close()
    reader, writer, complaints = process.stdout, process.stdin, process.stderr
    assert reader is not None and writer is not None and complaints is not None  # noqa: PT018, S101 - asked for above
    come, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, go = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        try:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
                while (line := await _line(reader, heard)) is not None:
                    with suppress(ValueError):  # what a server prints beside the protocol; it counts
                        await come.send(
                            SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
                        )
        finally:
            heard.over = True
            come.close()

    async def write() -> None:
        async with go:
            with suppress(ConnectionError, OSError):
                async for said in go:
                    text = said.message.model_dump_json(by_alias=True, exclude_unset=True)
                    writer.write(text.encode("utf-8", "replace") + b"\n")
                    await writer.drain()
                return
        come.close()

    async def listen() -> None:
        with suppress(ConnectionError):
            while data := await complaints.read(1 << 16):
                heard.last_words = (heard.last_words + data)[-_LAST_WORDS:]

    try:
        async with anyio.create_task_group() as tasks:
            for work in (read, write, listen):
                tasks.start_soon(work)
            try:
                yield incoming, outgoing
            finally:
                tasks.cancel_scope.cancel()
    finally:
        for stream in (come, incoming, outgoing, go):
            stream.close()
        with anyio.CancelScope(shield=True):
            await _end(process, ours)


async def _line(reader: asyncio.StreamReader, heard: Heard) -> bytes | None:
    """The next line; None when there is no more, or it is too much."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        heard.problem = f"it sent a message of more than {heard.bounds.message >> 20} MB"
        return None
    return line if heard.take(len(line), 1) else None


async def _end(process: asyncio.subprocess.Process, channel: socket.socket) -> None:
    """End the keeper, which ends the rest; should somebody have ended the keeper, what is left of the session."""
    # First of all, while it surely lives: to signal a process that has just ended takes its status away from the loop,
    # which then complains on stderr. It ends by itself when the channel closes.
    with suppress(ProcessLookupError):
        process.terminate()
    channel.close()
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(_over(process), PATIENCE)
    except TimeoutError:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(end_session, process.pid)
    transport = getattr(
        process, "_transport", None
    )  # else a pipe that somebody still holds is told of when it is freed
    if transport is not None:
        transport.close()


async def _over(process: asyncio.subprocess.Process) -> None:
    """Return when the process has ended; `Process.wait` also waits for its pipes, which an orphan may hold."""
    while process.returncode is None:  # noqa: ASYNC110 - the loop tells nobody without the pipes
        await asyncio.sleep(0.01)
