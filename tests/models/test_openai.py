"""The model over real sockets: right answers, typed errors, and nothing in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import traceback
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from tests.models.servers import KEY, Asked, Sleeps, called, chat, connected, error, http, models, rungs, serving
from workbench.core.errors import Refused, TransientError, Unavailable, WorkbenchError
from workbench.models import openai as ours
from workbench.models.base import Message, Usage
from workbench.models.openai import OpenAIModel

ASK = [Message(role="system", content="be brief"), Message(role="user", content="hé {x} 🙂\n")]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
DATA = '{"a": "b"}'


async def ask(*answers, schema=None, **options) -> object:
    """The reply to one request, or the error."""
    served = options.pop("models", None)
    async with serving(*answers, models=served) as server, connected(server.base_url, **options) as model:
        try:
            return await model.complete(ASK, schema=schema)
        except WorkbenchError as problem:
            return problem


async def test_a_reply_with_its_tokens_and_the_hash_of_what_was_asked():
    async with serving(chat("hello"), chat("hello"), chat("hello")) as server, connected(server.base_url) as model:
        reply = await model.complete(ASK)
        again = await model.complete(ASK)
        other = await model.complete([*ASK, Message(role="user", content="?")])
    assert (reply.text, reply.finish, reply.model, reply.usage) == (
        "hello",
        "stop",
        "gpt-4o",
        Usage(tokens_in=10, tokens_out=5),
    )
    assert reply.usd is None  # a server here that calls its model gpt-4o does not cost what OpenAI's does
    assert reply.request_sha256 == again.request_sha256 != other.request_sha256
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].body["messages"][-1] == {"role": "user", "content": ASK[-1].content}


async def test_a_chat_has_the_headers_that_the_sdk_gives_every_other_request(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-2")
    async with serving(chat("hello"), models=models("gpt-4o")) as server, connected(server.base_url) as model:
        await model.complete(ASK)
        await model.served()
    sent, listed = ({k: v for k, v in asked.headers.items() if "stainless" not in k} for asked in server.asked)
    assert sent["openai-organization"] == "org-1"
    assert sent["openai-project"] == "proj-2"
    about_the_body = {"content-length", "content-type"}
    assert {k: v for k, v in sent.items() if k not in about_the_body} == {
        k: v for k, v in listed.items() if k not in about_the_body
    }
    assert sent["content-type"] == "application/json"


async def test_a_server_without_a_key_gets_a_placeholder_and_the_limit_its_old_name():
    async with serving(chat("hello")) as server, connected(server.base_url, key=None) as model:
        await model.complete(ASK, max_tokens=7)
    assert server.asked[0].body["max_tokens"] == 7
    assert KEY not in str(server.asked[0].headers)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), Unavailable, "refused the key"),
        (error(403, f"key {KEY} may not use this model"), Unavailable, "may not use this model"),
        (error(400, "messages: too many"), Unavailable, "messages: too many"),
        (error(400, "flagged", "content_filter"), Refused, "content filter"),
        (error(413, "x" * 5000), Unavailable, "refused the request"),
        (error(429, "you have no credit", "insufficient_quota"), Unavailable, "quota"),
        (http(307, "", location="http://elsewhere.example/v1"), Unavailable, "elsewhere.example"),
        (http(307, "", location=f"http://{KEY}@elsewhere.example/v1"), Unavailable, "elsewhere.example"),
        (http(307, "", location="http://[elsewhere/v1"), Unavailable, "another address"),
        (http(200, "words", "text/plain; charset=hex"), TransientError, "broken JSON"),
        (http(400, '{"error": {"message": "no"}}', "application/json; charset=rot13"), Unavailable, "(400): no"),
        (http(200, "<!doctype html><h1>Welcome</h1>", "text/html"), Unavailable, "web page"),
        (http(502, "<html>Bad gateway</html>", "text/html"), TransientError, "failed (502)"),
        (http(200, '{"hello": "world"}'), Unavailable, "not a chat completion"),
        (http(200, "[1, 2]"), Unavailable, "not a chat completion"),
        (http(200, "null"), Unavailable, "not a chat completion"),
        (http(200, '{"choices": []}'), Unavailable, "not a chat completion"),
        (http(200, '{"choices": [{"message": null}]}'), Unavailable, "not a chat completion"),
        (
            http(200, '{"choices": [{"finish_reason": "stop", "message": {"content": {"x": 1}}}]}'),
            TransientError,
            "nothing",
        ),
        (http(200, '{"choices": [{"mess'), TransientError, "broken JSON"),
        (http(200, b"\xff\xfe\x00"), TransientError, "broken JSON"),
        (http(200, "[" * 200_000), TransientError, "broken JSON"),
        (http(200, '{"choices": [', content_length="4000"), TransientError, "broke off"),
        (b"", TransientError, "broke off"),
        (b"SMTP ready\r\n", TransientError, "broke off"),
        (http(200, '{"error": {"message": "overloaded", "code": 529}}'), TransientError, "behind its gateway"),
        (http(200, '{"error": {"message": "overloaded", "code": "503"}}'), TransientError, "behind its gateway"),
        (http(200, '{"error": {"message": "no such thing", "code": "bad"}}'), Unavailable, "with an error (bad)"),
        (http(200, json.dumps({"error": {"code": f"{KEY}\n" + "x" * 5000}})), Unavailable, "with an error"),
        (http(200, json.dumps({"error": {"code": [KEY]}})), Unavailable, "with an error"),
        (error(400, "no", f"code {KEY}"), Unavailable, "refused the request"),
        (http(501, "no"), Unavailable, "501"),
        (chat(""), TransientError, "nothing"),
        (chat(None), TransientError, "nothing"),
        (chat(" \n"), TransientError, "nothing"),
        (chat("", "length"), Unavailable, "used up its tokens"),
        (chat("half of", "content_filter"), Refused, "content filter"),
        (chat(None, "stop", refusal="I will not\ndo that"), Refused, "declined: I will not do that"),
        (chat(None, "stop", refusal=f"{KEY}: \x1b[31mno"), Refused, "declined: ***: [31mno"),
        (chat(None, "stop", refusal=["no", {"x": KEY}]), Refused, "declined: ['no'"),
        (chat("no", "refusal"), Refused, "declined: no"),
        (called("other", "{}"), TransientError, "nothing"),
    ],
)
async def test_what_is_no_answer_is_a_typed_error_in_one_line_without_the_key(answer, kind, words):
    problem = await ask(answer)
    assert isinstance(problem, kind), problem
    assert words in problem.message
    told = "".join(traceback.format_exception(problem)) + str(problem.data) + "\n".join(problem.lines())
    assert KEY not in told
    assert len(problem.lines()[0]) < 400
    assert (problem.message + problem.hint).isprintable()


@pytest.mark.parametrize("key", ["hunter2hunter2", "0f8fad5b-d9cb-469f-a165-70867728950e"])
async def test_a_key_that_looks_like_none_is_kept_out_of_errors_too(key):
    answers = [
        error(400, f"no: {key} {key}"),
        http(400, f"<{key}>", "text/plain"),
        chat(None, refusal=f"not for {key}"),
    ]
    for answer in answers:
        problem = await ask(answer, key=key)
        assert isinstance(problem, Unavailable | Refused)
        assert key not in f"{problem} {problem.data}"


async def test_a_server_that_is_not_there_is_named_with_what_to_do():
    sleep = Sleeps()
    async with serving(chat("x")) as server:
        address = server.base_url
    async with connected(address, sleep=sleep) as model:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ cannot be reached") as caught:
            await model.complete(ASK)
    assert "OPENAI_BASE_URL" in caught.value.hint
    assert sleep == [0.5, 1.0]


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "ftp://x/v1", "not a url", "http://", "http://[::1/v1"])
async def test_a_base_url_that_is_none_says_so(url):
    async with connected(url) as model:
        with pytest.raises(Unavailable, match="not an http address"):
            await model.complete(ASK)


async def test_without_a_key_openai_is_not_asked_at_all():
    with pytest.raises(Unavailable, match="needs a key"):
        await OpenAIModel("gpt-4o").complete(ASK)


async def test_a_key_that_cannot_be_one_is_not_sent():
    async with connected("http://127.0.0.1:9/v1", key="sk-ключ") as model:
        with pytest.raises(Unavailable, match="characters that no key has"):
            await model.complete(ASK)


async def test_half_a_character_is_refused_in_words():
    async with serving(chat("x")) as server, connected(server.base_url) as model:
        with pytest.raises(Refused, match="half of a character"):
            await model.complete([Message(role="user", content="\ud800")])


async def test_an_endless_answer_is_cut_off():
    problem = await ask(http(200, json.dumps({"choices": "x" * 17_000_000})))
    assert isinstance(problem, Unavailable)
    assert "without end" in problem.message


async def test_an_answer_that_swells_when_it_is_unpacked_is_cut_off():
    packed = gzip.compress(bytes(300_000_000), compresslevel=1)
    problem = await ask(http(200, packed, content_encoding="gzip"))
    assert isinstance(problem, Unavailable)
    assert "without end" in problem.message


async def test_a_server_that_never_finishes_is_given_up_after_the_timeout():
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:  # a byte now and then, so that no single read times out
                writer.write(b"1\r\n \r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with connected(url, timeout=0.2, retries=0) as model:
        with pytest.raises(TransientError, match=r"did not answer within 0\.2 s"):
            await model.complete(ASK)
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_tried_again_with_growing_waits(status):
    sleep = Sleeps()
    reply = await ask(error(status), error(status), chat("at last"), sleep=sleep)
    assert getattr(reply, "text", reply) == "at last"
    assert sleep == [0.5, 1.0]


@pytest.mark.parametrize(
    "answer", [error(400), error(401), error(403), error(404), error(422), http(200, "<p>", "text/html")]
)
async def test_what_will_not_pass_is_not_tried_again(answer):
    async with serving(answer, chat("x")) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable):
            await model.complete(ASK)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry_after": "Mon, 23 Nov 2020 12:00:30 GMT"}, 0.0),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "soon"}, 0.0),
        ({"retry_after": "nan"}, 0.0),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "Mon, 23 Nov 99999999999 12:00:30 GMT"}, 0.0),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:99999999999999999999 GMT"}, 0.0),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 +999999999999"}, 0.0),
        ({"retry_after": "120"}, 120.0),
    ],
)
async def test_the_wait_that_a_server_asks_for_is_kept(headers, seconds):
    sleep = Sleeps()
    reply = await ask(error(429, **headers), chat("ok"), sleep=sleep)
    assert getattr(reply, "text", reply) == "ok"
    assert sleep == [seconds + 0.5]


async def test_a_wait_of_more_than_two_minutes_is_left_to_the_user():
    sleep = Sleeps()
    problem = await ask(error(429, retry_after="3600"), sleep=sleep)
    assert isinstance(problem, TransientError)
    assert problem.retry_after == 3600
    assert "3600 s" in problem.hint
    assert sleep == []


async def test_the_last_error_says_how_long_to_wait():
    problem = await ask(error(429, "slow down", retry_after="2"), retries=1)
    assert isinstance(problem, TransientError)
    assert (problem.retry_after, problem.message.endswith("is busy (429): slow down")) == (2.0, True)


async def test_an_unknown_model_is_told_with_those_that_are_there():
    answer = error(404, "The model `gpt-4o` does not exist", "model_not_found")
    problem = await ask(answer, models=models("llama", "gpt-4o-mini", "whisper"))
    assert isinstance(problem, Unavailable)
    assert problem.message.endswith("has no model gpt-4o; it serves gpt-4o-mini, llama, whisper.")
    assert problem.data["available"] == ["gpt-4o-mini", "llama", "whisper"]
    assert "WORKBENCH_MODEL" in problem.hint


async def test_a_wrong_path_is_told_as_one():
    problem = await ask(error(404))
    assert isinstance(problem, Unavailable)
    assert "usually ends in /v1" in problem.hint


async def test_without_a_name_the_only_model_is_taken():
    served = models("qwen", "text-embedding-3-small")
    async with serving(chat("hello"), models=served) as server, connected(server.base_url, "") as model:
        reply = await model.complete(ASK)
        await model.complete(ASK)
    assert (reply.model, model.name) == ("qwen", "qwen")
    assert [asked.path for asked in server.asked].count("/v1/models") == 1


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (models("a", "b"), "serves a, b"),
        (models(), "no chat model"),
        (http(200, "{}"), "lists no models"),
        (models("a", "b\n\x1b[31m", "x" * 5000, KEY, "c"), "serves a, c"),
        (http(200, '{"data": [{"id": ["a"]}, {"id": {"b": 1}}, 3, null]}'), "no chat model"),
        (None, "404"),
    ],
)
async def test_without_a_name_and_without_one_model_the_choice_is_the_users(served, words):
    async with serving(chat("x"), models=served) as server, connected(server.base_url, "") as model:
        with pytest.raises(Unavailable, match=words):
            await model.complete(ASK)
    assert server.chats == []


def only(rung: str, refuse: Callable[[], bytes]) -> Callable[[Asked], bytes]:
    """A server that knows one way of being held to JSON."""

    def answer(asked: Asked) -> bytes:
        if asked.rung != rung:
            return refuse()
        return called("plan", DATA) if rung == "tool" else chat(DATA)

    return answer


@pytest.mark.parametrize(
    "refuse", [lambda: error(400, "nope"), lambda: error(422, "response_format?"), lambda: error(500)]
)
@pytest.mark.parametrize("rung", ["json_schema", "tool", "json_object", "text"])
async def test_each_way_of_asking_for_data_is_found_and_remembered(rung, refuse):
    async with serving(only(rung, refuse)) as server, connected(server.base_url) as model:
        assert (await model.complete(ASK, schema=SCHEMA)).text == DATA
        before = len(server.chats)
        assert (await model.complete(ASK, schema=SCHEMA)).text == DATA
    assert rungs(server.chats)[before:] == [rung]
    if rung in ("json_object", "text"):
        first = server.chats[-1].body["messages"][0]
        assert first["content"].startswith("be brief")
        assert json.dumps(SCHEMA) in first["content"]
    assert server.chats[-1].body["messages"][-1]["content"] == ASK[-1].content


async def test_a_server_that_ignores_the_schema_is_asked_in_another_way_and_all_is_counted():
    async with serving(chat("Sure!"), called("plan", DATA)) as server, connected(server.base_url) as model:
        reply = await model.complete(ASK, schema=SCHEMA)
    assert (reply.text, reply.usage) == (DATA, Usage(tokens_in=20, tokens_out=10))
    assert rungs(server.chats) == ["json_schema", "tool"]


async def test_a_request_that_no_form_helps_fails_with_the_first_words():
    async with serving(error(400, "bad thing")) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable, match="bad thing"):
            await model.complete(ASK, schema=SCHEMA)
    assert rungs(server.chats) == ["json_schema", "tool", "json_object", "text"]


async def test_a_request_that_is_too_long_is_not_asked_again_in_another_form():
    answer = error(400, "maximum context length is 10 tokens", "context_length_exceeded")
    async with serving(answer) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable, match="maximum context length"):
            await model.complete(ASK, schema=SCHEMA)
    assert len(server.chats) == 1


async def test_a_cut_reply_is_an_error_when_data_was_asked_for_and_says_so_otherwise():
    problem = await ask(chat('{"a": "', "length"), schema=SCHEMA)
    assert isinstance(problem, Unavailable)
    assert "cut at the token limit" in problem.message
    assert getattr(await ask(chat("once upon", "length")), "finish", None) == "length"


async def test_a_strict_schema_is_sent_as_one():
    async with serving(chat(DATA)) as server, connected(server.base_url) as model:
        await model.complete(ASK, schema=SCHEMA)
        await model.complete(ASK, schema={"type": "object", "properties": {"a": SCHEMA, "b": {}}, "required": ["a"]})
    sent = [asked.body["response_format"]["json_schema"] for asked in server.chats]
    assert [(wanted["name"], wanted["strict"]) for wanted in sent] == [("plan", True), ("plan", False)]


async def test_at_most_sixteen_calls_are_under_way_at_one_endpoint():
    now = most = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        await reader.readuntil(b"\r\n\r\n")
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        writer.write(chat("hello"))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with connected(url) as one, connected(url, "other") as two:
        await asyncio.gather(*(model.complete(ASK) for model in (one, two) for _ in range(20)))
    listening.close()
    await listening.wait_closed()
    assert 1 < most <= ours.AT_ONCE


def test_one_model_serves_several_event_loops():
    async def once(model: OpenAIModel) -> str:
        async with serving(chat("hello")) as server:
            model.base_url = server.base_url
            reply = await model.complete(ASK)
            await model.close()
            return reply.text

    model = OpenAIModel("m", base_url="http://127.0.0.1:1/v1", api_key=SecretStr(KEY))
    assert [asyncio.run(once(model)), asyncio.run(once(model))] == ["hello", "hello"]


def test_the_key_is_in_no_representation():
    model = OpenAIModel("m", api_key=SecretStr(KEY))
    assert KEY not in repr(model) + repr(vars(model))


def test_the_sdk_is_not_imported_with_our_modules():
    ours = "workbench.models.openai, workbench.models.choose, workbench.models.testing, workbench.planners.model"
    heavy = "('openai', 'httpx2', 'genai_prices', 'pandas')"
    code = f"import sys, {ours}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
