"""What a plan without a model costs: 20 tables of 50 columns, and what a request adds to it.

    python tests/benchmarks/bench_plan.py [rounds]

cold: the first request over tables that were never seen. warm: the same tables again, as in a notebook. The aim is
5 ms of CPU for a plan that is found; refusing may take longer, as it looks everywhere first.
"""

import asyncio
import random
import statistics
import sys
import time

from tests.planners.offline import TODAY, TOOLS, tell
from tests.planners.requests import SCOPE
from workbench.core.errors import Refused
from workbench.core.request import ColumnProfile, Request, Variable
from workbench.planners.grammar import GrammarPlanner

TABLES, COLUMNS, VALUES = 20, 50, 40
QUESTIONS = [
    "total alpha revenue by alpha region in 2025 as a bar chart of @table_0",
    "average alpha price per alpha channel for v3 in 2024",
    "top 5 beta regions by beta revenue",
    "which gamma region has the highest gamma revenue?",
    "monthly delta revenue in 2025",
    "how many rows of table 7 have epsilon revenue over 5000 and epsilon channel is v2",
    "total revenue by nobody",
]
GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def offer(seed: int) -> tuple[Variable, ...]:
    r = random.Random(seed)
    return tuple(table(f"table_{number}", GREEK[number % 10], number < 10, r) for number in range(TABLES))


def table(name: str, word: str, named: bool, r: random.Random) -> Variable:
    prefix = word if named else f"other_{word}"
    columns = [
        ColumnProfile(name="day", type="date", distinct=900, minimum="2023-01-01", maximum="2025-12-31"),
        ColumnProfile(name=f"{prefix}_revenue", type="number", distinct=9000, minimum=0.0, maximum=9e4),
        ColumnProfile(name=f"{prefix}_price", type="number", distinct=90, minimum=0.0, maximum=9e2),
        ColumnProfile(name=f"{prefix}_region", type="text", distinct=VALUES, values=values(f"r{name}", r)),
        ColumnProfile(name=f"{prefix}_channel", type="text", distinct=VALUES, values=values("v", r)),
    ]
    while len(columns) < COLUMNS:
        number = len(columns)
        kind = r.choice(["text", "number", "integer"])
        texts = values(f"{prefix}{number}x", r) if kind == "text" else None
        columns.append(ColumnProfile(name=f"{prefix}_column_{number}", type=kind, distinct=VALUES, values=texts))
    return Variable(name=name, rows=10_000, columns=tuple(columns))


def values(start: str, r: random.Random) -> tuple[str, ...]:
    return tuple(f"{start}{r.randrange(10**6) if len(start) > 1 else n}" for n in range(VALUES))


def once(text: str, variables: tuple[Variable, ...]) -> tuple[float, str]:
    """CPU milliseconds of one plan, and what became of it."""
    request = Request(text=text, scope=SCOPE, today=TODAY, variables=variables)
    planner, result = GrammarPlanner(), "planned"
    loop = asyncio.new_event_loop()
    started = time.process_time()
    try:
        loop.run_until_complete(planner.plan(request, TOOLS, tell))
    except Refused as refused:
        result = f"refused: {refused.message[:60]}"
    milliseconds = (time.process_time() - started) * 1000
    loop.close()
    return milliseconds, result


def main(rounds: int) -> None:
    once("total revenue", offer(0)[:1])
    for text in QUESTIONS:
        cold = [once(text, offer(100 + number))[0] for number in range(5)]
        variables = offer(1)
        warm = [once(text, variables) for _ in range(rounds)]
        milliseconds = statistics.median(one for one, _ in warm)
        line = f"{milliseconds:6.2f} ms warm {statistics.median(cold):6.2f} ms cold  {text}  [{warm[0][1]}]"
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
