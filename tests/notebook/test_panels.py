"""The panels that stand by themselves: what their page may ask, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from tests.notebook.pages import Page, listening
from tests.toolfiles import put_slow
from workbench.bridge import wait
from workbench.configuration import load_settings
from workbench.core.errors import Refused
from workbench.models.testing import TestModel
from workbench.notebook.completion import Sources
from workbench.notebook.panels.request import completions
from workbench.workbench import Workbench

NOTE_TOOL = '''"""Keeps a note."""
PERMISSIONS = {}
EFFECT = "write"

def run(text: str) -> str:
    return text
'''
ENDED = ("done", "failed", "cancelled", "budget")
WAITS = {"task": "slow", "title": "Waits", "params": {"seconds": 0}}
WAITS_LONG = {"task": "slow", "title": "Waits long", "params": {"seconds": 50}}


@pytest.fixture(autouse=True)
def widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    listening(monkeypatch)


@pytest.fixture
def asked_of(tmp_path: Path) -> Iterator[Any]:
    """Make a page of a panel whose model plans these steps each time."""
    made: list[Workbench] = []

    def page(*steps: Any, kind: str = "request") -> Page:
        config, project = tmp_path / "config", tmp_path / "project"
        (config / "tools").mkdir(parents=True)
        project.mkdir()
        put_slow(config / "tools")
        (config / "tools" / "note.py").write_text(NOTE_TOOL)
        settings = load_settings({"WORKBENCH_CONFIG": str(config)}, project)
        plan = {"mode": "sequential", "steps": list(steps)}
        made.append(workbench.use(Workbench(settings, model=TestModel(lambda messages: plan) if steps else None)))
        return Page(workbench.panel(kind))

    yield page
    for one in made:
        wait(one.close())


def submit(page: Page, text: str = "do it", *, asks: bool, **fields: str) -> Any:
    return page.ask({"do": "submit", "asks": asks, "request": text, **fields})


def test_a_request_is_planned_approved_run_and_shown(asked_of: Any) -> None:
    page = asked_of(WAITS)
    assert submit(page, "wait a little", asks=True) == {"answer": 1, "value": None}
    view = page.until(lambda view: view.get("question"))
    assert (view["state"], view["question"]["kind"]) == ("waiting", "plan")
    assert view["question"]["editor"]["plan"]["steps"][0]["title"] == "Waits"
    assert view["result"] is None
    assert page.ask({"do": "approve", "number": view["question"]["number"]})["value"] is None
    view = page.until(lambda view: view["state"] in ENDED)
    assert (view["state"], view["problem"], view["question"]) == ("done", {}, None)
    assert view["line"].startswith("✓ done")
    assert view["steps"][0]["state"] == "done"
    assert wait(workbench.current().record.show(view["result"]["run"])).steps["s1"].value == "waited"


def test_a_plan_that_is_denied_runs_nothing_and_says_so(asked_of: Any) -> None:
    page = asked_of(WAITS)
    submit(page, asks=True)
    number = page.until(lambda view: view.get("question"))["question"]["number"]
    page.ask({"do": "deny", "number": number})
    view = page.until(lambda view: view["state"] in ENDED)
    assert view["problem"] == {"problem": "Denied: The steps were not approved.", "hint": "Nothing was run."}
    assert view["steps"][0]["state"] == "cancelled"


def test_without_a_question_the_steps_run_at_once_and_cancel_keeps_what_is_done(asked_of: Any) -> None:
    page = asked_of(WAITS, WAITS_LONG)
    submit(page, asks=False)
    page.until(lambda view: [step["state"] for step in view.get("steps", ())] == ["done", "running"])
    page.ask({"do": "cancel"})
    view = page.until(lambda view: view["state"] in ENDED)
    assert view["state"] == "cancelled"
    assert view["problem"]["problem"] == "Cancelled: Stopped. 1 of 2 steps finished and are kept."
    assert [step["state"] for step in view["steps"]] == ["done", "cancelled"]


def test_code_asks_by_the_panel_and_observes_it_in_a_thread_that_may_wait(asked_of: Any) -> None:
    page = asked_of(WAITS)
    panel, told, over = page.panel, [], threading.Event()

    def hear(change: Any) -> None:
        told.append((change.name, change.new))
        if change.name == "state" and change.new == "waiting":
            panel.approve()  # it waits for the loop, which must not be the one that calls
        if change.name == "run" and change.new is not None:
            over.set()

    panel.observe(hear, ["state", "plan", "run"])
    panel.request = "wait a little"
    run = panel.submit().result(60)
    assert over.wait(10)
    assert (run.status, panel.run) == ("done", run)
    assert [step.task for step in panel.plan.steps] == ["slow"]
    states = [new for name, new in told if name == "state"]
    assert states[:3] == ["planning", "waiting", "running"]
    assert [new for name, new in told if name == "plan"] == [panel.plan]


def test_an_observer_that_raises_costs_nobody_anything(asked_of: Any) -> None:
    page = asked_of(WAITS)

    def broken(change: Any) -> None:
        raise ZeroDivisionError("somebody's own code")

    page.panel.observe(broken, "state")
    page.panel.request = "wait a little"
    assert page.panel.submit(ask=False).result(60).status == "done"
    assert page.until(lambda view: view["state"] in ENDED)["state"] == "done"


def test_a_new_plan_takes_the_place_of_one_that_nobody_approved(asked_of: Any) -> None:
    page = asked_of(WAITS)
    submit(page, "the first", asks=True)
    first = page.until(lambda view: view.get("question"))["question"]["number"]
    assert "problem" not in submit(page, "the second", asks=True)
    page.until(lambda view: view.get("question") and page.panel.request == "the second")
    assert first == 1
    page.panel.approve()
    run = page.until(lambda view: view["state"] == "done")["result"]["run"]
    assert wait(workbench.current().record.show(run)).outcome.request == "the second"


def test_while_a_step_runs_no_second_request_is_taken(asked_of: Any) -> None:
    page = asked_of(WAITS_LONG)
    submit(page, asks=False)
    page.until(lambda view: view.get("state") == "running")
    assert submit(page, asks=False)["problem"] == "Refused: A run is under way in this panel."
    page.ask({"do": "cancel"})
    page.until(lambda view: view["state"] == "cancelled")


def test_a_late_answer_answers_nothing(asked_of: Any) -> None:
    page = asked_of(WAITS)
    submit(page, asks=True)
    number = page.until(lambda view: view.get("question"))["question"]["number"]
    assert page.ask({"do": "approve", "number": number + 1})["problem"].endswith("is not open any more.")
    page.ask({"do": "approve", "number": number})
    page.until(lambda view: view["state"] == "done")
    assert "problem" in page.ask({"do": "approve", "number": number})
    with pytest.raises(Refused, match="asks nothing"):
        page.panel.approve()


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_a_call_that_the_policy_asks_about_is_asked_about_in_the_panel(asked_of: Any, answer: str) -> None:
    page = asked_of({"task": "note", "params": {"text": "words of a model"}})
    submit(page, "keep a note", asks=False)
    view = page.until(lambda view: view.get("question"))
    question = view["question"]
    assert question["kind"] == "call"
    assert [step["state"] for step in view["steps"] if step["id"] == question["step"]] == ["asks you"]
    assert "words of a model" in "\n".join(question["lines"])
    page.ask({"do": answer, "number": question["number"]})
    view = page.until(lambda view: view["state"] in ENDED)
    assert view["state"] == ("done" if answer == "approve" else "failed")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"request": "  "}, "Refused: The request is empty."),
        ({"request": "rows of @nowhere"}, "Refused: There is no @nowhere. There are none here."),
        ({"request": "x" * 200_001}, "Refused: The request has 200,001 characters; at most 200,000 are taken."),
        ({"budget": "much"}, "Refused: 'much' is no part of a budget."),
        ({"persona": "poet"}, "Refused: There is no persona poet"),
    ],
)
def test_what_cannot_be_served_is_a_line_in_the_panel(asked_of: Any, fields: dict[str, str], problem: str) -> None:
    page = asked_of(WAITS)
    said = submit(
        page,
        **{"text": "wait", **({"text": fields.pop("request")} if "request" in fields else {})},
        asks=False,
        **fields,
    )
    if "problem" not in said:
        said = page.until(lambda view: view["state"] in ENDED)["problem"]
    assert said["problem"].startswith(problem)
    assert "\n" not in said["problem"]
    assert submit(page, "wait", asks=False, budget="", persona="").get("problem") is None
    assert page.until(lambda view: view["state"] == "done")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "submit",
        [],
        {},
        {"do": 3},
        {"do": "explode"},
        {"do": "submit"},
        {"do": "submit", "asks": "yes"},
        {"do": "submit", "asks": True, "request": 7},
        {"do": "submit", "asks": True, "request": {"$ref": "s1"}},
        {"do": "submit", "asks": True, "shell": "rm"},
        {"do": "write", "request": "x" * 300_000},
        {"do": "approve", "number": -1},
        {"do": "approve", "number": 1e300},
        {"do": "approve", "number": 1, "filled": {"a": []}},
        {"do": "result", "message": "rows"},
        {"do": "x" * 100_000},
    ],
)
def test_a_message_that_is_none_is_one_line_and_changes_nothing(asked_of: Any, content: Any) -> None:
    page = asked_of(WAITS)
    before = page.state["view"]
    if isinstance(content, dict):
        said = page.ask(content)
    else:
        page.send(content)
        said = page.answer(0)
    assert 0 < len(said["problem"]) < 300
    assert "\n" not in said["problem"]
    assert said["hint"]
    assert page.state["view"] == before
    assert page.panel.request == ""
    assert page.ask({"do": "choices"})["value"]["model"] == "test-model"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
VERBS = ("write", "submit", "approve", "deny", "cancel", "choices", "history", "complete", "result")


@given(
    verb=st.sampled_from(VERBS) | ANYTHING,
    fields=st.dictionaries(st.sampled_from(("request", "asks", "number", "plan", "message", "text")), ANYTHING),
)
def test_whatever_a_page_sends_is_begun_or_refused_in_a_line(verb: Any, fields: dict[str, Any]) -> None:
    from workbench.notebook.panels.messages import begun
    from workbench.notebook.panels.request import RequestDesk

    begins: list[Any] = []

    class Bare:
        request = persona = model = budget = ""

    desk = RequestDesk(None, Bare())  # type: ignore[arg-type]  # nothing is asked of it
    refused = ""
    try:
        begins.append(begun({"do": verb, **fields}, desk.verbs()))
    except Refused as error:
        refused = error.message
    assert bool(begins) != bool(refused)
    assert len(refused.splitlines()) <= 1
    for work in begins:
        work.close()


def test_a_page_sets_nothing_by_itself(asked_of: Any) -> None:
    page = asked_of(WAITS)
    state = {"request": "rm -rf", "view": {"state": "done"}, "_esm": "alert(1)"}
    page.panel.comm.handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}})
    assert page.panel.request == ""
    assert page.panel.view["state"] == "idle"
    assert "alert(1)" not in page.panel._esm


def test_a_tool_of_the_kernel_is_refused_with_a_way_out(asked_of: Any) -> None:
    from workbench.registry import cells

    @workbench.tool(in_kernel=True)
    def here(times: int = 1) -> int:
        """Counts in the kernel."""
        return times

    try:
        page = asked_of({"task": "here", "params": {"times": 2}})
        submit(page, "count to 2 here", asks=False)
        view = page.until(lambda view: view["state"] in ENDED or view.get("question"))
        if view["question"]:
            page.ask({"do": "approve", "number": view["question"]["number"]})
            view = page.until(lambda view: view["state"] in ENDED)
        assert view["state"] == "failed"
        assert "no thread of it waits for this run" in view["problem"]["problem"]
        assert "Ask with %agent" in view["problem"]["hint"]
    finally:
        cells.forget("here")


def test_earlier_requests_come_newest_first_and_once(asked_of: Any) -> None:
    page = asked_of(WAITS)
    for text in ("the first", "the second", "the first"):
        page.panel.request = text
        page.panel.submit(ask=False).result(60)
    assert page.ask({"do": "history"})["value"] == ["the first", "the second"]


def test_a_plan_is_changed_in_the_panel_and_held_to_the_rules_of_a_plan(asked_of: Any) -> None:
    page = asked_of(WAITS, WAITS_LONG)
    submit(page, asks=True)
    question = page.until(lambda view: view.get("question"))["question"]
    plan = question["editor"]["plan"]
    plan["steps"][1]["disabled"] = True
    plan["steps"][0]["params"]["seconds"] = "soon"
    said = page.ask({"do": "check", "plan": plan})["value"]
    assert list(said["problems"]) == ["s1/seconds"]
    refused = page.ask({"do": "approve", "number": question["number"], "plan": plan})
    assert refused["problem"].startswith("Refused: This plan cannot run: s1: seconds")
    for wrong in (7, "plan", {"steps": 3}, {"steps": [None]}, [plan]):
        assert page.ask({"do": "check", "plan": wrong})["value"]["problems"]
        assert "problem" in page.ask({"do": "approve", "number": question["number"], "plan": wrong})
    plan["steps"][0]["params"]["seconds"] = 0.01
    assert page.ask({"do": "approve", "number": question["number"], "plan": plan})["value"] is None
    view = page.until(lambda view: view["state"] in ENDED)
    assert (view["state"], [step["title"] for step in view["steps"]]) == ("done", ["Waits"])


def test_names_after_an_at_are_completed_with_what_they_are() -> None:
    scope = {
        "sales": pd.DataFrame({"a": [1, 2]}),
        "Salaries": pd.DataFrame({"b": [1]}),
        "sad": 3,
        "_hidden": pd.DataFrame(),
    }
    found = completions("revenue of @sa", scope, Sources())
    assert [one["name"] for one in found] == ["@sales"]
    assert found[0]["what"]
    assert completions("mail me@sa", scope, Sources()) == []
    assert completions("revenue of @sales by", scope, Sources()) == []


def test_without_its_kernel_a_panel_is_a_line_of_text_and_it_stands_in_others(asked_of: Any) -> None:
    import ipywidgets

    panel = asked_of(WAITS).panel
    data, _ = panel._repr_mimebundle_()
    assert data["text/plain"] in data["text/html"]
    assert "workbench.panel()" in data["text/plain"]
    assert "button" not in data["text/html"]
    assert isinstance(panel, ipywidgets.DOMWidget)
    assert ipywidgets.VBox([panel]).children == (panel,)


def test_a_panel_of_no_kind_names_the_near_one(asked_of: Any) -> None:
    asked_of(WAITS)
    with pytest.raises(Refused, match="did you mean request"):
        workbench.panel("reqest")
