import datetime as dt
import io
import itertools
import math
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from tests.tools.conftest import Host, load
from workbench import toolkit
from workbench.charts.axes import is_lying
from workbench.charts.columns import prepare
from workbench.charts.draw import edges, histogram
from workbench.charts.facets import prepare_all
from workbench.charts.picture import png, titled
from workbench.charts.theme import THEMES
from workbench.charts.words import number, words

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
    return prepare(frame, kind, x, y or [])


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
    assert chart.gaps == 6


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
    assert chart.labels == ["Jan 2025", "Feb 2025"]


def test_numbers_that_look_like_years_are_no_dates():
    assert drawn(pd.DataFrame({"zip": ["2025", "1010"], "v": [1, 2]}), "bar").labels == ["2025", "1010"]


def test_decimals_and_nullable_integers_are_numbers():
    frame = pd.DataFrame({"c": ["a", "b"], "d": [Decimal("1.5"), None], "i": pd.array([1, None], dtype="Int64")})
    assert set(drawn(frame, "bar").series) == {"d", "i"}


def test_long_names_lie_and_time_never_does():
    assert is_lying(drawn(pd.DataFrame({"c": [f"a rather long name {i}" for i in range(8)], "v": range(8)}), "bar"))
    assert not is_lying(drawn(MONTHS, "bar"))


def test_a_histogram_of_whole_numbers_has_a_bar_for_each():
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    axes = Figure().add_subplot()
    chart = drawn(pd.DataFrame({"rating": [1, 2, 2, 5]}), "hist")
    histogram(axes, chart, THEMES["light"], edges([chart]))
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
    assert number(value, largest) == text


@pytest.mark.parametrize(
    ("name", "text"), [("unit_price", "Unit price"), ("body_mass_g", "Body mass (g)"), ("m", "M"), ("été", "Été")]
)
def test_names_become_words(name, text):
    assert words(name) == text


def test_dollars_markup_and_any_script_are_drawn_as_they_are(recwarn):
    frame = pd.DataFrame({"c": ["$a_1$", "東京", "<b>"], "v_$": [1, 2, 3]})
    draw(frame, title="Costs $x_1$ \N{GRINNING FACE}")
    assert not recwarn.list


# Panels, error bars, themes


GROUPS = pd.DataFrame(
    {
        "site": ["a", "a", "b", "b", "b"],
        "year": [2020, 2021, 2020, 2021, 2022],
        "depth_m": [1.0, 2.0, 10.0, 12.0, 11.0],
        "error": [0.1, 0.2, 0.5, 0.5, None],
    }
)


def axes_of(charts: Any, theme: Any = "light") -> Any:
    """The axes of a figure, drawn as the picture draws them."""
    import matplotlib.figure

    made: list[Any] = []

    class Kept(matplotlib.figure.Figure):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            made.append(self)

    real, matplotlib.figure.Figure = matplotlib.figure.Figure, Kept  # type: ignore[misc]  # matplotlib's, not ours
    try:
        assert png(charts, theme)
    finally:
        matplotlib.figure.Figure = real  # type: ignore[misc]  # as above
    return made[0].axes


def test_panels_have_one_scale_and_the_same_places():
    charts = prepare_all(GROUPS, "bar", "year", ["depth_m"], facet="site")
    assert [(chart.name, chart.labels) for chart in charts] == [
        ("a", ["2020", "2021", "2022"]),
        ("b", ["2020", "2021", "2022"]),
    ]
    titled(charts, "", "", "")
    first, second = axes_of(charts)
    assert first.get_ylim() == second.get_ylim()
    assert first.get_title(loc="left") == "a"
    image = draw(GROUPS, x="year", y=["depth_m"], facet="site")
    assert image.title == "Depth by year and site"
    assert image.alt.startswith(
        "2 bar charts to one scale: Depth by year and site. a: Depth (m) from 1 to 2. b: Depth (m)"
    )


def test_histograms_beside_each_other_count_in_the_same_bars():
    frame = pd.DataFrame({"g": ["a"] * 50 + ["b"] * 5, "v": [n / 7 for n in range(50)] + [1.0, 20.0, 3.0, 4.0, 5.5]})
    charts = prepare_all(frame, "hist", "v", [], facet="g")
    titled(charts, "", "", "")
    bars = [[round(bar.get_x(), 6) for bar in axes.patches] for axes in axes_of(charts)]
    assert bars[0] == bars[1]


