"""Who is at the other end of a connection on this machine: a port is open to every user of it, a call's is not."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_TABLE = Path("/proc/net/tcp")


def is_ours(connection: socket.socket) -> bool:
    """Whether the process that connected to this IPv4 socket belongs to this user. True where no kernel says so (only
    Linux does). Reads a table of the kernel's: a few microseconds for each connection that the machine has."""
    try:
        table = _TABLE.read_text()
    except OSError:
        return True
    return owner(table, connection.getpeername(), connection.getsockname()) == os.getuid()


def owner(table: str, theirs: tuple[str, int], ours: tuple[str, int]) -> int | None:
    """The user of the socket at `theirs` that is connected to `ours`, by the text of /proc/net/tcp; None for none."""
    ends = [_written(theirs), _written(ours)]
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[7])
    return None


def _written(place: tuple[str, int]) -> str:
    return f"{int.from_bytes(socket.inet_aton(place[0]), sys.byteorder):08X}:{place[1]:04X}"
