"""The panels to look around in: what their pages may ask of memory, tools, runs and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from tests.notebook.pages import Page, listening
from tests.notebook.test_panels import ANYTHING, ENDED, NOTE_TOOL
from tests.toolfiles import SLOW, put_slow
from workbench.bridge import wait
from workbench.configuration import load_settings, origins
from workbench.core.errors import Refused, ToolFailed
from workbench.models.testing import TestModel
from workbench.notebook.panels import memory, runs, settings, tools
from workbench.notebook.panels.messages import begun
from workbench.workbench import Workbench

EXPLODES = '''"""Explodes."""
PERMISSIONS = {}

def run() -> str:
    raise ValueError("boom")
'''
KEY = "sk-" + "0123456789abcdef" * 2
KINDS = ("memory", "tools", "runs", "settings")
HIDDEN = "safe\u202etxt.exe\x1b[31m"


@pytest.fixture(autouse=True)
def widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    listening(monkeypatch)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench whose model plans what the request says, as JSON."""
    config, project = tmp_path / "config", tmp_path / "project"
    (config / "tools").mkdir(parents=True)
    (project / "tools").mkdir(parents=True)
    put_slow(config / "tools")
    (config / "tools" / "note.py").write_text(NOTE_TOOL)
    (config / "tools" / "explodes.py").write_text(EXPLODES)
    (project / "tools" / "foreign.py").write_text(SLOW.replace("Waits", "Of somebody else: waits"))
    (config / "config.toml").write_text('rounds = 5\n[policy]\ndeny = ["path:private/*"]\n')
    (project / "workbench.toml").write_text('parallel = 2\n[policy]\nask = ["host:*.example.com"]\n')
    env = {"WORKBENCH_CONFIG": str(config), "WORKBENCH_MODEL": "small", "OPENAI_API_KEY": KEY}
    made = load_settings(env, project)
    model = TestModel(lambda messages: {"steps": [{"task": "slow", "params": {"seconds": 0}}]}, name="small")
    one = workbench.use(Workbench(made, model=model))
    yield one
    wait(one.close())


def value(answer: Any) -> Any:
    assert "problem" not in answer, answer
    return answer["value"]


# -- memory ----------------------------------------------------------------------------------------------------------


def test_memories_are_searched_with_scores_and_reasons_pinned_and_forgotten(bench: Workbench) -> None:
    page = Page(workbench.panel("memory"))
    for text in ("the fiscal year starts in May", "charts are blue"):
        value(page.ask({"do": "add", "text": text, "kind": "fact", "pinned": False}))
    everything = value(page.ask({"do": "list", "text": "", "start": 0}))
    assert [row["text"] for row in everything["rows"]] == ["charts are blue", "the fiscal year starts in May"]
    assert everything["rows"][0]["score"] == ""
    found = value(page.ask({"do": "list", "text": "fiscal year", "start": 0}))["rows"][0]
    assert found["text"] == "the fiscal year starts in May"
    assert float(found["score"]) > 0
    assert "fiscal" in found["why"]
    assert found["from"] == "the user"
    said = value(page.ask({"do": "pin", "name": found["id"], "pinned": True}))["said"]
    assert said == "Pinned: the fiscal year starts in May"
    assert value(page.ask({"do": "list", "text": "fiscal", "start": 0}))["rows"][0]["state"] == "pinned"
    value(page.ask({"do": "forget", "name": found["id"]}))
    assert value(page.ask({"do": "list", "text": "", "start": 0}))["total"] == 1


def test_many_memories_come_in_pages_and_what_is_odd_in_them_is_shown(bench: Workbench) -> None:
    for number in range(45):
        wait(bench.memories.remember(f"plant {number * 7919} {HIDDEN}"))
    page = Page(workbench.panel("memory"))
    sizes, seen = [], set()
    for start in (0, 20, 40, 60):
        rows = value(page.ask({"do": "list", "text": "", "start": start}))["rows"]
        sizes.append(len(rows))
        seen |= {row["id"] for row in rows}
    assert (sizes, len(seen)) == ([20, 20, 5, 0], 45)
    text = value(page.ask({"do": "list", "text": "", "start": 0}))["rows"][0]["text"]
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_a_key_is_not_remembered_and_the_panel_says_why(bench: Workbench) -> None:
    page = Page(workbench.panel("memory"))
    answer = page.ask({"do": "add", "text": f"my key is {KEY}", "kind": "fact", "pinned": False})
    assert answer["problem"] == "Refused: This holds one of your keys: it is not remembered."
    assert "problem" in page.ask({"do": "add", "text": "  ", "kind": "fact", "pinned": False})
    assert "problem" in page.ask({"do": "add", "text": "so", "kind": "rumour", "pinned": False})
    assert value(page.ask({"do": "list", "text": "", "start": 0}))["note"].startswith("Nothing is remembered yet.")


