"""References find what they resolve and resolve what they find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import any_text, json_values
from workbench.core import refs
from workbench.core.artifacts import ARROW, Artifact
from workbench.core.refs import Ref

steps = st.from_regex(rf"\A{refs.STEP_ID}\Z")
variables = st.from_regex(rf"\A{refs.VARIABLE}\Z")
pointers = st.lists(any_text, max_size=3).map(
    lambda keys: "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
)
references = st.builds(Ref, steps, st.none(), pointers) | st.builds(Ref, st.none(), variables, pointers)

FRAME = Artifact(path="r/a.arrow", mime=ARROW, bytes=1, sha256="0", title="Sales", rows=1)


@given(references)
def test_a_reference_reads_back_as_it_was_written(ref):
    assert refs.parse(str(ref)) == ref


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_a_value_error(text):
    try:
        ref = refs.parse(text)
    except ValueError:
        return
    assert (ref.step is None) != (ref.variable is None)


@given(st.dictionaries(steps, json_values, max_size=3), st.data())
def test_params_resolve_when_and_only_when_all_that_is_found_is_there(results, data):
    names = st.sampled_from([*results, "missing"])
    leaf = st.builds(lambda name: {"$ref": name}, names) | st.builds(lambda name: f"see {{{{{name}}}}}.", names)
    params = data.draw(st.dictionaries(st.sampled_from("abc"), leaf | st.lists(leaf, max_size=2), max_size=3))
    found = list(refs.find(params))
    if all(ref.step in results for ref in found):
        resolved = refs.resolve(params, results, {})
        assert list(resolved) == list(params)
        for key, value in params.items():
            if refs.is_ref(value):
                assert resolved[key] == results[value["$ref"]]
    else:
        with pytest.raises(LookupError, match="missing: there is no such result"):
            refs.resolve(params, results, {})


@given(json_values)
def test_params_without_references_come_back_equal(params):
    try:
        if list(refs.find(params)):
            return
    except ValueError:  # {"$ref": …} of something that is no reference
        return
    assert refs.resolve(params, {}, {}) == params


@given(any_text)
def test_a_resolved_value_is_never_searched_again(text):
    hostile = {"again": {"$ref": "@secret"}, "text": "{{@secret}}" + text}
    assert refs.resolve({"$ref": "s1"}, {"s1": hostile}, {"secret": "x"}) == hostile
    assert refs.resolve("{{s1#/text}}", {"s1": hostile}, {"secret": "x"}) == "{{@secret}}" + text


def test_a_part_is_found_by_pointer_with_its_type():
    results = {"s1": {"results": [{"a/b": 1, "m~n": [True], "~1": 2}], "": None}}
    assert refs.resolve({"$ref": "s1#/results/0/a~1b"}, results, {}) == 1
    assert refs.resolve({"$ref": "s1#/results/0/m~0n/0"}, results, {}) is True
    assert refs.resolve({"$ref": "s1#/results/0/~01"}, results, {}) == 2
    assert refs.resolve({"$ref": "s1#/"}, results, {}) is None
    assert refs.resolve({"$ref": "s1#"}, results, {}) == results["s1"]


@pytest.mark.parametrize(
    "pointer", ["/results/1", "/results/-1", "/results/00", "/results/x", "/nope", "/results/0/a/b"]
)
def test_a_part_that_is_not_there_is_named_with_what_is(pointer):
    with pytest.raises(LookupError, match=r"^s1#"):
        refs.resolve({"$ref": f"s1#{pointer}"}, {"s1": {"results": [{"a": 1}]}}, {})


def test_a_table_stays_a_table_and_is_its_title_inside_of_text():
    assert refs.resolve({"$ref": "@sales"}, {}, {"sales": FRAME}) is FRAME
    assert refs.resolve("of {{@sales}}", {}, {"sales": FRAME}) == "of Sales"
    with pytest.raises(LookupError, match="refer to it as a whole"):
        refs.resolve({"$ref": "@sales#/0"}, {}, {"sales": FRAME})


def test_braces_that_name_no_reference_are_left_as_they_are():
    for text in ("{{}}", "{{ s1 }}", "{x}", "{{1}}", "{{{s1}", "{{s1#x}}", '{"a": {"b": 1}}'):
        assert list(refs.find(text)) == []
        assert refs.resolve(text, {"s1": "no"}, {}) == text
