"""What servers really send is read; what no server should send is harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values
from workbench.core.errors import WorkbenchError
from workbench.models.base import Usage
from workbench.models.wire import Said, read, strict

choices = st.fixed_dictionaries(
    {},
    optional={
        "finish_reason": json_values | st.sampled_from(["stop", "length", "tool_calls"]),
        "message": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "content": json_values,
                "refusal": json_values,
                "tool_calls": json_values
                | st.lists(st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": st.just("plan")})})),
            },
        ),
    },
)
answers = json_values | st.fixed_dictionaries(
    {"choices": json_values | st.lists(choices, max_size=2)}, optional={"usage": json_values, "error": json_values}
)


@given(answers)
def test_any_json_is_an_answer_or_a_typed_error(raw):
    try:
        said = read(raw, "host")
    except WorkbenchError:
        return
    assert isinstance(said, Said)
    assert said.text.strip()
    assert said.usage.tokens_in >= 0


@pytest.mark.parametrize(
    ("content", "text"),
    [("hi", "hi"), ([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}, {"type": "image"}, None], "hi")],
)
def test_text_comes_whole_or_in_parts(content, text):
    assert read({"choices": [{"message": {"content": content}}]}, "host").text == text


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4.0}, Usage(tokens_in=3, tokens_out=4)),
        ({"prompt_tokens": -3, "completion_tokens": None}, Usage()),
        ({"prompt_tokens": "many", "completion_tokens": 1e300}, Usage()),
        (None, Usage()),
        ([1], Usage()),
    ],
)
def test_tokens_are_counted_when_they_can_be(usage, counted):
    assert read({"choices": [{"message": {"content": "x"}}], "usage": usage}, "host").usage == counted


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        ({"type": "string"}, True),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"anyOf": [{"type": "string"}, {"type": ["object", "null"]}]}, False),
    ],
)
def test_strict_mode_is_asked_for_only_where_it_is_taken(schema, is_strict):
    assert strict(schema) is is_strict