# -- tools -----------------------------------------------------------------------------------------------------------


def test_tools_are_listed_with_their_trust_and_told_whole(bench: Workbench) -> None:
    page = Page(workbench.panel("tools"))
    found = value(page.ask({"do": "list", "text": "wait", "start": 0}))
    assert [(row["name"], row["origin"], row["trust"]) for row in found["rows"]] == [
        ("slow", "user", "may be used"),
        ("foreign", "project", "not trusted yet"),
    ]
    whole = value(page.ask({"do": "show", "name": "note"}))
    assert dict(whole["facts"])["effect"] == "write: changes something; is never repeated by itself"
    assert whole["params"]["properties"]["text"]["type"] == "string"
    assert whole["waits"] == ""
    assert "workbench trust" in value(page.ask({"do": "show", "name": "foreign"}))["waits"]
    assert page.ask({"do": "show", "name": "nothing"})["problem"] == "Refused: There is no tool nothing any more."


def test_a_tool_is_tried_under_the_policy_and_its_result_is_shown(bench: Workbench) -> None:
    page = Page(workbench.panel("tools"))
    value(page.ask({"do": "try", "name": "slow", "params": {"seconds": 0}}))
    view = page.until(lambda view: view.get("state") in ENDED)
    assert (view["state"], view["steps"][0]["tool"]) == ("done", "slow")
    assert wait(bench.record.show(view["result"]["run"])).steps["s1"].value == "waited"


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("slow", {"seconds": "soon"}, "Refused: slow.seconds: expected number, got 'soon'"),
        ("slow", {}, "Refused: slow.seconds: missing"),
        ("foreign", {"seconds": 0}, "Untrusted: foreign is not trusted yet."),
        ("nothing", {}, "Refused: There is no tool nothing any more."),
    ],
)
def test_what_may_not_be_tried_is_refused_in_a_line(bench: Workbench, name: str, params: Any, problem: str) -> None:
    page = Page(workbench.panel("tools"))
    assert page.ask({"do": "try", "name": name, "params": params})["problem"] == problem
    assert page.state["view"]["state"] == "idle"


def test_a_tool_that_fails_is_told_with_what_to_do_and_the_next_one_runs(bench: Workbench) -> None:
    page = Page(workbench.panel("tools"))
    value(page.ask({"do": "try", "name": "explodes", "params": {}}))
    view = page.until(lambda view: view.get("state") in ENDED)
    assert view["state"] == "failed"
    assert "boom" in view["problem"]["problem"]
    value(page.ask({"do": "try", "name": "slow", "params": {"seconds": 0}}))
    page.until(lambda view: view["state"] == "done")


def test_rules_hold_for_a_tool_that_is_tried(bench: Workbench) -> None:
    bench.adjust(policy={"deny": ["tool:note"]})
    page = Page(workbench.panel("tools"))
    value(page.ask({"do": "try", "name": "note", "params": {"text": "mine"}}))
    view = page.until(lambda view: view.get("state") in ENDED)
    assert view["state"] == "failed"
    assert "Denied" in view["problem"]["problem"]


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def past(bench: Workbench) -> Workbench:
    """A workbench with a run that is done, one that failed, and a plan."""
    wait(bench.ask("wait a little"))
    with pytest.raises(ToolFailed):
        wait(bench.run_tool("explodes", {}))
    wait(bench.ask("only look", plan_only=True))
    return bench


def listed(page: Page, **more: Any) -> Any:
    return value(page.ask({"do": "list", "text": "", "status": "", "model": "", "start": 0, "anew": True, **more}))


