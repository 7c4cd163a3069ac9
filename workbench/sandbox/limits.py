"""What one call may use. Standard library only: the worker reads it too."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20
GB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings of one call; the deadline is the call's own. Sizes are in bytes.

    `memory` is what the process may allocate. Address space may be larger by `reserve`: memory-mapped tables and what
    allocators and threads reserve without using (DuckDB on 10 threads: 2 GB) cost no memory.
    """

    cpu: int = 600
    """Seconds of processor time, over all threads of a process."""
    memory: int = 2 * GB
    reserve: int = 12 * GB
    file: int = 512 * MB
    """One file that the tool writes, results included."""
    disk: int = 256 * MB
    """All files in the call's scratch folder; looked at twenty times a second."""
    open_files: int = 256
    processes: int = 256
    """Threads and processes that the user may have beyond those that run already."""
    output: int = MB
    """What the tool prints; one byte more ends the call."""
    result: int = 4 * MB
    """The returned value as JSON, without tables and pictures, which travel as files; also what a host function is
    given."""
    answer: int = 16 * MB
    """One answer of a host function as JSON."""
    call: int = 64 * MB
    """The call as JSON: source, parameters, earlier results."""
    picture: int = 32 * MB
    """One picture, and one sound."""
    files: int = 64
    """Tables, pictures and sounds that one call may return."""
    returned: int = GB
    """All of these together."""
