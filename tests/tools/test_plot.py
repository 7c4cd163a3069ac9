import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from tests.tools.conftest import Host, load
from workbench import toolkit

plot = load("plot")
REGIONS = pd.DataFrame({"region": ["North", "South"], "revenue": [1200.5, 800.0]})
MONTHS = pd.DataFrame({"month": pd.date_range("2025-01-01", periods=12, freq="MS"), "units": range(12)})


def draw(frame: pd.DataFrame | None, kind: str = "bar", **options: Any) -> toolkit.Image:
    image: toolkit.Image = plot.run(data=frame, kind=kind, **options)
    assert image.png.startswith(b"\x89PNG\r\n\x1a\n")
    return image


def refusal(frame: pd.DataFrame | None, kind: str = "bar", **options: Any) -> str:
    with pytest.raises(toolkit.Failed) as caught:
        plot.run(data=frame, kind=kind, **options)
    return f"{caught.value} {caught.value.hint}"


def drawn(frame: pd.DataFrame, kind: str, x: str = "", y: list[str] | None = None) -> Any:
    return plot.prepare(frame, kind, x, y or [])


@pytest.mark.parametrize(
    ("kind", "frame"),
    [("bar", REGIONS), ("line", MONTHS), ("scatter", MONTHS), ("hist", MONTHS)],
    ids=lambda v: str(v)[:7],
)
def test_the_same_table_gives_the_same_bytes(kind, frame):
    assert draw(frame, kind).png == draw(frame, kind).png


def test_a_picture_carries_no_date_and_no_program():
    png = draw(REGIONS).png
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME") if chunk in png]


def test_the_alternative_text_says_kind_title_ranges_and_places():
    image = draw(REGIONS, title="Revenue in 2025")
    assert image.alt == "Bar chart: Revenue in 2025. Revenue from 800 to 1,200.5. Region: North, South."


def test_without_a_title_the_columns_give_one():
    assert draw(REGIONS).title == "Revenue by region"
    assert draw(MONTHS, "hist", x="units").title == "Distribution of units"


def test_the_users_settings_of_matplotlib_are_left_alone_and_change_nothing():
    import matplotlib as mpl

    plain = draw(REGIONS).png
    with mpl.rc_context({"font.size": 30}):
        assert draw(REGIONS).png == plain
        assert mpl.rcParams["font.size"] == 30


def test_without_a_table_the_last_of_the_earlier_steps_is_drawn(host: Host):
    host.context = [
        {"step": "s1", "task": "query_data", "value": MONTHS},
        {"step": "s2", "task": "query_data", "value": {"rows": [REGIONS]}},
        {"step": "s3", "task": "recall", "value": "text"},
    ]
    assert draw(None).title == "Revenue by region"


def test_without_any_table_it_says_how_to_give_one(host: Host):
    assert "$ref" in refusal(None)


def test_missing_columns_are_filled_in():
    frame = pd.DataFrame({"order_id": [1, 2], "region": ["a", "b"], "units": [10, 20], "revenue": [1e6, 2e6]})
    chart = drawn(frame, "bar")
    assert (chart.x, list(chart.series)) == ("region", ["units"])


def test_a_wrong_column_is_told_with_a_near_one():
    assert "did you mean 'region'" in refusal(REGIONS, x="regoin")


def test_text_cannot_be_a_height():
    assert "'region' holds no numbers" in refusal(REGIONS, y=["region"], x="revenue")


def test_many_bars_are_refused_with_what_to_do():
    many = pd.DataFrame({"name": [f"n{i}" for i in range(51)], "v": range(51)})
    assert "top 50" in refusal(many)
    assert "Group by name first" in refusal(many.assign(name="same"))


def test_empty_tables_and_tables_of_gaps_are_refused():
    assert "no rows" in refusal(REGIONS.head(0))
    assert "missing" in refusal(REGIONS.assign(revenue=float("nan")))


def test_missing_values_are_left_out_and_told():
    frame = REGIONS.assign(revenue=[1.0, float("nan")])
    assert draw(frame).alt.endswith("1 row without a value left out.")


def test_a_line_breaks_where_a_value_is_missing():
    chart = drawn(MONTHS.assign(units=[1.0, float("nan")] * 6), "line")
    assert len(chart.across) == 12
    assert chart.note == "6 missing values not drawn"


