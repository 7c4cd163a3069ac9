"""The worker's end of the channel. Standard library only."""

from __future__ import annotations

import itertools
import os
import queue
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from workbench import toolkit
from workbench.sandbox import wire

MAX_CALL = 80 << 20
"""Bytes of one frame from the host, which keeps to smaller limits of its own."""


class Line:
    """Sends, asks and listens. `ask` may be called from any thread of the tool."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._inbox = wire.Inbox(MAX_CALL)
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._waiting: dict[int, queue.SimpleQueue[tuple[dict[str, Any], int]]] = {}

    def first(self) -> dict[str, Any]:
        """The call."""
        while True:
            for message in self._read():
                return message

    def _read(self) -> list[dict[str, Any]]:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, fds, _, _ = socket.recv_fds(self._channel, 1 << 16, 16, flags)
        if not data:
            self._end()
        self._inbox.fds.extend(fds)
        return list(self._inbox.feed(data))

    def listen(self) -> None:
        """Hand each answer to whoever waits for it, for as long as the host is there."""
        try:
            while True:
                for message in self._read():
                    fd = self._inbox.fds.popleft() if message.get("fd") else -1
                    waiting = self._waiting.pop(message.get("id", -1), None)
                    if waiting is not None:
                        waiting.put((message, fd))
        finally:
            self._end()

    def _end(self) -> NoReturn:
        if sys.platform != "linux":  # there, the supervisor sees the same end and takes the children along
            with suppress(OSError):
                os.killpg(0, 9)
        os._exit(1)

    def send(self, message: Mapping[str, Any]) -> None:
        self._send(wire.pack(message))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._channel.sendall(data)

    def ask(self, message: Mapping[str, Any]) -> tuple[Any, int]:
        """The host's answer: its value, and a descriptor where there is one. Raises what the host said."""
        number = next(self._ids)
        waiting = self._waiting[number] = queue.SimpleQueue()
        self.send({**message, "id": number})
        answer, fd = waiting.get()
        if (error := answer.get("error")) is not None:
            if error.get("kind") == "transient":
                raise toolkit.Try(error["message"], after=error.get("after"), hint=error.get("hint", ""))
            raise toolkit.Failed(error["message"], hint=error.get("hint", ""))
        return answer.get("value"), fd
