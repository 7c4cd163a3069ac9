"""What a plan by a model costs beside the model: the planner's whole CPU against one bare `create` of the SDK.

    python tests/benchmarks/bench_model_plan.py [rounds]

Both send the same body to the same server on this machine, in turns, so that a busy machine is busy for both. The
planner also renders the prompt, reads and checks the plan, and tells what it cost. The aim is a ratio of at most 1.0,
for a reply in one piece and for a stream that somebody watches.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pandas as pd
from pydantic import SecretStr

from tests.planners.requests import SCOPE, Told, Watching
from workbench.core.request import Request
from workbench.models.openai import STREAMED, OpenAIModel
from workbench.models.wire import request as body_of
from workbench.offer import profile
from workbench.planners.model import ModelPlanner
from workbench.planners.parts import messages
from workbench.planners.prompt import plan_parts, plan_schema
from workbench.registry.discover import discover

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
PLAN = {
    "goal": "Revenue by region as bars",
    "steps": [
        {
            "id": "s1",
            "task": "query_data",
            "title": "Total revenue by region",
            "params": {
                "sql": "SELECT region, sum(revenue) AS revenue FROM sales GROUP BY 1 ORDER BY 2 DESC",
                "tables": {"sales": {"$ref": "@sales"}},
            },
        },
        {"id": "s2", "task": "plot", "title": "Bars", "params": {"data": {"$ref": "s1"}, "kind": "bar", "x": "region"}},
    ],
}
SERVE = """
import http.server, json, sys
whole, stream = (part.encode() for part in json.load(sys.stdin))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = stream if asked.get("stream") else whole
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def replies() -> tuple[str, str]:
    """The plan as a completion in one piece, and as a stream of pieces as long as tokens."""
    text, usage = json.dumps(PLAN), {"prompt_tokens": 2000, "completion_tokens": 150, "total_tokens": 2150}
    head: dict[str, Any] = {"id": "c", "created": 1, "model": "served"}
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    whole = json.dumps(head | {"object": "chat.completion", "choices": choices, "usage": usage})
    deltas: list[dict[str, Any]] = [{"content": text[at : at + 4]} for at in range(0, len(text), 4)]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    ends: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    lines = [json.dumps({**head, "object": "chat.completion.chunk", **chunk}) for chunk in [*chunks, *ends]]
    return whole, "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])


async def measure(url: str, rounds: int) -> None:
    variables = tuple(
        profile(name, pd.read_csv(SAMPLES / f"{name}.csv"), named=name == "sales") for name in ("sales", "customers")
    )
    asked = Request(
        text="total revenue by region as bars of @sales", scope=SCOPE, today="2026-11-23", variables=variables
    )
    with tempfile.TemporaryDirectory() as empty:
        tools = dict(discover(Path(empty), Path(empty) / "config").tools)
    model = OpenAIModel("m", base_url=url, api_key=SecretStr("none"))
    planner = ModelPlanner(model)
    sdk = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    body = body_of("m", messages(plan_parts(asked, tools)), plan_schema(tools), "json_schema", {})

    async def plan(told: Told) -> None:
        assert len((await planner.plan(asked, tools, told)).plan.steps) == 2

    async def plan_told(told: Callable[[], Told]) -> None:
        await plan(told())

    async def create() -> None:
        assert (await sdk.chat.completions.create(**body)).choices[0].finish_reason == "stop"

    async def create_stream() -> None:
        text = ""
        async for chunk in await sdk.chat.completions.create(**body | STREAMED):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
        assert text == json.dumps(PLAN)

    pairs: tuple[tuple[str, Callable[[], Told], Callable[[], Awaitable[None]]], ...] = (
        ("whole", Told, create),
        ("streamed", Watching, create_stream),
    )
    for name, told, theirs in pairs:
        ours = partial(plan_told, told)
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(rounds + 3):
            sides: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (("ours", ours), ("theirs", theirs))
            for side, call in sides:
                started = time.process_time()
                await call()
                if number >= 3:  # imports and connections are made in the first rounds
                    seconds[side].append(time.process_time() - started)
        mine, bare = (statistics.median(seconds[side]) * 1000 for side in ("ours", "theirs"))
        print(f"{name:9} planner {mine:6.2f} ms CPU, SDK create {bare:6.2f} ms CPU, ratio {mine / bare:.2f}")
    await model.close()
    await sdk.close()


def main(rounds: int) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVE], stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write(json.dumps(replies()))
            server.stdin.close()
            asyncio.run(measure(f"http://127.0.0.1:{server.stdout.readline().strip()}/v1", rounds))
        finally:
            server.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
