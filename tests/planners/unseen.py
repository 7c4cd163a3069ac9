"""Two tables that are none of those the grammar was built on, and 100 questions about them, half of them traps.

Each question was written from what the workbench promises, before its author had read the grammar; none was changed
since. On the day they were written 33 of the 50 plain ones were answered right and none wrong.
"""

from __future__ import annotations

import datetime
import random

import pandas as pd

_FIRST = ("Silent", "Golden", "Broken", "Hidden", "Last", "Crimson", "Distant", "Hollow")
_SECOND = ("River", "Garden", "Empire", "Mirror", "Harvest", "Lantern", "Winter", "Orchard")


def library() -> dict[str, pd.DataFrame]:
    """Books with dates as text and a flag as a boolean; hospital admissions with timestamps and a flag in words."""
    r = random.Random(2711)
    titles = [f"The {first} {second}" for first in _FIRST for second in _SECOND]
    r.shuffle(titles)
    books = pd.DataFrame(
        {
            "book_id": range(1001, 1001 + len(titles)),
            "title": titles,
            "author": [r.choice(["Okafor", "Lindqvist", "Moreau", "Tanaka", "Byrne"]) for _ in titles],
            "genre": [r.choice(["Mystery", "Poetry", "History", "Science Fiction"]) for _ in titles],
            "language": [r.choice(["English", "French", "Japanese"]) for _ in titles],
            "pages": r.sample(range(80, 900), len(titles)),
            "published_on": [
                (datetime.date(2023, 1, 1) + datetime.timedelta(days=n * 20 + r.randrange(20))).isoformat()
                for n in r.sample(range(len(titles)), len(titles))
            ],
            "price": [round(p + 0.49, 2) for p in r.sample(range(5, 120), len(titles))],
            "copies_sold": r.sample(range(100, 90_000), len(titles)),
            "rating": [r.choice([2.5, 3.0, 3.5, 4.0, 4.5, None]) for _ in titles],
            "hardcover": [r.random() < 0.4 for _ in titles],
        }
    )
    count = 500
    start = datetime.datetime(2024, 6, 1)  # noqa: DTZ001 - the ward's own clock
    admissions = pd.DataFrame(
        {
            "admission_id": range(1, count + 1),
            "admitted_at": [start + datetime.timedelta(hours=r.randrange(24 * 905)) for _ in range(count)],
            "ward": [r.choice(["Cardiology", "Surgery", "Paediatrics", "Oncology"]) for _ in range(count)],
            "doctor": [r.choice(["Haddad", "Silva", "Novak", "Park"]) for _ in range(count)],
            "sex": [r.choice(["female", "male"]) for _ in range(count)],
            "age": [r.randrange(0, 97) for _ in range(count)],
            "weight_kg": [r.choice([None, *(round(w / 10, 1) for w in range(30, 1200, 7))]) for _ in range(count)],
            "nights": [r.randrange(0, 30) for _ in range(count)],
            "charges": [round(r.uniform(200, 40_000), 2) for _ in range(count)],
            "insured": [r.choice(["yes", "no"]) for _ in range(count)],
            "outcome": [r.choice(["discharged", "transferred", "died"]) for _ in range(count)],
        }
    )
    return {"books": books, "admissions": admissions}
