"""Write customers.csv and sales.csv, the order book of a company that does not exist.

    python data/samples/generate.py [FOLDER]

The same bytes come out on every machine and Python version: all chance is `random.Random(SEED).random()`, the one
method whose sequence Python promises to keep, and floats are added by `fsum`, because `sum` adds them differently since
Python 3.12. Behind the numbers stands a small story, told in words in `documents/`:

* demand has a Q4 peak, a July dip and a weekly rhythm; stationery has a second peak when schools open;
* every region grows at its own pace, East fastest from a small base;
* prices follow a list that is revised each quarter; furniture rose by 6 % on 1 January 2025;
* the web shop was down on 12 and 13 March 2025; nobody orders on 25 December and 1 January.
"""

import csv
import sys
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from itertools import accumulate
from math import fsum
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")

SEED = 2114
FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2026, 10, 31)
OUTAGE = (date(2025, 3, 12), date(2025, 3, 13))
CLOSED = ((12, 25), (1, 1))
SALE = ((11, 20), (11, 30))  # the Autumn Sale, first and last day
ORDERS_IN_2023 = 680  # all regions together; later years follow from GROWTH

CITIES = {
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Ireland": "Dublin",
    "France": "Paris",
    "Spain": "Madrid",
    "Italy": "Rome",
    "Poland": "Warsaw",
    "Romania": "Bucharest",
}
REGIONS = {
    "North": ("Norway", "Sweden"),
    "West": ("Ireland", "France"),
    "South": ("Spain", "Italy"),
    "East": ("Poland", "Romania"),
}
SHARE_IN_2023 = {"North": 0.32, "West": 0.38, "South": 0.20, "East": 0.10}
GROWTH = {"North": 0.09, "West": 0.05, "South": 0.16, "East": 0.32}  # more orders each year, as a fraction

MONTHS = (0.92, 0.90, 1.00, 0.96, 0.95, 0.93, 0.72, 0.86, 1.04, 1.12, 1.38, 1.30)
SCHOOLS_OPEN = {8: 1.7, 9: 1.9}  # stationery only
WEEKDAYS = (1.25, 1.20, 1.15, 1.10, 0.95, 0.55, 0.35)  # Monday first

CHANNELS = {"online": 0.58, "store": 0.30, "partner": 0.12}
SEGMENTS = {"Consumer": 0.55, "Corporate": 0.30, "Public": 0.15}
LARGEST_ORDER = {"Consumer": 5, "Corporate": 16, "Public": 24}  # units of something cheap
CREDIT_LIMITS = {"Consumer": (1000, 2500), "Corporate": (5000, 10000, 20000), "Public": (10000, 20000)}
NAME_BEGINNINGS = (
    "Alder", "Borea", "Cinder", "Dapple", "Ember", "Fjord", "Garnet", "Hazel", "Iris", "Juno", "Kestrel", "Linden",
    "Nimbus", "Otter", "Poplar", "Quarry", "Rowan", "Saffron", "Thistle", "Umber", "Violet", "Willow",
)  # fmt: skip
NAME_ENDINGS = {
    "Consumer": ("Atelier", "Bakery", "Books", "Café", "Studio"),
    "Corporate": ("Logistics", "Media", "Partners", "Systems", "Works"),
    "Public": ("Clinic", "Council", "Library", "Museum", "School"),
}


@dataclass(frozen=True, slots=True)
class Product:
    name: str
    category: str
    price: float  # EUR in January 2023
    drift: float  # yearly change of the list price, as a fraction
    demand: float  # relative number of orders
    rating: float  # what an average customer gives, 1 to 5
    launched: date = FIRST_DAY

    def listed(self, day: date) -> float:
        """List price on that day in EUR: revised each quarter, in steps of 5 cents."""
        quarters = (day.year - FIRST_DAY.year) * 4 + (day.month - 1) // 3
        rise = 1.06 if self.category == "Furniture" and day >= date(2025, 1, 1) else 1.0
        return round(round(self.price * (1 + self.drift * quarters / 4) * rise / 0.05) * 0.05, 2)


PRODUCTS = (
    Product("Laptop", "Electronics", 749.00, -0.01, 0.7, 4.2),
    Product("Monitor", "Electronics", 249.00, -0.01, 0.9, 4.1),
    Product("Keyboard", "Electronics", 54.90, 0.01, 1.2, 3.9),
    Product("Mouse", "Electronics", 24.90, 0.01, 1.5, 3.8),
    Product("Headset", "Electronics", 89.00, -0.01, 0.8, 3.4, launched=date(2024, 3, 1)),
    Product("Desk", "Furniture", 329.00, 0.03, 0.6, 4.0),
    Product("Chair", "Furniture", 189.00, 0.03, 0.9, 4.3),
    Product("Lamp", "Furniture", 39.50, 0.03, 0.8, 3.7),
    Product("Notebook", "Stationery", 6.40, 0.05, 1.6, 4.0),
    Product("Pen", "Stationery", 3.80, 0.05, 1.5, 3.6),
)


@dataclass(frozen=True, slots=True)
class Customer:
    customer_id: int
    name: str
    segment: str
    city: str
    signup_date: date
    credit_limit: int


@dataclass(frozen=True, slots=True)
class Order:
    order_id: int
    order_date: date
    region: str
    country: str
    product: str
    category: str
    channel: str
    customer_id: int
    units: int
    unit_price: float
    discount: float
    revenue: float
    rating: int | None


