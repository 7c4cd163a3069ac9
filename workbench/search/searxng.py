"""SearXNG, a search engine that users run themselves; `WORKBENCH_SEARXNG_URL` says where theirs is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from workbench import toolkit
from workbench.search.results import Wanted, result

HOST = "searxng.invalid"
"""Stands for the user's own server; see `workbench.services`."""


def is_set() -> bool:
    """Whether the user's settings name a server."""
    try:
        toolkit.door(HOST)
    except toolkit.Failed:
        return False
    return True


def search(wanted: Wanted) -> list[dict[str, Any]]:
    """The results of a search, best first. Raises Failed and Try as the answer means."""
    sites = " OR ".join(f"site:{name}" for name in wanted.domains)
    words = [wanted.query, f"({sites})" if len(wanted.domains) > 1 else sites, *(f"-site:{n}" for n in wanted.without)]
    asked = {
        "q": " ".join(filter(None, words)),
        "format": "json",
        "categories": "news" if wanted.topic == "news" else "general",
    }
    if wanted.days:
        asked["time_range"] = "day" if wanted.days == 1 else "month" if wanted.days <= 31 else "year"
    answer = toolkit.call("http", url=f"https://{HOST}/search?{urlencode(asked)}")
    found = answer.get("json")
    if answer["status"] == 429 or answer["status"] >= 500:
        raise toolkit.Try(f"SearXNG answered {answer['status']}.", answer["retry_after"])
    if answer["status"] != 200 or not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise toolkit.Failed(
            f"SearXNG answered {answer['status']} without a list of results.",
            hint="Its settings.yml has to name json under search: formats; does WORKBENCH_SEARXNG_URL lead to it?",
        )
    results = [item for item in found["results"] if isinstance(item, dict) and item.get("url")]
    if not results and found.get("unresponsive_engines"):
        engines = ", ".join(str(engine[0]) for engine in found["unresponsive_engines"] if engine)
        raise toolkit.Try(f"None of SearXNG's engines answered ({engines[:200]}).")
    return [result(item, date="publishedDate") for item in results[: wanted.max_results]]
