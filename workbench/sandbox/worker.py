"""The process that runs one tool call and ends. Standard library only; started bare, it never sees the host's memory.

    supervisor (sandbox/supervisor.py)
    └── worker: main thread runs the tool · one thread reads the channel

It reads one `call` frame, lowers its own limits, compiles the source it was sent, calls `run`, and answers with one
`done` frame. What the tool reaches for through `toolkit` goes over the channel. It says only how the tool itself ended
(value, failed, worth another try); deadlines, signals and floods are seen by the host. When the channel ends, so does
the process, whatever the tool is doing.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from workbench.sandbox import supervisor
from workbench.sandbox.invocation import Invocation
from workbench.sandbox.line import Line


def main(fd: int) -> NoReturn:
    """Serve one call on the channel `fd` in a supervised fork of this process."""
    channel = socket.socket(fileno=fd)
    supervisor.supervise(channel)
    serve(channel)


def serve(channel: socket.socket) -> NoReturn:
    """Serve one call on the channel and end the process. A fork server calls this in a fresh fork."""
    line = Line(channel)
    call = line.first()
    move_in(call["room"])
    threading.Thread(target=line.listen, name="workbench-channel", daemon=True).start()
    restrict(call["limits"])
    line.send({"kind": "ready"})
    done = Invocation(line, call).done()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with suppress(OSError):
        line.send(done)
    os._exit(0)


def move_in(room: Mapping[str, Any]) -> None:
    """Work in the call's own folders, with luck of its own: forks of one server would all draw the same numbers."""
    os.environ.update(room["env"])
    os.chdir(room["cwd"])
    if (tempfile := sys.modules.get("tempfile")) is not None:
        vars(tempfile)["tempdir"] = None
    if (random := sys.modules.get("random")) is not None:
        random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


def restrict(limits: Mapping[str, int]) -> None:
    """Lower this process's own limits, for good. Memory counts as private data; address space only bounds the rest."""
    import resource

    def lower(name: str, value: int, hard_above: int = 0) -> None:
        # Names that a system lacks, and limits that it does not let anyone set, are left as they are.
        with suppress(AttributeError, ValueError, OSError):
            which = getattr(resource, name)
            _, hard = resource.getrlimit(which)
            most = value + hard_above if hard == resource.RLIM_INFINITY else min(value + hard_above, hard)
            resource.setrlimit(which, (min(value, most), most))

    lower("RLIMIT_CORE", 0)
    lower("RLIMIT_CPU", limits["cpu"], hard_above=1)  # at the hard limit comes SIGKILL, which says nothing
    lower("RLIMIT_FSIZE", limits["file"])
    lower("RLIMIT_NOFILE", limits["open_files"])
    lower("RLIMIT_DATA", limits["memory"])
    lower("RLIMIT_AS", limits["memory"] + limits["reserve"])
    with suppress(OSError, ValueError, IndexError):
        # The limit counts all of the user's threads; "1/345" in loadavg are all of the machine's, so never fewer.
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        lower("RLIMIT_NPROC", running + limits["processes"])
