"""The anchor of an audit trail: what is known of the trail outside of it, in one file that is written in place.

    ┌ slot 0: hash, turn, length, JSON ┐ ┌ slot 1: the same ┐      the higher turn holds, when its hash is right
    └──────────────────────────────────┘ └──────────────────┘

Each change is one write into the slot that does not hold now. So a change cut short, by a kill or a power cut, leaves
the one before it; and it costs a twentieth of a new file that is renamed into place.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.errors import Unavailable

START = "0" * 64
"""What the first record names as the one before it."""

_SLOT = 1 << 16
"""Bytes from one slot to the next; the file is sparse, so only what is written takes room."""
_FIRST = 4096
_READS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WRITES = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What is known of a trail outside of it. `count` and `head`: its records and the hash of the last. `noted`: the
    line that is being written, "" when none is. `salt`: for the hashes of contents. `turn`: how often it has changed.
    """

    trail: str
    salt: str
    count: int = 0
    head: str = START
    noted: str = ""
    turn: int = 0


def read_anchor(path: Path) -> Anchor | None:
    """The anchor in a file, None when there is none. Raises Unavailable when the file holds something else."""
    try:
        descriptor = os.open(path, _READS)
    except FileNotFoundError:
        return None
    try:
        first = _read(descriptor, 0, _FIRST)
        if first.startswith(b"{"):  # one written before there were slots
            return Anchor(**json.loads(path.read_bytes()))
        found = [_slot(descriptor, 0, first), _slot(descriptor, _SLOT, _read(descriptor, _SLOT, _FIRST))]
        for _, data in sorted(filter(None, found), reverse=True):
            if hashlib.sha256(data[64:]).hexdigest().encode() == data[:64]:
                return Anchor(**json.loads(data[64:].split(b" ", 3)[3]))
        raise ValueError("nothing in it is whole")
    except (ValueError, TypeError, IndexError) as error:
        raise Unavailable(f"{path} is no anchor of an audit trail: {error}", hint="Put the right file back.") from None
    finally:
        os.close(descriptor)


def write_anchor(path: Path, anchor: Anchor) -> Anchor:
    """Take the anchor into the file, in the place of what it was; gives it back with its turn. For one writer at a
    time. Raises OSError."""
    turned = replace(anchor, turn=anchor.turn + 1)
    text = json.dumps({name: getattr(turned, name) for name in Anchor.__slots__}).encode("ascii")
    body = b" %d %d " % (turned.turn, len(text)) + text
    data = hashlib.sha256(body).hexdigest().encode("ascii") + body
    if len(data) > _SLOT:
        raise OSError(0, f"a record of {len(data):,} bytes is too long")
    descriptor = os.open(path, _WRITES, 0o600)
    try:
        os.lseek(descriptor, anchor.turn % 2 * _SLOT, os.SEEK_SET)
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
    return turned


def _slot(descriptor: int, offset: int, data: bytes) -> tuple[int, bytes] | None:
    """The turn and the bytes of a slot, None when there is nothing that could be whole."""
    head = data[:120].split(b" ", 3)
    if len(head) < 4 or len(head[0]) != 64 or not (head[1].isdigit() and head[2].isdigit()):
        return None
    length = 64 + len(head[1]) + len(head[2]) + 3 + int(head[2])
    if length > _SLOT:
        return None
    if length > len(data):
        data += _read(descriptor, offset + len(data), length - len(data))
    return int(head[1]), data[:length]


def _read(descriptor: int, offset: int, most: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, most)
