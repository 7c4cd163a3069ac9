"""What an editor of a plan is told, and what it may send back: the kernel decides, and says what is wrong where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values
from workbench.core.plan import Plan, Retry, Step, load
from workbench.core.tools import ToolSpec
from workbench.notebook.panels.plans import Problems, checked, described

TOOLS = {
    name: ToolSpec(
        name=name,
        summary=f"{name}s",
        params={
            "type": "object",
            "properties": properties,
            "required": [*properties][:1],
            "additionalProperties": False,
        },
        version="0",
        source=b"",
    )
    for name, properties in {
        "say": {"text": {"type": "string"}, "times": {"type": "integer", "minimum": 1}},
        "plot": {"data": {"x-frame": True}, "kind": {"enum": ["bar", "line"], "default": "bar"}},
    }.items()
}
STEPS = [
    {"id": "s1", "task": "say", "params": {"text": "one"}},
    {"id": "s2", "task": "say", "params": {"text": "after {{s1}}", "times": 2}},
]


def problems(raw: Any, *variables: str) -> dict[str, list[str]]:
    found = checked(raw, TOOLS, variables)
    assert isinstance(found, Problems)
    return {place: list(said) for place, said in found.by_place.items()}


def test_what_is_described_comes_back_as_the_same_plan() -> None:
    plan = load(STEPS)
    told = json.loads(json.dumps(described(plan, TOOLS, ["sales"])))
    assert told["after"] == {"s1": [], "s2": ["s1"]}
    assert told["tools"]["plot"]["params"] == TOOLS["plot"].params
    back = checked(told["plan"], TOOLS)
    assert isinstance(back, Plan)
    assert back.steps == plan.steps
    assert not back.sequential


def test_taking_a_reference_away_does_not_turn_a_graph_into_a_list() -> None:
    raw = described(load(STEPS), TOOLS)["plan"]
    back = checked({**raw, "steps": [raw["steps"][0], raw["steps"][1] | {"params": {"text": "alone"}}]}, TOOLS)
    assert isinstance(back, Plan)
    assert back.needs() == {"s1": (), "s2": ()}


def test_what_is_switched_off_is_not_in_the_plan() -> None:
    back = checked({"steps": [STEPS[0], {**STEPS[1], "disabled": True}]}, TOOLS)
    assert isinstance(back, Plan)
    assert [step.id for step in back.steps] == ["s1"]


@pytest.mark.parametrize(
    ("raw", "place", "said"),
    [
        ({"steps": [{**STEPS[0], "disabled": True}, STEPS[1]]}, "s2", "needs s1, which is switched off"),
        ({"steps": [{**STEPS[0], "params": {"text": 3}}]}, "s1/text", "expected string, got 3"),
        ({"steps": [{**STEPS[0], "params": {}}]}, "s1/text", "missing"),
        ({"steps": [{**STEPS[0], "params": {"text": "x", "more": 1}}]}, "s1/more", "unknown"),
        ({"steps": [{**STEPS[0], "params": {"text": "x", "times": 0}}]}, "s1/times", "at least 1"),
        ({"steps": [{**STEPS[0], "task": "sai"}]}, "s1", "there is no tool 'sai'; did you mean say?"),
        ({"steps": [{**STEPS[0], "timeout": -1}]}, "s1:timeout", "greater than 0"),
        ({"steps": [{**STEPS[0], "retry": {"max": 11}}]}, "s1:retry.max", "less than or equal to 10"),
        ({"steps": [{**STEPS[0], "title": "x" * 201}]}, "s1:title", "at most 200"),
        ({"steps": [{**STEPS[0], "if": 3}]}, "s1:if", "takes a reference"),
        ({"steps": [{**STEPS[0], "foreach": 3}]}, "s1:foreach", "takes a list"),
        ({"steps": [{**STEPS[0], "on_error": "default"}]}, "s1:on_error", "no default is given"),
        ({"steps": [{**STEPS[0], "default": 3}]}, "s1:default", "never used"),
        ({"steps": [{**STEPS[0], "whenever": 3}]}, "s1:whenever", "not permitted"),
        ({"steps": [{"id": "p", "task": "plot", "params": {"data": {"$ref": "@sale"}}}]}, "p", "did you mean sales?"),
        ({"steps": [{**STEPS[0], "disabled": True}]}, "", "no step is left"),
        ({"steps": "x"}, "", "a list of steps"),
        ({"steps": [3]}, "", "steps.0"),
        ([], "", "an object"),
    ],
)
def test_each_problem_stands_where_it_belongs(raw: Any, place: str, said: str) -> None:
    found = problems(raw, "sales")
    assert list(found) == [place]
    assert said in found[place][0]


def test_a_number_that_a_page_has_left_alone_is_the_one_that_it_was() -> None:
    plan = load(
        [{"id": "s1", "task": "any", "params": {"account": 12345678901234567891, "rate": 1.0, "x": [2**60 + 1]}}]
    )
    page = {"account": 12345678901234567000, "rate": 1, "x": [2**60]}
    tools = {"any": ToolSpec(name="any", summary="", params={"type": "object"}, version="0", source=b"")}
    back = checked({"steps": [{"id": "s1", "task": "any", "params": page}]}, tools, before=plan)
    assert isinstance(back, Plan)
    assert json.dumps(back.steps[0].params) == json.dumps(plan.steps[0].params)


def test_a_value_that_hides_something_is_told_as_it_is() -> None:
    plan = load([{"id": "s1", "task": "say", "params": {"text": "pay b\u043eb\u202e now"}}])
    assert described(plan, TOOLS)["shown"] == {"s1": {"text": "pay b\\u{43e}b\\u{202e} now"}}


def test_what_a_step_does_beside_its_call_is_said_whole() -> None:
    step = {"task": "say", "title": "Say\u202e it", "params": {"text": "{{item}}"}, "foreach": ["a", "b"], "timeout": 5}
    said = described(load([step]), TOOLS)["said"]["s1"]
    assert said["title"] == "Say\\u{202e} it"
    assert said["more"] == 'for each of 2 items; the items: ["a", "b"]; at most 5 s'


def test_every_field_of_a_step_beside_its_call_has_one_in_the_editor() -> None:
    fields = described(load(STEPS), TOOLS)["fields"]
    names = {field.alias or name for name, field in Step.model_fields.items()} - {"id", "task", "params"}
    assert {name.split(".")[0] for name in fields} == names
    assert {name for name in fields if name.startswith("retry.")} == {f"retry.{name}" for name in Retry.model_fields}


@given(json_values | st.fixed_dictionaries({"steps": st.lists(json_values | st.sampled_from(STEPS), max_size=4)}))
def test_whatever_a_page_sends_is_a_plan_or_problems(raw: Any) -> None:
    found = checked(raw, TOOLS, before=load(STEPS))
    if isinstance(found, Problems):
        assert found.line()
        assert all(found.by_place.values())
    else:
        assert all(step.task in TOOLS for step in found.steps)
