"""Tries after failures within a run: what a server asks for is kept, and what a run spends on them is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.models.servers import Asked, Sleeps, chat, connected, error, models, serving
from tests.test_executor import no_wait
from tests.test_executor import run as run_plan
from workbench.core.errors import TransientError, Unavailable, WorkbenchError
from workbench.core.plan import load
from workbench.core.retries import RETRIES, Retries
from workbench.core.tools import ToolCall, ToolResult
from workbench.models.base import Message, Model
from workbench.policy.run_budget import RunBudget

ASK = [Message(role="user", content="hello")]
AGENTS, CALLS = 50, 4


async def run(model: Model, calls: int = CALLS) -> int:
    """How many calls of a run come to an answer; it ends at the first that does not."""
    for done in range(calls):
        try:
            await model.complete(ASK)
        except WorkbenchError:
            return done
    return calls


class Hurried(Sleeps):
    """As `Sleeps`, and lets others go first."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        for _ in range(20):
            await asyncio.sleep(0)


async def test_fifty_agents_get_through_a_server_that_turns_every_third_request_away() -> None:
    requests = 0

    def third(asked: Asked) -> bytes:
        nonlocal requests
        requests += 1
        return error(429, "slow down", retry_after="3") if requests % 3 == 0 else chat("ok")

    sleep = Hurried()
    async with serving(third) as server, connected(server.base_url, sleep=sleep) as model:
        done = await asyncio.gather(*(run(model.within(Retries())) for _ in range(AGENTS)))
    assert done == [CALLS] * AGENTS
    assert requests <= 1.6 * AGENTS * CALLS
    assert len(sleep) == requests - AGENTS * CALLS
    assert all(seconds >= 3 for seconds in sleep)


@pytest.mark.parametrize("headers", [{"retry_after": "1"}, {}])
async def test_a_server_that_turns_everything_away_costs_each_run_no_more_than_its_retries(
    headers: Mapping[str, str],
) -> None:
    async with serving(error(429, **headers)) as server, connected(server.base_url, sleep=Sleeps()) as model:
        done = await asyncio.gather(*(run(model.within(Retries())) for _ in range(10)))
        assert done == [0] * 10
        assert len(server.chats) <= 10 * (1 + RETRIES)
        assert len(server.chats) == 10 * (1 + (RETRIES if headers else 2))


async def test_a_dead_server_costs_a_run_no_more_than_its_retries_however_often_it_is_asked() -> None:
    retries, sleep = Retries(), Sleeps()
    async with serving(chat("never heard")) as server:
        gone = server.base_url
    async with connected(gone, sleep=sleep) as model:
        mine = model.within(retries)
        for _ in range(9):
            with pytest.raises((Unavailable, TransientError)):
                await mine.complete(ASK)
    assert len(sleep) == retries.taken == RETRIES


async def test_what_one_run_finds_out_about_a_server_the_next_one_knows() -> None:
    async with serving(chat("hello"), models=models("served")) as server, connected(server.base_url, "") as model:
        await model.within(Retries()).complete(ASK)
        assert model.name == "served"
        await model.within(Retries()).complete(ASK)
        assert sum(asked.path.endswith("/models") for asked in server.asked) == 1


async def test_a_tool_and_a_model_draw_on_one_budget_of_tries() -> None:
    budget, calls = RunBudget(), 0
    async with serving(error(429, retry_after="1")) as server, connected(server.base_url, sleep=Sleeps()) as model:
        await run(model.within(budget.retries))
        assert len(server.chats) == 1 + RETRIES

    async def call(what: ToolCall) -> ToolResult:
        nonlocal calls
        calls += 1
        return ToolResult(status="transient", error="busy")

    steps: Any = [{"id": f"s{n}", "task": "read"} for n in range(5)]
    await run_plan(load({"mode": "graph", "steps": steps}), call, budget=budget, durable=no_wait, sleep=Sleeps())
    assert calls == 5