def test_error_bars_are_of_the_length_that_the_column_holds():
    chart = prepare(GROUPS[GROUPS.site == "b"], "line", "year", ["depth_m"], ["error"])
    below, above = chart.errors["depth_m"]
    assert below.tolist()[:2] == above.tolist()[:2] == [0.5, 0.5]
    assert chart.extent == (9.5, 12.5)
    ends = GROUPS.assign(low=GROUPS.depth_m - 1, high=GROUPS.depth_m + 2)
    chart = prepare(ends[ends.site == "b"], "line", "year", ["depth_m"], ["low", "high"])
    assert [side.tolist() for side in chart.errors["depth_m"]] == [[1.0] * 3, [2.0] * 3]
    assert (
        "error bars: from low to high"
        in draw(ends, "bar", x="year", y=["depth_m"], error=["low", "high"], facet="site").alt
    )
    assert "error bars: error." in draw(GROUPS, "scatter", x="year", y=["depth_m"], error=["error"]).alt


def test_error_bars_follow_their_rows_into_series_of_another_column():
    chart = prepare(GROUPS, "line", "year", ["depth_m"], ["error"])
    assert chart.by == "site"
    assert chart.errors["b"][0].tolist()[:2] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"facet": "no"}, "no column 'no'"),
        ({"facet": "year", "x": "year"}, "drawn already"),
        ({"error": ["site"], "x": "year", "y": ["depth_m"]}, "holds no numbers"),
        ({"error": ["error", "error", "error"], "x": "year", "y": ["depth_m"]}, "3 columns of errors for 1"),
        ({"error": ["depth_m", "error"], "x": "year", "y": ["depth_m"]}, "negative length"),
    ],
)
def test_what_cannot_be_panels_or_errors_is_one_line(options, said):
    assert said in refusal(GROUPS, "scatter", **options)


def test_too_many_panels_are_refused():
    frame = pd.DataFrame({"g": [f"g{n}" for n in range(10)], "c": "x", "v": range(10)})
    assert "10 panels are too many" in refusal(frame, "bar", x="c", y=["v"], facet="g")


def test_times_across_a_change_of_clocks_are_drawn_in_utc_and_say_so():
    hours = pd.date_range("2026-10-24 20:00", periods=12, freq="h", tz="Europe/Berlin")
    summer = pd.date_range("2026-07-01", periods=3, freq="h", tz="Europe/Berlin")
    image = draw(pd.DataFrame({"time": hours, "v": range(12)}), "line")
    assert "Time (UTC): 24 Oct 2026 18:00" in image.alt
    assert "Time (Europe/Berlin): 01 Jul 2026 00:00" in draw(pd.DataFrame({"time": summer, "v": range(3)}), "line").alt


def test_a_dark_chart_is_dark_and_says_the_same():
    from PIL import Image

    light, dark = draw(REGIONS), draw(REGIONS, theme="dark")
    assert light.alt == dark.alt
    assert Image.open(io.BytesIO(dark.png)).convert("L").getpixel((2, 2)) < 40
    assert Image.open(io.BytesIO(light.png)).convert("L").getpixel((2, 2)) == 255


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", THEMES)
def test_every_colour_stands_out_from_its_ground(name):
    theme = THEMES[name]
    ground = luminance(theme.ground)
    for colour in (*theme.colours, theme.ink, theme.quiet):
        bright, dim = sorted((luminance(colour) + 0.05, ground + 0.05), reverse=True)
        assert bright / dim >= 3, (name, colour)  # what WCAG asks of graphics


# Machado, Oliveira and Fernandes 2009: how the three kinds of colour blindness see linear RGB.
SEEN = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}


def lab(colour: str, matrix: list[list[float]]) -> tuple[float, float, float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    r, g, b = (min(1.0, max(0.0, sum(k * v for k, v in zip(row, linear, strict=True)))) for row in matrix)
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("vision", SEEN)
def test_no_two_colours_look_alike_to_any_eyes(name, vision):
    seen = {colour: lab(colour, SEEN[vision]) for colour in THEMES[name].colours}
    nearest = min((math.dist(seen[one], seen[other]), one, other) for one, other in itertools.combinations(seen, 2))
    assert nearest[0] >= 10, nearest
