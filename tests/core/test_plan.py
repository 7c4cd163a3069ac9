"""Plans: what is valid, what is not, and that all that is wrong is told at once."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import graphs, json_objects, json_values
from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid
from workbench.core.tools import ToolSpec


def tool(name: str, **properties: object) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if not key.startswith("_")],
        "additionalProperties": False,
    }
    return ToolSpec(name=name, summary=name, params=schema, version="0", source=b"")


TOOLS = {
    "web_search": tool("web_search", query={"type": "string"}, _limit={"type": "integer", "minimum": 1}),
    "plot": tool("plot", data={"x-frame": True}),
    "any": ToolSpec(name="any", summary="any", params={"type": "object"}, version="0", source=b""),
}


def errors(raw: Any, variables: Sequence[str] = ()) -> list[str]:
    with pytest.raises(PlanInvalid) as caught:
        plans.read(raw, TOOLS, variables)
    assert caught.value.errors
    return caught.value.errors


@given(
    json_values
    | st.lists(
        st.fixed_dictionaries(
            {"task": st.sampled_from([*TOOLS, "x"])},
            optional={
                "id": st.sampled_from(["a", "b", "", "1"]),
                "params": json_values,
                "needs": json_values,
                "timeout": json_values,
                "retry": json_values,
                "title": json_values,
            },
        ),
        max_size=4,
    )
)
def test_any_json_is_a_plan_or_plan_invalid(raw):
    for spelled in (raw, json.dumps(raw), {"steps": raw}):
        told = ["nothing"]
        try:
            plans.read(spelled, TOOLS, ["sales"])
        except PlanInvalid as error:
            told = error.errors
        assert told
        assert all(told)


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_any_text_is_a_plan_or_plan_invalid(raw):
    with pytest.raises(PlanInvalid):
        plans.read(raw, TOOLS)


@pytest.mark.parametrize("depth", [100, 900, 5_000, 100_000])
def test_a_plan_nested_too_deeply_is_invalid(depth):
    nested = '[{"task":"any","params":{"a":' + "[" * depth + "]" * depth + "}}]"
    assert any("nested too deeply" in line for line in errors(nested))


@given(graphs(), st.booleans())
def test_a_graph_without_cycles_is_valid_and_reads_back_from_its_dump(needs, by_reference):
    steps = [
        {"id": name, "task": "any", "params": {"of": [{"$ref": n} for n in before]}}
        if by_reference
        else {"id": name, "task": "any", "needs": list(before)}
        for name, before in needs.items()
    ]
    plan = plans.read({"goal": "g", "mode": "graph", "steps": steps}, TOOLS)
    assert {name: set(before) for name, before in plan.needs().items()} == {n: set(b) for n, b in needs.items()}
    assert plans.load(plan.dump()) == plan
    assert plans.load(json.dumps(plan.dump())) == plan


@given(graphs(), json_objects)
def test_whatever_the_params_a_dump_reads_back(needs, params):
    steps = [{"id": name, "task": "any", "params": params, "needs": list(before)} for name, before in needs.items()]
    plan = plans.load(steps)
    assert plans.load(plan.dump()) == plan


def test_a_bare_list_runs_in_list_order():
    plan = plans.read([{"task": "any"}, {"task": "any", "id": "s1"}, {"task": "any"}], TOOLS)
    assert [step.id for step in plan.steps] == ["s1_", "s1", "s3"]
    assert plan.sequential
    assert plan.needs() == {"s1_": (), "s1": ("s1_",), "s3": ("s1",)}


def test_one_reference_makes_the_plan_a_graph():
    plan = plans.read([{"id": "a", "task": "any"}, {"task": "any"}, {"task": "any", "params": {"x": "{{a}}"}}], TOOLS)
    assert plan.needs() == {"a": (), "s2": (), "s3": ("a",)}


def test_every_error_is_told_at_once():
    told = errors(
        [
            {"id": "a", "task": "websearch", "needs": ["zz"]},
            {"id": "b", "task": "web_search", "params": {"query": 3, "_limit": 0, "more": 1}},
            {"id": "b", "task": "plot", "params": {"data": {"$ref": "@sale"}}},
            {"id": "c", "task": "any", "params": {"x": {"$ref": "not a ref!"}, "y": "{{nope#/a}}"}},
        ],
        ["sales"],
    )
    text = "\n".join(told)
    for part in (
        "b: two steps have this id",
        "a: there is no tool 'websearch'; did you mean web_search?",
        "a: needs 'zz'",
        "b: params.query: expected string, got 3",
        "b: params._limit: expected at least 1",
        "b: params.more: unknown",
        "refers to @sale, and no such variable is offered; did you mean sales?",
        "c: 'not a ref!' is not a reference",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("steps", "circle"),
    [
        ([{"id": "a", "task": "any", "needs": ["a"]}], "a → a"),
        ([{"id": "a", "task": "any", "needs": ["b"]}, {"id": "b", "task": "any", "params": {"x": {"$ref": "a"}}}], "→"),
    ],
)
def test_a_circle_is_named(steps, circle):
    assert any("circle" in line and circle in line for line in errors(steps))


def test_a_sequential_plan_cannot_look_ahead():
    steps = [{"id": "a", "task": "any", "params": {"x": {"$ref": "b"}}}, {"id": "b", "task": "any"}]
    assert errors({"mode": "sequential", "steps": steps}) == ["a: needs b, which comes later in a sequential plan"]


@pytest.mark.parametrize(
    "raw", ["", "{", "null", "3", "[]", "{}", '{"steps": []}', '[{"task": ""}]', '[{"params": {}}]']
)
def test_what_is_no_plan_says_so(raw):
    assert errors(raw)


def test_more_steps_than_a_plan_may_have():
    assert "50" in errors([{"task": "any"}] * 51)[0]