def test_infinite_values_count_as_missing():
    assert draw(REGIONS.assign(revenue=[1.0, float("inf")])).alt.endswith("1 row without a value left out.")


def test_lines_run_from_left_to_right():
    assert drawn(MONTHS.iloc[::-1], "line").series["units"].tolist() == list(range(12))


def test_bars_keep_the_order_of_the_table():
    assert drawn(REGIONS.iloc[::-1], "bar").across.tolist() == ["South", "North"]


def test_groups_in_rows_become_a_series_each():
    long = pd.DataFrame({"year": [2024, 2024, 2025, 2025], "region": ["N", "S"] * 2, "revenue": [1.0, 2.0, 3.0, 4.0]})
    chart = drawn(long, "line", "year")
    assert {name: values.tolist() for name, values in chart.series.items()} == {"N": [1.0, 3.0], "S": [2.0, 4.0]}
    assert chart.y_label == "Revenue"


def test_a_line_through_several_values_of_one_place_is_refused():
    assert "Group by month first" in refusal(pd.DataFrame({"month": ["a", "a"], "v": [1, 2]}), "line")


@pytest.mark.parametrize(
    "days",
    [
        ["2025-01-01", "2025-02-01"],
        ["2025-01", "2025-02"],
        [dt.date(2025, 1, 1), dt.date(2025, 2, 1)],
        pd.to_datetime(["2025-01-01", "2025-02-01"], utc=True),
    ],
    ids=["text", "months", "dates", "zone"],
)
def test_dates_of_every_kind_make_a_time_axis(days):
    chart = drawn(pd.DataFrame({"day": days, "v": [1, 2]}), "bar")
    assert plot.place_names(chart) == ["Jan 2025", "Feb 2025"]


def test_numbers_that_look_like_years_are_no_dates():
    assert plot.place_names(drawn(pd.DataFrame({"zip": ["2025", "1010"], "v": [1, 2]}), "bar")) == ["2025", "1010"]


def test_decimals_and_nullable_integers_are_numbers():
    frame = pd.DataFrame({"c": ["a", "b"], "d": [Decimal("1.5"), None], "i": pd.array([1, None], dtype="Int64")})
    assert set(drawn(frame, "bar").series) == {"d", "i"}


def test_long_names_lie_and_time_never_does():
    assert plot.is_lying(
        drawn(pd.DataFrame({"c": [f"a rather long name {i}" for i in range(8)], "v": range(8)}), "bar")
    )
    assert not plot.is_lying(drawn(MONTHS, "bar"))


def test_a_histogram_of_whole_numbers_has_a_bar_for_each():
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    axes = Figure().add_subplot()
    plot.histogram(axes, drawn(pd.DataFrame({"rating": [1, 2, 2, 5]}), "hist"))
    assert [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)] == [1, 2, 0, 0, 1]


def test_a_histogram_of_two_columns_or_of_text_is_refused():
    assert "shows one column" in refusal(MONTHS.assign(v=1.0), "hist", y=["units", "v"])
    assert "needs a column of numbers" in refusal(REGIONS, "hist", x="region")


@pytest.mark.parametrize(
    ("value", "largest", "text"),
    [
        (1250, 0, "1,250"),
        (0.25, 0, "0.25"),
        (3_500_000, 0, "3.5M"),
        (500_000, 2e6, "0.5M"),
        (0, 2e9, "0"),
        (2e9, 0, "2B"),
    ],
)
def test_ticks_are_readable(value, largest, text):
    assert plot.number(value, largest) == text


@pytest.mark.parametrize(
    ("name", "text"), [("unit_price", "Unit price"), ("body_mass_g", "Body mass (g)"), ("m", "M"), ("été", "Été")]
)
def test_names_become_words(name, text):
    assert plot.words(name) == text


def test_dollars_markup_and_any_script_are_drawn_as_they_are(recwarn):
    frame = pd.DataFrame({"c": ["$a_1$", "東京", "<b>"], "v_$": [1, 2, 3]})
    draw(frame, title="Costs $x_1$ \N{GRINNING FACE}")
    assert not recwarn.list
