"""What failures cost many agents at once, with real waits, real requests and the whole of `Workbench.ask`.

    python tests/benchmarks/bench_failures.py [agents]

Three servers on this machine: one that turns every third request away and asks to come back in a second, one that turns
every request away, one that is not there. The aims: at most 1.6 times the requests that would do, each wait kept, every
agent gets its answer; a server that is gone costs each run no more than its budget of tries. Then twenty agents on one
budget in tokens: what they overshoot is at most one call.
"""

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.models.servers import Asked, chat, error, serving
from workbench.configuration import load_settings
from workbench.core.budget import Budget
from workbench.core.errors import BudgetExceeded, WorkbenchError
from workbench.core.retries import RETRIES
from workbench.models.openai import OpenAIModel
from workbench.policy.run_budget import RunBudget
from workbench.workbench import Workbench

PLAN = '{"steps": [{"id": "s1", "task": "recall", "params": {"question": "x"}}]}'
WAIT = 1.0
CALL = 5_000
"""Tokens that the server counts for each reply."""


def said(asked: Asked) -> bytes:
    text = PLAN if "response_format" in asked.body or "tools" in asked.body else "Nothing is remembered."
    return chat(text, usage=(CALL - 100, 100))


class Third:
    """Turns every third request away, and keeps when each prompt came."""

    def __init__(self) -> None:
        self.requests = 0
        self.early = 0
        self._away: dict[str, float] = defaultdict(float)

    def __call__(self, asked: Asked) -> bytes:
        self.requests += 1
        prompt = str(asked.body["messages"])
        self.early += time.monotonic() < self._away[prompt]
        if self.requests % 3 == 0:
            self._away[prompt] = time.monotonic() + WAIT
            return error(429, "slow down", retry_after=str(int(WAIT)))
        return said(asked)


async def asks(count: int, base_url: str, **options: Any) -> list[Any]:
    """What `count` requests at once come to, each with a run of its own."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"WORKBENCH_CONFIG": f"{folder}/config", "WORKBENCH_REQUESTS_PER_MINUTE": "1000"}
        settings = load_settings(env, Path(folder), home=Path(folder) / "home")
        model = OpenAIModel("gpt-4o", base_url=base_url)
        wb = Workbench(settings, model=model)
        try:
            work = (wb.ask(f"what is remembered of number {n}?", **options) for n in range(count))
            return await asyncio.gather(*work, return_exceptions=True)
        finally:
            await model.close()
            await wb.close()


async def main(agents: int) -> None:
    third = Third()
    async with serving(third) as server:
        runs = await asks(agents, server.base_url)
    done = sum(not isinstance(run, Exception) for run in runs)
    ratio = third.requests / (2 * agents)
    print(
        f"every third away   {agents} agents, {done} done, {third.requests} requests, {ratio:.2f}× the least (aim 1.6)"
    )
    print(f"                   {third.early} tries before the time that was asked for")

    async with serving(error(429, "slow down", retry_after="0.1")) as server:
        runs = await asks(agents, server.base_url)
        requests = len(server.chats)
        gone = server.base_url
    print(f"all away           {requests / agents:.1f} requests for each run (aim {1 + RETRIES})")
    started = time.monotonic()
    runs = await asks(agents, gone)
    assert all(isinstance(run, WorkbenchError) for run in runs)
    print(f"not there          an error for each of {agents} after {time.monotonic() - started:.1f} s")

    shared = RunBudget(Budget(tokens=15 * CALL))
    async with serving(said) as server:
        runs = await asks(20, server.base_url, budget=shared)
        requests = len(server.chats)
    stopped = sum(isinstance(run, BudgetExceeded) for run in runs)
    assert all(not isinstance(run, Exception) or isinstance(run, BudgetExceeded) for run in runs)
    over = max(0, shared.used.tokens - 15 * CALL) / CALL
    print(f"one budget         20 agents, {requests} calls, {stopped} stopped, {over:.1f} calls over (aim 1)")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
