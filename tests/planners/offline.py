"""What the tests of planning without a model share: tables, tools, and a score that compares result sets."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd

from tests.planners.requests import SCOPE, tool
from workbench.core.events import Event, Kind
from workbench.core.request import Request, Variable
from workbench.core.tools import ToolSpec
from workbench.offer import profile
from workbench.planners.base import Planned
from workbench.planners.grammar import GrammarPlanner

TODAY = "2026-11-23"
_TEXT, _NUMBER, _FRAME = {"type": "string"}, {"type": "integer"}, {"x-frame": True}
TOOLS: Mapping[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        tool(
            "query_data",
            {"sql": _TEXT, "tables": {"type": "object", "additionalProperties": _FRAME}, "title": _TEXT},
            "sql",
            "tables",
            examples=("total revenue by region", "the ten largest orders of 2025"),
        ),
        tool(
            "plot",
            {
                "data": _FRAME,
                "kind": {"enum": ["bar", "line", "scatter", "hist"]},
                "x": _TEXT,
                "y": {"type": "array", "items": _TEXT},
                "title": _TEXT,
                "x_label": _TEXT,
                "y_label": _TEXT,
            },
            examples=("plot monthly revenue as a line chart",),
        ),
        tool(
            "search_documents",
            {"query": _TEXT, "folder": _TEXT, "limit": _NUMBER},
            "query",
            examples=("find documents in {folder} about {query}", "search the documents for {query}"),
        ),
        tool("web_search", {"query": _TEXT, "max_results": _NUMBER}, "query", examples=("search the web for {query}",)),
        tool("remember", {"text": _TEXT, "kind": _TEXT}, "text", examples=("remember that our office is in Lisbon",)),
        tool(
            "recall",
            {"question": _TEXT, "limit": _NUMBER},
            "question",
            examples=("what do you remember about {question}?", "recall {question}"),
        ),
        tool("speak", {"path": _TEXT}, "path", examples=("read the file notes.txt aloud",)),
        tool("image", {"text": _TEXT}, "text", examples=("draw a wireframe of {text}",)),
    )
}


def tell(kind: Kind, body: Mapping[str, Any]) -> Event:
    return Event(run="r", seq=0, at=TODAY, kind=kind, body=body)


def plan(text: str, variables: Sequence[Variable], tools: Mapping[str, ToolSpec] = TOOLS) -> Planned:
    """The plan of a request on a fixed day. Raises Refused."""
    request = Request(text=text, scope=SCOPE, today=TODAY, variables=tuple(variables))
    return asyncio.run(GrammarPlanner().plan(request, tools, tell))


def offered(frames: Mapping[str, pd.DataFrame]) -> list[Variable]:
    return [profile(name, frame) for name, frame in frames.items()]


def database(frames: Mapping[str, pd.DataFrame]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    for name, frame in frames.items():
        connection.register(name, frame)
    return connection


def run(planned: Planned, frames: Mapping[str, pd.DataFrame]) -> list[tuple[Any, ...]]:
    """The rows of the plan's query over the tables that it names."""
    step = planned.plan.steps[0]
    return database({name: frames[name] for name in step.params["tables"]}).execute(step.params["sql"]).fetchall()


def chart(planned: Planned) -> str | None:
    """The kind of chart that a plan draws."""
    return next((step.params["kind"] for step in planned.plan.steps if step.task == "plot"), None)


def same(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]], *, ordered: bool) -> bool:
    """Whether two result sets are equal: dates at midnight are days, numbers equal to 1e-6 relative."""
    left, right = [[_plain(v) for v in row] for row in found], [[_plain(v) for v in row] for row in expected]
    if not ordered:
        left, right = sorted(left, key=_order), sorted(right, key=_order)
    return len(left) == len(right) and all(
        len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(left, right, strict=True)
    )


def _plain(value: Any) -> Any:
    match value:
        case bool():
            return value
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.date():
            return value.isoformat()
        case decimal.Decimal() | int() | float():
            return None if math.isnan(value) else float(value)
        case _:
            return value


def _order(row: list[Any]) -> list[tuple[str, Any]]:
    return [(type(v).__name__, "" if v is None else f"{v:.5g}" if isinstance(v, float) else v) for v in row]


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9)
    return bool(left == right)


# -- two worlds that have nothing to do with sales ---------------------------------------------------------------------


