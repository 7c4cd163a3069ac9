"""Servers on real sockets of this machine that say what a test wrote down, and models connected to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from workbench.core.errors import WorkbenchError
from workbench.models.openai import OpenAIModel

KEY = "sk-test-0123456789abcdef"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def rung(self) -> str:
        """In which way it asked for data."""
        if "tools" in self.body:
            return "tool"
        return str(self.body.get("response_format", {}).get("type", "text"))


Answer = bytes | Callable[[Asked], bytes]


@dataclass(slots=True)
class Server:
    base_url: str = ""
    asked: list[Asked] = field(default_factory=list)

    @property
    def posts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]

    @property
    def chats(self) -> list[Asked]:
        return [asked for asked in self.asked if "/chat/completions" in asked.path]


def http(status: int, body: bytes | str, content_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer. A header `content_length` other than the true one makes a body that is cut."""
    data = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    fields = {"content-type": content_type, "content-length": str(len(data)), "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + data


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> bytes:
    return http(status, json.dumps({"error": {"message": message, "code": code, "type": "error"}}), **headers)


def chat(
    text: str | None,
    finish: str | None = "stop",
    *,
    usage: tuple[int, int] | None = (10, 5),
    **message: Any,
) -> bytes:
    """A chat completion that says `text`."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    said: dict[str, Any] = {"id": "c", "object": "chat.completion", "model": "served", "choices": [choice]}
    if usage:
        said["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return http(200, json.dumps(said))


def called(name: str, arguments: str) -> bytes:
    """A chat completion that calls a function."""
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return chat(None, "tool_calls", tool_calls=[call])


def models(*names: str) -> bytes:
    return http(200, json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}))


def _body(headers: dict[str, str], raw: bytes) -> Any:
    return raw if "multipart" in headers.get("content-type", "") else json.loads(raw) if raw else None


@asynccontextmanager
async def serving(*answers: Answer, models: bytes | None = None) -> AsyncIterator[Server]:
    """A server that gives the answers in order and goes on with the last one; b"" hangs up without a word."""
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            method, path, _ = first.split(" ")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
            raw = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(method=method, path=path, headers=headers, body=_body(headers, raw))
            answer: Answer
            if path.partition("?")[0].endswith("/models"):
                answer = models or error(404)
            else:
                answer = answers[min(len(server.posts), len(answers) - 1)]
            server.asked.append(asked)
            writer.write(answer(asked) if callable(answer) else answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up, which is its right
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


class Sleeps(list[float]):
    """A `sleep` that takes no time and remembers how long it was asked to take."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@asynccontextmanager
async def connected(
    base_url: str,
    name: str = "gpt-4o",
    *,
    key: str | None = KEY,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    **options: Any,
) -> AsyncIterator[OpenAIModel]:
    """A model at that address whose waits take no time, always the longest that its jitter allows."""
    chosen: dict[str, Any] = {"timeout": 20.0, "uniform": lambda least, most: most} | options
    model = OpenAIModel(
        name,
        base_url=base_url,
        api_key=SecretStr(key) if key is not None else None,
        sleep=Sleeps() if sleep is None else sleep,
        now=lambda: NOW,
        **chosen,
    )
    try:
        yield model
    finally:
        await model.close()


@contextmanager
def one_line(kind: type[WorkbenchError], said: str) -> Iterator[pytest.ExceptionInfo[WorkbenchError]]:
    """An error of this kind is raised here that says so in one line, and the key nowhere."""
    with pytest.raises(kind) as caught:
        yield caught
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert KEY not in str(caught.value) + str(caught.value.data)


def rungs(asked: Sequence[Asked]) -> list[str]:
    return [request.rung for request in asked]
