"""Lists the addresses of a site with Tavily."""

from __future__ import annotations

from typing import Any

from workbench import toolkit
from workbench.search.tavily import asked

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["list the pages of {url}"]


def run(url: str, instructions: str = "", limit: int = 50, depth: int = 1) -> dict[str, Any]:
    """Return the addresses of a site's pages, without reading them.

    Args:
        url: where to begin.
        instructions: which pages matter, in words.
        limit: how many addresses at most, 1 to 200.
        depth: how many links away from the beginning, 1 to 3.
    """
    if not url.strip():
        raise toolkit.Failed("There is no address to begin at.", hint="Name a page.")

    def ask(client: Any) -> Any:
        return client.map(
            url.strip(),
            instructions=instructions.strip() or None,
            limit=max(1, min(limit, 200)),
            max_depth=max(1, min(depth, 3)),
            timeout=28,
        )

    found = [str(item) for item in asked(ask, "results") if isinstance(item, str) and item.strip()]
    return {"results": found, "formatted": "\n".join(found) or f"No page was found at {url}."}
