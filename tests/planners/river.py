"""Two worlds for questions by someone who had not read the grammar: a hotel's bookings, and samples of two rivers."""

from __future__ import annotations

import datetime
import random

import pandas as pd


def hotel() -> dict[str, pd.DataFrame]:
    """Bookings with a price in two currencies, a day of arrival and one of cancelling that most do not have; guests."""
    r = random.Random(48)
    count = 480
    arrivals = [datetime.date(2024, 3, 1) + datetime.timedelta(days=r.randrange(980)) for _ in range(count)]
    bookings = pd.DataFrame(
        {
            "booking_id": range(5001, 5001 + count),
            "guest_id": [r.randrange(1, 151) for _ in range(count)],
            "hotel": [r.choice(["Sea View", "Grand", "Park Inn"]) for _ in range(count)],
            "room_type": [r.choice(["single", "double", "suite", "family"]) for _ in range(count)],
            "arrival_date": [day.isoformat() for day in arrivals],
            "cancelled_on": [
                (day - datetime.timedelta(days=r.randrange(1, 30))).isoformat() if r.random() < 0.2 else None
                for day in arrivals
            ],
            "nights": [r.randrange(1, 12) for _ in range(count)],
            "adults": [r.randrange(1, 5) for _ in range(count)],
            "price_eur": [round(r.uniform(60, 1500), 2) for _ in range(count)],
            "price_usd": [round(r.uniform(65, 1650), 2) for _ in range(count)],
            "breakfast": [r.random() < 0.6 for _ in range(count)],
            "source": [r.choice(["website", "agency", "phone", "walk-in"]) for _ in range(count)],
            "review score": [r.choice([None, *range(1, 11)]) for _ in range(count)],
            "agent code": [r.choice([11, 12, 27]) for _ in range(count)],
        }
    )
    guests = pd.DataFrame(
        {
            "guest_id": range(1, 151),
            "country": [r.choice(["Italy", "Canada", "Japan", "Jordan"]) for _ in range(150)],
            "loyalty": [r.choice(["gold", "silver", "none"]) for _ in range(150)],
            "vip": [r.choice(["Y", "N"]) for _ in range(150)],
            "birth_year": [r.randrange(1940, 2006) for _ in range(150)],
        }
    )
    return {"bookings": bookings, "guests": guests}


def river() -> dict[str, pd.DataFrame]:
    """Samples every eight hours; one site has the name of a month, one column a cubic unit, one flag is 1 or 0."""
    r = random.Random(49)
    count = 900
    start = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - the samples have no zone
    samples = pd.DataFrame(
        {
            "sampled_at": [start + datetime.timedelta(hours=8 * n) for n in range(count)],
            "site": [r.choice(["Upper Ford", "Mill", "Delta", "March"]) for _ in range(count)],
            "river": [r.choice(["Avon", "Stour"]) for _ in range(count)],
            "ph": [round(r.gauss(7.4, 0.4), 2) for _ in range(count)],
            "nitrate_mg_l": [r.choice([None, *[round(r.uniform(0, 14), 2) for _ in range(7)]]) for _ in range(count)],
            "flow_m3s": [round(r.uniform(2, 90), 1) for _ in range(count)],
            "water_temp_c": [round(r.uniform(2, 24), 1) for _ in range(count)],
            "species_count": [r.randrange(0, 30) for _ in range(count)],
            "method": [r.choice(["grab", "auto"]) for _ in range(count)],
            "valid": [r.choice([1, 1, 1, 0]) for _ in range(count)],
        }
    )
    return {"river_samples": samples}
