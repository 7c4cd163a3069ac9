"""The sample tables come from their generator, and the documents tell the truth about them."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

TABLES = ["customers.csv", "sales.csv"]


@pytest.fixture(scope="module")
def sales(samples: Path) -> pd.DataFrame:
    return pd.read_csv(samples / "sales.csv", parse_dates=["order_date"])


@pytest.fixture(scope="module")
def customers(samples: Path) -> pd.DataFrame:
    return pd.read_csv(samples / "customers.csv", parse_dates=["signup_date"])


def document(samples: Path, name: str) -> str:
    return (samples / "documents" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_the_generator_writes_the_committed_bytes(samples: Path, tmp_path: Path, name: str):
    runpy.run_path(str(samples / "generate.py"))["generate"](tmp_path)
    assert (tmp_path / name).read_bytes() == (samples / name).read_bytes()


def test_each_order_adds_up_and_belongs_to_a_customer(sales: pd.DataFrame, customers: pd.DataFrame):
    assert list(sales.order_id) == list(range(1, len(sales) + 1))
    assert ((sales.units * sales.unit_price * (1 - sales.discount) - sales.revenue).abs() < 0.0051).all()
    joined = sales.merge(customers, on="customer_id", validate="many_to_one")
    assert len(joined) == len(sales)
    assert (joined.signup_date <= joined.order_date).all()
    assert (joined.groupby("country").city.nunique() == 1).all()


def test_the_seasons_are_there(sales: pd.DataFrame):
    months = sales[sales.order_date < "2026"].groupby(sales.order_date.dt.month).revenue.sum()
    assert set(months.nlargest(3).index) & {11, 12}
    assert months.idxmin() in {7, 8}
    weekdays = sales.groupby(sales.order_date.dt.day_of_week).size()
    assert weekdays.idxmin() == 6


def test_documents_are_short(samples: Path):
    files = sorted((samples / "documents").iterdir())
    lengths = {file.name: len(file.read_text(encoding="utf-8").split()) for file in files}
    assert len(files) >= 12
    assert {name: words for name, words in lengths.items() if not 100 <= words <= 250} == {}


def test_the_meeting_notes_quote_the_table(samples: Path, sales: pd.DataFrame):
    notes = document(samples, "meeting-notes-2026-01-15.md")
    regions = sales.pivot_table(
        index="region", columns=sales.order_date.dt.year.rename("year"), values="revenue", aggfunc="sum"
    )
    growth = (regions[2025] / regions[2024] - 1) * 100
    online = sales[(sales.order_date.dt.year == 2025) & (sales.channel == "online")].revenue.sum()
    for amount in (regions[2025].sum(), regions[2024].sum(), regions[2025]["West"], regions[2025]["East"], online):
        assert f"{amount:,.0f} EUR" in notes
    assert growth.idxmax() == "East"
    for words, region in {
        "by 21 % to": "East",
        "grew by 14 %": "North",
        "South and West by 11 %": "South",
        "West by 11 %": "West",
    }.items():
        assert words in " ".join(notes.split())
        assert f"{growth[region]:.0f} %" in words


def test_the_first_task_of_an_analyst_has_the_right_solution(samples: Path, sales: pd.DataFrame):
    year = sales[sales.order_date.dt.year == 2025]
    assert f"{year.revenue.sum():,.2f} EUR from {len(year)} orders" in document(samples, "onboarding.md")


def test_the_web_shop_was_down(sales: pd.DataFrame):
    outage = sales[sales.order_date.between("2025-03-12", "2025-03-13")]
    assert len(outage) > 0
    assert "online" not in set(outage.channel)


def test_nobody_orders_on_the_two_holidays(sales: pd.DataFrame):
    assert not set(sales.order_date.dt.strftime("%m-%d")) & {"12-25", "01-01"}


def test_the_price_of_a_chair_rose_as_the_notes_say(samples: Path, sales: pd.DataFrame):
    chairs = sales[sales["product"] == "Chair"].set_index("order_date").unit_price
    before, after = chairs["2024-10":"2024-12"].unique(), chairs["2025-01":"2025-03"].unique()
    assert f"from {before.item():.2f} to {after.item():.2f} EUR" in document(samples, "pricing-notes-2025.md")


def test_regions_and_segments_are_as_defined(samples: Path, sales: pd.DataFrame, customers: pd.DataFrame):
    definitions = document(samples, "region-definitions.md")
    for region, countries in sales.groupby("region", sort=False).country.unique().items():
        assert f"**{region}**: " in definitions
        assert all(country in definitions.split(f"**{region}**: ")[1].splitlines()[0] for country in countries)
    segments = document(samples, "customer-segments.md")
    for segment, accounts in customers.segment.value_counts().items():
        assert f"**{segment}** ({accounts} accounts)" in segments
