import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from tests.tools.conftest import Host, load
from tests.web import Reply, Server, serving
from workbench import bridge, toolkit
from workbench.core.errors import WorkbenchError
from workbench.core.tools import Permissions
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.secrets import Secrets
from workbench.sandbox.doors import Doors

web_search = load("web_search")
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


def connect(host: Host, doors: Doors, base: str, key: str | None = KEY, **options: Any) -> None:
    """The host function as a worker sees it: what it raises arrives as Failed or Try."""
    permissions = Permissions(
        network=tuple(web_search.PERMISSIONS["network"]), secrets=tuple(web_search.PERMISSIONS["secrets"])
    )
    secrets = {"TAVILY_API_KEY": SecretStr(key)} if key is not None else {}
    way = WayOut(permissions, Secrets(secrets), {"api.tavily.com": base}, **options)
    service = door_service(way.send, way, doors)

    def door(params: Mapping[str, Any]) -> Any:
        try:
            return bridge.wait(service(params))  # type: ignore[arg-type]  # ours is a coroutine function
        except WorkbenchError as error:
            raise toolkit.Failed(error.message, hint=error.hint) from None

    host.services["http.door"] = door


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
