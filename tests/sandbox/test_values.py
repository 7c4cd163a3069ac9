import collections
import datetime as dt
import enum
import json
import types
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sandbox.values import NotPlain, plain


def nothing(value: Any) -> None:
    return None


class Colour(enum.StrEnum):
    RED = "red"


class Count(int):
    pass


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float64("nan"), None),
        (np.int32(5), 5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.datetime64("2025-01-02T03:04"), "2025-01-02T03:04"),
        (np.array(5), 5),
        (np.array([None, {1}], dtype=object), [None, [1]]),
        (pd.Timestamp("2025-01-02 03:04"), "2025-01-02T03:04:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pd.Timedelta("1 day"), "1 days 00:00:00"),
        (dt.date(2025, 1, 2), "2025-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (dt.timedelta(hours=1), "1:00:00"),
        (Decimal("1.50"), 1.5),
        (Decimal("7"), 7),
        (Decimal("NaN"), None),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("a/b"), "a/b"),
        (Colour.RED, "red"),
        (Count(3), 3),
        ({3, 1, 2}, [1, 2, 3]),
        ({1, "a"}, ["a", 1]),
        (frozenset(), []),
        (Point(1, 2), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", None: "b", dt.date(2025, 1, 2): "c"}, {"1": "a", "None": "b", "2025-01-02": "c"}),
        (("a", "a"), ["a", "a"]),
        ("\ud800x", "?x"),
    ],
    ids=repr,
)
def test_python_values_become_json(value: Any, wanted: Any):
    found = plain(value, nothing)
    assert found == wanted
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, b"x"]}, r"the result.a\[1\] is bytes"),
        ({"a": object()}, "the result.a is a object"),
        (lambda: 1, "is a function"),
        ({"$artifact": 0}, "keeps for itself"),
        ({1: "a", "1": "b"}, "'1' twice"),
        (1j, "is a complex"),
        (iter([1]), "list_iterator"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_json_is_refused_by_its_place(value: Any, words: str):
    with pytest.raises(NotPlain, match=words):
        plain(value, nothing)


def test_cycles_and_depth_end():
    cycle: dict[str, Any] = {}
    cycle["self"] = [cycle]
    with pytest.raises(NotPlain, match="contains itself"):
        plain(cycle, nothing)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(NotPlain, match="deep"):
        plain(deep, nothing)
    shared = [1]
    assert plain([shared, shared], nothing) == [[1], [1]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_stays_as_it_is(value: Any):
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are replaced
    assert plain(value, nothing) == value
