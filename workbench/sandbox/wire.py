"""Frames on the channel between host and worker: a length of four bytes, then that much JSON.

Both sides use this module, so it needs the standard library only. Nothing else ever travels: no pickle, no code but the
tool's source inside the first frame. Descriptors ride on a frame that says `"fd": true`, in order.

    host → worker   call      tool, source, params, context, project, room, limits
                    answer    id, value | error {kind, message, hint, after}; with a descriptor for input and output
    worker → host   ready     the tool runs from here on
                    call      id, service, params
                    input     id, file: asks for a table or picture of the parameters
                    output    id, mime, title, alt: asks for a file to write a result into
                    progress  text
                    source    title, url
                    done      value | error {kind, message, hint, after, trace}
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = struct.Struct(">I")

FILE = "$artifact"
"""On the wire `{"$artifact": 3}` stands for file number 3 of the call. Tools may not return the key themselves."""


class BrokenFrame(ValueError):
    """The other side does not keep to the protocol; nothing more is read from it."""


def pack(message: Mapping[str, Any]) -> bytes:
    """The frame of a message. Raises ValueError or TypeError when the message is not JSON."""
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    return _HEAD.pack(len(body)) + body


class Inbox:
    """Bytes in, messages out. A frame over `max_bytes` is refused when its length is known, before it is read."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.fds: deque[int] = deque()
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete now. Raises BrokenFrame."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._buffer)
            if size > self.max_bytes:
                raise BrokenFrame(f"a frame of {size:,} bytes; the limit is {self.max_bytes:,}")
            end = _HEAD.size + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield _message(body)


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BrokenFrame(f"a frame that is not JSON ({type(error).__name__})") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise BrokenFrame("a frame without a kind")
    return message


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
