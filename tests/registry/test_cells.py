"""Functions of a notebook as tools: what goes along to a worker, and what is refused when it is decorated."""

from __future__ import annotations

import math
import os.path as paths
from collections.abc import Callable, Iterator
from math import tau
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from workbench.core.errors import Refused
from workbench.core.tools import ToolSpec
from workbench.registry import cells
from workbench.registry.freenames import _is_constant

RATES: dict[str, Any] = {"EUR": 1.1, "tags": ["a", None, True]}
BOX = object()
COUNT = 0


@pytest.fixture(autouse=True)
def nothing_defined() -> Iterator[None]:
    yield
    for spec in cells.defined():
        cells.forget(spec.name)


def spec_of(name: str) -> ToolSpec:
    return next(spec for spec in cells.defined() if spec.name == name)


def loaded(spec: ToolSpec) -> Callable[..., Any]:
    """`run` as a worker gets it: from the source alone."""
    space: dict[str, Any] = {"__name__": "tool"}
    exec(compile(spec.source, "tool", "exec"), space)  # noqa: S102 - as a worker does
    return space["run"]  # type: ignore[no-any-return]  # made just now


def test_the_source_imports_and_constants_go_along_and_the_function_stays_what_it_is():
    @workbench.tool(examples=["area of {radius}"], timeout=5, effect="idempotent")
    def area(radius: float, currency: str = "EUR", where: str = paths.sep) -> float:
        """The area of a circle, in money.

        :param radius: in metres.
        """
        return float(math.floor(tau * radius) * RATES[currency] + len(pd.DataFrame({"a": [1]})) + len(where))

    spec = spec_of("area")
    assert area(1.0) == loaded(spec)(1.0)
    assert (spec.origin, spec.runs, spec.effect, spec.timeout) == ("cell", "worker", "idempotent", 5.0)
    assert spec.summary == "The area of a circle, in money."
    assert spec.params["properties"]["radius"] == {"type": "number", "description": "in metres."}
    assert b"RATES = {'EUR': 1.1" in spec.source


def test_constants_are_those_of_the_moment_of_decoration():
    global COUNT
    COUNT = 1

    @workbench.tool
    def count() -> int:
        return COUNT

    COUNT = 2
    assert (count(), loaded(spec_of("count"))()) == (2, 1)


def test_a_function_that_calls_itself_and_holds_functions_goes_along():
    @workbench.tool
    def factorial(n: int) -> int:
        class Box:
            one = 1
            again = one

        def times(a: int) -> int:
            return a * n

        return times(factorial(n - 1)) if n > 1 else Box.again

    assert loaded(spec_of("factorial"))(4) == 24


def same(function: Any) -> Any:
    return function


def uses_an_object(x: int) -> int:
    return hash(BOX) + x


def uses_an_inner_name(x: int) -> int:
    return int([nowhere for _ in range(x)][0])  # type: ignore[name-defined]  # noqa: F821, RUF015 - that is the point


def changes_a_global(x: int) -> int:
    global COUNT
    COUNT = x
    return x


def default_of_the_kernel(x: int = hash(BOX)) -> int:
    return x


def untyped(x) -> int:
    return int(x)


async def async_(x: int) -> int:
    return x


def stars(*x: int) -> int:
    return len(x)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (uses_an_object, "BOX"),
        (uses_an_inner_name, "nowhere"),
        (changes_a_global, "COUNT"),
        (default_of_the_kernel, "BOX"),
        (untyped, "'x' has no type"),
        (async_, "async"),
        (stars, "*x"),
        (len, "def"),
        (lambda x: x, "def"),
    ],
    ids=lambda item: item if isinstance(item, str) else item.__name__,
)
def test_what_cannot_go_along_is_one_line_when_it_is_decorated(function: Any, named: str):
    with pytest.raises(Refused) as refused:
        workbench.tool(function)
    assert named in " ".join(refused.value.lines())
    assert cells.defined() == ()


def test_a_function_around_it_and_a_second_decorator_are_refused():
    def maker(y: int) -> Callable[[int], int]:
        def inner(x: int) -> int:
            return x + y

        return inner

    with pytest.raises(Refused, match="y of a function around it"):
        workbench.tool(maker(1))
    with pytest.raises(Refused, match="second decorator"):

        @workbench.tool
        @same
        def twice(x: int) -> int:
            return x


def test_a_module_of_the_users_folder_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine_alone.py").write_text("def f(): return 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    space: dict[str, Any] = {"__name__": "__main__"}
    (tmp_path / "cell.py").write_text("import mine_alone\ndef uses(x: int) -> int:\n    return mine_alone.f() + x\n")
    exec(compile((tmp_path / "cell.py").read_text(), str(tmp_path / "cell.py"), "exec"), space)  # noqa: S102 - as a cell
    with pytest.raises(Refused, match="mine_alone"):
        workbench.tool(space["uses"])


def test_a_tool_of_the_kernel_may_use_all_of_it_and_counts_as_a_write_unless_told_otherwise():
    workbench.tool(in_kernel=True)(uses_an_object)
    spec = spec_of("uses_an_object") if cells.defined() else None
    assert spec is not None
    assert (spec.runs, spec.effect) == ("kernel", "write")
    assert "runs in the kernel" in spec.grants
    assert cells.function_of(spec) is uses_an_object


def test_defining_a_tool_again_replaces_it():
    @workbench.tool
    def twice(x: int) -> int:
        return x * 2

    old = spec_of("twice")

    @workbench.tool  # type: ignore[no-redef]  # as a cell that is run again
    def twice(x: int) -> int:  # noqa: F811 - as above
        return x + x

    assert spec_of("twice").version != old.version
    assert cells.function_of(old) is None


constants = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(constants)
def test_every_json_constant_is_written_down_as_it_is(value: Any):
    assert _is_constant(value)
    space: dict[str, Any] = {}
    exec(f"x = {value!r}".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), space)  # noqa: S102
    assert space["x"] == value
