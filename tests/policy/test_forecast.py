"""What a plan can take at most, in a line that a person reads before it runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.test_executor import TOOLS, tool
from workbench.core.budget import Budget
from workbench.core.plan import load
from workbench.policy import forecast

KNOWN = TOOLS | {"asks": tool("asks", uses=("model.complete",))}
BUDGET = Budget(usd=0.5, calls=20)


def dear(tokens_in: int, tokens_out: int) -> Decimal:
    return Decimal(tokens_in + tokens_out) / 100_000


@pytest.mark.parametrize(
    ("steps", "limits", "said"),
    [
        ([{"task": "read"}], Budget(), []),
        (
            [{"task": "read"}, {"task": "write"}],
            BUDGET,
            ["At most 4 tool calls, tries after failures included. Budget of the run: $0.50, 20 calls."],
        ),
        (
            [{"task": "write"}],
            Budget(steps=1),
            ["At most 1 tool call, tries after failures included. Budget of the run: 1 step."],
        ),
        (
            [{"task": "read", "foreach": [1, 2, 3]}],
            Budget(),
            ["At most 9 tool calls, tries after failures included."],
        ),
        (
            [{"task": "read"}, {"task": "read", "foreach": {"$ref": "s1"}}],
            Budget(),
            ["At most 229 tool calls, tries after failures included."],
        ),
        (
            [{"task": "asks", "foreach": [1, 2], "retry": {"max": 0}}],
            Budget(),
            [
                (
                    "At most 2 tool calls, tries after failures included."
                    " 2 of them may ask the model, about $0.03 each time."
                )
            ],
        ),
    ],
)
def test_the_worst_case_is_said_where_it_matters(steps: Any, limits: Budget, said: list[str]) -> None:
    assert forecast.lines(load(steps), KNOWN, limits, dear) == said


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    plan = load([{"task": "asks"}])
    for price in (None, lambda tokens_in, tokens_out: None):
        assert "whose price is not known" in forecast.lines(plan, KNOWN, BUDGET, price)[0]
