"""Searches the web with Tavily."""

from __future__ import annotations

from typing import Any

from workbench import toolkit

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["search the web for {query}"]

NO_KEY = "Get a key at https://tavily.com and set TAVILY_API_KEY."
REMEDY = {
    400: "Make the query shorter or simpler.",
    401: "Check TAVILY_API_KEY, or get a key at https://tavily.com.",
    403: "This key may not search; look at your plan at https://tavily.com.",
    432: "Your plan's limit is reached; look at your plan at https://tavily.com.",
    433: "Your pay-as-you-go limit is reached; raise it at https://tavily.com.",
}


def run(query: str, max_results: int = 5) -> dict[str, Any]:
    """Search the web; return titles, addresses, dates and excerpts, best first.

    Args:
        query: what to search for.
        max_results: how many results at most, 1 to 20.
    """
    if not query.strip():
        raise toolkit.Failed("There is nothing to search for.", hint="Say what: search the web for …")
    answer = toolkit.call(
        "http",
        method="POST",
        url="https://api.tavily.com/search",
        json={"query": query.strip(), "max_results": max(1, min(max_results, 20))},
        auth={"bearer": "TAVILY_API_KEY", "hint": NO_KEY},
    )
    results = [result(item) for item in found(answer) if isinstance(item, dict) and item.get("url")]
    for item in results:
        toolkit.source(item["title"], item["url"])
    return {"results": results, "formatted": formatted(query, results)}


def found(answer: dict[str, Any]) -> list[Any]:
    """The results in an answer. Raises what any other answer means."""
    status, body = answer["status"], answer.get("json")
    if status == 429 or status >= 500:
        raise toolkit.Try(f"The web search answered {status}{said(body)}.", after=answer.get("retry_after"))
    if status in REMEDY:
        raise toolkit.Failed(f"The web search answered {status}{said(body)}.", hint=REMEDY[status])
    results = body.get("results") if isinstance(body, dict) else None
    if status != 200 or not isinstance(results, list):
        what = f"{status}{said(body)}" if status != 200 else "without a list of results"
        raise toolkit.Failed(f"The web search answered {what}.", hint="Does TAVILY_BASE_URL lead to Tavily's API?")
    return results


def said(body: Any) -> str:
    """What Tavily says about an error, in brackets."""
    detail = body.get("detail") if isinstance(body, dict) else None
    text = detail.get("error") if isinstance(detail, dict) else detail
    return f" ({' '.join(text.split())[:200]})" if isinstance(text, str) and text.strip() else ""


def result(item: dict[str, Any]) -> dict[str, Any]:
    """One result, with the names that every search tool uses."""
    url = str(item["url"])
    return {
        "title": " ".join(str(item.get("title") or url).split()),
        "url": url,
        "date": item.get("published_date"),
        "score": item.get("score"),
        "excerpt": " ".join(str(item.get("content") or "").split())[:1000],
    }


def formatted(query: str, results: list[dict[str, Any]]) -> str:
    """The results as plain text."""
    if not results:
        return f"Nothing was found for {query}."
    blocks = []
    for number, item in enumerate(results, 1):
        date = f" ({item['date']})" if item["date"] else ""
        excerpt = item["excerpt"] if len(item["excerpt"]) <= 300 else item["excerpt"][:299] + "…"
        blocks.append(f"{number}. {item['title']}{date}\n   {item['url']}\n   {excerpt}")
    return "\n".join(blocks)
