import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from tests.tools.conftest import Host, load
from tests.web import Reply, Server, serving
from workbench import bridge, toolkit
from workbench.core.errors import TransientError, WorkbenchError
from workbench.core.tools import Permissions
from workbench.policy.egress import http_service
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.secrets import Secrets
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors

web_search = load("web_search")
search_news = load("search_news")
web_extract = load("web_extract")
web_crawl = load("web_crawl")
KEY = "tvly-0123456789abcdef"
FOUND = {
    "results": [
        {
            "title": "DuckDB 2.0\nreleased",
            "url": "https://duckdb.org/news",
            "content": "Faster   joins.",
            "score": 0.9,
            "published_date": "2026-10-01",
        },
        {"title": "", "url": "https://example.com/a", "content": "x" * 2000, "score": 0.5},
        {"title": "without an address"},
        "no object",
    ]
}


@pytest.fixture
def doors() -> Iterator[Doors]:
    doors = Doors()
    doors.listening = True
    yield doors
    bridge.wait(doors.close())


@pytest.fixture
def tavily(host: Host, doors: Doors) -> Iterator[Server]:
    with serving() as server:
        connect(host, doors, server.url)
        yield server


def connect(
    host: Host,
    doors: Doors,
    base: str,
    key: str | None = KEY,
    more: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """The host functions as a worker sees them: what they raise arrives as Failed or Try."""
    permissions = Permissions(
        network=tuple(web_search.PERMISSIONS["network"]), secrets=tuple(web_search.PERMISSIONS["secrets"])
    )
    secrets = {"TAVILY_API_KEY": SecretStr(key)} if key is not None else {}
    way = WayOut(permissions, Secrets(secrets), {"api.tavily.com": base, **(more or {})}, **options)

    def as_seen(service: Service) -> Callable[[Mapping[str, Any]], Any]:
        def call(params: Mapping[str, Any]) -> Any:
            try:
                return bridge.wait(service(params))  # type: ignore[arg-type]  # ours are coroutine functions
            except TransientError as error:
                raise toolkit.Try(error.message, error.retry_after, error.hint) from None
            except WorkbenchError as error:
                raise toolkit.Failed(error.message, hint=error.hint) from None

        return call

    host.services["http.door"] = as_seen(door_service(way.send, way, doors))
    host.services["http"] = as_seen(http_service(way.send))


def test_results_have_title_address_date_score_and_excerpt_and_are_told_as_sources(tavily: Server, host: Host):
    tavily.replies = [Reply(body=FOUND)]
    found = web_search.run("DuckDB release notes")
    assert found["results"][0] == {
        "title": "DuckDB 2.0 released",
        "url": "https://duckdb.org/news",
        "date": "2026-10-01",
        "score": 0.9,
        "excerpt": "Faster joins.",
    }
    assert [len(item["excerpt"]) for item in found["results"]] == [13, 1000]
    assert found["formatted"].startswith(
        "1. DuckDB 2.0 released (2026-10-01)\n   https://duckdb.org/news\n   Faster joins.\n2."
    )
    assert [source["url"] for source in host.sources] == ["https://duckdb.org/news", "https://example.com/a"]
    assert tavily.heard[0].line == "POST /search HTTP/1.1"
    assert tavily.heard[0].json == {"query": "DuckDB release notes", "max_results": 5}
    assert tavily.heard[0].headers["authorization"] == f"Bearer {KEY}"


def test_nothing_found_is_an_answer(tavily: Server):
    tavily.replies = [Reply(body={"results": []})]
    assert web_search.run("zzz") == {"results": [], "formatted": "Nothing was found for zzz."}


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "shorter"), (401, "TAVILY_API_KEY"), (403, "plan"), (432, "limit"), (433, "pay-as-you-go")],
)
def test_a_refusal_says_why_and_what_to_do(tavily: Server, status, hint):
    tavily.replies = [Reply(status, {"detail": {"error": f"because of\n{KEY}"}})]
    with pytest.raises(toolkit.Failed) as caught:
        web_search.run("x")
    assert str(caught.value) == f"The web search answered {status} (because of [redacted])."
    assert hint in caught.value.hint


