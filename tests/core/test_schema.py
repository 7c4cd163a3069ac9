"""The part of JSON Schema that tools use: never raises, and agrees with plain examples."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values, scalars
from workbench.core import schema
from workbench.core.artifacts import ARROW, Artifact

TYPES = ["string", "integer", "number", "boolean", "array", "object", "null"]
schemas: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3),
            "enum": st.lists(json_values, min_size=1, max_size=3),
            "const": scalars,
            "minimum": st.integers(-9, 9),
            "maximum": st.integers(-9, 9),
            "minLength": st.integers(0, 3),
            "maxItems": st.integers(0, 3),
            "x-frame": st.booleans(),
        },
    ),
    lambda inner: (
        st.builds(lambda s: {"type": "array", "items": s}, inner)
        | st.builds(lambda s: {"anyOf": s}, st.lists(inner, max_size=2))
        | st.builds(
            lambda p, extra: {"type": "object", "properties": p, "required": list(p), "additionalProperties": extra},
            st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            st.booleans() | inner,
        )
    ),
    max_leaves=5,
)


@given(json_values, schemas, st.booleans())
def test_checking_never_raises_and_each_problem_names_its_place(value, wanted, resolved):
    for problem in schema.check(value, wanted, resolved=resolved):
        assert problem.startswith("params")


@given(json_values)
def test_an_empty_schema_takes_everything(value):
    assert list(schema.check(value, {}, resolved=True)) == []


@pytest.mark.parametrize(
    ("value", "wanted", "problem"),
    [
        (1, {"type": "integer"}, None),
        (1.0, {"type": "integer"}, None),
        (1.5, {"type": "integer"}, "params: expected integer, got 1.5"),
        (True, {"type": "integer"}, "params: expected integer, got True"),
        (True, {"type": "number"}, "params: expected number, got True"),
        (None, {"type": ["string", "null"]}, None),
        (3, {"type": ["string", "null"]}, "params: expected string or null, got 3"),
        ("x", {"enum": ["a", "b"]}, "params: expected one of 'a', 'b', got 'x'"),
        (True, {"enum": [1]}, "params: expected one of 1, got True"),
        (0, {"const": False}, "params: expected False, got 0"),
        (5, {"minimum": 6}, "params: expected at least 6, got 5"),
        ("abc", {"maxLength": 2}, "params: expected at most 2 long, got 3"),
        ([1, "a"], {"items": {"type": "integer"}}, "params[1]: expected integer, got 'a'"),
        ({}, {"required": ["sql"]}, "params.sql: missing"),
        ({"x": 1}, {"properties": {"sql": {}}, "additionalProperties": False}, "params.x: unknown (there are: sql)"),
        ({"x": 1}, {"additionalProperties": {"type": "string"}}, "params.x: expected string, got 1"),
        ("a", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "params: expected integer, got 'a'"),
        ("a", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, None),
    ],
)
def test_values_against_schemas(value, wanted, problem):
    assert list(schema.check(value, wanted, resolved=True)) == ([problem] if problem else [])


def test_before_resolution_a_reference_passes_anywhere_and_afterwards_only_the_value_does():
    for reference in ({"$ref": "s1"}, "{{s1#/n}}"):
        assert list(schema.check(reference, {"type": "integer"})) == []
        assert list(schema.check(reference, {"type": "integer"}, resolved=True)) != []


def test_a_table_is_a_table_and_nothing_else():
    frame = Artifact(path="r/a.arrow", mime=ARROW, bytes=1, sha256="0")
    picture = Artifact(path="r/a.png", mime="image/png", bytes=1, sha256="0")
    assert list(schema.check(frame, schema.FRAME, resolved=True)) == []
    assert list(schema.check({"$ref": "@sales"}, schema.FRAME)) == []
    for other in (picture, "sales", [1], {"$ref": "s1"}):
        assert "expected a table" in next(schema.check(other, schema.FRAME, resolved=True))
    [said] = schema.check({"value": frame, "figures": [picture]}, schema.FRAME, resolved=True)
    assert said.endswith("that holds one: write #/value behind the reference")