def support() -> dict[str, pd.DataFrame]:
    """A help desk: tickets with two dates, a flag and gaps; clients; and a small table of countries."""
    r = random.Random(7)
    count = 300
    opened = [datetime.date(2024, 1, 1) + datetime.timedelta(days=r.randrange(700)) for _ in range(count)]
    hours = [round(r.uniform(1, 90), 1) for _ in range(count)]
    tickets = pd.DataFrame(
        {
            "ticket_id": range(1, count + 1),
            "opened_at": [day.isoformat() for day in opened],
            "closed_at": [
                (day + datetime.timedelta(hours=hour)).isoformat()[:10] for day, hour in zip(opened, hours, strict=True)
            ],
            "priority": [r.choice(["urgent", "high", "normal", "low"]) for _ in range(count)],
            "status": [r.choice(["open", "closed", "waiting"]) for _ in range(count)],
            "channel": [r.choice(["email", "phone", "chat"]) for _ in range(count)],
            "agent": [r.choice(["Ana", "Ben", "Cleo", "Dev"]) for _ in range(count)],
            "customer_id": [r.randrange(1, 41) for _ in range(count)],
            "resolution_hours": hours,
            "satisfaction": [r.choice([1, 2, 3, 4, 5, None]) for _ in range(count)],
            "reopened": [r.random() < 0.2 for _ in range(count)],
            "cost": [round(r.uniform(5, 400), 2) for _ in range(count)],
        }
    )
    clients = pd.DataFrame(
        {
            "customer_id": range(1, 41),
            "name": [f"Client {n}" for n in range(1, 41)],
            "plan": [r.choice(["free", "pro", "enterprise"]) for _ in range(40)],
            "seats": [r.randrange(1, 100) for _ in range(40)],
            "joined": [f"20{r.randrange(15, 24)}-0{r.randrange(1, 10)}-11" for _ in range(40)],
        }
    )
    countries = pd.DataFrame(
        {
            "country": ["Spain", "Norway", "Chile", "Japan", "Kenya", "Peru"],
            "continent": ["Europe", "Europe", "America", "Asia", "Africa", "America"],
            "population": [48, 5, 20, 124, 55, 34],
        }
    )
    return {"tickets": tickets, "clients": clients, "countries": countries}


def weather() -> dict[str, pd.DataFrame]:
    """Weather stations with a timestamp and units in the names; flights with two places and a bare year."""
    r = random.Random(11)
    count = 400
    start = datetime.datetime(2024, 1, 1)  # noqa: DTZ001 - the readings have no zone
    readings = pd.DataFrame(
        {
            "ts": [start + datetime.timedelta(hours=9 * n) for n in range(count)],
            "station": [r.choice(["Harbour", "Airport", "Old Town"]) for _ in range(count)],
            "temperature_c": [round(r.gauss(12, 6), 1) for _ in range(count)],
            "humidity_pct": [round(r.uniform(30, 95), 1) for _ in range(count)],
            "rainfall_mm": [round(max(0.0, r.gauss(1, 3)), 1) for _ in range(count)],
            "wind_speed": [round(r.uniform(0, 25), 1) for _ in range(count)],
            "quality": [r.choice(["ok", "suspect", "fault"]) for _ in range(count)],
        }
    )
    flights = pd.DataFrame(
        {
            "flight_no": [f"F{n}" for n in range(count)],
            "origin": [r.choice(["Oslo", "Paris", "Rome"]) for _ in range(count)],
            "dest": [r.choice(["Oslo", "Paris", "Rome", "Lima"]) for _ in range(count)],
            "carrier": [r.choice(["AA", "BB", "Nordic Air"]) for _ in range(count)],
            "passengers": [r.randrange(50, 300) for _ in range(count)],
            "distance_km": [r.randrange(300, 9000) for _ in range(count)],
            "year": [r.choice([2022, 2023, 2024]) for _ in range(count)],
        }
    )
    return {"readings": readings, "flights": flights}