def test_runs_are_listed_and_filtered_by_words_status_and_model(past: Workbench) -> None:
    page = Page(workbench.panel("runs"))
    everything = listed(page)
    assert [row["request"] for row in everything["rows"]] == ["only look", "explodes", "wait a little"]
    assert everything["statuses"] == ["done", "failed", "planned"]
    assert everything["models"] == ["small"]
    assert [row["mark"] for row in listed(page, status="failed")["rows"]] == ["✗"]
    assert [row["request"] for row in listed(page, text="LITTLE wait")["rows"]] == ["wait a little"]
    assert [row["request"] for row in listed(page, model="small", status="planned")["rows"]] == ["only look"]
    assert listed(page, text="nowhere")["note"] == "No run passes these filters."


def test_a_run_is_opened_and_run_again(past: Workbench) -> None:
    page = Page(workbench.panel("runs"))
    first = listed(page, status="done")["rows"][0]["run"]
    opened = value(page.ask({"do": "open", "run": first}))
    assert (opened["request"], opened["can_resume"], opened["can_rerun"]) == ("wait a little", False, True)
    assert opened["steps"][0]["state"] == "done"
    assert "error" in value(page.ask({"do": "opened", "message": {"do": "rows", "table": "none"}}))
    value(page.ask({"do": "rerun", "run": first}))
    view = page.until(lambda view: view.get("state") in ENDED)
    assert view["state"] == "done"
    assert wait(past.record.show(view["result"]["run"])).outcome.parent == first
    assert listed(page)["total"] == 4


def test_a_run_that_failed_is_taken_up_again(past: Workbench) -> None:
    page = Page(workbench.panel("runs"))
    failed = listed(page, status="failed")["rows"][0]["run"]
    opened = value(page.ask({"do": "open", "run": failed}))
    assert opened["can_resume"]
    assert "boom" in opened["problem"]
    value(page.ask({"do": "resume", "run": failed}))
    view = page.until(lambda view: view.get("state") in ENDED)
    assert (view["state"], page.ask({"do": "open", "run": failed})["value"]["run"]) == ("failed", failed)


def test_a_run_that_is_not_there_is_a_line(bench: Workbench) -> None:
    page = Page(workbench.panel("runs"))
    assert listed(page)["note"] == "Nothing was asked yet."
    assert page.ask({"do": "open", "run": "nothing"})["problem"] == "Refused: There is no run 'nothing'."
    value(page.ask({"do": "resume", "run": "nothing"}))
    assert page.until(lambda view: view.get("problem"))["state"] == "failed"


MONEY = st.none() | st.decimals(0, 1000, places=4)


@given(st.lists(st.tuples(st.integers(1, 28), st.sampled_from(("a", "b", "")), MONEY), max_size=30))
def test_costs_add_up_by_day_and_model_and_unknown_prices_are_counted(found: list[Any]) -> None:
    rows = [
        {"started_at": datetime(2026, 11, day, tzinfo=UTC), "model": model, "usd": usd} for day, model, usd in found
    ]
    days, models = runs.by_day(rows), runs.by_model(rows)
    newest = sorted({day for day, _, _ in found})[-runs.DAYS :]
    assert [one["name"] for one in days] == [f"2026-11-{day:02}" for day in newest]
    for one, day in zip(days, newest, strict=True):
        known = [usd for d, _, usd in found if d == day and usd is not None]
        assert one["usd"] == pytest.approx(float(sum(known, Decimal(0))))
        assert one["runs"] == sum(d == day for d, _, _ in found)
        assert ("unknown price" in one["said"]) == any(d == day and usd is None for d, _, usd in found)
    assert {one["name"] for one in models} == {model for _, model, _ in found if model}


# -- settings --------------------------------------------------------------------------------------------------------


def row(shown: Any, part: str, name: str) -> Any:
    return next(one for one in shown[part] if one["name"] == name)


def test_settings_say_where_each_comes_from(bench: Workbench, tmp_path: Path) -> None:
    env = {"WORKBENCH_CONFIG": str(tmp_path / "config"), "WORKBENCH_MODEL": "small"}
    found = origins(bench.settings, env)
    assert (found["model"], found["rounds"], found["parallel"]) == ("WORKBENCH_MODEL", "config.toml", "workbench.toml")
    assert (found["policy"], found["model_timeout"]) == ("config.toml and workbench.toml", "default")
    adjusted = bench.settings.model_copy(update={"extract": True})
    assert origins(adjusted, env)["extract"] == "code"


