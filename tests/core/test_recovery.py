"""What an unfinished run leaves, and what makes two steps the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_objects
from workbench.core.artifacts import ARROW, Artifact, find, to_json
from workbench.core.events import Event, Kind
from workbench.core.plan import Plan, Step, load
from workbench.core.recovery import effect_key, identities, identity, recover
from workbench.core.tools import ToolSpec


def tool(name: str, **fields: Any) -> ToolSpec:
    params = {"type": "object", "properties": {"n": {"type": "integer", "default": 5}, "x": {}}}
    return ToolSpec(**{"name": name, "summary": "", "params": params, "version": "v1", "source": b""} | fields)


TOOLS = {"read": tool("read"), "write": tool("write", effect="write"), "seer": tool("seer", source=b"toolkit.context")}
EFFECTS = {"read": "read", "write": "write", "idem": "idempotent"}
FRAME = Artifact(path="r/t.arrow", mime=ARROW, bytes=1, sha256="f1")


class Told:
    """Events of one run as they would be told."""

    def __init__(self, *tasks: str, **versions: str) -> None:
        self.events: list[Event] = []
        steps = [{"id": f"s{n}", "task": task, "params": {}} for n, task in enumerate(tasks, 1)]
        self(Kind.PLAN_MADE, plan={"steps": steps}, tools=versions)

    def __call__(self, kind: Kind | str, step: str | None = None, **body: Any) -> Told:
        event = Event(run="r", seq=len(self.events), at="", kind=Kind(kind), step=step, body=body)
        self.events.append(event)
        return self

    def intent(self, step: str, effect: str, **body: Any) -> Told:
        return self("step.intent", step, **{"tool": effect, "version": "v1", "effect": effect, "identity": "i"} | body)


def test_a_step_that_is_done_is_kept_whatever_comes_after():
    told = Told("read", "write").intent("s1", "read")("step.done", "s1", value={"a": 1}).intent("s2", "write")
    told("step.done", "s2", value=None)("step.failed", "s2", error={})("step.cancelled", "s1")
    left = recover(told.events)
    assert left.done == {"s1": ("read", {"a": 1}), "s2": ("write", None)}
    assert (left.again, left.uncertain) == ((), {})


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("end", ["", "step.failed", "step.cancelled"])
def test_what_changes_nothing_is_done_again(effect: str, end: str):
    told = Told(effect).intent("s1", effect)("tool.called", "s1", status="failed")
    left = recover((told(end, "s1", error={}) if end else told).events)
    assert (left.again, left.uncertain, left.done) == (("s1",), {}, {})


@pytest.mark.parametrize(
    ("ends", "doubtful"),
    [
        ((), True),  # its process died
        ((("step.started", {}),), True),
        ((("tool.called", {"status": "ok"}),), True),  # and then its process died
        ((("tool.called", {"status": "failed"}), ("step.failed", {"error": {"message": "no"}})), True),
        ((("tool.called", {"status": "timeout"}), ("step.failed", {"error": {}})), True),
        ((("step.cancelled", {}),), True),
        ((("step.uncertain", {}),), True),
        ((("tool.called", {"status": "denied"}), ("step.failed", {"error": {}})), False),
        ((("tool.called", {"status": "exceeded"}), ("step.failed", {"error": {}})), False),
        ((("step.failed", {"error": {}}),), False),  # its references named nothing
    ],
)
def test_a_write_that_may_have_acted_is_for_somebody_to_decide(ends: Any, doubtful: bool):
    told = Told("write").intent("s1", "write")
    for kind, body in ends:
        told(kind, "s1", **body)
    left = recover(told.events)
    assert list(left.uncertain) == (["s1"] if doubtful else [])
    assert left.again == (() if doubtful else ("s1",))


def test_a_doubt_says_why_and_is_there_until_the_step_is_done():
    told = Told("write").intent("s1", "write")("tool.called", "s1", status="failed")
    told("step.failed", "s1", error={"message": "disk full"})
    assert recover(told.events).uncertain["s1"].why == "it failed: disk full"
    told("run.resumed", uncertain=["s1"])("step.uncertain", "s1", reason="x")
    assert str(recover(told.events).uncertain["s1"]) == "s1"
    assert recover(told("step.done", "s1", value=1).events).done == {"s1": ("write", 1)}


def test_a_result_that_is_gone_is_made_again_unless_that_would_repeat_a_write():
    for effect, doubtful in (("read", []), ("write", ["s1"])):
        told = Told(effect).intent("s1", effect)("step.done", "s1", payloads={"value": {}})
        left = recover(told.events)
        assert (left.done, list(left.uncertain)) == ({}, doubtful)


def test_a_result_whose_table_lies_on_another_machine_is_no_result():
    for effect, again, doubtful in (("read", ("s1",), []), ("write", (), ["s1"])):
        told = Told(effect).intent("s1", effect)("step.done", "s1", value=to_json([FRAME]))
        assert recover(told.events, lambda value: True).done == {"s1": (effect, [FRAME])}
        left = recover(told.events, lambda value: FRAME not in find(value))
        assert (left.done, left.again, list(left.uncertain)) == ({}, again, doubtful)


def test_a_list_that_was_half_done_keeps_its_items_and_doubts_only_what_was_open():
    told = Told()
    told.events.clear()
    told("plan.made", plan={"steps": [{"id": "s1", "task": "write", "params": {}, "foreach": [1, 2, 3]}]})
    told.intent("s1", "write")
    for item in range(3):
        told("item.intent", "s1", item=item, tool="write", effect="write")
    told("tool.called", "s1", item=1, status="ok")("item.done", "s1", item=1, value="b")
    left = recover(told.events)
    assert left.items == {"s1": {1: "b"}}
    assert sorted(map(str, left.uncertain.values())) == ["s1[0]", "s1[2]"]
    assert left.again == ("s1",)


def test_a_later_round_adds_its_steps_and_a_first_one_takes_the_place_of_all():
    told = Told("read")("step.done", "s1", value=1)
    told("plan.made", round=2, plan={"steps": [{"id": "s2", "task": "read", "params": {}}]}, tools={"read": "v2"})
    assert recover(told.events).pinned == {"s1": "", "s2": "v2"}
    assert recover(told("step.done", "elsewhere", value=1).events).done == {"s1": ("read", 1)}


STEPS = st.lists(st.sampled_from(list(EFFECTS)), min_size=1, max_size=4)
LIVES = st.lists(st.lists(st.sampled_from(["started", "called ok", "called denied", "failed", "done"]), max_size=4))


@given(STEPS, st.data())
def test_any_prefix_of_any_story_never_repeats_a_write_that_may_have_acted(tasks: list[str], data: st.DataObject):
    told = Told(*tasks)
    acted: set[str] = set()
    done: set[str] = set()
    for number, task in enumerate(tasks, 1):
        step = f"s{number}"
        for life in data.draw(LIVES):
            if step in done:
                break
            told.intent(step, EFFECTS[task])
            for what in life:
                word, _, status = what.partition(" ")
                kind = "tool.called" if word == "called" else f"step.{word}"
                told(kind, step, status=status, value=number, error={})
                if what in ("called ok", "started"):
                    acted.add(step)
                if what == "done":
                    done.add(step)
                if word in ("done", "failed"):
                    break
            else:
                acted.add(step)  # the tool may have been called, and nobody was left to tell
    left = recover(told.events)
    assert set(left.done) == done
    writes = {f"s{n}" for n, task in enumerate(tasks, 1) if task == "write"}
    assert not set(left.again) & set(left.uncertain)
    assert not (set(left.again) | set(left.uncertain)) & done
    for cut in range(1, len(told.events) + 1):
        part = recover(told.events[:cut])
        assert set(part.done) <= done
        open_writes = {e.step for e in told.events[:cut] if e.kind is Kind.STEP_INTENT and e.step in writes}
        # A write whose last intent has no further word at all is never called again unasked.
        for step in open_writes - set(part.done):
            last = [e.kind for e in told.events[:cut] if e.step == step][-1]
            if last in (Kind.STEP_INTENT, Kind.STEP_STARTED):
                assert step in part.uncertain


def step(params: dict[str, Any], name: str = "s1", **fields: Any) -> Step:
    return Step(id=name, task="read", params=params, **fields)


def test_the_identity_fills_defaults_in_and_knows_tables_by_their_content():
    one = identity(step({"x": {"$ref": "@a"}}), TOOLS["read"], {}, {"a": FRAME})
    assert one == identity(step({"x": {"$ref": "@b"}, "n": 5}, "other"), TOOLS["read"], {}, {"b": FRAME})
    assert one != identity(step({"x": {"$ref": "@a"}, "n": 6}), TOOLS["read"], {}, {"a": FRAME})
    other = Artifact(path="r/t.arrow", mime=ARROW, bytes=1, sha256="f2")
    assert one != identity(step({"x": {"$ref": "@a"}}), TOOLS["read"], {}, {"a": other})
    assert one != identity(step({"x": {"$ref": "@a"}}), tool("read", version="v2"), {}, {"a": FRAME})


def plan(*steps: dict[str, Any], **fields: Any) -> Plan:
    return load({"steps": [{"task": "read", **step} for step in steps], **fields})


def test_a_step_is_known_by_what_it_refers_to_and_not_by_what_that_is_called():
    one = plan({"id": "a", "params": {"x": 1}}, {"id": "b", "params": {"x": "{{a#/t}}!", "n": {"$ref": "a"}}})
    two = plan(
        {"id": "p"}, {"id": "q", "params": {"x": 1}}, {"id": "r", "params": {"x": "{{q#/t}}!", "n": {"$ref": "q"}}}
    )
    first, second = identities(one, TOOLS, {}), identities(two, TOOLS, {})
    assert (first["a"], first["b"]) == (second["q"], second["r"])
    three = plan({"id": "a", "params": {"x": 2}}, {"id": "b", "params": {"x": "{{a#/t}}!", "n": {"$ref": "a"}}})
    assert identities(three, TOOLS, {})["b"] != first["b"]
    parts = plan({"id": "a", "params": {"x": 1}}, {"id": "b", "params": {"x": "{{a#/u}}!", "n": {"$ref": "a"}}})
    assert identities(parts, TOOLS, {})["b"] != first["b"]


def test_in_list_order_an_effect_or_a_look_at_the_context_counts():
    pure = plan({"params": {"x": 1}}, {"params": {"x": 2}})
    alone = plan({"params": {"x": 2}})
    assert identities(pure, TOOLS, {})["s2"] == identities(alone, TOOLS, {})["s1"]
    for task, first in (("read", "write"), ("seer", "read")):
        with_first = plan({"task": first, "params": {"x": 1}}, {"task": task, "params": {"x": 2}})
        without = plan({"task": task, "params": {"x": 2}})
        assert identities(with_first, TOOLS, {})["s2"] != identities(without, TOOLS, {})["s1"]
    later = identities(plan({"task": "seer"}), TOOLS, {}, {"s0": "i0"})
    assert later != identities(plan({"task": "seer"}), TOOLS, {}, {"s0": "i1"})


@given(json_objects, json_objects)
def test_identities_of_steps_agree_exactly_when_their_parameters_do(one: dict[str, Any], two: dict[str, Any]):
    def of(params: dict[str, Any]) -> str:
        return identity(Step(id="s", task="read", params={"x": [params]}), TOOLS["read"], {}, {})

    same = repr(one) == repr(two)
    if same or repr(sorted(one)) != repr(sorted(two)):
        assert (of(one) == of(two)) == same


def test_the_key_of_an_effect_is_its_runs_its_steps_and_its_items():
    keys = [effect_key("r1", "s1"), effect_key("r2", "s1"), effect_key("r1", "s2"), effect_key("r1", "s1", 0)]
    assert len({*keys}) == 4
    assert effect_key("r1", "s1") == keys[0]
