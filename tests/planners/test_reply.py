"""The JSON in a reply is found when it is whole, and never when it is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values
from workbench.core.errors import PlanInvalid
from workbench.planners.reply import read_json

PLAN = {"goal": 'a {b} [c] "d" ```', "steps": [{"id": "s1", "task": "x", "params": {"q": "}{]["}}]}
TEXT = json.dumps(PLAN)
prose = st.text(st.characters(exclude_characters="{}[]<>")) | st.sampled_from(
    ["Sure, here is {name}:", "see [below]", "set {x | x > 1}", "[1] and [2, 3]", "{}", "[]", "```json", "a } b ] c"]
)


@given(st.text(max_size=200) | st.text('{}[]",:\\ntrue1eE.-', max_size=40))
def test_any_text_is_a_value_or_plan_invalid(text):
    told = ["nothing"]
    try:
        read_json(text)
    except PlanInvalid as error:
        told = error.errors
    assert told
    assert all(told)


@given(prose, prose, st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```", '<think>{{"steps": 1</think>{}']))
def test_a_plan_is_found_among_words_and_fences(before, after, form):
    wrapped = form.replace("{{", "{").replace("{}", TEXT)
    text = wrapped if form.startswith("<think>") else f"{before}\n{wrapped}\n{after}"
    assert read_json(text) == PLAN


@given(st.integers(1, len(TEXT) - 1), prose)
def test_a_plan_that_is_cut_is_never_read(cut, before):
    with pytest.raises(PlanInvalid):
        read_json(before + "\n" + TEXT[:cut])


@given(json_values.filter(lambda value: isinstance(value, dict | list)))
def test_the_only_value_in_a_reply_is_read_whole(value):
    spelt = json.dumps(value, ensure_ascii=False)
    whole = spelt.encode(errors="replace").decode()  # halves of characters become "?"
    try:
        got = read_json(json.dumps(value))
    except PlanInvalid:
        assert whole != spelt  # two keys that differed in halves only
    else:
        said = json.dumps(got, ensure_ascii=False)
        assert said.encode()
        assert got == value or said.replace("\ufffd", "?") == whole.replace("\ufffd", "?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no plan"),
        ("I would search the web first.", "no plan"),
        ('{"steps": [{"task": "a", "params": {}}], "goal": "cut', "cut off"),
        ('{"goal": oops, "steps": [{"task": "a"}]}', "broken"),
        ('{"steps": [{"task": "a"},]}', "broken"),
        ('{\'steps\': [{"task": "a"}]}', "double quotes"),
        ('{steps: [{"task": "a"}]}', "double quotes"),
        ('{"steps": [1], "steps": [2]}', "same key twice"),
        ('{"steps": [NaN]}', "NaN is not a JSON number"),
        ('{"steps": [1]} or rather {"steps": [2]}', "more than one plan"),
        ('{"steps": [1]} then {"steps": [', "cut off"),
        ('{"a": 1} {"b": 2}', "no plan"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000, "nested too deeply"),
        ("{x" * 5_000, "too many brackets"),
        ("x" * 500_000, "500000 characters"),
    ],
)
def test_what_cannot_be_read_says_why(text, words):
    with pytest.raises(PlanInvalid, match=words):
        read_json(text)


def test_the_same_plan_twice_is_one_plan():
    assert read_json(f"{TEXT}\nOnce more:\n{TEXT}") == PLAN


def test_halves_of_characters_are_joined_or_replaced():
    value = read_json(r'{"steps": [{"task": "\ud83d\ude00", "params": {"\ud800": ["\udc00x"]}}]}')
    assert value == {"steps": [{"task": "😀", "params": {"\ufffd": ["\ufffdx"]}}]}


def test_keys_that_are_told_apart_by_halves_only_are_not_guessed():
    with pytest.raises(PlanInvalid, match="same key"):
        read_json(r'{"steps": [{"task": "x", "params": {"\ud800": 1, "\ud801": 2}}]}')


def test_a_bare_list_of_steps_is_a_plan():
    assert read_json('The steps: [{"task": "a"}, {"task": "b"}] as of [1].') == [{"task": "a"}, {"task": "b"}]