def workshop() -> dict[str, pd.DataFrame]:
    """Rides with gaps, zeros and a flag; and readings of machines, a table whose name is also one of its columns."""
    r = random.Random(13)
    count = 300
    start = datetime.datetime(2025, 1, 1)  # noqa: DTZ001 - local times
    rides = pd.DataFrame(
        {
            "ride_id": range(count),
            "started_at": [start + datetime.timedelta(hours=r.randrange(12_000)) for _ in range(count)],
            "city": [r.choice(["Lyon", "Bonn", "Ghent"]) for _ in range(count)],
            "driver": [r.choice(["Max", "Zoe", "Ivy"]) for _ in range(count)],
            "distance_km": [round(r.uniform(1, 30), 1) for _ in range(count)],
            "fare": [round(r.uniform(4, 60), 2) for _ in range(count)],
            "tip": [r.choice([0.0, 1.0, 2.5, None]) for _ in range(count)],
            "rating": [r.choice([3, 4, 5]) for _ in range(count)],
            "cancelled": [r.random() < 0.2 for _ in range(count)],
            "payment_method": [r.choice(["cash", "card"]) for _ in range(count)],
        }
    )
    machines = pd.DataFrame(
        {
            "machine": [r.choice(["M1", "M2", "M10"]) for _ in range(count)],
            "line": [r.choice(["A", "B"]) for _ in range(count)],
            "date": [(start + datetime.timedelta(days=n // 2)).date() for n in range(count)],
            "shift": [r.choice(["early", "late", "night"]) for _ in range(count)],
            "output": [r.randrange(50, 200) for _ in range(count)],
            "defects": [r.randrange(9) for _ in range(count)],
        }
    )
    return {"rides": rides, "machines": machines}


def garage() -> dict[str, pd.DataFrame]:
    """Cars with sizes and a price; people with an age, a sex, a salary and a day of hiring; a series of quarters."""
    r = random.Random(3)
    count = 240
    cars = pd.DataFrame(
        {
            "model": [f"{r.choice(['Astra', 'Corsa', 'Golf', 'Polo'])} {n}" for n in range(count)],
            "maker": [r.choice(["Opel", "VW", "Ford"]) for _ in range(count)],
            "origin": [r.choice(["europe", "japan", "usa"]) for _ in range(count)],
            "mpg": [round(r.uniform(10, 45), 1) for _ in range(count)],
            "cylinders": [r.choice([4, 6, 8]) for _ in range(count)],
            "weight": r.sample(range(1600, 5000), count),
            "model_year": [r.randrange(1970, 1983) for _ in range(count)],
            "price": r.sample(range(5000, 60000), count),
            "discount": [r.choice([0.0, 0.05, 0.1, 0.2]) for _ in range(count)],
            "electric": [r.random() < 0.3 for _ in range(count)],
        }
    )
    hired = r.sample(range(4300), count)
    employees = pd.DataFrame(
        {
            "employee_id": range(count),
            "name": [f"{r.choice(['Ann', 'Bob', 'Carla'])} {r.choice(['Smith', 'Jones'])}{n}" for n in range(count)],
            "department": [r.choice(["Sales", "Engineering", "Marketing"]) for _ in range(count)],
            "gender": [r.choice(["female", "male"]) for _ in range(count)],
            "hired_on": [(datetime.date(2015, 1, 1) + datetime.timedelta(days=n)).isoformat() for n in hired],
            "salary": r.sample(range(30000, 120000), count),
            "age": [r.randrange(20, 66) for _ in range(count)],
            "office": [r.choice(["Berlin", "Paris", "Oslo"]) for _ in range(count)],
            "remote": [r.choice(["yes", "no"]) for _ in range(count)],
            "bonus": [r.choice([0, 500, 1000]) for _ in range(count)],
            "revenue": [round(r.uniform(10, 900), 2) for _ in range(count)],
        }
    )
    economy = pd.DataFrame(
        {
            "quarter_start": pd.date_range("2000-01-01", periods=96, freq="QS"),
            "gdp": [round(9000 + n * 55 + r.uniform(-80, 80), 1) for n in range(96)],
        }
    )
    return {"cars": cars, "employees": employees, "economy": economy}


def season() -> dict[str, pd.DataFrame]:
    """Matches with a day, a crowd and gaps; plants with a price, a size and a rate between 0 and 1."""
    r = random.Random(99)
    count = 420
    matches = pd.DataFrame(
        {
            "match_id": range(1, count + 1),
            "played_on": [
                (datetime.date(2024, 8, 1) + datetime.timedelta(days=r.randrange(830))).isoformat()
                for _ in range(count)
            ],
            "home_team": [r.choice(["Lions", "Hawks", "Sharks", "Bears"]) for _ in range(count)],
            "away_team": [r.choice(["Wolves", "Eagles", "Tigers"]) for _ in range(count)],
            "stadium": [r.choice(["North Park", "Old Oak", "Riverside"]) for _ in range(count)],
            "goals": [r.randrange(0, 9) for _ in range(count)],
            "attendance": r.sample(range(500, 60000), count),
            "ticket_price": [r.choice([10.0, 15.0, 22.5, 30.0]) for _ in range(count)],
            "duration_min": [r.randrange(88, 125) for _ in range(count)],
            "referee": [r.choice(["Adams", "Brandt", "Costa", None]) for _ in range(count)],
            "rainy": [r.random() < 0.3 for _ in range(count)],
            "temperature_c": [round(r.gauss(14, 7), 1) for _ in range(count)],
        }
    )
    start = datetime.datetime(2025, 1, 1)  # noqa: DTZ001 - days
    names = [f"{r.choice(['Sweet', 'Wild', 'Dwarf'])} {r.choice(['Rose', 'Fern', 'Maple'])} {n}" for n in range(300)]
    plants = pd.DataFrame(
        {
            "plant_id": range(300),
            "common_name": names,
            "family": [r.choice(["Rosaceae", "Lamiaceae", "Sapindaceae"]) for _ in range(300)],
            "sunlight": [r.choice(["full", "partial", "shade"]) for _ in range(300)],
            "height_cm": r.sample(range(5, 900), 300),
            "price": [round(2 + n * 0.37, 2) for n in r.sample(range(300), 300)],
            "stock": [r.randrange(0, 200) for _ in range(300)],
            "edible": [r.choice(["yes", "no"]) for _ in range(300)],
            "added": pd.to_datetime([start + datetime.timedelta(days=r.randrange(690)) for _ in range(300)]),
            "germination_rate": [round(r.uniform(0.2, 0.99), 3) for _ in range(300)],
            "supplier": [r.choice(["Greenco", "Florabel", "Ostara"]) for _ in range(300)],
        }
    )
    return {"matches": matches, "plants": plants}
