"""A memory that forgets with the process."""

from __future__ import annotations

from workbench.core.settings import Settings
from workbench.memory.base import Memory
from workbench.memory.volatile import InMemoryMemory


def make(settings: Settings) -> Memory:
    return InMemoryMemory()
