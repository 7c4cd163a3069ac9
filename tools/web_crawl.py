"""Reads the pages of a site with Tavily, following its links."""

from __future__ import annotations

from typing import Any

from workbench import toolkit
from workbench.search.tavily import asked

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["crawl {url} for {instructions}"]

MAX_TEXT = 5_000


def run(url: str, instructions: str = "", limit: int = 10, depth: int = 1) -> dict[str, Any]:
    """Return the pages of a site with their texts. What takes longer than half a minute has to be asked for in parts.

    Args:
        url: where to begin.
        instructions: which pages matter, in words.
        limit: how many pages at most, 1 to 50.
        depth: how many links away from the beginning, 1 to 3.
    """
    if not url.strip():
        raise toolkit.Failed("There is no address to begin at.", hint="Name a page.")

    def ask(client: Any) -> Any:
        return client.crawl(
            url.strip(),
            instructions=instructions.strip() or None,
            limit=max(1, min(limit, 50)),
            max_depth=max(1, min(depth, 3)),
            format="markdown",
            timeout=28,
        )

    found = [item for item in asked(ask, "results") if isinstance(item, dict) and item.get("url")]
    pages = [{"url": str(item["url"]), "text": cut(str(item.get("raw_content") or ""))} for item in found]
    for page in pages:
        toolkit.source(page["url"], page["url"])
    said = [f"{page['url']}\n{page['text']}" for page in pages]
    return {"results": pages, "formatted": "\n\n".join(said) or f"No page was found at {url}."}


def cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n… cut: {len(text):,} characters in all"
