"""What a search has found, in one form for every engine, and as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench import toolkit

MAX_RESULTS = 20
MAX_EXCERPT = 1000
MAX_SHOWN = 300
"""Characters of an excerpt that a result keeps, and those that the plain text shows."""

Topic = Literal["general", "news", "finance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to search for. `days`: nothing older, 0 when it does not matter; `domains` to search, `without` to leave
    out. `depth` advanced: slower and dearer, with better excerpts; an engine without depths takes no notice."""

    query: str
    max_results: int = 5
    topic: Topic = "general"
    depth: Literal["basic", "advanced"] = "basic"
    days: int = 0
    domains: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def wanted(
    query: str,
    max_results: int = 5,
    *,
    topic: Topic = "general",
    depth: Literal["basic", "advanced"] = "basic",
    days: int = 0,
    domains: Iterable[str] | None = None,
    without: Iterable[str] | None = None,
) -> Wanted:
    """What a tool was asked for, within what engines take. Raises Failed when there is nothing to search for."""
    if not query.strip():
        raise toolkit.Failed("There is nothing to search for.", hint="Say what: search the web for …")
    return Wanted(
        query=" ".join(query.split()),
        max_results=max(1, min(max_results, MAX_RESULTS)),
        topic=topic,
        depth=depth,
        days=max(0, days),
        domains=_names(domains),
        without=_names(without),
    )


def result(item: Mapping[str, Any], *, date: str, excerpt: str = "content") -> dict[str, Any]:
    """One result with the names that every search tool uses; `date` and `excerpt` are what its engine calls them."""
    url, score = str(item["url"]), item.get("score")
    return {
        "title": " ".join(str(item.get("title") or url).split()),
        "url": url,
        "date": item.get(date) or None,
        "score": score if isinstance(score, int | float) else None,
        "excerpt": " ".join(str(item.get(excerpt) or "").split())[:MAX_EXCERPT],
    }


def told(query: str, results: list[dict[str, Any]], note: str = "") -> dict[str, Any]:
    """What a search tool returns; each result is a source of the answer."""
    for item in results:
        toolkit.source(item["title"], item["url"])
    text = formatted(query, results)
    return {"results": results, "formatted": f"{text}\n{note}" if note else text}


def formatted(query: str, results: list[dict[str, Any]]) -> str:
    """The results as plain text."""
    if not results:
        return f"Nothing was found for {query}."
    blocks = []
    for number, item in enumerate(results, 1):
        date = f" ({item['date']})" if item["date"] else ""
        excerpt = item["excerpt"]
        shown = excerpt if len(excerpt) <= MAX_SHOWN else excerpt[: MAX_SHOWN - 1] + "…"
        blocks.append(f"{number}. {item['title']}{date}\n   {item['url']}\n   {shown}".rstrip())
    return "\n".join(blocks)


def _names(domains: Iterable[str] | None) -> tuple[str, ...]:
    """Domains as engines want them, however they were written: `https://www.example.com/` is `www.example.com`."""
    bare = (
        name.strip().lower().removeprefix("https://").removeprefix("http://").split("/")[0] for name in domains or ()
    )
    return tuple(dict.fromkeys(name for name in bare if name))
