"""Words with two meanings are asked back, and plain words that only say more of the same are read."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.planners.offline import offered, plan, run
from workbench.core.errors import Refused

_DAYS = [f"202{year}-{month:02d}-11" for year in (4, 5) for month in (3, 5, 9)]
CLINIC = {
    "visits": pd.DataFrame(
        {
            "visit_id": range(1, 7),
            "patient_id": [1, 1, 2, 2, 3, 4],
            "doctor": ["May", "Haddad", "May", "Okafor", "Haddad", "May"],
            "visit_date": _DAYS,
            "visit_type": ["first", "urgent", "first", "first", "control", "urgent"],
            "distance_km": [3.0, 8.0, 13.0, 1.0, 9.0, 21.0],
            "distance_mi": [1.9, 5.0, 8.1, 0.6, 5.6, 13.0],
            "waiting_min": [12.0, None, 31.0, 8.0, 25.0, 40.0],
            "co2_ppm": [400, 600, 900, 500, 800, 700],
            "fee": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
            "satisfaction": [None, 5, 4, 2, None, 3],
            "closed_on": ["2024-04-01", None, "2024-10-01", None, "2025-06-01", None],
        }
    ),
    "patients": pd.DataFrame({"patient_id": [1, 2, 3, 4], "sex": ["f", "m", "f", "m"]}),
}
OFFER = offered(CLINIC)


def refused(text: str) -> str:
    with pytest.raises(Refused) as caught:
        plan(text, OFFER)
    assert caught.value.hint
    return caught.value.message


def rows(text: str) -> list[tuple[object, ...]]:
    return run(plan(text, OFFER), CLINIC)


def test_a_value_that_is_also_a_month_is_asked_back_where_there_are_days() -> None:
    assert "doctor May" in refused("how many visits in May?")
    assert rows("how many visits of doctor May") == [(3,)]
    assert rows("how many visits in May 2025") == [(1,)]


def test_their_speaks_of_what_the_request_has_named() -> None:
    refused("their average fee")
    assert len(rows("doctors by their average fee")) == 3


def test_one_row_of_each_is_told_from_how_many_there_are() -> None:
    assert "number of" in refused("first visit of each patient")
    assert sorted(rows("number of first visits of each patient")) == [(1, 1), (2, 2)]


def test_a_column_in_two_units_is_not_chosen_by_the_known_one() -> None:
    message = refused("total distance by doctor")
    assert "distance_km" in message
    assert "distance_mi" in message
    assert sorted(rows("total distance in km by doctor"))[0] == ("Haddad", 17.0)
