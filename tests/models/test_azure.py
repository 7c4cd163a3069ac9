"""Azure's two addresses: the same request, another path and another header, and the key only there."""

from __future__ import annotations

import openai
import pytest

from tests.models.servers import KEY, chat, connected, error, models, serving
from workbench.core.errors import Refused
from workbench.models.azure import client, is_azure
from workbench.models.base import Message

ASK = [Message(role="user", content="hi")]


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://me.openai.azure.com/openai/v1", True),
        ("https://me.openai.azure.com/openai?api-version=2025-04-01-preview", True),
        ("https://me.services.ai.azure.com/openai/v1/", True),
        ("http://127.0.0.1:9/openai?api-version=1", True),
        ("https://api.openai.com/v1", False),
        ("https://openai.azure.com.evil.example/v1", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_azures_addresses_are_known(url: str, is_one: bool):
    assert is_azure(url) == is_one


@pytest.mark.parametrize("path", ["/openai", "/openai/deployments/mine"])
async def test_the_older_address_names_deployment_and_version(path: str):
    async with serving(chat("hello"), models=models("mine")) as server:
        url = server.base_url.removesuffix("/v1") + f"{path}?api-version=2025-04-01-preview"
        async with connected(url, "mine") as model:
            assert (await model.complete(ASK, max_tokens=5)).text == "hello"
    asked = server.asked[0]
    assert asked.path == "/openai/deployments/mine/chat/completions?api-version=2025-04-01-preview"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers
    assert asked.body["max_completion_tokens"] == 5


async def test_the_newer_address_takes_the_key_in_azures_header():
    async with serving(chat("hello")) as server:
        # That such an address is Azure's is known by its host, which no test can have.
        made = client(server.base_url, KEY, openai.DefaultAsyncHttpxClient(), max_retries=0)
        await made.post("/chat/completions", cast_to=object, body={"model": "mine"})
        await made.close()
    headers = server.asked[0].headers
    assert headers["api-key"] == KEY
    assert "authorization" not in headers


async def test_azures_content_filter_declines():
    answer = error(400, "The response was filtered", "content_filter")
    async with serving(answer) as server:
        url = server.base_url.removesuffix("/v1") + "/openai?api-version=1"
        async with connected(url, "mine") as model:
            with pytest.raises(Refused, match="content filter"):
                await model.complete(ASK)
