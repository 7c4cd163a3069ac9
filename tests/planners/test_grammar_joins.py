"""Two tables joined on a key: a value that stands once in one of them stands many times in the result."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.planners.offline import database, offered, plan, run, same
from workbench.core.errors import Refused

WORLD = {
    "visits": pd.DataFrame(
        {
            "visit_id": range(6),
            "patient_id": [1, 1, 2, 3, 3, 3],
            "revenue": [10.0, 20, 5, 1, 2, 3],
            "pain": [1, 2, 3, 4, 5, 6],
        }
    ),
    "patients": pd.DataFrame({"patient_id": [1, 2, 3], "name": ["Ada", "Bo", "Cy"], "ward": ["A", "B", "B"]}),
}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "total revenue by patient name",
            "select name, sum(revenue) from visits join patients using (patient_id) group by 1",
        ),
        (
            "revenue by patient name",
            "select name, sum(revenue) from visits join patients using (patient_id) group by 1",
        ),
        ("average pain by ward", "select ward, avg(pain) from visits join patients using (patient_id) group by 1"),
        ("revenue of Ada", "select sum(revenue) from visits join patients using (patient_id) where name = 'Ada'"),
    ],
)
def test_amounts_are_summed_over_the_rows_of_the_join(question: str, expected: str) -> None:
    planned = plan(question, offered(WORLD))
    rows = database(WORLD).execute(expected).fetchall()
    assert same(run(planned, WORLD), rows, ordered=False), planned.plan.steps[0].params["sql"]


def test_what_does_not_add_up_is_asked_for() -> None:
    with pytest.raises(Refused, match="average"):
        plan("pain by patient name", offered(WORLD))