@pytest.mark.parametrize(("status", "after"), [(429, 7.0), (500, None), (503, 7.0)])
def test_what_may_pass_asks_for_another_try(tavily: Server, status, after):
    tavily.replies = [Reply(status, {"detail": {"error": "busy"}}, {"Retry-After": "7"} if after else {})]
    with pytest.raises(toolkit.Try) as caught:
        web_search.run("x")
    assert caught.value.after == after


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="<html>Log in to the hotel's network", headers={"Content-Type": "text/html"}),
        Reply(body={"answer": 1}),
        Reply(body="[1]", headers={"Content-Type": "application/json"}),
        Reply(body="{cut", headers={"Content-Type": "application/json"}),
        Reply(404, "gone"),
        Reply(302, headers={"Location": "https://elsewhere.example"}),
    ],
    ids=["html", "other json", "list", "broken json", "404", "redirect"],
)
def test_an_answer_that_is_none_fails_in_one_line(tavily: Server, reply):
    tavily.replies = [reply]
    with pytest.raises(toolkit.Failed) as caught:
        web_search.run("x")
    assert len(str(caught.value).splitlines()) == 1


def test_a_cut_answer_asks_for_another_try(tavily: Server):
    tavily.replies = [Reply(body=FOUND, declared=100_000)]
    with pytest.raises(toolkit.Try):
        web_search.run("x")


def test_a_slow_answer_asks_for_another_try(tavily: Server, host: Host, doors: Doors):
    tavily.replies = [Reply(wait=3)]
    connect(host, doors, tavily.url, timeout=0.2)
    with pytest.raises(toolkit.Try):
        web_search.run("x")


