"""Processes that a test looks for."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only what nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
