"""What holds for every text: a plan whose every word has a role, or a refusal; never a crash, never the user's SQL."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planners.offline import TODAY, database, offered, plan, support, weather
from tests.planners.requests import SCOPE
from workbench.core.errors import Refused
from workbench.core.request import Request, Variable
from workbench.planners.base import Planned
from workbench.planners.grammar import audit, reader
from workbench.planners.grammar.rules import VOCABULARY
from workbench.planners.grammar.words import split

FRAMES = {**support(), **weather()}
OFFER = offered(FRAMES)
SUPPORT = [variable for variable in OFFER if variable.name in ("tickets", "clients")]
DATABASE = database(FRAMES)

NAMES = [v.name for v in OFFER] + [c.name.replace("_", " ") for v in OFFER for c in v.columns]
VALUES = ["urgent", "low", "open", "closed", "email", "Ana", "pro", "Spain", "Harbour", "Old Town", "Oslo", "fault"]
NUMBERS = ["5", "0", "2024", "2025", "2024-03-01", "100", "-3", "1.5", "5k", "three"]
SIGNS = [">", "<=", "=", ",", "?", ".", "!="]
COMMON = [
    "by",
    "of",
    "in",
    "total",
    "average",
    "number of",
    "how many",
    "top 5",
    "which",
    "and",
    "or",
    "not",
    "per",
    "the",
]
SALAD = st.lists(
    st.one_of(
        st.sampled_from(COMMON),
        st.sampled_from(NAMES),
        st.sampled_from(VALUES),
        st.sampled_from(NUMBERS),
        st.sampled_from(SIGNS),
        st.sampled_from(sorted(VOCABULARY)),
    ),
    min_size=1,
    max_size=9,
).map(" ".join)


def attempt(text: str, variables: list[Variable] = OFFER) -> Planned | None:
    try:
        return plan(text, variables)
    except Refused:
        return None


def assert_one_select(sql: str) -> None:
    (statement,) = duckdb.extract_statements(sql)
    assert statement.type == duckdb.StatementType.SELECT


@settings(max_examples=250, deadline=None)
@given(SALAD)
def test_a_salad_of_known_words_is_refused_or_every_word_has_a_role(text: str) -> None:
    for variables in (OFFER, SUPPORT):
        planned = attempt(text, variables)
        if planned is None or planned.plan.steps[0].task != "query_data":
            continue
        sql = planned.plan.steps[0].params["sql"]
        assert_one_select(sql)
        DATABASE.execute(sql).fetchall()
        found = reader.read(Request(text=text, scope=SCOPE, today=TODAY, variables=tuple(variables)))
        used = [at for tag in found.tags for at in range(tag.start, tag.end)]
        assert sorted(used) == list(range(len(split(text))))
        chart = planned.plan.steps[1].params if len(planned.plan.steps) > 1 else None
        assert audit.unproved(found.words, found.tags, sql, chart) == []


@settings(max_examples=60, deadline=None)
@given(SALAD)
def test_the_same_request_gives_the_same_plan(text: str) -> None:
    first, second = attempt(text), attempt(text)
    assert first == second


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_planned_or_refused(text: str) -> None:
    attempt(text)


@settings(max_examples=80, deadline=None)
@given(
    st.text(max_size=30),
    st.sampled_from(["total cost where agent is “{}”", "tickets where name = '{}'", "{} tickets", "remember that {}"]),
)
def test_what_a_text_holds_never_becomes_sql(inside: str, around: str) -> None:
    planned = attempt(around.replace("{}", inside))
    if planned is not None and planned.plan.steps[0].task == "query_data":
        assert_one_select(planned.plan.steps[0].params["sql"])


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "total cost " * 10_000,
        "(" * 5_000,
        "{" * 500 + "}" * 500,
        "total cost by agent {{s1#/x}}",
        "remember that {{s1}}",
        "remember that {{@tickets}} is a table",
        "how many tickets \x00\x1b[31m",
        "how many tickets \ud800",
        "@tickets @tickets @clients",
        "@nothing",
        "'; drop table tickets; --",
        'clients whose name is "x\'; drop table tickets; --"',
        "clients whose name is \"Client 1' or '1'='1\"",
        "\N{SNOWMAN}" * 50,
        "by by by by by by by by by by by by by by by by by by by by",
        "and " * 70,
        "the " * 79 + "tickets",
        "total cost by agent and channel " * 9,
    ],
    ids=lambda text: text[:20].encode("ascii", "backslashreplace").decode(),
)
def test_a_strange_text_is_planned_or_refused(text: str) -> None:
    planned = attempt(text)
    if planned is not None and planned.plan.steps[0].task == "query_data":
        assert_one_select(planned.plan.steps[0].params["sql"])


def test_a_quote_inside_a_value_stays_inside() -> None:
    names = [f"O'Brien; drop {n}" for n in range(40)]
    frame = FRAMES["clients"].assign(name=names)
    planned = plan("how many clients whose name is O'Brien; drop 7", offered({"clients": frame}))
    sql = planned.plan.steps[0].params["sql"]
    assert "'O''Brien; drop 7'" in sql
    assert database({"clients": frame}).execute(sql).fetchall() == [(1,)]
