"""Words with two meanings are asked back, and plain words that only say more of the same are read."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.planners.offline import chart, offered, plan, run
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("how many visits are not closed", [(3,)]),
        ("how many visits were closed", [(3,)]),
        ("how many visits were closed in 2024", [(2,)]),
        ("visits closed in 2024 by doctor", [("May", 2)]),
    ],
)
def test_what_has_no_day_has_not_happened(text: str, expected: list[tuple[object, ...]]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize("text", ["visits not closed in 2025", "how many visits have been closed by doctor in 2025"])
def test_a_day_that_is_missing_takes_no_time_of_another_column(text: str) -> None:
    assert "closed_on" in refused(text)


def test_a_month_with_its_year_behind_a_word_may_still_be_the_value() -> None:
    message = refused("total fee for May in 2025")
    assert "doctor is May" in message
    assert "May 2025" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("average co2 of Haddad", [(700.0,)]),
        ("average co2 reading of Haddad", [(700.0,)]),
        ("average satisfaction score", [(3.5,)]),
        ("how many visits have no satisfaction score", [(2,)]),
        ("which doctor has the longest average waiting time", [("May", 83 / 3)]),
        ("how many visits did Haddad make?", [(2,)]),
        ("number of visits made by Haddad", [(2,)]),
        ("average fee by Haddad", [(35.0,)]),
        ("how many scores of satisfaction", None),
        ("number of satisfaction scores", None),
    ],
)
def test_words_that_say_no_more_are_read_and_others_are_not(
    text: str, expected: list[tuple[object, ...]] | None
) -> None:
    if expected is None:
        refused(text)
    else:
        assert rows(text) == expected


def test_a_column_is_named_with_the_noun_of_its_rows_behind_it() -> None:
    assert rows("average fee by sex of the patient") == rows("average fee by sex")


def test_a_histogram_may_stand_behind_its_column() -> None:
    planned = plan("fee histogram", OFFER)
    assert planned.plan.steps[0].params == plan("histogram of fee", OFFER).plan.steps[0].params
    assert chart(planned) == "hist"


SCHOOL = {
    "pupils": pd.DataFrame(
        {
            "pupil_id": range(1, 7),
            "house": ["Red", "Blue", "Blue", "Red", "Blue", "Red"],
            "boarder": ["yes", "no", "yes", "yes", "no", "yes"],
            "mark": [91.0, 40.5, 95.0, 60.0, 71.0, 99.0],
            "siblings": [0, 2, 2, 1, 3, 0],
        }
    )
}
ANSWERS = {"answers": pd.DataFrame({"respondent": range(1, 5), "country": ["Kenya", "Chile", "Kenya", "Kenya"]})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("how many boarders are there?", 4),
        ("how many boarders are in Blue?", 1),
        ("how many marks are above 90", 3),
        ("how many pupils with 2 siblings", 2),
    ],
)
def test_the_plural_of_a_flag_or_of_a_number_counts_rows(text: str, expected: int) -> None:
    assert run(plan(text, offered(SCHOOL)), SCHOOL) == [(expected,)]


def test_persons_that_are_numbered_are_the_rows() -> None:
    assert run(plan("respondents by country", offered(ANSWERS)), ANSWERS) == [("Kenya", 3), ("Chile", 1)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```\nfee.mean()\n```", "code"),
        ("select doctor, sum(fee) from visits", "code"),
        ("doctor,fee\nHaddad,3\nOkafor,4", "pasted table"),
        ("| doctor | fee |\n|---|---|\n| Haddad | 3 |", "pasted table"),
        ("Wie hoch ist die durchschnittliche fee pro doctor", "English"),
        ("средняя fee по doctor", "English"),
        ("visits on 3/4/2025", "2025-03-31"),
        ("visits on 2025-02-30", "no day"),
        ("fee above 1.000", "decimal"),
        ("average patient id", "code"),
        ("average fee by hour", "none is shorter"),
        ("waitin by doctor", "waiting_min"),
    ],
)
def test_what_is_no_question_is_refused_with_its_own_reason(text: str, reason: str) -> None:
    assert reason in refused(text)


@pytest.mark.parametrize(
    "text", ["select visits from Haddad of London", "fee of Zoë", "visits, fee\nand doctor, please"]
)
def test_plain_words_are_not_taken_for_something_pasted(text: str) -> None:
    message = refused(text)
    assert not any(word in message for word in ("code", "pasted", "English"))


def test_what_has_not_happened_is_in_no_month() -> None:
    planned = plan("visits closed per month", OFFER)
    assert [count for _, count in run(planned, CLINIC)] == [1, 1, 1]
    assert "closed_on is present" in planned.notes[0]
    assert rows("share of visits closed per year") == [(2024, pytest.approx(200 / 3)), (2025, pytest.approx(100 / 3))]
    assert len(rows("visits by month of closed_on")) == 4  # a group for those without one


def test_who_did_what_a_verb_says_is_no_condition_on_the_rows() -> None:
    assert rows("number of visits by Haddad") == [(2,)]
    refused("how many visits were closed by Haddad")


def test_a_number_of_things_over_a_number_is_told_from_rows() -> None:
    assert "siblings" in _message("how many siblings over 1 by house", SCHOOL)
    assert run(plan("how many pupils with more than 1 siblings by house", offered(SCHOOL)), SCHOOL) == [("Blue", 3)]


def test_the_opposite_of_a_name_is_not_taken_for_the_name() -> None:
    frames = {"samples": pd.DataFrame({"site": ["a", "b", "a"], "valid": [True, False, True]})}
    assert "not valid" in _message("invalid samples by site", frames)


@pytest.mark.parametrize("said", ["average flow by site", "average pH by site", "average Flow_m3s by site"])
def test_a_column_is_found_without_its_cubic_unit_and_in_any_case(said: str) -> None:
    frames = {"samples": pd.DataFrame({"site": ["a", "b"], "flow_m3s": [1.5, 2.0], "ph": [1.5, 2.0]})}
    assert sorted(run(plan(said, offered(frames)), frames)) == [("a", 1.5), ("b", 2.0)]


def test_names_that_end_alike_but_for_a_unit_stay_apart() -> None:
    frames = {
        "orders": pd.DataFrame(
            {"customer_id": [1, 1, 2], "customer_age": [30, 30, 40], "is_new": [1, 0, 0], "is_gift": [1, 1, 0]}
        )
    }
    assert sorted(run(plan("orders by customer", offered(frames)), frames)) == [(1, 2), (2, 1)]
    assert run(plan("how many gift orders", offered(frames)), frames) == [(2,)]


def _message(text: str, frames: dict[str, pd.DataFrame]) -> str:
    with pytest.raises(Refused) as caught:
        plan(text, offered(frames))
    return caught.value.message
