"""Searches the news with Tavily, or with a SearXNG of your own."""

from __future__ import annotations

from typing import Any

from workbench.search.engine import search
from workbench.search.results import wanted

PERMISSIONS = {
    "network": ["api.tavily.com", "searxng.invalid", "keyless.tavily.invalid"],
    "secrets": ["TAVILY_API_KEY"],
}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["search the news for {query}", "what do the news say about {query}"]


def run(
    query: str,
    max_results: int = 5,
    days: int = 0,
    include_domains: list[str] | None = None,
    exclude_domains: list[str] | None = None,
) -> dict[str, Any]:
    """Search the news; return headlines, addresses, dates, scores and excerpts, best first.

    Args:
        query: what to search for.
        max_results: how many headlines at most, 1 to 20.
        days: only what is from the last so many days; 0 leaves it to the engine.
        include_domains: search only these sites.
        exclude_domains: leave these sites out.
    """
    return search(wanted(query, max_results, topic="news", days=days, domains=include_domains, without=exclude_domains))
