"""Reads the text of pages through Tavily, which also gets at those that need a browser."""

from __future__ import annotations

from typing import Any, Literal

from workbench import toolkit
from workbench.search.tavily import asked

PERMISSIONS = {"network": ["api.tavily.com", "keyless.tavily.invalid"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 70
EXAMPLES = ["read the pages {urls} with Tavily"]

LONGEST = 60
"""Seconds that Tavily takes at most."""
MAX_PAGES = 20
MAX_TEXT = 20_000


def run(urls: list[str], depth: Literal["basic", "advanced"] = "basic") -> dict[str, Any]:
    """Return the text of each page as Markdown, and which could not be read.

    Args:
        urls: addresses of the pages, at most 20.
        depth: advanced also reads tables and embedded content, slower and at a higher price.
    """
    wanted = [url.strip() for url in dict.fromkeys(urls) if url.strip()]
    if not wanted or len(wanted) > MAX_PAGES:
        raise toolkit.Failed(f"Between 1 and {MAX_PAGES} addresses can be read at once.", hint="Name some pages.")
    failed: list[Any] = []

    def ask(client: Any) -> Any:
        answer = client.extract(
            wanted, extract_depth=depth, format="markdown", timeout=min(LONGEST, toolkit.patience())
        )
        failed.extend(answer.get("failed_results") or ())
        return answer

    pages = [page(item) for item in asked(ask, "results", keyless=True) if isinstance(item, dict) and item.get("url")]
    for item in pages:
        toolkit.source(item["title"], item["url"])
    missed = [str(item.get("url")) for item in failed if isinstance(item, dict)]
    said = [f"{item['title']}\n{item['url']}\n\n{item['text']}" for item in pages]
    said += [f"Not read: {url}" for url in missed]
    return {"results": pages, "failed": missed, "formatted": "\n\n".join(said) or "No page could be read."}


def page(item: dict[str, Any]) -> dict[str, Any]:
    """One page; a long text is cut, and says so."""
    text, url = str(item.get("raw_content") or ""), str(item["url"])
    cut = len(text) > MAX_TEXT
    title = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")
    return {
        "title": " ".join(title.split())[:200] or url,
        "url": url,
        "text": f"{text[:MAX_TEXT]}\n… cut: {len(text):,} characters in all" if cut else text,
        "cut": cut,
    }
