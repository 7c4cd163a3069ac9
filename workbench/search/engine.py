"""Which engine searches: the user's own SearXNG where their settings name one, else Tavily."""

from __future__ import annotations

from typing import Any

from workbench.search import searxng, tavily
from workbench.search.results import Wanted, told


def search(wanted: Wanted) -> dict[str, Any]:
    """What was found, as a search tool returns it."""
    found = searxng.search(wanted) if searxng.is_set() else tavily.search(wanted)
    return told(wanted.query, found)
