"""Questions over tables that the grammar was not built on: answered right, or refused where a guess would be needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planners.offline import chart, database, garage, offered, plan, run, same, season, support, weather, workshop
from tests.planners.river import hotel, river
from workbench.core.errors import Refused

QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text())
WORLDS = {"support": support(), "weather": weather(), "workshop": workshop(), "garage": garage(), "season": season()}
WORLDS |= {"hotel": hotel(), "river": river()}
OFFERS = {name: offered(frames) for name, frames in WORLDS.items()}


def answered() -> Iterator[tuple[str, str, str]]:
    for world, sets in QUESTIONS.items():
        for question, expected in sets["answered"]:
            yield world, question, expected


def refused() -> Iterator[tuple[str, str]]:
    for world, sets in QUESTIONS.items():
        for question in sets["refused"]:
            yield world, question


@pytest.mark.parametrize(("world", "question", "expected"), list(answered()))
def test_a_question_over_other_tables_is_answered_right(world: str, question: str, expected: str) -> None:
    planned = plan(question, OFFERS[world])
    rows = database(WORLDS[world]).execute(expected).fetchall()
    assert same(run(planned, WORLDS[world]), rows, ordered="order by" in expected), planned.plan.steps[0].params["sql"]


@pytest.mark.parametrize(("world", "question"), list(refused()))
def test_a_trap_is_refused_with_a_way_on(world: str, question: str) -> None:
    with pytest.raises(Refused) as caught:
        plan(question, OFFERS[world])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("bar chart of tickets by priority", "bar"),
        ("tickets by priority as a bar chart", "bar"),
        ("total cost by agent, plot it", "bar"),
        ("total cost by agent and plot it as a bar chart", "bar"),
        ("total cost by agent. Then draw it.", "bar"),
        ("plot tickets opened by month", "line"),
        ("line chart of the number of tickets opened by month", "line"),
        ("distribution of priority", "bar"),
        ("histogram of resolution hours", "hist"),
        ("scatter plot of cost and resolution hours", "scatter"),
        ("plot cost against resolution hours", "scatter"),
        ("cost by agent", None),
        ("plot tickets opened by month and channel", "line"),
        ("bar chart of total cost by agent and channel", "bar"),
        ("total cost by agent for each channel as bars", "bar"),
    ],
)
def test_a_chart_is_drawn_when_it_is_asked_for(question: str, kind: str | None) -> None:
    assert chart(plan(question, OFFERS["support"])) == kind
