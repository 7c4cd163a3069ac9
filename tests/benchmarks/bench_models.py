"""What model calls cost beside the model: ours, each journalled and audited, against the SDK's bare loop.

    python tests/benchmarks/bench_models.py [rounds] [--profile]

Both hold the same conversations with the same server on this machine, in turns, so that a busy machine is busy for
both. Ours goes through what a run uses: budgets, the model, the event in the audit trail and in the journal, and the
barrier at the end. The aim is a ratio of CPU of at most 0.5, for 10 calls in one run and for 100 agents with 5 calls
each. What stands in its way is the HTTP client, which both have in common: about half of a call of ours.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
from pydantic import SecretStr

from workbench.core.settings import Settings
from workbench.models.base import Message
from workbench.models.metered import metered
from workbench.models.wire import request
from workbench.planners.prompt import plan_schema
from workbench.policy.run_budget import RunBudget
from workbench.workbench import Workbench

SERVE = """
import asyncio, json, sys
message = {"role": "assistant", "content": "{} I have looked at it: " + "the revenue of the region grew. " * 6}
usage = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}
choices = [{"index": 0, "finish_reason": "stop", "message": message}]
whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
body = json.dumps(whole).encode()
head = f"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n".encode()

async def serve(reader, writer):
    try:
        while asked := await reader.readuntil(b"\\r\\n\\r\\n"):
            lines = asked.lower().split(b"\\r\\n")
            await reader.readexactly(next(int(l.split(b":")[1]) for l in lines if l.startswith(b"content-length")))
            writer.write(head + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
SYSTEM = "You plan steps for a workbench. " + "Each step calls one tool with its parameters. " * 60
FOUND = "The tool returned: " + json.dumps([{"region": "North", "revenue": n * 1.5} for n in range(25)])
Ask = Callable[[list[dict[str, str]]], Awaitable[str]]


async def conversation(calls: int, ask: Ask) -> None:
    """One agent: it asks, is answered, and tells what it has found, over and over."""
    said = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Which region grew fastest?"}]
    for _ in range(calls):
        said.append({"role": "assistant", "content": await ask(said)})
        said.append({"role": "user", "content": FOUND})


async def bare(client: openai.AsyncOpenAI, agents: int, calls: int, schema: dict[str, Any] | None) -> None:
    more: dict[str, Any] = {
        k: v for k, v in request("m", [], schema, "json_schema", {}).items() if k == "response_format"
    }

    async def ask(said: list[dict[str, str]]) -> str:
        messages: Any = said
        reply = await client.chat.completions.create(model="m", messages=messages, **more)
        return reply.choices[0].message.content or ""

    await asyncio.gather(*(conversation(calls, ask) for _ in range(agents)))


async def ours(bench: Workbench, agents: int, calls: int, schema: dict[str, Any] | None) -> None:
    async def agent() -> None:
        stream = bench.stream()
        model = bench.models.model(None, stream, RunBudget())
        assert model is not None

        async def ask(said: list[dict[str, str]]) -> str:
            messages = [Message(role=one["role"], content=one["content"]) for one in said]  # type: ignore[arg-type]
            return (await metered(model, messages, "plan", stream.tell, schema)).text

        await conversation(calls, ask)

    await asyncio.gather(*(agent() for _ in range(agents)))
    await bench.memory.barrier()


async def measure(url: str, rounds: int, folder: Path, profile: bool) -> None:
    (folder / "project").mkdir()
    settings = Settings(
        home=folder / "home", project=folder / "project", config=folder / "config", user="ann", model="m", base_url=url,
        api_key=SecretStr("none"),
    )  # fmt: skip
    bench = Workbench(settings)
    client = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    plans = plan_schema(bench.tools())
    for schema, agents, calls in ((plans, 1, 10), (plans, 100, 5), (None, 1, 10), (None, 100, 5)):
        cpu: dict[str, list[float]] = {"ours": [], "bare": []}
        wall: dict[str, list[float]] = {"ours": [], "bare": []}
        for number in range(rounds + 1):
            sides: tuple[tuple[str, Awaitable[None]], ...]
            sides = (("ours", ours(bench, agents, calls, schema)), ("bare", bare(client, agents, calls, schema)))
            for side, work in sides:
                began, started = time.perf_counter(), time.process_time()
                await work
                if number:  # imports and connections are made in the first round
                    cpu[side].append((time.process_time() - started) * 1000 / agents / calls)
                    wall[side].append(time.perf_counter() - began)
        mine, theirs = (statistics.median(cpu[side]) for side in ("ours", "bare"))
        print(
            f"{agents:3} x {calls:2} calls for {'a plan' if schema else 'a text'}: {mine:5.2f} ms CPU a call, "
            f"the SDK's loop {theirs:5.2f} ms, "
            f"ratio {mine / theirs:.2f} (at most 0.50); wall {statistics.median(wall['ours']):.2f} s "
            f"against {statistics.median(wall['bare']):.2f} s"
        )
    if profile:
        profiler = cProfile.Profile()
        profiler.enable()
        await ours(bench, 100, 5, plans)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    await client.close()
    await bench.close()


def main(rounds: int, profile: bool = False) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with tempfile.TemporaryDirectory() as folder:
                port = server.stdout.readline().strip()
                asyncio.run(measure(f"http://127.0.0.1:{port}/v1", rounds, Path(folder), profile))
        finally:
            server.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7, "--profile" in sys.argv)
