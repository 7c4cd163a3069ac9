"""The budget of a run: reserved before, settled after, shared where runs share it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.budget import Budget, read
from workbench.core.errors import BudgetExceeded, Refused
from workbench.core.events import Event, Kind
from workbench.core.retries import RETRIES, Retries
from workbench.core.usage import Estimate, Price, Use, unpriced
from workbench.policy.run_budget import RunBudget, budget_of

PENCE = Decimal("0.01")


def estimate(prompt: int = 10, reply: int = 10, price: Price = unpriced) -> Estimate:
    return Estimate(prompt=prompt, reply=reply, price=price)


async def ask(budget: RunBudget, usd: str = "0.01", tokens: int = 20, what: Estimate | None = None) -> None:
    async with budget.for_model(what or estimate()) as spent:
        await asyncio.sleep(0)
        spent(tokens=tokens, usd=usd)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("usd=0.5,calls=20", Budget(usd=0.5, calls=20)),
        (" tokens = 1000 , seconds=2.5,steps=3 ", Budget(tokens=1000, seconds=2.5, steps=3)),
        ("", None),
        ({"usd": 1}, Budget(usd=1)),
        (None, None),
    ],
)
def test_a_budget_is_read_from_text(text: object, budget: Budget | None) -> None:
    assert read(text) == budget  # type: ignore[arg-type]  # the parameters are of several types


@pytest.mark.parametrize(
    "text", ["usd", "usd=", "usd=x", "usd=-1", "usd=nan", "usd=inf", "euro=1", "usd=1,usd=2", "calls=1.5", "seconds=0"]
)
def test_what_is_no_budget_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused) as caught:
        read(text)
    assert "usd=0.5,calls=20" in caught.value.hint


def test_a_budget_reads_aloud() -> None:
    assert str(Budget(usd=0.5, calls=20, steps=1, seconds=90)) == "$0.50, 1 step, 20 calls, 90 seconds"


budgets = st.builds(
    Budget,
    usd=st.none() | st.floats(0, 10),
    tokens=st.none() | st.integers(0, 100),
    steps=st.none() | st.integers(0, 100),
    calls=st.none() | st.integers(0, 100),
    seconds=st.none() | st.floats(0.1, 100),
)


@given(budgets, budgets)
def test_what_a_plan_asks_for_only_narrows(mine: Budget, asked: Budget) -> None:
    both = mine.narrowed(asked)
    for name, limit in mine.limits().items():
        assert both.limits()[name] <= limit
    for name, limit in asked.limits().items():
        assert both.limits()[name] <= limit
    assert set(both.limits()) == set(mine.limits()) | set(asked.limits())


def test_steps_and_calls_are_counted_where_they_begin() -> None:
    budget = budget_of("steps=2,calls=3")
    for _ in range(2):
        budget.begin_step()
        budget.begin_call()
    with pytest.raises(BudgetExceeded, match=r"The budget of this run is used up: 2 of 2 steps\."):
        budget.begin_step()
    budget.begin_call()
    with pytest.raises(BudgetExceeded, match="3 of 3 calls") as caught:
        budget.begin_call()
    assert budget.exceeded is caught.value
    assert budget.used.calls == 3


async def test_a_prompt_that_is_not_affordable_is_not_sent() -> None:
    budget = RunBudget(Budget(usd=0.05))
    with pytest.raises(BudgetExceeded, match=r"0 of \$0\.05, and the next call of the model takes at least \$0\.10"):
        await ask(budget, what=estimate(price=lambda tokens_in, tokens_out: tokens_in * PENCE))
    assert budget.used.calls == 0


async def test_a_model_without_a_price_is_not_held_by_money_and_the_run_says_so() -> None:
    budget = RunBudget(Budget(usd=0.05))
    async with budget.for_model(estimate()) as spent:
        spent(tokens=20, usd=None)
    with pytest.raises(BudgetExceeded, match="price of this model is not known"):
        await ask(budget)


async def test_a_model_that_knows_no_price_for_itself_is_not_asked_on_a_budget_in_money() -> None:
    budget = RunBudget(Budget(usd=0.05))
    with pytest.raises(BudgetExceeded, match="price of this model is not known"):
        await ask(budget, what=estimate(price=lambda tokens_in, tokens_out: None))
    assert budget.used.calls == 0
    await ask(RunBudget(Budget(tokens=100)), what=estimate(price=lambda tokens_in, tokens_out: None))


async def test_a_call_that_is_broken_off_counts_as_what_was_set_aside() -> None:
    budget = RunBudget(Budget(tokens=100))
    with pytest.raises(asyncio.CancelledError):
        async with budget.for_model(estimate(10, 30)):
            raise asyncio.CancelledError
    assert budget.used.tokens == 40


async def test_a_call_waits_for_those_under_way_and_goes_when_they_took_less() -> None:
    budget = RunBudget(Budget(tokens=100))
    await ask(budget, tokens=1)
    done: list[str] = []
    first_is_in, end = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with budget.for_model(estimate(10, 80)) as spent:
            first_is_in.set()
            await end.wait()
            spent(tokens=20, usd="0")
        done.append("first")

    async def second() -> None:
        await first_is_in.wait()
        await ask(budget, what=estimate(10, 40))
        done.append("second")

    both = asyncio.gather(first(), second())
    await first_is_in.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == []
    end.set()
    await both
    assert done == ["first", "second"]
    assert budget.used.tokens == 41


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 100), st.booleans())
async def test_agents_on_one_money_budget_overshoot_by_at_most_one_call(
    prices: list[int], agents: int, limit: int, priced: bool
) -> None:
    """However far off the price list is, as long as the first calls are the dearest."""
    shared = RunBudget(Budget(usd=limit / 100))
    left, took = sorted(prices), list[Decimal]()

    async def agent() -> None:
        mine = RunBudget(within=shared)
        while left:
            what = estimate(0, 2, (lambda tokens_in, tokens_out: tokens_out * PENCE) if priced else unpriced)
            try:
                async with mine.for_model(what) as spent:
                    cost = (left.pop() if left else 1) * PENCE
                    for _ in range(int(cost * 100) % 3):
                        await asyncio.sleep(0)
                    took.append(cost)
                    spent(tokens=6, usd=str(cost))
            except BudgetExceeded:
                return

    await asyncio.gather(*(agent() for _ in range(agents)))
    assert shared.used.usd == sum(took)
    if took:
        assert shared.used.usd - Decimal(limit) / 100 <= max(took)


def test_shared_limits_are_told_as_those_of_several_runs() -> None:
    shared = budget_of("calls=1")
    one, two = budget_of(shared), budget_of(shared)
    one.begin_call()
    with pytest.raises(BudgetExceeded, match="The budget of these runs is used up: 1 of 1 call"):
        two.begin_call()
    assert one.exceeded is None


async def test_a_budget_that_runs_of_several_event_loops_share_wakes_each_where_it_waits() -> None:
    shared = RunBudget(Budget(tokens=50))

    def elsewhere() -> None:
        async def three() -> None:
            await asyncio.gather(*(ask(RunBudget(within=shared), tokens=5, what=estimate(5, 30)) for _ in range(3)))

        asyncio.run(three())

    await asyncio.gather(asyncio.to_thread(elsewhere), asyncio.to_thread(elsewhere))
    assert shared.used.tokens == 30


async def test_the_clock_ends_a_run_and_stands_while_a_person_is_asked() -> None:
    budget = RunBudget(Budget(seconds=0.05))
    asked: list[bool] = []

    async def run() -> None:
        async with budget.on_time():
            with budget.standing():
                await asyncio.sleep(0.2)
            asked.append(True)
            await asyncio.Event().wait()

    with pytest.raises(BudgetExceeded, match=r"used up: 0\.05 seconds") as caught:
        await run()
    assert asked
    assert budget.exceeded is caught.value


def test_a_server_that_is_gone_uses_the_retries_up_and_one_that_answers_gives_them_back() -> None:
    gone, busy = Retries(), Retries()
    assert [gone.take() for _ in range(RETRIES + 2)] == [True] * RETRIES + [False] * 2
    for _ in range(50):
        busy.begin()
        assert busy.take()
        busy.back(1)
    assert busy.taken == 0
    many = Retries()
    for _ in range(100):
        many.begin()
    assert sum(many.take() for _ in range(100)) == RETRIES + 10


def test_a_run_that_is_taken_up_again_has_used_what_its_record_says() -> None:
    told: list[tuple[Kind, Mapping[str, Any]]] = [
        (Kind.MODEL_CALLED, {"tokens_in": 10, "tokens_out": 5, "usd": "0.02"}),
        (Kind.STEP_INTENT, {}),
        (Kind.TOOL_CALLED, {}),
        (Kind.TOOL_CALLED, {}),
        (Kind.MODEL_CALLED, {"tokens_in": 1, "tokens_out": None, "usd": None}),
    ]
    events = [Event(run="r", seq=n, at="", kind=kind, body=body) for n, (kind, body) in enumerate(told)]
    budget = RunBudget(Budget(calls=4))
    budget.resume(events)
    assert (budget.steps, budget.used) == (1, Use(calls=4, tokens=16, usd=Decimal("0.02")))
    with pytest.raises(BudgetExceeded):
        budget.begin_call()