def test_a_dead_endpoint_asks_for_another_try(host: Host, doors: Doors):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connect(host, doors, f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(toolkit.Try):
        web_search.run("x")


def test_without_a_key_one_line_says_how_to_get_one(host: Host, doors: Doors):
    connect(host, doors, "http://127.0.0.1:9", key=None)
    with pytest.raises(toolkit.Failed) as caught:
        web_search.run("x")
    assert f"{caught.value} {caught.value.hint}" == (
        "TAVILY_API_KEY is not set. Get a key at https://tavily.com and set TAVILY_API_KEY."
    )


def test_an_empty_query_never_leaves(tavily: Server):
    with pytest.raises(toolkit.Failed):
        web_search.run("  ")
    assert not tavily.heard


def test_the_number_of_results_stays_within_what_tavily_takes(tavily: Server):
    tavily.replies = [Reply(body=FOUND)]
    for limit in (0, 500):
        web_search.run("x", max_results=limit)
    assert [heard.json["max_results"] for heard in tavily.heard] == [1, 20]


def test_depth_topic_days_and_domains_reach_tavily(tavily: Server):
    tavily.replies = [Reply(body=FOUND)]
    web_search.run(
        "rates",
        depth="advanced",
        topic="finance",
        days=7,
        include_domains=["https://www.ecb.europa.eu/stats/", "ECB.europa.eu"],
        exclude_domains=["example.com"],
    )
    assert tavily.heard[0].json == {
        "query": "rates",
        "max_results": 5,
        "search_depth": "advanced",
        "topic": "finance",
        "days": 7,
        "include_domains": ["www.ecb.europa.eu", "ecb.europa.eu"],
        "exclude_domains": ["example.com"],
    }


def test_news_are_searched_under_a_name_of_their_own(tavily: Server):
    tavily.replies = [Reply(body=FOUND)]
    found = search_news.run("comets", max_results=3, days=2)
    assert tavily.heard[0].json == {"query": "comets", "max_results": 3, "topic": "news", "days": 2}
    assert found["results"][0]["date"] == "2026-10-01"


@pytest.mark.parametrize("query", ["x" * 50_000, "\U0001f30a tides \u202e\x00", "   two\n\nlines  "])
def test_odd_and_huge_queries_arrive_as_they_are_or_fail_in_one_line(tavily: Server, query):
    tavily.replies = [Reply(body={"results": []})]
    web_search.run(query)
    assert tavily.heard[0].json["query"] == " ".join(query.split())


# SearXNG


SEARXNG = {
    "results": [
        {"title": "Tides", "url": "https://t.example/", "content": "High <water>", "score": 2.5, "publishedDate": None},
        {"title": "no address"},
        *[{"title": f"n{n}", "url": f"https://t.example/{n}"} for n in range(9)],
    ],
    "unresponsive_engines": [["slow", "timeout"]],
}


@pytest.fixture
def searxng(host: Host, doors: Doors) -> Iterator[Server]:
    with serving() as server:
        connect(host, doors, "http://127.0.0.1:9", more={"searxng.invalid": f"{server.url}/searx"})
        yield server


def test_a_searxng_of_ones_own_searches_instead_of_tavily(searxng: Server):
    searxng.replies = [Reply(body=SEARXNG)]
    found = web_search.run(
        "tides & moons", 2, topic="news", days=7, include_domains=["a.example"], exclude_domains=["b.example"]
    )
    assert found["results"] == [
        {"title": "Tides", "url": "https://t.example/", "date": None, "score": 2.5, "excerpt": "High <water>"},
        {"title": "n0", "url": "https://t.example/0", "date": None, "score": None, "excerpt": ""},
    ]
    method, path, _ = searxng.heard[0].line.split()
    asked = parse_qs(path.partition("?")[2])
    assert (method, path.partition("?")[0]) == ("GET", "/searx/search")
    assert asked == {
        "q": ["tides & moons site:a.example -site:b.example"],
        "format": ["json"],
        "categories": ["news"],
        "time_range": ["month"],
    }
    assert "authorization" not in searxng.heard[0].headers


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(403, "Forbidden"), toolkit.Failed),
        (Reply(body="<html>a page", headers={"Content-Type": "text/html"}), toolkit.Failed),
        (Reply(body={"results": "none"}), toolkit.Failed),
        (Reply(429, headers={"Retry-After": "3"}), toolkit.Try),
        (Reply(body={"results": [], "unresponsive_engines": [["slow", "timeout"]]}), toolkit.Try),
    ],
)
def test_a_searxng_that_gives_no_results_says_why(searxng: Server, reply, kind):
    searxng.replies = [reply]
    with pytest.raises(kind) as caught:
        web_search.run("x")
    assert len(str(caught.value).splitlines()) == 1
    if kind is toolkit.Failed:
        assert "settings.yml" in caught.value.hint


# Without a key


def test_without_a_key_nothing_leaves_unless_the_settings_say_so(host: Host, doors: Doors):
    with serving() as server:
        server.replies = [Reply(body=FOUND)]
        connect(host, doors, server.url, key=None)
        with pytest.raises(toolkit.Failed, match="TAVILY_API_KEY is not set"):
            web_search.run("x")
        assert not server.heard
        connect(host, doors, "http://127.0.0.1:9", key=None, more={"keyless.tavily.invalid": server.url})
        assert len(web_search.run("x")["results"]) == 2
        assert server.heard[0].headers["x-tavily-access-mode"] == "keyless"
        assert "authorization" not in server.heard[0].headers


def test_what_is_refused_without_a_key_says_so(host: Host, doors: Doors):
    error = {"code": "limit", "message": "Too many today", "retry_after_seconds": 3600, "next_actions": []}
    with serving() as server:
        server.replies = [Reply(429, {"error": error})]
        connect(host, doors, "http://127.0.0.1:9", key=None, more={"keyless.tavily.invalid": server.url})
        with pytest.raises(toolkit.Failed, match="Too many today") as caught:
            web_search.run("x")
        assert "TAVILY_API_KEY" in caught.value.hint
        with pytest.raises(toolkit.Failed, match="is not set"):  # these need a key in any case
            web_crawl.run("https://example.com", texts=False)


