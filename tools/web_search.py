"""Searches the web with Tavily."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench import toolkit

if TYPE_CHECKING:
    import requests

PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
EFFECT = "read"
TIMEOUT = 40
EXAMPLES = ["search the web for {query}"]

AUTH = {"bearer": "TAVILY_API_KEY", "hint": "Get a key at https://tavily.com and set TAVILY_API_KEY."}
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
    found = search(query.strip(), max(1, min(max_results, 20)))
    results = [result(item) for item in found if isinstance(item, dict) and item.get("url")]
    for item in results:
        toolkit.source(item["title"], item["url"])
    return {"results": results, "formatted": formatted(query, results)}


def search(query: str, max_results: int) -> list[Any]:
    """The results that Tavily's own client gets. Raises what any other answer means."""
    base = toolkit.door("api.tavily.com", AUTH)
    import requests
    import tavily
    from tavily import errors

    answers: list[requests.Response] = []
    session = requests.Session()
    session.trust_env = False
    session.hooks["response"].append(lambda response, **_: answers.append(response))
    # The client has no key. It is given a word in its place, or it would call itself keyless; the host puts the key in.
    client = tavily.TavilyClient("added by the host", api_base_url=base, session=session)
    try:
        answer = client.search(query, max_results=max_results, timeout=TIMEOUT - 5)
    except errors.TimeoutError:
        raise toolkit.Try("The web search did not answer in time.") from None
    except (
        errors.BadRequestError,
        errors.ForbiddenError,
        errors.InvalidAPIKeyError,
        errors.UsageLimitExceededError,
        requests.HTTPError,
        requests.JSONDecodeError,
        AttributeError,  # the client trips over JSON of another shape,
        TypeError,  # and over a status that is neither success nor error
    ):
        raise meaning(answers[-1]) from None
    except requests.RequestException as error:
        raise toolkit.Try(f"The web search broke off ({type(error).__name__}).") from None
    # The client puts an empty list where an answer has none, also where it is not Tavily that answers.
    if not isinstance(answer["results"], list) or "results" not in content(answers[-1]):
        raise meaning(answers[-1])
    return answer["results"]


def meaning(answer: requests.Response) -> toolkit.Failed | toolkit.Try:
    """What an answer without results means for the user."""
    status, body, after = answer.status_code, content(answer), answer.headers.get("Retry-After", "")
    wait = float(after) if after.isdecimal() else None
    if "x-workbench-error" in answer.headers and isinstance(body, dict):  # it never reached Tavily
        message, hint = str(body["error"]["message"]), str(body["error"]["hint"])
        return toolkit.Try(message, wait, hint) if status == 503 else toolkit.Failed(message, hint)
    if status == 429 or status >= 500:
        return toolkit.Try(f"The web search answered {status}{said(body)}.", after=wait)
    if status in REMEDY:
        return toolkit.Failed(f"The web search answered {status}{said(body)}.", hint=REMEDY[status])
    what = f"{status}{said(body)}" if status != 200 else "without a list of results"
    return toolkit.Failed(f"The web search answered {what}.", hint="Does TAVILY_BASE_URL lead to Tavily's API?")


def content(answer: requests.Response) -> Any:
    """An answer's JSON, None when it is none."""
    try:
        return answer.json()
    except ValueError:
        return None


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
