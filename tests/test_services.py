"""Host functions as a tool's call gets them: one guard, no key, every exchange told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.models import servers
from tests.web import Reply, serving
from workbench.configuration import load_settings
from workbench.core.errors import Denied, Refused, ToolFailed, TransientError, Unavailable
from workbench.core.events import Event, Kind, Stream
from workbench.core.request import Scope
from workbench.core.tools import Permissions, ToolCall, ToolSpec
from workbench.memory.remember import Remembering
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.policy.recording import Recorded
from workbench.policy.secrets import Secrets
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors
from workbench.services import Means, host_services
from workbench.workbench import Workbench

HOST = "api.example.com"
KEY = "sk-Live0123456789abcdef"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
CALL = ToolCall(
    run="r1",
    step="s1",
    tool=ToolSpec(
        name="reader",
        summary="",
        params={},
        version="0",
        source=b"",
        uses=("model", "http"),
        permissions=Permissions(network=(HOST,), secrets=("KEY",)),
    ),
    params={},
    timeout=10,
)


class Table:
    """Where a call is served: `run` gives its host functions, `events` what was told."""

    def __init__(self, folder: Path, model: Any = None, **means: Any) -> None:
        self.memory = InMemoryMemory()
        self.stream = Stream("r1", lambda event: None, now=lambda: "2026-11-27T04:00:00.000000+00:00")
        base = Means(
            memory=Remembering(self.memory),
            scope=Scope(user="u", workspace="w", session="s"),
            secrets=Secrets({"KEY": SecretStr(KEY)}),
            bases={},
            model=model,
            artifacts=folder,
        )
        self.means = replace(base, **means)
        self.doors = Doors()
        self.doors.listening = True

    @property
    def services(self) -> Mapping[str, Service]:
        return host_services(self.means, self.stream)(CALL, self.doors)

    def told(self, kind: Kind) -> list[Event]:
        return [event for event in self.stream.events if event.kind is kind]


async def test_a_tool_asks_the_model_and_the_call_is_told_with_its_purpose_and_step(tmp_path):
    model = TestModel(["A short text."])
    table = Table(tmp_path, model)
    answer = await table.services["model.complete"]({"prompt": "Shorten this.", "system": "Be brief."})
    assert answer == {"text": "A short text.", "model": "test-model"}
    assert [message.role for message in model.calls[0].messages] == ["system", "user"]
    [called] = table.told(Kind.MODEL_CALLED)
    assert (called.body["purpose"], called.step, called.body["usd"]) == ("tool reader", "s1", "0")
    [exchange] = table.told(Kind.SERVICE_CALLED)
    assert (exchange.body["service"], exchange.body["response"]) == ("model.complete", answer)


async def test_json_is_held_to_its_schema_and_asked_for_once_more(tmp_path):
    model = TestModel(['<think>hm</think>```json\n{"n": 1}\n```', {"n": "one"}, {"n": 2}, "no", "still no"])
    complete = Table(tmp_path, model).services["model.complete"]
    asked = {"prompt": "How many?", "schema": SCHEMA}
    assert (await complete(asked))["json"] == {"n": 1}
    assert (await complete(asked))["json"] == {"n": 2}
    assert "expected integer" in model.calls[2].messages[-1].content
    with pytest.raises(ToolFailed, match="did not answer in the form"):
        await complete(asked)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"prompt": " "},
        {"prompt": 7},
        {"prompt": "x", "model": "gpt-4o"},
        {"prompt": "x", "max_tokens": 10**9},
        {"prompt": "x", "max_tokens": True},
        {"prompt": "x", "schema": "object"},
        {"prompt": "x" * 400_001},
    ],
)
async def test_what_no_model_should_be_asked_is_said_in_one_line(tmp_path, params):
    model = TestModel(["never"])
    with pytest.raises(ToolFailed):
        await Table(tmp_path, model).services["model.complete"](params)
    assert not model.calls


async def test_without_a_model_the_tool_hears_how_to_connect_one(tmp_path):
    with pytest.raises(Unavailable, match="none is connected") as caught:
        await Table(tmp_path).services["model.complete"]({"prompt": "x"})
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize("error", [Refused("no"), TransientError("busy", retry_after=3.0), Unavailable("gone")])
async def test_what_the_model_says_instead_keeps_its_kind_on_record_and_is_final_to_the_tool(tmp_path, error):
    table = Table(tmp_path, TestModel([error]))
    with pytest.raises(Refused if isinstance(error, Refused) else Unavailable, match=error.message):
        await table.services["model.complete"]({"prompt": "x"})
    assert table.told(Kind.MODEL_CALLED)[0].body["error"]["kind"] == type(error).__name__
    assert table.told(Kind.SERVICE_CALLED)[0].body["error"]["kind"] == type(error).__name__


async def test_a_prompt_with_a_key_is_not_sent_and_a_key_in_the_reply_is_taken_out(tmp_path):
    model = TestModel([f"your key is {KEY}"])
    complete = Table(tmp_path, model).services["model.complete"]
    with pytest.raises(Denied, match="value of a secret"):
        await complete({"prompt": f"use {KEY.encode().hex()}"})
    assert not model.calls
    assert (await complete({"prompt": "x"}))["text"] == "your key is [redacted]"


async def test_a_word_that_stands_in_for_a_key_may_be_said(tmp_path):
    table = Table(tmp_path, TestModel(["yes"]), secrets=Secrets({"KEY": SecretStr("lm-studio")}))
    assert (await table.services["model.complete"]({"prompt": "What is lm-studio?"}))["text"] == "yes"


async def test_a_call_may_ask_the_model_only_so_often(tmp_path):
    complete = Table(tmp_path, TestModel(lambda messages: "x")).services["model.complete"]
    for _ in range(50):
        await complete({"prompt": "x"})
    with pytest.raises(Exception, match="50 times"):
        await complete({"prompt": "x"})


async def test_a_real_endpoint_gets_the_key_and_the_price_is_told(tmp_path):
    async with servers.serving(servers.chat("hello")) as server, servers.connected(server.base_url) as model:
        table = Table(tmp_path, model)
        assert (await table.services["model.complete"]({"prompt": "x"}))["text"] == "hello"
    assert server.chats[0].headers["authorization"] == f"Bearer {servers.KEY}"
    assert table.told(Kind.MODEL_CALLED)[0].body["tokens_in"] == 10
    assert table.told(Kind.SERVICE_CALLED)[0].body["host"] == "127.0.0.1"


async def test_every_host_function_passes_the_guard_also_what_comes_through_a_door(tmp_path):
    seen: list[tuple[str, Any]] = []

    def guard(name: str, service: Service, call: ToolCall) -> Service:
        async def guarded(params: Mapping[str, Any]) -> Any:
            seen.append((name, params.get("url")))
            if params.get("url", "").endswith("/no"):
                raise Denied("Not this one.")
            return await service(params)

        return guarded

    with serving() as server:
        server.replies = [Reply(body={"ok": 1})]
        table = Table(tmp_path, TestModel(["x"]), guard=guard, bases={HOST: server.url})
        services = table.services
        await services["memory.write"]({"text": "tea"})
        await services["memory.recall"]({"question": "tea?"})
        await services["model.complete"]({"prompt": "x"})
        await services["http"]({"url": f"https://{HOST}/yes"})
        with pytest.raises(Denied):
            await services["http"]({"url": f"https://{HOST}/no"})
        url = (await services["http.door"]({"host": HOST, "auth": None}))["url"]
        import requests

        answers = [await asyncio.to_thread(requests.get, f"{url}/{path}", timeout=10) for path in ("yes", "no")]
        await table.doors.close()
    assert [answer.status_code for answer in answers] == [200, 403]
    assert answers[1].json()["error"]["message"] == "Not this one."
    assert [name for name, _ in seen] == [
        "memory.write",
        "memory.recall",
        "model.complete",
        "http",
        "http",
        "http.door",
        "http",
        "http",
    ]
    assert len(server.heard) == 2


async def test_a_run_is_replayed_without_model_key_or_network(tmp_path):
    with serving() as server:
        server.replies = [Reply(body={"n": 1}), Reply(body={"n": 2})]
        first = Table(tmp_path, TestModel(["one", "two"]), bases={HOST: server.url})
        asked = {"url": f"https://{HOST}/", "auth": {"bearer": "KEY"}}
        said = [await first.services["http"](asked) for _ in range(2)]
        said += [await first.services["model.complete"]({"prompt": "x"}) for _ in range(2)]
    recorded = Recorded(first.stream.events, tmp_path)
    again = Table(tmp_path, None, secrets=Secrets({}), bases={HOST: "http://127.0.0.1:9"}, recorded=recorded)
    told = [await again.services["http"](asked) for _ in range(2)]
    told += [await again.services["model.complete"]({"prompt": "x"}) for _ in range(2)]
    assert told == said
    assert KEY not in json.dumps([event.body for event in first.stream.events])


ASKING_TOOL = '''"""Asks the model for one word."""
from workbench import toolkit
PERMISSIONS = {}
USES = ["model"]
EXAMPLES = ["one word for {thing}"]

def run(thing: str) -> str:
    return toolkit.complete(f"One word for {thing}.")
'''


async def test_what_a_tool_asks_of_the_model_is_in_the_cost_and_the_record_of_its_run(tmp_path):
    (tmp_path / "config" / "tools").mkdir(parents=True)
    (tmp_path / "config" / "tools" / "word.py").write_text(ASKING_TOOL)
    (tmp_path / "project").mkdir()
    settings = load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project")
    plan = {"steps": [{"task": "word", "params": {"thing": "rain"}}]}
    workbench = Workbench(settings, model=TestModel([plan, "wet", "The word is wet."]))
    run = await workbench.ask("one word for rain")
    assert run.steps["s1"].value == "wet"
    assert run.cost.calls == 3
    said = await workbench.record.sql("select body->>'$.service' as s from events where kind = 'service.called'")
    assert said.s.tolist() == ["model.complete"]
    await workbench.close()
