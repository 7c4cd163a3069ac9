"""Tavily, asked with its own client through a door of the host, which adds the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench import toolkit
from workbench.search.results import Wanted, result

if TYPE_CHECKING:
    import requests

HOST = "api.tavily.com"
KEYLESS = "keyless.tavily.invalid"
"""Stands for Tavily without a key, where the user's settings allow it; see `workbench.services`."""
AUTH = {
    "bearer": "TAVILY_API_KEY",
    "hint": "Get a key at https://tavily.com and set TAVILY_API_KEY.",
}
REMEDY = {
    400: "Make the query shorter or simpler.",
    401: "Check TAVILY_API_KEY, or get a key at https://tavily.com.",
    403: "This key may not do that; look at your plan at https://tavily.com.",
    432: "Your plan's limit is reached; look at your plan at https://tavily.com.",
    433: "Your pay-as-you-go limit is reached; raise it at https://tavily.com.",
}


def search(wanted: Wanted) -> list[dict[str, Any]]:
    """The results of a search, best first. Raises what any other answer means."""

    def ask(client: Any) -> Any:
        return client.search(
            wanted.query,
            max_results=wanted.max_results,
            search_depth=None if wanted.depth == "basic" else wanted.depth,
            topic=None if wanted.topic == "general" else wanted.topic,
            days=wanted.days or None,
            include_domains=list(wanted.domains) or None,
            exclude_domains=list(wanted.without) or None,
            timeout=toolkit.patience(),
        )

    found = asked(ask, "results", keyless=True)
    return [result(item, date="published_date") for item in found if isinstance(item, dict) and item.get("url")]


def asked(ask: Callable[[Any], Any], key: str, *, keyless: bool = False, late: str = "") -> list[Any]:
    """The list under `key` in what a call of Tavily's client gives. `keyless`: the call can do without a key, and does
    where there is none and the settings allow it. `late`: what to do about one that takes too long, where to ask again
    would take as long, and cost as much. Raises Failed and Try as the answer means."""
    base, has_key = _door(keyless)
    import requests
    import tavily
    from tavily import errors

    answers: list[requests.Response] = []
    session = requests.Session()
    session.trust_env = False
    session.hooks["response"].append(lambda response, **_: answers.append(response))
    if not has_key:
        session.headers["X-Tavily-Access-Mode"] = "keyless"
    # The client has no key. It is given a word in its place, or it would refuse some calls; the host puts the key in.
    client = tavily.TavilyClient("added by the host", api_base_url=base, session=session)
    try:
        answer = ask(client)
    except errors.TimeoutError:
        if late:
            raise toolkit.Failed("The web search did not answer in time.", hint=late) from None
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
    if not isinstance(answer, dict) or not isinstance(answer.get(key), list) or key not in content(answers[-1]):
        raise meaning(answers[-1])
    return list(answer[key])


def _door(keyless: bool) -> tuple[str, bool]:
    """Where Tavily is reached, and whether with a key."""
    try:
        return toolkit.door(HOST, AUTH), True
    except toolkit.Failed:
        if keyless:
            try:
                return toolkit.door(KEYLESS), False
            except toolkit.Failed:
                pass
        raise


def meaning(answer: requests.Response) -> toolkit.Failed | toolkit.Try:
    """What an answer without results means for the user."""
    status, body, after = answer.status_code, content(answer), answer.headers.get("Retry-After", "")
    wait = float(after) if after.isdecimal() else None
    if "x-workbench-error" in answer.headers and isinstance(body, dict):  # it never reached Tavily
        message, hint = str(body["error"]["message"]), str(body["error"]["hint"])
        return toolkit.Try(message, wait, hint) if status == 503 else toolkit.Failed(message, hint)
    if isinstance(body, dict) and isinstance(error := body.get("error"), dict):  # how it refuses who has no key
        text = f"The web search answered {status} ({_line(error.get('message'))})."
        return toolkit.Failed(text, hint="Without a key only little is given. Set TAVILY_API_KEY.")
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
    return f" ({_line(text)})" if isinstance(text, str) and text.strip() else ""


def _line(text: Any) -> str:
    return " ".join(str(text or "").split())[:200]
