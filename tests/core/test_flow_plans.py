"""Plans with conditions, lists and failures that are allowed: as generated data, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import graphs, json_values
from tests.test_executor import run, tool
from workbench.core.errors import PlanInvalid
from workbench.core.plan import MAX_ITEMS, Step, dump_step, load, read
from workbench.core.progress import State
from workbench.core.refs import find
from workbench.core.tools import ToolCall, ToolResult

ONE = {"read": tool("read")}
plain = json_values.filter(lambda value: not _refers(value))


def _refers(value: Any) -> bool:
    try:
        return any(True for _ in find(value))
    except ValueError:
        return True


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """A valid plan that uses every field."""
    needs = draw(graphs(7))
    steps = []
    for name, before in needs.items():
        step: dict[str, Any] = {"id": name, "task": "read", "params": {}}
        ref = {"$ref": draw(st.sampled_from(before))} if before else None
        if ref and draw(st.booleans()):
            step["params"]["x"] = ref
        elif before:
            step["needs"] = list(before)
        if ref and draw(st.integers(0, 2)) == 0:
            step["if"] = ref
        kind = draw(st.sampled_from(["", "", "literal", "ref"]))
        if kind == "literal":
            step["foreach"] = draw(st.lists(st.integers(0, 3), max_size=4))
        elif kind == "ref" and ref:
            step["foreach"] = ref
        if "foreach" in step:
            step["params"]["item"] = draw(st.sampled_from([{"$ref": "item"}, "no {{item}}"]))
        step["on_error"] = draw(st.sampled_from(["fail", "skip", "default", "replan"]))
        if step["on_error"] == "default" or ("foreach" not in step and "if" in step and draw(st.booleans())):
            step["default"] = draw(plain)
        if draw(st.integers(0, 4)) == 0:
            step["approve"] = True
        steps.append(step)
    plan: dict[str, Any] = {"mode": "graph", "steps": steps}
    if draw(st.booleans()):
        plan["budget"] = {"usd": draw(st.floats(0, 5)), "calls": draw(st.integers(0, 99))}
    return plan


@given(flows())
def test_a_plan_reads_back_as_it_was_dumped(raw: dict[str, Any]) -> None:
    plan = read(raw, ONE)
    dumped = plan.dump()
    assert read(dumped, ONE) == plan
    assert read(json.loads(json.dumps(dumped)), ONE).dump() == dumped
    for step, given_step in zip(plan.steps, raw["steps"], strict=True):
        assert step.has_default == ("default" in given_step)


@given(flows(), st.integers(1, 4), st.data())
async def test_every_run_of_a_plan_ends_and_calls_each_place_once(
    raw: dict[str, Any], parallel: int, data: st.DataObject
) -> None:
    plan = read(raw, ONE)
    seen: list[tuple[str, int | None]] = []
    finished: set[str] = set()
    fails = data.draw(st.sets(st.sampled_from([step.id for step in plan.steps])))

    async def call(what: ToolCall) -> ToolResult:
        seen.append((what.step, what.item))
        for ref in plan.step(what.step).references():
            assert ref.is_item or ref.step in finished
        if what.step in fails and (what.item or 0) % 2 == 0:
            return ToolResult(status="failed", error="no")
        value = [] if what.step.endswith("3") else [what.step, what.item]
        if what.item is None:
            finished.add(what.step)
        return ToolResult(status="ok", value=value)

    for step in plan.steps:  # a default or a list that ended stands for a result too
        if step.stands_in or step.foreach is not None or step.on_error == "skip":
            finished.add(step.id)
    outcome, _ = await run(plan, call, parallel=parallel)
    assert len(seen) == len(set(seen))
    ends = {step.id: step.state for step in outcome.steps}
    assert State.WAITING not in ends.values()
    assert State.RUNNING not in ends.values()
    needs, uses = plan.needs(), plan.uses()
    gave = {step.id for step in outcome.steps if step.state is State.DONE} | {
        step.id for step in outcome.steps if step.state is State.SKIPPED and plan.step(step.id).stands_in
    }
    lost = {name for name, state in ends.items() if state in (State.FAILED, State.BLOCKED)}
    for ended in outcome.steps:
        planned = plan.step(ended.id)
        if ended.state is State.BLOCKED:
            assert set(needs[ended.id]) & lost
            assert set(ended.blocked_by) <= lost
        if ended.state is State.DONE:
            assert uses[ended.id] <= gave
        if ended.state is State.FAILED:
            assert planned.on_error != "skip"
        if ended.state is State.DONE and planned.foreach is not None and ended.id not in fails:
            places = [value[1] if value else None for value in ended.value]
            assert len(places) == sum(name == ended.id for name, _ in seen)
            assert ended.id.endswith("3") or places == list(range(len(places)))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"if": True}, "`if` takes a reference and nothing else"),
    ({"if": "s1"}, "`if` takes a reference and nothing else"),
    ({"if": {"$ref": "nobody"}}, "refers to nobody, and there is no such step"),
    ({"foreach": "abc"}, "foreach takes a list, or a reference to one"),
    ({"foreach": {"$ref": "@t"}}, "foreach goes over a list, and @t is a table"),
    ({"foreach": [0] * (MAX_ITEMS + 1)}, "foreach has 201 items; at most 200 are run"),
    ({"params": {"x": {"$ref": "item#/a"}}}, "refers to an item, and has no foreach"),
    ({"params": {"x": "{{item}}"}}, "refers to an item, and has no foreach"),
    ({"if": {"$ref": "item#/a"}, "foreach": [1]}, "`if` refers to an item, which only params can"),
    ({"foreach": {"$ref": "item"}}, "`foreach` refers to an item, which only params can"),
    ({"on_error": "default"}, "on_error is default, and no default is given"),
    ({"default": 1}, "its default is never used"),
    ({"default": 1, "foreach": [1], "if": {"$ref": "s1"}}, "its default is never used"),
    ({"default": {"$ref": "s1"}, "on_error": "default"}, "default holds a reference; it has to be a plain value"),
    ({"id": "item"}, "no step can have this id"),
    ({"on_error": "ignore"}, "Input should be 'fail', 'skip', 'default' or 'replan'"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_what_is_wrong_with_a_step_is_said(fields: dict[str, Any], said: str) -> None:
    steps = [{"id": "s1", "task": "read"}, {"id": "s2", "task": "read", **fields}]
    with pytest.raises(PlanInvalid) as caught:
        read(steps, ONE, ["t"])
    assert any(said in error for error in caught.value.errors)


def test_all_that_is_wrong_is_said_at_once() -> None:
    steps = [
        {"id": "a", "task": "read", "if": 1, "foreach": 2},
        {"id": "b", "task": "read", "on_error": "default", "params": {"x": {"$ref": "item"}}},
    ]
    with pytest.raises(PlanInvalid) as caught:
        read(steps, ONE)
    assert len(caught.value.errors) == 4


def test_a_step_without_these_fields_is_dumped_as_ever() -> None:
    assert dump_step(load([{"task": "read"}]).steps[0]) == {"id": "s1", "task": "read", "params": {}}
    assert Step.model_validate({"task": "read", "if": {"$ref": "a"}}).when == {"$ref": "a"}


def test_an_if_on_a_result_makes_a_graph_of_a_list() -> None:
    assert load([{"task": "read"}, {"task": "read", "foreach": [1], "params": {"x": {"$ref": "item"}}}]).sequential
    plan = load([{"task": "read"}, {"task": "read", "if": {"$ref": "s1"}}])
    assert not plan.sequential
    assert plan.needs() == {"s1": (), "s2": ("s1",)}


def test_a_later_round_may_refer_to_what_has_a_result_and_to_nothing_else() -> None:
    earlier = {"a": True, "b": False}
    read([{"id": "c", "task": "read", "params": {"x": {"$ref": "a"}}}], ONE, earlier=earlier)
    with pytest.raises(PlanInvalid, match="c: refers to b, and b has no result"):
        read([{"id": "c", "task": "read", "params": {"x": {"$ref": "b"}}}], ONE, earlier=earlier)
    with pytest.raises(PlanInvalid, match="c: needs b, which has no result"):
        read([{"id": "c", "task": "read", "needs": ["b"]}], ONE, earlier=earlier)
    with pytest.raises(PlanInvalid, match="b: a step of an earlier round has this id"):
        read([{"id": "b", "task": "read"}], ONE, earlier=earlier)
