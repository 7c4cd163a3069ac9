"""Lists or reads the pages of a site with Tavily, following its links."""

from __future__ import annotations

from typing import Any

from workbench import toolkit
from workbench.search.tavily import asked

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 160
EXAMPLES = ["crawl {url} for {instructions}"]

MAX_TEXT = 5_000
LONGEST = 150
"""Seconds that Tavily takes at most."""


def run(url: str, instructions: str = "", texts: bool = True, limit: int = 10, depth: int = 1) -> dict[str, Any]:
    """Return the pages of a site. What takes longer than two and a half minutes has to be asked for in parts.

    Args:
        url: where to begin.
        instructions: which pages matter, in words.
        texts: read the pages; else only list their addresses, which is quicker.
        limit: how many pages at most, 1 to 50, of addresses 200.
        depth: how many links away from the beginning, 1 to 3.
    """
    if not url.strip():
        raise toolkit.Failed("There is no address to begin at.", hint="Name a page.")

    def ask(client: Any) -> Any:
        wanted = {
            "instructions": instructions.strip() or None,
            "max_depth": max(1, min(depth, 3)),
            "timeout": min(LONGEST, toolkit.patience()),
        }
        if texts:
            return client.crawl(url.strip(), limit=max(1, min(limit, 50)), format="markdown", **wanted)
        return client.map(url.strip(), limit=max(1, min(limit, 200)), **wanted)

    found = asked(ask, "results", late="Ask for fewer pages, for a smaller depth, or only for addresses.")
    if not texts:
        pages = [{"url": item} for item in found if isinstance(item, str) and item.strip()]
        return {"results": pages, "formatted": "\n".join(page["url"] for page in pages) or nothing(url)}
    pages = [page(item) for item in found if isinstance(item, dict) and item.get("url")]
    for item in pages:
        toolkit.source(item["url"], item["url"])
    said = [f"{item['url']}\n{item['text']}" for item in pages]
    return {"results": pages, "formatted": "\n\n".join(said) or nothing(url)}


def page(item: dict[str, Any]) -> dict[str, str]:
    text = str(item.get("raw_content") or "")
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n… cut: {len(text):,} characters in all"
    return {"url": str(item["url"]), "text": text}


def nothing(url: str) -> str:
    return f"No page was found at {url}."
