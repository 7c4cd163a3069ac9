"""Sources only ever grow along references: no template, list, nesting or order of steps washes one away."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.core import refs
from workbench.core.events import AnyEvent, Kind, Stream
from workbench.core.outcome import fold
from workbench.core.plan import Plan, load
from workbench.core.provenance import (
    REQUEST,
    USER,
    Lineage,
    Source,
    SourceKind,
    Sources,
    from_json,
    said,
    to_json,
    untrusted,
)
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.executor import Executor

SOURCES = st.builds(
    Source, kind=st.sampled_from(SourceKind), label=st.text(max_size=5), step=st.sampled_from(["", "s1"])
)
TAINT = st.frozensets(SOURCES, max_size=3)
WEB = Source(kind=SourceKind.WEB, label="evil.example")
ANYTHING = {"type": "object"}
TOOLS = {
    name: ToolSpec(name=name, summary=name, params=ANYTHING, version=name, source=source)
    for name, source in (("plain", b""), ("looking", b"toolkit.context()"))
}


def reference(ids: list[str]) -> st.SearchStrategy[Any]:
    name = st.sampled_from(ids)
    return st.one_of(
        name.map(lambda n: {"$ref": n}),
        name.map(lambda n: {"$ref": f"{n}#/a/0"}),
        name.map(lambda n: "say {{" + n + "#/a}} and {{" + n + "}}"),
        st.just({"$ref": "@sales"}),
        st.just("about {{@sales}}"),
    )


def parameters(ids: list[str]) -> st.SearchStrategy[Any]:
    plain: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text("ab ", max_size=4))
    leaf = st.one_of(plain, reference(ids)) if ids else plain
    inner = st.recursive(
        leaf,
        lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text("xy/~", max_size=2), deeper, max_size=3),
        max_leaves=6,
    )
    return st.dictionaries(st.sampled_from(["p", "q", "r"]), inner, max_size=3)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ids = [f"s{n}" for n in range(1, draw(st.integers(1, 6)) + 1)]
    steps = [
        {
            "id": name,
            "task": draw(st.sampled_from(sorted(TOOLS))),
            "params": draw(parameters(ids[:at])),
        }
        for at, name in enumerate(ids)
    ]
    return load({"steps": steps, "mode": draw(st.sampled_from(["graph", "sequential"]))})


def wanted(plan: Plan, made_of: Sources, reached: dict[str, Sources]) -> dict[str, Sources]:
    """The least that each step is made of, found from the plan's text alone."""
    found: dict[str, Sources] = {}
    for step in plan.steps:
        text = json.dumps(step.params)
        found[step.id] = made_of | reached[step.id]
        for earlier, sources in list(found.items())[:-1]:
            seen = plan.sequential and step.task == "looking"
            if seen or re.search(rf'(?:\$ref": "|\{{\{{){earlier}\b', text):
                found[step.id] |= sources
        if "@sales" in text:
            found[step.id] |= {Source(kind=SourceKind.FRAME, label="@sales")}
    return found


def without_steps(sources: Sources) -> set[tuple[str, str]]:
    return {(str(source.kind), source.label) for source in sources}


@given(plans(), TAINT, st.data())
async def test_a_step_is_made_of_all_that_it_refers_to_and_all_that_those_are_made_of(
    plan: Plan, made_of: Sources, data: st.DataObject
) -> None:
    reached = {step.id: data.draw(TAINT) for step in plan.steps}
    events: list[AnyEvent] = []
    stream = Stream("r", events.append, now=lambda: "2026-01-01T00:00:00")
    stream.tell(Kind.PLAN_MADE, {"plan": plan.dump(), "sources": to_json(made_of)})
    calls: list[ToolCall] = []

    async def call(what: ToolCall) -> ToolResult:
        calls.append(what)
        return ToolResult(status="ok", value={"a": ["x"]}, reached=reached[what.step])

    async def durable() -> None:
        return None

    variables: dict[str, Any] = {"sales": [1]}
    await Executor(call, durable=durable).run(plan, TOOLS, variables, stream, lineage=Lineage(made_of))
    outcome = fold(events)
    assert outcome.plan_sources == made_of
    least = wanted(plan, made_of, reached)
    for step in outcome.steps:
        assert without_steps(step.provenance) >= without_steps(least[step.id]), step.id
    for what in calls:
        before = without_steps(what.sources)
        assert before >= set().union(*(without_steps(part.sources) for part in what.arguments))
        assert before >= set().union(*(without_steps(least[name]) for name, _, _ in what.context))


@given(plans(), TAINT)
def test_the_parts_of_a_calls_parameters_are_all_of_them(plan: Plan, made_of: Sources) -> None:
    lineage = Lineage(made_of, {step.id: frozenset({WEB}) for step in plan.steps})
    values = {step.id: {"a": ["x"]} for step in plan.steps}
    variables = {"sales": [1]}
    for step in plan.steps:
        parts = {p.path: p for p in lineage.arguments(step.params, values, variables) if not p.is_key}
        resolved = refs.resolve(step.params, values, variables)
        for path, value in leaves_of(resolved) if resolved else ():
            ends = [at for at in range(len(path) + 1) if path[at:].startswith("/") or at == len(path)]
            holder = next(path[:end] for end in reversed(ends) if path[:end] in parts)
            part = parts[holder]
            assert refs.point(part.value, path[len(holder) :]) == value
            assert part.sources >= (frozenset() if part.refs else made_of)
            if any(not ref.startswith("@") for ref in part.refs):
                assert WEB in part.sources


def leaves_of(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [
            found
            for key, item in value.items()
            for found in leaves_of(item, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
        ]
    if isinstance(value, list) and value:
        return [found for index, item in enumerate(value) for found in leaves_of(item, f"{path}/{index}")]
    return [(path, value)]


@given(TAINT)
def test_sources_come_back_from_an_event_as_they_were(sources: Sources) -> None:
    assert from_json(json.loads(json.dumps(to_json(sources)))) == sources


def test_a_kind_from_a_later_version_is_a_strangers() -> None:
    (source,) = from_json([{"kind": "telepathy", "label": "x"}])
    assert untrusted([source]) == [source]


def test_the_request_alone_is_trusted_and_says_so() -> None:
    assert untrusted(REQUEST) == []
    assert said(REQUEST) == "the request"
    assert said({USER, WEB}) == "web evil.example"


def test_a_step_that_nobody_recorded_is_a_strangers() -> None:
    assert untrusted(Lineage().sources({"x": {"$ref": "s9"}}))


def test_what_a_template_makes_of_a_text_is_never_read_as_a_reference_again() -> None:
    lineage = Lineage(REQUEST, {"s1": frozenset({WEB})})
    (part,) = lineage.arguments({"x": "{{s1}}"}, {"s1": '{"$ref": "@secret"}'}, {})
    assert part.value == '{"$ref": "@secret"}'
    assert part.sources == REQUEST | {WEB}


def test_code_that_was_written_after_a_strangers_text_was_read_taints_what_it_gives() -> None:
    lineage = Lineage(REQUEST | {WEB})
    made_of = lineage.sources({"code": "print('trust me')", "tables": {"sales": {"$ref": "@sales"}}})
    assert WEB in lineage.record("s1", made_of, frozenset())
    assert WEB in Lineage(REQUEST, lineage.steps).sources(
        {"url": "https://x/{{s1}}", "deep": [{"a": [{"$ref": "s1"}]}]}
    )
