"""From a figure back to all that it is made of, and the same in SQL: told from the events alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import pytest

from workbench.bridge import wait
from workbench.cli import main
from workbench.configuration import load_settings
from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Event, Kind
from workbench.memory import tables
from workbench.models.testing import TestModel
from workbench.why import account
from workbench.workbench import Workbench, use

SALES = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [10.0, 20.0, 40.0]})
ASKED = "total revenue by region as a bar chart of @sales"


def told(*said: tuple[Kind, dict[str, Any], str | None], run: str = "r1", attempt: int = 1) -> list[AnyEvent]:
    return [
        Event(run=run, seq=n, at=f"2026-11-27T10:00:{n:02}+00:00", kind=kind, body=body, step=step, attempt=attempt)
        for n, (kind, body, step) in enumerate(said)
    ]


def rows(events: Sequence[AnyEvent], query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        tables.prepare(connection)
        tables.insert(connection, events)
        return connection.execute(query).fetchall()


def called(
    model: str, usd: str | None, tokens: int, step: str | None = None
) -> tuple[Kind, dict[str, Any], str | None]:
    body = {"model": model, "purpose": "plan", "tokens_in": tokens, "tokens_out": 1, "usd": usd, "seconds": 0.5}
    return Kind.MODEL_CALLED, body, step


async def test_a_figure_leads_back_to_its_query_and_the_table_that_was_offered(tmp_path, own_home):
    wb = use(Workbench(load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path)))
    run = await wb.ask(ASKED, sales=SALES)
    picture, table = run.artifacts[-1], run.artifacts[0]
    text = repr(await wb.record.why(f"{run.id}.s2"))
    for part in (
        ASKED,
        picture.sha256[:12],
        table.sha256[:12],
        run.outcome.inputs["sales"].sha256[:12],
        "s2 plot",
        "s1 query_data",
        "SQL",
        run.steps["s1"].params["sql"].splitlines()[0],
        "table @sales, as it was offered",
        "3 rows",
        "region, revenue",
        "isolation",
        "made by  grammar",
        "cost     $0",
    ):
        assert part in text, part
    assert "s2 plot" not in repr(await wb.record.why(f"{run.id}.s1"))
    assert repr(await wb.record.why(run.id)) == text, "the only result that nothing takes is the figure"
    with pytest.raises(Refused, match="no step 's9'"):
        await wb.record.why(f"{run.id}.s9")
    found = await wb.record.sql("select from_step, label, sha256, rows from lineage where step = 's2' order by all")
    assert [tuple(row) for row in found.itertuples(index=False)][:1] == [("s1", "", table.sha256, 2)]
    assert ("@sales", run.outcome.inputs["sales"].sha256) in set(zip(found["label"], found["sha256"], strict=True))
    await wb.close()


def test_why_is_a_verb_of_the_command_line_and_of_the_notebook(tmp_path, capsys, own_home):
    from workbench.notebook import verbs

    wb = use(Workbench(load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path)))
    run = wait(wb.ask("total revenue of @sales", sales=SALES))
    assert main(["why", f"{run.id}.s1"]) == 0
    assert "s1 query_data" in capsys.readouterr().out
    assert main(["why", "nothing.s1"]) == 1
    assert "There is no run 'nothing'" in capsys.readouterr().err
    assert "s1 query_data" in repr(verbs.why(wb, f"{run.id}.s1"))


async def test_what_models_have_cost_is_the_same_in_sql_in_the_run_and_in_what_was_recorded(tmp_path, own_home):
    plan = {"steps": [{"task": "query_data", "params": {"sql": "select 1 as a", "tables": {}}}]}
    settings = load_settings({"WORKBENCH_CONFIG": str(own_home / "config")}, tmp_path)
    wb = Workbench(settings, model=TestModel([plan, "One."]))
    run = await wb.ask("one")
    recorded = [event.body for event in await wb.memory.events(run.id) if event.kind == Kind.MODEL_CALLED]
    found = await wb.record.sql("select sum(calls) as n, sum(usd) as usd, sum(tokens_in) as t from costs")
    assert found["n"][0] == run.cost.calls == len(recorded) == 2
    assert Decimal(str(found["usd"][0])) == run.cost.usd == sum(Decimal(body["usd"]) for body in recorded)
    text = repr(await wb.record.why(run.id))
    assert "test-model for plan: $0" in text
    assert recorded[0]["request_sha256"][:12] in text
    await wb.close()


def test_costs_add_up_by_run_model_and_purpose_and_say_where_a_price_is_missing():
    again = called("a", "0.9", 9)[1]
    events = [
        *told((Kind.RUN_STARTED, {"user": "ann"}, None), called("a", "0.10", 5), called("a", "0.2", 7, "s1")),
        *told(called("a", None, 1), called("b", "0.4", 1), run="r2"),
        *told((Kind.MODEL_CALLED, {**again, "replayed": True}, None), run="r3"),
    ]
    query = "select run, user, model, calls, tokens_in, usd, unpriced, replayed from costs order by run, model"
    assert rows(events, query) == [
        ("r1", "ann", "a", 2, 12, Decimal("0.3000000000"), 0, 0),
        ("r2", None, "a", 1, 1, Decimal("0.0000000000"), 1, 0),
        ("r2", None, "b", 1, 1, Decimal("0.4000000000"), 0, 0),
        ("r3", None, "a", 0, 0, Decimal("0.0000000000"), 0, 1),
    ]


def test_every_failure_is_one_row_that_says_what_and_why():
    error = {"kind": "ToolFailed", "message": "no", "hint": "do"}
    service = {"service": "http", "host": "example.org", "error": {"kind": "Denied", "message": "not there"}}
    events = told(
        (Kind.STEP_RETRIED, {"try": 1, "error": "busy", "wait": 1.0}, "s1"),
        (Kind.SERVICE_CALLED, service, "s1"),
        (Kind.SERVICE_CALLED, {**service, "error": None}, "s1"),
        (Kind.STEP_FAILED, {"error": error}, "s1"),
        (Kind.MODEL_CALLED, {"model": "m", "error": "Unavailable: gone"}, None),
        (Kind.RUN_DONE, {"status": "failed", "error": error}, None),
    ) + told((Kind.RUN_DONE, {"status": "done", "error": None}, None), run="r2")
    assert rows(events, "select what, step, name, error, message, hint from failures order by run, seq") == [
        ("try", "s1", None, None, "busy", None),
        ("service", "s1", "http example.org", "Denied", "not there", None),
        ("step", "s1", None, "ToolFailed", "no", "do"),
        ("model", None, "m", None, "Unavailable: gone", None),
        ("run", None, None, "ToolFailed", "no", "do"),
    ]
    assert rows(events, "select service, host, error from service_calls order by seq")[1] == (
        "http",
        "example.org",
        None,
    )


def test_lineage_follows_references_of_every_form_and_the_newest_attempt():
    source = {"kind": "web", "label": "example.org", "step": "s1"}
    quoted = '{"$ref":"s9"}'  # in a text it is a text
    plan = {
        "steps": [
            {"id": "s1", "task": "fetch", "params": {"url": "a"}},
            {"id": "s2", "task": "x", "params": {"a": {"$ref": "s1#/rows/0"}, "b": {"$ref": "@sales"}}},
            {"id": "s3", "task": "x", "params": {"text": "see {{s2#/title}}", "json": quoted}, "needs": ["s1"]},
        ]
    }
    events = [
        *told((Kind.PLAN_MADE, {"plan": plan, "sources": [{"kind": "user"}]}, None), (Kind.STEP_DONE, {}, "s1")),
        *told((Kind.STEP_DONE, {"provenance": [source]}, "s1"), attempt=2),
    ]
    query = "select step, kind, label, from_step from lineage order by all"
    assert rows(events, query) == [
        ("s1", "web", "example.org", "s1"),
        ("s2", "step", "", "s1"),
        ("s3", "step", "", "s1"),
        ("s3", "step", "", "s2"),
        (None, "user", None, None),
    ]


def test_a_stranger_s_words_are_shown_and_never_obeyed():
    evil = "<img src=x onerror=alert(1)>\x1b[31m\u202e"
    plan = {"steps": [{"id": "s1", "task": "fetch", "title": evil, "params": {"url": evil, "code": f"a\n{evil}"}}]}
    cited = [{"title": evil, "url": f"https://x/{evil}"}]
    events = told(
        (Kind.RUN_STARTED, {"request": evil}, None),
        (Kind.PLAN_MADE, {"plan": plan, "planner": evil, "notes": [evil]}, None),
        (Kind.SERVICE_CALLED, {"service": "http", "host": evil, "error": {"kind": evil, "message": evil}}, "s1"),
        (Kind.STEP_DONE, {"value": evil, "sources": cited, "provenance": [{"kind": "web", "label": evil}]}, "s1"),
    )
    shown = account(events)
    html = shown._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
    for text in (html, repr(shown)):
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("events", [[], told((Kind.RUN_STARTED, {"request": "x"}, None))])
def test_a_run_that_never_had_a_plan_has_an_account_too(events):
    assert "There is no plan." in repr(account(events))


def test_the_account_of_a_wide_plan_tells_each_step_once():
    steps: list[dict[str, Any]] = [{"id": "s0", "task": "t", "params": {}}]
    steps += [
        {"id": f"s{n}", "task": "t", "params": {"a": {"$ref": f"s{n - 1}"}, "b": {"$ref": f"s{max(0, n - 2)}"}}}
        for n in range(1, 40)
    ]
    text = repr(account(told((Kind.PLAN_MADE, {"plan": {"steps": steps}, "planner": "m"}, None))))
    assert all(text.count(f"s{n} t\n") == 1 for n in range(40))
    assert json.dumps(text)
