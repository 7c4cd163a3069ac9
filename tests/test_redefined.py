"""Functions of a notebook in a run that is gone on with after their kernel: made again from the record, or missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.test_resume import Desk, calls, desk, plan, stopped_at, yes
from workbench.bridge import Errands, wait
from workbench.core.errors import PlanInvalid
from workbench.registry import cells

__all__ = ["desk"]
made: list[str] = []


@pytest.fixture(autouse=True)
def nothing_defined() -> Iterator[None]:
    yield
    made.clear()
    new_kernel()


def new_kernel() -> None:
    """Nothing is defined any more."""
    for spec in cells.defined():
        cells.forget(spec.name)


def define_greet() -> None:
    @workbench.tool
    def greet(name: str) -> str:
        """Greets somebody."""
        return "Hello, " + name


def define_put() -> None:
    @workbench.tool(in_kernel=True, effect="idempotent")
    def put(text: str) -> str:
        """Keeps a text."""
        made.append(text)
        return "kept " + text


STEPS = plan(
    {"id": "s1", "task": "echo", "params": {"wait": 60.0}},
    {"id": "s2", "task": "greet", "params": {"name": "Ada"}, "needs": ["s1"]},
)
KEPT = plan(
    {"id": "s1", "task": "echo", "params": {"wait": 60.0}},
    {"id": "s2", "task": "put", "params": {"text": "x"}, "needs": ["s1"]},
)


async def left_by_a_kernel_that_ended(desk: Desk, steps: dict[str, Any], define: Any) -> str:
    define()
    run = await stopped_at(desk.bench(steps), "s1")
    new_kernel()
    return run


def quicken(desk: Desk) -> None:
    """The slow tool is edited meanwhile, so that nobody need wait for it."""
    path = desk.config / "tools" / "echo.py"
    path.write_text(path.read_text().replace("time.sleep(wait)", "pass"))


async def test_a_function_that_the_user_typed_is_there_again_for_its_run_and_for_no_other(desk: Desk) -> None:
    run = await left_by_a_kernel_that_ended(desk, STEPS, define_greet)
    quicken(desk)
    bench = desk.bench("ok", "ok", "ok")
    done = await bench.resume(run, changed_tools=True)
    assert done.steps["s2"].value == "Hello, Ada"
    again = await bench.rerun(run, values={"s2.params.name": "Bob"})
    assert again.steps["s2"].value == "Hello, Bob"
    assert calls(await bench.memory.events(again.id)) == ["s2"]
    assert "greet" not in bench.tools()


async def test_what_is_defined_now_stands_in_for_what_is_on_record_and_is_asked_about(desk: Desk) -> None:
    run = await left_by_a_kernel_that_ended(desk, STEPS, define_greet)
    quicken(desk)

    @workbench.tool
    def greet(name: str) -> str:
        """Greets somebody else."""
        return "Dear " + name

    bench = desk.bench("ok")
    with pytest.raises(workbench.Refused, match="edited since"):
        await bench.resume(run)
    assert (await bench.resume(run, changed_tools=True)).steps["s2"].value == "Dear Ada"


async def test_a_function_in_a_run_that_came_from_elsewhere_is_a_strangers(desk: Desk, tmp_path: Path) -> None:
    run = await left_by_a_kernel_that_ended(desk, STEPS, define_greet)
    quicken(desk)
    (desk.config / "cells.json").unlink()  # as on another machine, or for another user of one memory
    bench = desk.bench("ok")
    with pytest.raises(workbench.Untrusted, match="s2: greet was a function of a notebook") as caught:
        await bench.resume(run, changed_tools=True)
    assert "Define greet in a cell" in caught.value.hint
    with pytest.raises(workbench.Untrusted, match="s2: greet was a function of a notebook"):
        await bench.rerun(run)
    await bench.parcels.export(run, tmp_path / "run.wbz")
    other = Desk(tmp_path / "other")
    desk.opened.append(theirs := other.bench("ok"))
    theirs_settings = theirs.settings.model_copy(update={"home": tmp_path / "other" / "home"})
    desk.opened.append(theirs := type(theirs)(theirs_settings))
    await theirs.parcels.import_(tmp_path / "run.wbz")
    with pytest.raises((workbench.Untrusted, PlanInvalid), match="greet"):
        await theirs.rerun(run)
    define_greet()  # the very same: then it is theirs
    assert "greet" in theirs.tools()


async def test_a_source_that_is_not_what_its_hash_says_makes_no_tool(desk: Desk) -> None:
    run = await left_by_a_kernel_that_ended(desk, STEPS, define_greet)
    bench = desk.bench("ok")
    events = await bench.memory.events(run)
    assert [spec.name for spec in bench.rebuilt(events)] == ["greet"]
    for event in events:
        if event.kind == "tool.defined":
            event.body["source"] += "\n"  # type: ignore[index]  # the test's own copy
    assert bench.rebuilt(events) == ()


def test_a_function_of_the_kernel_is_called_where_it_is_there_as_it_was_and_missed_where_it_is_not(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    errands = Errands()
    run = wait(left_by_a_kernel_that_ended(desk, KEPT, define_put))
    quicken(desk)
    bench = desk.bench("ok", "ok")
    with pytest.raises(workbench.Refused, match="put is a function that runs in the kernel") as caught:
        wait(bench.resume(run, changed_tools=True, on_thread=errands.run), errands=errands)
    assert caught.value.hint == "Run the cell that defines put first."
    define_put()
    done = wait(bench.resume(run, changed_tools=True, approver=yes, on_thread=errands.run), errands=errands)
    assert (done.steps["s2"].value, made) == ("kept x", ["x"])
    errands = Errands()
    again = wait(bench.rerun(run, first=["s2"], approver=yes, on_thread=errands.run), errands=errands)
    assert (again.steps["s2"].value, made) == ("kept x", ["x", "x"])
    new_kernel()
    with pytest.raises(workbench.Refused, match="put is a function that runs in the kernel"):
        wait(bench.rerun(run, first=["s2"], approver=yes, on_thread=errands.run))
    for opened in desk.opened:
        wait(opened.close())
