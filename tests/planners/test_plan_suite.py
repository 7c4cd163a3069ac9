"""One plan suite, the same against servers of three others: llmock, aimock, and llama.cpp's own.

The first two say what is written down, whole and as a stream, with faults of every kind that both know. The third has a
model of random weights, and may only say nonsense: then a typed error, or a plan that is valid all the same, is right.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Reply

from tests.models.servers import Sleeps, connected
from tests.planners import aimock
from tests.planners.requests import GOOD, REQUEST, TEXT, TOOLS, Told, Watching
from tests.planners.test_model_planner import BROKEN, OUTCOME, PLAN
from workbench.core.errors import PlanInvalid, Refused, TransientError, Unavailable, WorkbenchError
from workbench.models.openai import OpenAIModel
from workbench.planners.base import Planned
from workbench.planners.model import ModelPlanner


@dataclass(frozen=True, slots=True)
class Says:
    """What a server does with one request: text, with a finish reason; a status; or a stream that is cut."""

    text: str = TEXT
    finish: str = "stop"
    status: int = 0
    cut: bool = False


Serve = Callable[..., AbstractContextManager[str]]


@contextmanager
def _llmock(server: LLMock, *said: Says) -> Iterator[str]:
    for at, one in enumerate(said):
        times = None if at == len(said) - 1 else 1
        if one.status == 429:
            server.rate_limit(times=times, retry_after=1.0)
        elif one.status:
            server.fail(one.status, times=times)
        elif one.cut:
            server.truncate(times=times)
            server.add(Reply(text=one.text, times=times))
        else:
            server.add(Reply(text=one.text, finish_reason=one.finish, times=times))
    yield str(server.base_url())


@contextmanager
def _aimock(program: Path, folder: Path, *said: Says) -> Iterator[str]:
    entries: list[dict[str, Any]] = []
    for one in said:
        if one.status:
            kind = {429: "rate_limit_error", 500: "server_error"}.get(one.status, "invalid_request_error")
            error = {"message": f"as written down ({one.status})", "type": kind}
            entries.append({"response": {"error": error, "status": one.status}})
        else:
            entry: dict[str, Any] = {"response": {"content": one.text, "finishReason": one.finish}, "chunkSize": 9}
            entries.append(entry | ({"truncateAfterChunks": 3} if one.cut else {}))
    with aimock.serving(program, folder, entries) as url:
        yield url


@pytest.fixture(params=["llmock", pytest.param("aimock", marks=pytest.mark.peers)])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Starts a server that says what is written down."""
    if request.param == "llmock":
        server = request.getfixturevalue("llmock")
        return lambda *said: _llmock(server, *said)
    program = request.getfixturevalue("aimock_program")
    return lambda *said: _aimock(program, tmp_path, *said)


@asynccontextmanager
async def model_at(url: str, sleep: Sleeps | None = None) -> AsyncIterator[OpenAIModel]:
    async with connected(url, timeout=10.0, sleep=Sleeps() if sleep is None else sleep) as model:
        yield model


async def outcome_of(url: str, told: Told) -> Planned | WorkbenchError:
    async with model_at(url) as model:
        try:
            return await ModelPlanner(model).plan(REQUEST, TOOLS, told)
        except WorkbenchError as problem:
            return problem


@pytest.mark.parametrize("make", [Told, Watching], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("said", "wanted", "calls"),
    [
        pytest.param([Says()], Planned, 1, id="a plan at once"),
        pytest.param([Says(f"Here:\n```json\n{TEXT}\n```\nDone.")], Planned, 1, id="a plan in prose"),
        pytest.param([Says(BROKEN), Says()], Planned, 2, id="a broken plan, then a good one"),
        pytest.param([Says(TEXT[:-9]), Says(BROKEN), Says()], Planned, 3, id="cut, broken, good"),
        pytest.param([Says(BROKEN)], PlanInvalid, 3, id="broken plans for good"),
        pytest.param([Says('{"steps": [], "refusal": "no prices"}')], Refused, 1, id="the model declines"),
        pytest.param([Says(finish="length")], Unavailable, 1, id="cut by the token limit"),
        pytest.param([Says(finish="content_filter")], Refused, 1, id="content filter"),
        pytest.param([Says(status=500), Says()], Planned, 1, id="500 once"),
        pytest.param([Says(status=429), Says()], Planned, 1, id="429 once"),
        pytest.param([Says(status=500)], TransientError, 1, id="500 for good"),
        pytest.param([Says(status=401)], Unavailable, 1, id="401"),
        pytest.param([Says(status=404)], Unavailable, 1, id="404"),
    ],
)
async def test_a_plan_is_right_or_the_error_is_typed(
    serve: Serve, said: list[Says], wanted: type, calls: int, make: Any
):
    told = make()
    with serve(*said) as url:
        result = await outcome_of(url, told)
    assert type(result) is wanted, result
    assert len(told) == calls
    if isinstance(result, Planned):
        assert result.plan == PLAN
    if make is Watching and wanted is Planned:
        assert [step.id for step in told.drafts[-1].steps] == ["total", "chart"]


async def test_a_stream_that_is_cut_is_asked_for_again(serve: Serve):
    told, sleep = Watching(), Sleeps()
    with serve(Says(cut=True), Says()) as url:
        async with model_at(url, sleep) as model:
            planned = await ModelPlanner(model).plan(REQUEST, TOOLS, told)
    assert planned.plan == PLAN
    assert len(sleep) == 1
    assert len(told) == 1


async def test_streams_that_are_cut_for_good_are_no_plan(serve: Serve):
    with serve(Says(cut=True)) as url:
        assert isinstance(await outcome_of(url, Watching()), TransientError)


@pytest.mark.parametrize("make", [Told, Watching], ids=["whole", "streamed"])
async def test_an_answer_is_held_to_the_results(serve: Serve, make: Any):
    with serve(Says("There are 42 [1], not 43 [7].")) as url:
        async with model_at(url) as model:
            answer = await ModelPlanner(model).answer(OUTCOME, make())
    assert answer.text.startswith("There are 42 [1], not 43 (?).")
    assert "[7]" in answer.text.split("\n\n", 1)[1]


async def test_further_steps_are_planned_after_a_look(serve: Serve):
    with serve(Says(json.dumps(GOOD)), Says('{"goal": "enough", "steps": []}')) as url:
        async with model_at(url) as model:
            planner = ModelPlanner(model)
            assert (await planner.plan(REQUEST, TOOLS, Told())).plan == PLAN
            assert await planner.look(REQUEST, OUTCOME, TOOLS, Told()) is None


@pytest.mark.peers  # evaluates thousands of tokens on a CPU
@pytest.mark.parametrize("make", [Told, Watching], ids=["whole", "streamed"])
async def test_llama_cpp_gives_a_valid_plan_or_a_typed_error(llama: str, make: Any):
    told = make()
    async with connected(llama, key=None, retries=0) as model:
        try:
            result: Planned | WorkbenchError = await ModelPlanner(model).plan(REQUEST, TOOLS, told)
        except (PlanInvalid, Refused, Unavailable, TransientError) as problem:
            result = problem
    _, first = told[0]
    if first["error"] and first["tokens_out"] == 0:  # broken off by the server, which then does not say what it took
        assert first["usd"] is None
        assert isinstance(result, TransientError | Unavailable)
    if make is Watching:
        assert told.drafts
