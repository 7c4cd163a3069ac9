"""A picture beside a prompt: sent to a model that takes it, and left out, once found out, for one that does not."""

from __future__ import annotations

import base64

import pytest

from tests.models.servers import Asked, chat, connected, error, serving
from workbench.core.errors import Unavailable
from workbench.models.base import Message, Shown
from workbench.models.replay import of_chat

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ASK = [
    Message(role="system", content="be brief"),
    Message(role="user", content="what is odd?", pictures=(Shown("@fig", PNG),)),
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def pictures(asked: Asked) -> list[str]:
    content = asked.body["messages"][-1]["content"]
    return (
        [part["image_url"]["url"] for part in content if part["type"] == "image_url"] if type(content) is list else []
    )


async def test_a_model_that_takes_pictures_gets_them_with_the_words():
    async with serving(chat("a spike")) as server, connected(server.base_url) as model:
        reply = await model.complete(ASK)
    (asked,) = server.chats
    assert pictures(asked) == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]
    assert asked.body["messages"][-1]["content"][0] == {"type": "text", "text": "what is odd?"}
    assert (reply.text, reply.blind) == ("a spike", False)


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_one_that_refuses_pictures_is_asked_in_words_and_that_is_remembered(status: int):
    answers = [
        *[error(status, "image input is not supported")] * (3 if status == 500 else 1),
        chat("no idea"),
        chat("x"),
    ]
    async with serving(*answers) as server, connected(server.base_url) as model:
        reply = await model.complete(ASK)
        again = await model.complete(ASK)
    assert (reply.text, reply.blind, again.blind) == ("no idea", True, True)
    assert [bool(pictures(asked)) for asked in server.chats[-2:]] == [False, False]
    assert server.chats[-1].body["messages"][-1]["content"] == "what is odd?"


async def test_an_error_that_is_not_about_pictures_stays_what_it_is():
    async with serving(error(401, "bad key")) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable):
            await model.complete(ASK)
    assert len(server.chats) == 1


def test_another_picture_is_another_question_and_none_asks_as_before():
    def asked(*shown: Shown) -> object:
        return of_chat([Message(role="user", content="q", pictures=shown)], None, None).sha256

    assert len({asked(), asked(Shown("@fig", PNG)), asked(Shown("@fig", PNG + b"x")), asked(Shown("@f", PNG))}) == 4
    assert asked() == of_chat([Message(role="user", content="q")], None, None).sha256
