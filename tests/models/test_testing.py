"""The scripted model says what was written down and remembers what it was asked."""

import pytest

from workbench.core.errors import TransientError, Unavailable
from workbench.models.base import Message
from workbench.models.testing import TestModel

ASK = [Message(role="user", content="hé")]


async def test_replies_come_in_order_as_text_data_and_errors():
    model = TestModel(["text", {"a": "é"}, TransientError("busy"), [1]])
    first = await model.complete(ASK)
    assert (first.text, first.model, first.usd) == ("text", "test-model", "0")
    assert (await model.complete(ASK, schema={"type": "object"})).text == '{"a": "é"}'
    with pytest.raises(TransientError, match="busy"):
        await model.complete(ASK)
    assert (await model.complete(ASK)).text == "[1]"
    assert [call.schema for call in model.calls] == [None, {"type": "object"}, None, None]
    assert model.calls[0].messages == tuple(ASK)


async def test_without_a_reply_left_it_says_so_in_one_line():
    model = TestModel(["only"], name="mine")
    await model.complete(ASK)
    with pytest.raises(Unavailable, match="mine has no reply left: call 2, and 1 were written down") as caught:
        await model.complete(ASK)
    assert len(caught.value.lines()) == 2


async def test_a_function_may_reply():
    model = TestModel(lambda messages: messages[-1].content.upper())
    assert (await model.complete(ASK)).text == "HÉ"
    assert (await model.complete(ASK)).request_sha256 == (await model.complete(ASK)).request_sha256
