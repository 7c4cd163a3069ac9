"""Searches the web with Tavily, or with a SearXNG of your own."""

from __future__ import annotations

from typing import Any, Literal

from workbench.search.engine import search
from workbench.search.results import wanted

PERMISSIONS = {
    "network": ["api.tavily.com", "searxng.invalid", "keyless.tavily.invalid"],
    "secrets": ["TAVILY_API_KEY"],
}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["search the web for {query}"]


def run(
    query: str,
    max_results: int = 5,
    depth: Literal["basic", "advanced"] = "basic",
    topic: Literal["general", "news", "finance"] = "general",
    days: int = 0,
    include_domains: list[str] | None = None,
    exclude_domains: list[str] | None = None,
) -> dict[str, Any]:
    """Search the web; return titles, addresses, dates, scores and excerpts, best first.

    Args:
        query: what to search for.
        max_results: how many results at most, 1 to 20.
        depth: advanced is slower and costs more, and gives better excerpts.
        topic: what kind of pages to search.
        days: only what is from the last so many days; 0 is all.
        include_domains: search only these sites.
        exclude_domains: leave these sites out.
    """
    return search(
        wanted(
            query,
            max_results,
            topic=topic,
            depth=depth,
            days=days,
            domains=include_domains,
            without=exclude_domains,
        )
    )
