"""Searches the web with Tavily."""

from __future__ import annotations

from typing import Any

from workbench import toolkit

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["search the web for {query}"]

REMEDY = {
    400: "Tavily did not understand the query; make it shorter or simpler.",
    401: "Check TAVILY_API_KEY; a key can be had at tavily.com.",
    403: "This key may not search; look at your plan at tavily.com.",
    432: "The plan's limit is reached; look at your plan at tavily.com.",
    433: "The pay-as-you-go limit is reached; raise it at tavily.com.",
}


def run(query: str, max_results: int = 5) -> dict[str, Any]:
    """Search the web and return titles, addresses and excerpts.

    Args:
        query: what to search for.
        max_results: how many results at most, 1 to 20.
    """
    answer = toolkit.call(
        "http",
        method="POST",
        url="https://api.tavily.com/search",
        json={"query": query, "max_results": max(1, min(max_results, 20))},
        auth={"bearer": "TAVILY_API_KEY"},
    )
    check(answer)
    results = [result(item) for item in answer["json"]["results"]]
    for item in results:
        toolkit.source(item["title"], item["url"])
    return {"results": results, "formatted": formatted(query, results)}


def check(answer: dict[str, Any]) -> None:
    """Raise what the answer's status means; return when it is a list of results."""
    status = answer["status"]
    if status == 429 or status >= 500:
        raise toolkit.Try(f"Tavily answered {status}.", after=answer.get("retry_after"), hint="Try again later.")
    if status != 200:
        raise toolkit.Failed(f"Tavily answered {status}{said(answer)}.", hint=REMEDY.get(status, ""))
    body = answer.get("json")
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise toolkit.Failed("The search did not answer with results.", hint="Check TAVILY_BASE_URL.")


def said(answer: dict[str, Any]) -> str:
    """What Tavily says about an error, in brackets."""
    body = answer.get("json")
    detail = body.get("detail") if isinstance(body, dict) else None
    text = detail.get("error") if isinstance(detail, dict) else detail
    return f" ({text[:200]})" if isinstance(text, str) and text else ""


def result(item: Any) -> dict[str, Any]:
    """One result with the names that every search tool uses."""
    fields = item if isinstance(item, dict) else {}
    return {
        "title": str(fields.get("title") or fields.get("url") or "Untitled"),
        "url": str(fields.get("url") or ""),
        "date": fields.get("published_date"),
        "score": fields.get("score"),
        "excerpt": str(fields.get("content") or "")[:1000],
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