class Dice:
    """The draws that the story needs, each made from `random()` alone."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def pick(self, choices: Sequence[T], weights: Iterable[float] = ()) -> T:
        sums = list(accumulate(weights)) or range(1, len(choices) + 1)
        return choices[min(bisect(sums, self.random() * sums[-1]), len(choices) - 1)]

    def day(self, first: date, last: date) -> date:
        return first + timedelta(int(self.random() * ((last - first).days + 1)))


def customers(dice: Dice) -> list[Customer]:
    """120 customers; most were there before the first order, the rest signed up along the way."""
    names: set[str] = set()
    people = []
    for number in range(1, 121):
        segment = dice.pick(list(SEGMENTS), SEGMENTS.values())
        while (name := f"{dice.pick(NAME_BEGINNINGS)} {dice.pick(NAME_ENDINGS[segment])}") in names:
            pass
        names.add(name)
        country = list(CITIES)[(number - 1) % len(CITIES)]
        early = number <= 2 * len(CITIES) or dice.random() < 0.55
        signup = dice.day(date(2019, 1, 7), date(2022, 12, 30)) if early else dice.day(FIRST_DAY, date(2026, 6, 30))
        people.append(Customer(number, name, segment, CITIES[country], signup, dice.pick(CREDIT_LIMITS[segment])))
    return people


def orders_expected(region: str, day: date) -> float:
    """How many orders the region's day would bring on average."""
    if (day.month, day.day) in CLOSED:
        return 0.0
    years = (day - date(2023, 7, 1)).days / 365.25
    pace: float = ORDERS_IN_2023 / 365 * SHARE_IN_2023[region] * (1 + GROWTH[region]) ** years
    return pace * MONTHS[day.month - 1] * WEEKDAYS[day.weekday()] / (fsum(WEEKDAYS) / 7)


def next_product(dice: Dice, due: dict[Product, float], day: date) -> Product:
    """Deal products in proportion to demand; `due` holds what a region is owed.

    Dealt and not drawn: else a few laptops more or less would drown the seasons and a region's growth in noise.
    """
    school = SCHOOLS_OPEN.get(day.month, 1.0)
    demand = {p: p.demand * (school if p.category == "Stationery" else 1) for p in PRODUCTS if p.launched <= day}
    for product, wanted in demand.items():
        due[product] += wanted / fsum(demand.values())
    chosen = max(demand, key=lambda p: due[p] + dice.random())
    due[chosen] -= 1
    return chosen


def discount_of(dice: Dice, channel: str, units: int, day: date) -> float:
    """The best one applies: Autumn Sale 20 %, partners 10 %, ten units or more 5 %."""
    if SALE[0] <= (day.month, day.day) <= SALE[1] and channel != "partner" and dice.random() < 0.6:
        return 0.2
    if channel == "partner":
        return 0.1
    return 0.05 if units >= 10 else 0.0


def rating_of(dice: Dice, product: Product, channel: str) -> int | None:
    """One to five stars; whoever buys in a store or through a partner often leaves none."""
    if dice.random() < {"online": 0.07, "store": 0.22, "partner": 0.35}[channel]:
        return None
    mood = (dice.random() + dice.random() + dice.random() - 1.5) * 2.2
    return max(1, min(5, round(product.rating + mood)))


def orders(dice: Dice, people: Sequence[Customer]) -> list[Order]:
    """Every order of the company, in the order of its days."""
    book: list[Order] = []
    due = {region: dict.fromkeys(PRODUCTS, 0.0) for region in REGIONS}
    for day in (FIRST_DAY + timedelta(n) for n in range((LAST_DAY - FIRST_DAY).days + 1)):
        for region, countries in REGIONS.items():
            for _ in range(int(orders_expected(region, day) + dice.random())):
                channel = dice.pick(list(CHANNELS), CHANNELS.values())
                if (channel == "online" and day in OUTAGE) or (channel == "store" and day.weekday() == 6):
                    continue
                country = dice.pick(countries, (0.45, 0.55))
                buyer = dice.pick([p for p in people if p.city == CITIES[country] and p.signup_date <= day])
                product = next_product(dice, due[region], day)
                price = product.listed(day)
                largest = LARGEST_ORDER[buyer.segment] / (
                    0.5 if price < 10 else 1 if price < 30 else 2 if price < 150 else 5
                )
                units = 1 + int(dice.random() ** 2 * largest)
                discount = discount_of(dice, channel, units, day)
                revenue = round(units * price * (1 - discount), 2)
                rating = rating_of(dice, product, channel)
                book.append(
                    Order(
                        order_id=len(book) + 1,
                        order_date=day,
                        region=region,
                        country=country,
                        product=product.name,
                        category=product.category,
                        channel=channel,
                        customer_id=buyer.customer_id,
                        units=units,
                        unit_price=price,
                        discount=discount,
                        revenue=revenue,
                        rating=rating,
                    )
                )
    return book


def text(value: object) -> str:
    """A cell of the file: a missing value is empty, money has two decimals, a discount none that it does not need."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}" if value >= 1 or value == 0 else f"{value:g}"
        case _:
            return str(value)


def write(path: Path, records: Sequence[Customer] | Sequence[Order]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(records[0]))
        table.writerows([text(value) for value in astuple(record)] for record in records)


def generate(folder: Path) -> None:
    """Write both files into `folder`, which must exist."""
    dice = Dice(SEED)
    people = customers(dice)
    write(folder / "customers.csv", people)
    write(folder / "sales.csv", orders(dice, people))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
