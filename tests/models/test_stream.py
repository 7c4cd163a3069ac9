"""Replies that come in pieces: heard as they come, believed only when they are whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.servers import Sleeps, chat, connected, error, http, serving
from workbench.core.errors import Refused, TransientError, Unavailable, WorkbenchError
from workbench.models.base import Message, Usage
from workbench.models.stream import Assembly
from workbench.models.wire import read

ASK = [Message(role="user", content="hi")]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    said = {"content": content} if content is not None else {}
    return {"choices": [{"index": 0, "delta": said | delta, "finish_reason": finish}]}


def call(arguments: str, name: str | None = None, at: int = 0) -> dict[str, Any]:
    return {"index": at, "function": {"name": name, "arguments": arguments}}


USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


def sse(*chunks: Any, done: bool = True, **headers: str) -> bytes:
    lines = [f"data: {c if isinstance(c, str) else json.dumps(c)}\n\n" for c in chunks]
    return http(
        200, "".join(lines) + ("data: [DONE]\n\n" if done else ""), "text/event-stream; charset=utf-8", **headers
    )


async def ask(*answers: Any, schema: Any = None, **options: Any) -> tuple[Any, list[str], Any]:
    """The reply or the error, what was heard, and the server."""
    heard: list[str] = []
    async with serving(*answers) as server, connected(server.base_url, **options) as model:
        try:
            return await model.complete(ASK, schema=schema, heard=heard.append), heard, server
        except WorkbenchError as problem:
            return problem, heard, server


async def test_a_reply_is_heard_piece_by_piece_and_counted():
    reply, heard, server = await ask(sse(chunk("Hel"), chunk("lo"), chunk(" ü"), chunk(finish="stop"), USAGE))
    assert (reply.text, reply.finish, reply.usage) == ("Hello ü", "stop", Usage(tokens_in=7, tokens_out=3))
    assert heard == ["Hel", "Hello", "Hello ü"]
    assert server.chats[0].body["stream"] is True
    assert server.chats[0].body["stream_options"] == {"include_usage": True}


async def test_a_request_has_the_same_hash_whether_it_is_watched_or_not():
    streamed, _, _ = await ask(sse(chunk("hi", "stop")))
    async with serving(chat("hi")) as server, connected(server.base_url) as model:
        assert (await model.complete(ASK)).request_sha256 == streamed.request_sha256
        assert "stream" not in server.chats[0].body


async def test_data_by_a_forced_function_is_heard_too():
    pieces = [chunk(tool_calls=[call('{"a"', "plan")]), chunk(tool_calls=[call(': "b"}')]), chunk(finish="tool_calls")]
    reply, heard, _ = await ask(error(400, "no response_format"), sse(*pieces), schema=SCHEMA)
    assert reply.text == '{"a": "b"}'
    assert heard == ['{"a"', '{"a": "b"}']


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (sse(chunk("half of")), TransientError, "in the middle"),
        (sse(chunk("half of"), done=False), TransientError, "in the middle"),
        (sse(chunk('{"a": "b"}'), USAGE), TransientError, "in the middle"),
        (sse(chunk("half"), content_length="9999"), TransientError, "broke off"),
        (sse(chunk("half"), "{broken"), TransientError, "broken JSON"),
        (sse(chunk("half"), "[1]"), TransientError, "broken JSON"),
        (sse(chunk("half"), {"choices": [3]}), TransientError, "broken JSON"),
        (sse(chunk("half"), {"choices": [{"delta": {"tool_calls": [3]}}]}), TransientError, "broken JSON"),
        (sse(), TransientError, "in the middle"),
        (sse(chunk("", "stop")), TransientError, "nothing"),
        (sse(chunk("no"), chunk(finish="content_filter")), Refused, "content filter"),
        (sse(chunk(refusal="I will "), chunk(refusal="not"), chunk(finish="stop")), Refused, "declined: I will not"),
        (sse(chunk("half"), {"error": {"message": "overloaded", "code": 529}}), TransientError, "overloaded"),
        (sse(chunk("half"), {"error": {"message": "no room", "code": 400}}), Unavailable, "no room"),
        (sse(chunk("half"), {"error": {"message": "bad", "code": "content_filter"}}), Refused, "content filter"),
        (sse(chunk("half"), {"error": "out of memory"}), TransientError, "middle of its reply"),
        (http(200, "<html>Login</html>", "text/html"), Unavailable, "web page"),
        (http(200, '{"ok": 1}'), Unavailable, "not a chat completion"),
        (error(401, "no"), Unavailable, "refused the key"),
        (b"", TransientError, "broke off"),
    ],
)
async def test_what_is_no_whole_reply_is_a_typed_error(answer, kind, words):
    problem, _, _ = await ask(answer, retries=0)
    assert isinstance(problem, kind), problem
    assert words in problem.message
    assert "\n" not in problem.message


async def test_after_a_stream_that_broke_off_the_text_begins_anew():
    sleep = Sleeps()
    reply, heard, _ = await ask(sse(chunk("Hel")), sse(chunk("Good"), chunk(" day", "stop")), sleep=sleep)
    assert reply.text == "Good day"
    assert heard == ["Hel", "Good", "Good day"]
    assert len(sleep) == 1


async def test_a_server_that_does_not_stream_is_taken_at_its_one_word():
    reply, heard, _ = await ask(chat("all at once"))
    assert (reply.text, heard) == ("all at once", [])


async def test_a_server_that_refuses_streams_is_asked_without_and_not_again():
    async with (
        serving(error(400, "stream_options is not supported"), chat("one"), chat("two")) as server,
        connected(server.base_url) as model,
    ):
        assert (await model.complete(ASK, heard=lambda text: None)).text == "one"
        assert (await model.complete(ASK, heard=lambda text: None)).text == "two"
    assert ["stream" in asked.body for asked in server.chats] == [True, False, False]


async def test_an_endless_stream_is_cut_off():
    problem, _, _ = await ask(sse(*[chunk("x" * 100_000)] * 200))
    assert isinstance(problem, Unavailable)
    assert "without end" in problem.message


@given(st.text(min_size=1), st.data())
def test_any_way_to_cut_a_reply_into_chunks_gives_the_same_reply(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    reply, words = Assembly(), Assembly()
    for piece in pieces:
        reply.add(chunk(tool_calls=[call(piece, "plan")]))
        words.add(chunk(piece))
    for one in (reply, words):
        one.add(chunk(finish="stop"))
        assert one.text == text
        if text.strip():
            assert read(one.whole(), "here").text == text