def test_what_is_changed_holds_for_this_kernel_and_is_written_nowhere(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "config"))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.toml")}
    page = Page(workbench.panel("settings"))
    said = value(page.ask({"do": "set", "name": "parallel", "value": "7"}))["said"]
    assert said == "parallel is 7, for this kernel only."
    value(page.ask({"do": "set", "name": "budget", "value": "calls=3"}))
    value(page.ask({"do": "add", "kind": "deny", "rule": "tool:note"}))
    shown = value(page.ask({"do": "show"}))
    assert row(shown, "changeable", "parallel")["from"] == "this kernel"
    assert row(shown, "changeable", "budget")["value"] == "calls=3"
    assert {"kind": "deny", "rule": "tool:note", "from": "this kernel", "own": True} in shown["rules"]
    assert (bench.settings.parallel, bench.settings.policy.deny) == (7, ("path:private/*", "tool:note"))
    assert bench.settings.policy.ask == ("host:*.example.com",)
    value(page.ask({"do": "remove", "kind": "deny", "rule": "tool:note"}))
    value(page.ask({"do": "set", "name": "parallel", "value": ""}))
    assert (bench.settings.parallel, bench.settings.policy.deny) == (2, ("path:private/*",))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.toml")} == files


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"do": "set", "name": "parallel", "value": "many"}, "parallel takes a whole number."),
        ({"do": "set", "name": "parallel", "value": "65"}, "parallel: "),
        ({"do": "set", "name": "budget", "value": "much"}, "'much' is no part of a budget."),
        ({"do": "set", "name": "replay", "value": "sometimes"}, ""),
        ({"do": "set", "name": "home", "value": "/"}, "home cannot be changed here."),
        ({"do": "add", "kind": "deny", "rule": "everything"}, "policy: 'everything' is no rule"),
        ({"do": "add", "kind": "deny", "rule": "path:private/*"}, "There is a rule deny path:private/* already."),
        ({"do": "remove", "kind": "deny", "rule": "path:private/*"}, "This rule was not made here."),
    ],
)
def test_what_cannot_be_changed_is_a_line_and_changes_nothing(bench: Workbench, message: Any, problem: str) -> None:
    page = Page(workbench.panel("settings"))
    before = bench.settings
    said = page.ask(message)
    assert said["problem"].startswith(f"Refused: {problem}")
    assert len(said["problem"].splitlines()) == 1
    assert bench.settings == before


def test_no_key_is_in_what_a_page_is_told(bench: Workbench) -> None:
    shown = value(Page(workbench.panel("settings")).ask({"do": "show"}))
    assert row(shown, "settings", "api_key")["value"] == "set (not shown)"
    assert KEY not in json.dumps(shown)


# -- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_kernel_a_side_panel_is_a_line_that_says_how_to_see_it_again(bench: Workbench, kind: str) -> None:
    data, _ = workbench.panel(kind)._repr_mimebundle_()
    assert f"workbench.panel(&#x27;{kind}&#x27;)" in data["text/html"]
    assert "%workbench" in data["text/plain"]


class Bare:
    """A widget that is never drawn."""

    def has_trait(self, name: str) -> bool:
        return False


@given(
    kind=st.sampled_from(KINDS),
    at=st.integers(0, 12),
    fields=st.dictionaries(
        st.sampled_from(("text", "start", "name", "params", "run", "kind", "rule", "value", "pinned", "plan")), ANYTHING
    ),
)
def test_whatever_is_sent_to_a_side_panel_is_begun_or_refused_in_a_line(
    kind: str, at: int, fields: dict[str, Any]
) -> None:
    bare: Any = None
    verbs = {
        "memory": memory.Shelf(bare).verbs(),
        "tools": tools.Bench(bare, Bare()).verbs(),
        "runs": runs.Runs(bare, Bare()).verbs(),
        "settings": settings.Board(bare).verbs(),
    }[kind]
    name = sorted(verbs)[at % len(verbs)]
    work: Any = None
    refused = ""
    try:
        work = begun({"do": name, **fields}, verbs)
    except Refused as error:
        refused = error.message
    assert (work is None) == bool(refused)
    assert len(refused.splitlines()) <= 1
    if work is not None:
        work.close()