# Extract, crawl, map


def test_pages_are_read_with_what_could_not_be(tavily: Server, host: Host):
    long = "# Tides\n" + "x" * 30_000
    tavily.replies = [
        Reply(
            body={
                "results": [{"url": "https://a.example", "raw_content": long}, {"raw_content": "no address"}],
                "failed_results": [{"url": "https://b.example", "error": "timeout"}],
            }
        )
    ]
    found = web_extract.run(["https://a.example", "https://a.example", "https://b.example"])
    assert tavily.heard[0].line.startswith("POST /extract")
    assert tavily.heard[0].json["urls"] == ["https://a.example", "https://b.example"]
    [page] = found["results"]
    assert (page["title"], page["cut"]) == ("Tides", True)
    assert page["text"].endswith("… cut: 30,008 characters in all")
    assert found["failed"] == ["https://b.example"]
    assert found["formatted"].endswith("Not read: https://b.example")
    assert host.sources == [{"title": "Tides", "url": "https://a.example"}]


@pytest.mark.parametrize("urls", [[], ["  "], ["https://x.example/" + str(n) for n in range(21)]])
def test_no_pages_and_too_many_never_leave(tavily: Server, urls):
    with pytest.raises(toolkit.Failed):
        web_extract.run(urls)
    assert not tavily.heard


def test_a_site_is_crawled_within_bounds(tavily: Server):
    tavily.replies = [
        Reply(body={"base_url": "https://a.example", "results": [{"url": "https://a.example/1", "raw_content": "one"}]})
    ]
    found = web_crawl.run("https://a.example", instructions="prices", limit=9999, depth=99)
    sent = tavily.heard[0].json
    assert tavily.heard[0].line.startswith("POST /crawl")
    assert (sent["url"], sent["instructions"], sent["limit"], sent["max_depth"]) == (
        "https://a.example",
        "prices",
        50,
        3,
    )
    assert found["results"] == [{"url": "https://a.example/1", "text": "one"}]


@pytest.mark.parametrize("texts", [True, False])
def test_a_crawl_that_takes_too_long_is_not_asked_for_again_and_says_what_to_ask_instead(
    tavily: Server, host: Host, texts: bool
):
    host.be_patient(0.2)
    tavily.replies = [Reply(wait=3)]
    with pytest.raises(toolkit.Failed) as caught:
        web_crawl.run("https://a.example", texts=texts)
    assert "fewer pages" in caught.value.hint
    assert tavily.heard[0].json["timeout"] == 0.2


def test_pages_that_take_too_long_may_be_asked_for_again(tavily: Server, host: Host):
    host.be_patient(0.2)
    tavily.replies = [Reply(wait=3)]
    with pytest.raises(toolkit.Try):
        web_extract.run(["https://a.example"])


def test_a_site_is_mapped(tavily: Server):
    tavily.replies = [Reply(body={"base_url": "https://a.example", "results": ["https://a.example/1", "", 3]})]
    found = web_crawl.run("https://a.example", texts=False)
    assert tavily.heard[0].line.startswith("POST /map")
    assert found == {"results": [{"url": "https://a.example/1"}], "formatted": "https://a.example/1"}


@pytest.mark.parametrize(
    "tool", [lambda: web_extract.run(["a"]), lambda: web_crawl.run("a"), lambda: web_crawl.run("a", texts=False)]
)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(403, {"detail": {"error": "not in your plan"}}),
        Reply(body={"x": 1}),
        Reply(body="{", headers={"Content-Type": "application/json"}),
    ],
)
def test_what_the_key_does_not_allow_or_no_tavily_answers_is_one_line_with_a_hint(tavily: Server, tool, reply):
    tavily.replies = [reply]
    with pytest.raises(toolkit.Failed) as caught:
        tool()
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint
