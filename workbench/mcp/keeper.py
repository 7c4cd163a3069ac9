"""The small process between us and an MCP server: it ends the server with all that it started.

    ours ── channel ──▶ keeper ──▶ server ──▶ whatever it starts
      └──── stdin, stdout ───────────┘

It is the supervisor that workers of level `process` have (`sandbox.supervisor`): it inherits every orphan, ends all of
them when the server has ended, when it is told to, and when we are gone, be it by `kill -9`, which it learns from the
channel. Standard library only.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from workbench.sandbox.supervisor import supervise

BOOT = "import sys; sys.path[:] = sys.argv[3:int(sys.argv[2])]; from workbench.mcp.keeper import main; main()"
"""As `sandbox.process.BOOT`: a bare interpreter, and the places to import from one by one. `argv`: the number of the
channel, where the command begins, the places, the command."""
MISSING = 127


def main() -> NoReturn:
    """Supervise a fork of this process that becomes the server."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    command = sys.argv[int(sys.argv[2]) :]
    channel.set_inheritable(False)
    supervise(channel)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command that the user has trusted, never a shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(MISSING)
