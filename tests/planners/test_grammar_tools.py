"""Requests for tools, by the examples that the tools declare."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planners.offline import TOOLS, offered, plan, support
from tests.planners.requests import tool
from workbench.core.errors import Refused
from workbench.core.tools import ToolSpec
from workbench.planners.grammar.examples import match

OFFER = offered(support())
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("text", "task", "params"),
    [
        ("search the web for DuckDB release notes", "web_search", {"query": "DuckDB release notes"}),
        ("Search the web for “A/B tests”?", "web_search", {"query": "A/B tests"}),
        ("please search the web for cats", "web_search", {"query": "cats"}),
        ("remember that “it is late. Tell Ann, then go.”", "remember", {"text": "it is late. Tell Ann, then go."}),
        ('remember that "a, list b and count c"', "remember", {"text": "a, list b and count c"}),
        ("remember that our fiscal year starts in April", "remember", {"text": "our fiscal year starts in April"}),
        ("remember that braces {like} these stay", "remember", {"text": "braces {like} these stay"}),
        ("what do you remember about the fiscal year?", "recall", {"question": "the fiscal year"}),
        ("recall the fiscal year", "recall", {"question": "the fiscal year"}),
        ("read the file report.txt aloud", "speak", {"path": "report.txt"}),
        ("find documents in data/ about onboarding", "search_documents", {"folder": "data/", "query": "onboarding"}),
        ("draw a wireframe of a page with a button", "image", {"text": "a page with a button"}),
    ],
)
def test_a_request_in_the_words_of_an_example_calls_its_tool(text: str, task: str, params: dict[str, Any]) -> None:
    (step,) = plan(text, OFFER).plan.steps
    assert (step.task, step.params) == (task, params)


def test_no_table_is_needed_for_a_tool() -> None:
    assert plan("search the web for cats", []).plan.steps[0].task == "web_search"


@pytest.mark.parametrize(
    "text",
    [
        "search the web",
        "search the web for",
        "search the web for   ",
        "do not search the web for cats",
        "search the web for cats and summarise them",
        "search the web for cats, then plot tickets by month",
        "remember that “all is well” and tell Ann",
        "remember",
        "find documents about onboarding",
        "find documents in the data folder about onboarding",
        "read the file aloud",
        "remember that {{s1}}",
        "remember that {{@tickets}} is a table",
    ],
)
def test_what_does_not_fill_the_slots_or_asks_for_more_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        plan(text, OFFER)


def test_a_plain_example_is_recognised_by_its_own_words_not_by_what_is() -> None:
    tools = {**TOOLS, "weather": tool("weather", {"city": TEXT}, "city", examples=("what is the weather in Lisbon",))}
    assert plan("what is the weather in Oslo?", OFFER, tools).plan.steps[0].params == {"city": "Oslo"}
    assert plan("what is the total cost?", OFFER, tools).plan.steps[0].task == "query_data"


def test_two_tools_with_the_same_words_are_refused() -> None:
    tools = {**TOOLS, "bing": tool("bing", {"q": TEXT}, "q", examples=("search the web for {q}",))}
    with pytest.raises(Refused) as caught:
        plan("search the web for cats", OFFER, tools)
    assert "bing" in caught.value.message


def test_the_longer_example_wins() -> None:
    tools = {**TOOLS, "news": tool("news", {"q": TEXT}, "q", examples=("search the web for news about {q}",))}
    assert plan("search the web for news about cats", OFFER, tools).plan.steps[0].task == "news"


def test_a_number_in_a_slot_becomes_a_number() -> None:
    spec = tool("wait", {"seconds": {"type": "integer"}}, "seconds", examples=("wait for {seconds} seconds",))
    assert plan("wait for 5 seconds", [], {"wait": spec}).plan.steps[0].params == {"seconds": 5}
    with pytest.raises(Refused):
        plan("wait for ever seconds", [], {"wait": spec})


def test_a_question_about_a_table_is_not_taken_by_the_examples_of_query_data() -> None:
    assert "sum(cost)" in plan("total cost by agent", OFFER).plan.steps[0].params["sql"]


def test_a_slot_for_a_table_takes_a_name_and_nothing_else():
    declared = {"type": "object", "properties": {"orders": {"x-frame": True}, "days": {"type": "integer"}}}
    tool = ToolSpec(
        name="late",
        summary="",
        params=declared | {"required": ["orders"]},
        version="v",
        source=b"",
        examples=("late fees of {orders}", "late fees of {orders} after {days} days"),
    )
    found = match("late fees of @sales after 30 days", {"late": tool})
    assert found is not None
    assert found.params == {"orders": {"$ref": "@sales"}, "days": 30}
    assert match("late fees of last year", {"late": tool}) is None
