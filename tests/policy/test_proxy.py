"""A door: one declared host, with the key that the worker never has; nothing else, however it is asked."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.doors import ALLOWED, AUTH, HOST, KEY, get, say, status, street
from tests.web import Reply
from workbench.core.errors import Denied, ToolFailed
from workbench.policy.messages import Answered
from workbench.policy.outgoing import MAX_EXCHANGES, WayOut
from workbench.policy.proxy import Proxy, door_service
from workbench.policy.secrets import Secrets
from workbench.sandbox.doors import Doors


async def test_a_library_reaches_its_host_with_the_key_that_it_does_not_have(tmp_path):
    async with street(tmp_path) as there:
        there.server.replies = [Reply(body={"you": "are in"})]
        url = await there.open()

        def ask() -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                headers = {"Authorization": "Bearer none", "Cookie": "a=b", "X-Kept": "yes"}
                return session.post(f"{url}/v1/search?q=1", json={"q": "x"}, headers=headers, timeout=10)

        answer = await asyncio.to_thread(ask)
        assert (answer.status_code, answer.json()) == (200, {"you": "are in"})
        [heard] = there.server.heard
        assert heard.line == "POST /v1/search?q=1 HTTP/1.1"
        assert heard.json == {"q": "x"}
        assert heard.headers["authorization"] == f"Bearer {KEY}"
        assert heard.headers["x-kept"] == "yes"
        assert "cookie" not in heard.headers
        assert heard.headers["host"] == urlsplit(there.server.url).netloc


async def test_without_a_named_key_none_is_sent_and_the_librarys_own_is_dropped(tmp_path):
    async with street(tmp_path) as there:
        answer = await say(url := await there.open(auth=None), get(url, headers="Authorization: Bearer x\r\n"))
        assert status(answer) == 200
        assert "authorization" not in there.server.heard[0].headers


async def test_a_door_is_opened_for_declared_hosts_and_secrets_that_are_set(tmp_path):
    async with street(tmp_path) as there:
        with pytest.raises(Denied, match="does not declare the host"):
            await there.open("evil.example.com")
        with pytest.raises(Denied, match="does not declare the secret"):
            await there.open(auth={"bearer": "OTHER"})
        assert await there.open() == await there.open()
        assert await there.open() != await there.open(auth=None)


async def test_a_missing_key_is_said_when_the_door_is_asked_for():
    way = WayOut(ALLOWED, Secrets({}), {})
    with pytest.raises(ToolFailed, match="KEY is not set"):
        await door_service(way.send, way, Doors())({"host": HOST, "auth": {"bearer": "KEY", "hint": "Get one."}})


CHUNKED = "Transfer-Encoding: chunked\r\n"
LAST = "0\r\n\r\n"
HOSTILE: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "no token": (404, lambda url: get(f"http://{urlsplit(url).netloc}", "/a")),
    "another token": (404, lambda url: get(f"http://{urlsplit(url).netloc}/x{urlsplit(url).path[2:]}")),
    "a longer token": (404, lambda url: get(url, "x/a")),
    "wrong host": (421, lambda url: get(url, host="evil.example.com")),
    "the real host": (421, lambda url: get(url, host=HOST)),
    "another port": (421, lambda url: get(url, host="127.0.0.1:1")),
    "a suffix": (421, lambda url: get(url, host=f"{urlsplit(url).netloc}.evil.com")),
    "two hosts": (400, lambda url: get(url, headers="Host: evil.example.com\r\n")),
    "no host": (400, lambda url: f"GET {urlsplit(url).path}/a HTTP/1.1\r\n\r\n".encode()),
    "no host, 1.0": (421, lambda url: f"GET {urlsplit(url).path}/a HTTP/1.0\r\n\r\n".encode()),
    "absolute form": (404, lambda url: f"GET {url}/a HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n\r\n".encode()),
    "another's absolute form": (404, lambda url: _raw(url, "GET http://169.254.169.254/ HTTP/1.1")),
    "CONNECT": (405, lambda url: _raw(url, "CONNECT 169.254.169.254:80 HTTP/1.1")),
    "CONNECT with the token": (405, lambda url: _raw(url, f"CONNECT {urlsplit(url).path} HTTP/1.1")),
    "OPTIONS *": (404, lambda url: _raw(url, "OPTIONS * HTTP/1.1")),
    "an unknown method": (502, lambda url: get(url, method="PROPFIND")),
    "websocket": (501, lambda url: get(url, headers="Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")),
    "h2c": (501, lambda url: get(url, headers="Upgrade: h2c\r\nHTTP2-Settings: AA\r\n")),
    "http/2 preface": (505, lambda url: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "http/0.9": (400, lambda url: f"GET {urlsplit(url).path}/a\r\n\r\n".encode()),
    "not http": (400, lambda url: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "two lengths": (400, lambda url: get(url, headers="Content-Length: 3\r\nContent-Length: 4\r\n", body="abcd")),
    "length and chunks": (
        400,
        lambda url: get(
            url,
            method="POST",
            headers="Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            body="0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
    ),
    "an odd coding": (
        501,
        lambda url: get(url, method="POST", headers="Transfer-Encoding: xchunked\r\n", body="0\r\n\r\n"),
    ),
    "two codings": (
        501,
        lambda url: get(url, method="POST", headers="Transfer-Encoding: gzip, chunked\r\n", body="0\r\n\r\n"),
    ),
    "a space before the colon": (400, lambda url: get(url, headers="Transfer-Encoding : chunked\r\n")),
    "a folded header": (200, lambda url: get(url, headers="X-A: b\r\n c\r\n")),
    "a bad length": (400, lambda url: get(url, headers="Content-Length: +4\r\n", body="abcd")),
    "a bad chunk": (
        400,
        lambda url: get(url, method="POST", headers="Transfer-Encoding: chunked\r\n", body="zz\r\n\r\n"),
    ),
    "a NUL": (400, lambda url: get(url, headers="X-A: b\0c\r\n")),
    "latin-1": (400, lambda url: get(url, headers="X-A: caf\xe9\r\n")),
    "huge headers": (431, lambda url: get(url, headers=f"X-A: {'x' * 100_000}\r\n")),
    "many headers": (431, lambda url: get(url, headers="".join(f"X-{n}: y\r\n" for n in range(10_000)))),
    "a compressed body": (403, lambda url: get(url, method="POST", headers="Content-Encoding: gzip\r\n")),
    "a key in the query": (403, lambda url: get(url, f"/?k={KEY}")),
    "a key in a header": (403, lambda url: get(url, headers=f"X-A: {KEY}\r\n")),
    "a key in hex": (403, lambda url: get(url, f"/{KEY.encode().hex()}")),
}


def _raw(url: str, line: str) -> bytes:
    return f"{line}\r\nHost: {urlsplit(url).netloc}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_request_is_refused_and_does_not_leave(tmp_path, name):
    wanted, make = HOSTILE[name]
    async with street(tmp_path) as there:
        url = await there.open()
        answer = await say(url, make(url), end=True)
        assert status(answer) == wanted, answer
        assert len(there.server.heard) == (wanted == 200)


async def test_what_a_parser_might_read_differently_is_rebuilt(tmp_path):
    async with street(tmp_path) as there:
        url = await there.open()
        body = "5\r\nhello\r\n0\r\nX-Trailer: evil\r\n\r\n"
        headers = "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Trailer\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
        assert status(await say(url, get(url, method="POST", headers=headers, body=body))) == 200
        [heard] = there.server.heard
        assert heard.body == b"hello"
        assert heard.headers["content-length"] == "5"
        assert heard.headers["x-twice"] == "1, 2"
        assert not {"transfer-encoding", "te", "trailer", "x-trailer"} & set(heard.headers)


async def test_headers_that_the_connection_names_stay_on_this_side(tmp_path):
    async with street(tmp_path) as there:
        url = await there.open()
        data = get(url, headers="X-Hop: 1\r\nConnection: X-Hop\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n")
        assert status(await say(url, data)) == 200
        assert not {"x-hop", "keep-alive", "proxy-authorization"} & set(there.server.heard[0].headers)


async def test_many_requests_go_through_one_connection_and_pipelined_ones_in_order(tmp_path):
    async with street(tmp_path) as there:
        there.server.replies = [Reply(body="one"), Reply(body="two"), Reply(body="three")]
        url = await there.open()
        asked = get(url, "/1").replace(b"Connection: close\r\n", b"")
        answer = await say(url, asked + asked.replace(b"/1 ", b"/2 ") + get(url, "/3"))
        assert answer.count(b"HTTP/1.1 200") == 3
        assert [heard.line.split()[1] for heard in there.server.heard] == ["/1", "/2", "/3"]
        assert answer.index(b"one") < answer.index(b"two") < answer.index(b"three")


@pytest.mark.parametrize(
    "path", ["//evil.com/x", "/@evil.com", "/..//evil.com", "/\\\\evil.com", "?q=http://evil.com", ""]
)
async def test_no_path_leads_to_another_host(tmp_path, path):
    async with street(tmp_path) as there:
        url = await there.open()
        assert status(await say(url, get(url, path))) == 200
        assert there.server.heard[0].headers["host"] == urlsplit(there.server.url).netloc
        assert there.told[0]["host"] == HOST


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("/b?c=1", "{door}/b?c=1"),
        ("b", "{door}/b"),
        (f"https://{HOST}/b", "{door}/b"),
        (f"https://{HOST}:8443/b", None),
        (f"http://{HOST}/b", None),
        ("https://evil.example.com/b", None),
        ("//evil.example.com/b", None),
        ("http://169.254.169.254/", None),
    ],
)
async def test_a_redirect_leads_back_through_the_door_or_nowhere(tmp_path, location, wanted):
    async with street(tmp_path) as there:
        there.server.replies = [Reply(302, headers={"Location": location})]
        url = await there.open()
        head = (await say(url, get(url))).decode().lower().split("\r\n")
        found = [line.partition(": ")[2] for line in head if line.startswith("location:")]
        assert found == ([wanted.format(door=url).lower()] if wanted else [])
        assert len(there.server.heard) == 1


async def test_what_a_server_sends_loses_keys_sessions_and_its_connection(tmp_path):
    async with street(tmp_path) as there:
        headers = {"Set-Cookie": "session=1", "X-Echo": KEY, "Keep-Alive": "timeout=5", "ETag": "e"}
        there.server.replies = [Reply(body=f"you are {KEY}\xff".encode("latin-1"), headers=headers)]
        url = await there.open()
        head, _, body = (await say(url, get(url))).partition(b"\r\n\r\n")
        assert body == b"you are [redacted]\xff"
        assert KEY.encode() not in head
        lines = head.decode().lower().split("\r\n")
        assert {"etag: e", "x-echo: [redacted]", f"content-length: {len(body)}"} <= set(lines)
        assert not [line for line in lines if line.startswith(("set-cookie", "keep-alive"))]


async def test_head_has_no_body_and_the_connection_goes_on(tmp_path):
    async with street(tmp_path) as there:
        url = await there.open()
        asked = get(url, method="HEAD").replace(b"Connection: close\r\n", b"")
        answer = await say(url, asked + get(url))
        assert answer.count(b"HTTP/1.1 200") == 2


async def test_a_large_body_is_refused_with_an_answer_that_arrives(tmp_path):
    async with street(tmp_path, max_bytes=1000) as there:
        url = await there.open()
        big = "x" * 3_000_000
        answer = await say(url, get(url, method="POST", headers=f"Content-Length: {len(big)}\r\n", body=big))
        assert status(answer) == 413
        endless = get(
            url, method="POST", headers="Transfer-Encoding: chunked\r\n", body="400\r\n" + "x" * 1024 + "\r\n"
        )
        assert status(await say(url, endless)) == 413
        assert not there.server.heard


async def test_a_large_answer_is_refused(tmp_path):
    async with street(tmp_path, max_bytes=1000) as there:
        there.server.replies = [Reply(body=b"x" * 2000)]
        answer = await say(url := await there.open(), get(url))
        assert status(answer) == 502
        assert b"larger than 1,000 bytes" in answer


async def test_a_request_that_trickles_in_is_not_waited_for(tmp_path):
    async with street(tmp_path, limits={"head_seconds": 0.2, "body_seconds": 0.2}) as there:
        url = await there.open()
        slow_head = get(url)[:20]
        slow_body = get(url, method="POST", headers="Content-Length: 10\r\n", body="abc")
        for data in (slow_head, slow_body):
            assert status(await say(url, data)) == 408
        assert not there.server.heard


async def test_a_request_that_is_cut_off_goes_nowhere(tmp_path):
    async with street(tmp_path) as there:
        url = await there.open()
        data = get(url, method="POST", headers="Content-Length: 10\r\n", body="abc")
        assert status(await say(url, data, end=True)) == 400
        assert not there.server.heard


async def test_a_client_that_waits_for_a_go_ahead_gets_it(tmp_path):
    async with street(tmp_path) as there:
        url = await there.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(get(url, method="POST", headers="Expect: 100-continue\r\nContent-Length: 5\r\n"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"hello")
        assert status(await reader.read(-1)) == 200
        writer.close()
        assert there.server.heard[0].body == b"hello"
        assert "expect" not in there.server.heard[0].headers


async def test_a_host_that_does_not_answer_is_503_with_the_reason(tmp_path):
    async with street(tmp_path, timeout=0.2) as there:
        there.server.replies = [Reply(wait=5)]
        answer = await say(url := await there.open(), get(url))
        assert status(answer) == 503
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["kind"] == "TransientError"
        assert "0.2 seconds" in error["message"]


async def test_a_call_has_only_so_many_requests(tmp_path):
    async with street(tmp_path) as there:
        for _ in range(MAX_EXCHANGES):
            with pytest.raises(Denied):
                await there.way.send({"url": "https://elsewhere.example.com/"})
        answer = await say(url := await there.open(), get(url))
        assert status(answer) == 429
        assert b"500 requests" in answer
        assert not there.server.heard


async def refuses(params):
    raise AssertionError("it was passed on")


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=4))
def test_no_bytes_at_all_get_through_without_the_token(parts):
    async def check() -> None:
        doors = Doors()
        proxy = Proxy(refuses, HOST, AUTH, max_bytes=1000)
        proxy.port = await doors.open(proxy.serve)
        head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n".encode()
        loop = asyncio.get_running_loop()
        for first in (b"", head, head + b"\r\n"):
            inside = await doors.enter(proxy.port)
            assert inside is not None
            await loop.sock_sendall(inside, first + b"".join(parts))
            inside.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(20):
                answer = await loop.sock_recv(inside, 1 << 16)
            assert not answer.startswith(b"HTTP/1.1 2")
            inside.close()
        await doors.close()

    asyncio.run(check())


@given(st.integers(200, 599), st.lists(st.tuples(st.sampled_from(["etag", "x-a"]), st.text())), st.binary())
def test_an_answer_comes_back_from_its_json_as_it_was(status, headers, content):
    answered = Answered(status=status, headers=tuple(headers), content=content)
    assert Answered.from_json(json.loads(json.dumps(answered.as_json()))) == answered


async def test_openais_own_client_works_through_a_door_streamed_answers_too(tmp_path):
    said = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}]}
    parts = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("hel", "lo")]
    stream = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    async with street(tmp_path) as there:
        there.server.replies = [
            Reply(body={"id": "c", "object": "chat.completion", "model": "m", "created": 1, **said}),
            Reply(body=stream, headers={"Content-Type": "text/event-stream"}),
        ]
        url = await there.open()

        def ask() -> tuple[str | None, str]:
            import openai

            with openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as client:
                asked: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
                whole = client.chat.completions.create(**asked).choices[0].message.content
                with client.chat.completions.create(**asked, stream=True) as chunks:
                    return whole, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

        assert await asyncio.to_thread(ask) == ("hello", "hello")
        assert {heard.headers["authorization"] for heard in there.server.heard} == {f"Bearer {KEY}"}
        # The client counts its tries in a header, and the record does not mind.
        assert [told["host"] for told in there.told] == [HOST, HOST]
