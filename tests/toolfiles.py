"""Tool files that several tests need."""

from __future__ import annotations

from pathlib import Path

SLOW = '''"""Waits, then says so."""
PERMISSIONS = {}
TIMEOUT = 120

def run(seconds: float) -> str:
    import time
    time.sleep(seconds)
    return "waited"
'''


def put_slow(tools: Path) -> None:
    """Write the tool `slow`, which waits for so many seconds, into a folder of tools, made if need be."""
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "slow.py").write_text(SLOW)
