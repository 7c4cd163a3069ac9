"""Attacks and ordinary scripts as tools, judged by their effects. The throwaway user and all else is in `room`.

Each attack is also played where it is not held, as a plain process and at level `process`, to show that it can do its
harm: an attack that harms nobody anywhere proves nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.case import Case, from_corpus
from tests.hostile.cases import OPEN, ORDINARY, OWN
from tests.hostile.conftest import Stage, key

CORPUS = Path(__file__).parents[1] / "corpus" / "attacks"
ATTACKS, BENIGN = from_corpus(CORPUS / "attacks.json"), from_corpus(CORPUS / "benign.json")
pytestmark = pytest.mark.timeout(300)  # the first test of a level waits for all of that level


def named(case: Case) -> str:
    return f"{case.id} {case.title}".strip()


@pytest.mark.parametrize("case", ATTACKS, ids=named)
def test_an_attack_of_the_set_is_blocked(stage: Stage, case: Case):
    outcome = stage.outcome("kernel", case)
    assert outcome.harms == (), outcome


@pytest.mark.parametrize("case", [*BENIGN, *ORDINARY], ids=named)
def test_an_ordinary_script_runs_confined(stage: Stage, case: Case):
    outcome = stage.outcome("kernel", case)
    assert (outcome.status, outcome.harms, bool(outcome.text)) == ("ok", (), True), outcome


@pytest.mark.parametrize("case", OWN, ids=named)
def test_an_attack_on_this_implementation_is_blocked(stage: Stage, case: Case):
    outcome = stage.outcome("kernel", case)
    assert outcome.harms == (), outcome


@pytest.mark.parametrize("case", OPEN, ids=named)
def test_what_is_said_to_stay_open_does(stage: Stage, case: Case):
    # Should a kernel come to close it, the documents may promise more.
    assert stage.outcome("kernel", case).harms != ()


def test_there_are_many_attacks_of_our_own():
    assert len({case.id for case in OWN}) == len(OWN) >= 60


@pytest.mark.kills
@pytest.mark.parametrize("levels", [("none", "process", "kernel")], ids=["unheld"])
@pytest.mark.parametrize("case", ATTACKS, ids=named)
def test_an_attack_of_the_set_does_its_harm_where_nothing_holds_it(stage: Stage, case: Case, levels: tuple[str, ...]):
    outcome = stage.outcome("none", case)
    assert outcome.harms != (), outcome


@pytest.mark.kills
@pytest.mark.parametrize("levels", [("none",)], ids=["unheld"])
@pytest.mark.parametrize("case", [case for case in OWN if case.bare], ids=named)
def test_an_attack_of_ours_does_its_harm_where_nothing_holds_it(stage: Stage, case: Case, levels: tuple[str, ...]):
    outcome = stage.outcome("none", case)
    assert outcome.harms != (), outcome


@pytest.mark.kills
@pytest.mark.parametrize("levels", [("none", "process", "kernel")], ids=["every level"])
@pytest.mark.parametrize("case", ATTACKS[:1], ids=["all"])
def test_each_level_holds_more_than_the_one_below(
    stage: Stage, case: Case, levels: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    of_set = {key(one) for one in ATTACKS}
    blocked, lines = [], []
    for level in levels:
        played = [outcome for one, outcome in stage.outcomes(level) if key(one) in of_set]
        blocked.append(sum(outcome.blocked for outcome in played))
        lines.append(f"attacks of the set blocked at level {level}: {blocked[-1]} of {len(played)}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201 - the figures
    assert blocked == sorted(blocked)
    assert blocked[0] < blocked[-1]
