"""Columns of yes and no: their plural means the ones that are yes, and a tie has no single winner."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.planners.offline import offered, plan, run
from workbench.core.artifacts import ARROW, Artifact, Column
from workbench.core.errors import Refused
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.planners.answer import summarise

GYM = {
    "gym": pd.DataFrame(
        {"visit_id": range(5), "member": list("ABCDE"), "guest": ["yes", "no", "no", "yes", "no"], "minutes": range(5)}
    )
}


@pytest.mark.parametrize("question", ["how many visits by guests", "number of visits by guests"])
def test_the_plural_of_a_flag_is_not_taken_for_two_groups(question: str) -> None:
    with pytest.raises(Refused, match="by guest"):
        plan(question, offered(GYM))


def test_a_flag_itself_groups() -> None:
    assert sorted(run(plan("number of visits by guest", offered(GYM)), GYM)) == [("no", 3), ("yes", 2)]


def said(*rows: tuple[object, object]) -> str:
    columns = (Column(name="who", type="text"), Column(name="fines", type="integer"))
    frame = Artifact(
        path="r/t.arrow", mime=ARROW, bytes=1, sha256="0", title="Fines", rows=len(rows), columns=columns, preview=rows
    )
    step = StepOutcome(id="s1", task="query_data", title="Fines", params={}, state=State.DONE, value=frame)
    return summarise(Outcome(run="r", steps=(step,))).text


def test_a_tie_names_all_who_share_it() -> None:
    assert said(("Cy", 9), ("Ann", 0), ("Bob", 0)) == (
        "Cy has the highest fines (9), Ann and Bob the lowest (0); 3 rows."
    )
    assert said(("Cy", 9), ("Di", 9), ("Bob", 0)).startswith("Cy and Di have the highest fines (9), Bob the lowest")


def test_yes_and_no_are_told_side_by_side() -> None:
    assert said(("no", 6), ("yes", 3)) == "Fines: no (6), yes (3)."
