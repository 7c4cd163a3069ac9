"""The planner against llama.cpp's real server, which serves a tiny model with random weights.

Such a model says nothing sensible: held to the schema it makes plan-shaped nonsense. What is tested is that the server
takes our requests, and that nonsense ends in a typed error or in a valid plan.
"""

from __future__ import annotations

import pytest

from tests.models.servers import connected
from tests.planners.llama import CONTEXT
from tests.planners.requests import REQUEST, TOOLS, Told
from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid, Refused, TransientError, Unavailable, WorkbenchError
from workbench.core.outcome import Outcome
from workbench.models.base import Message
from workbench.planners.base import Planned
from workbench.planners.model import ModelPlanner


async def test_the_only_model_is_found_by_itself_and_speaks(llama: str):
    async with connected(llama, "", key=None) as model:
        reply = await model.complete([Message(role="user", content="hi")], max_tokens=20)
    assert model.name.endswith("random.gguf")
    assert 0 < reply.usage.tokens_out <= 20
    assert reply.finish in ("length", "stop")
    assert reply.usd is None


async def test_it_can_be_held_to_a_schema(llama: str):
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "additionalProperties": False}
    async with connected(llama, key=None) as model:
        reply = await model.complete([Message(role="user", content="hi")], schema=schema)
    assert reply.text.replace(" ", "").replace("\n", "").replace("\t", "") == '{"a":"x"}'


@pytest.mark.peers  # evaluates thousands of tokens on a CPU
@pytest.mark.parametrize("number", range(3))
async def test_nonsense_in_the_shape_of_a_plan_is_a_valid_plan_or_a_typed_error(llama: str, number: int):
    told = Told()
    result: Planned | WorkbenchError
    async with connected(llama, key=None, retries=0) as model:
        try:
            result = await ModelPlanner(model, persona=f"Number {number}").plan(REQUEST, TOOLS, told)
        except (PlanInvalid, Refused, Unavailable, TransientError) as problem:
            result = problem
    if isinstance(result, Planned):
        assert plans.read(result.plan.dump(), TOOLS, ["sales"]) == result.plan
    assert told[0][1]["endpoint"] == "127.0.0.1"


async def test_too_long_a_request_says_so(llama: str):
    async with connected(llama, key=None) as model:
        with pytest.raises(Unavailable, match="context"):
            await model.complete([Message(role="user", content="x" * 2 * CONTEXT)], schema={"type": "object"})


@pytest.mark.peers
async def test_nonsense_as_an_answer_is_an_answer_or_a_typed_error(llama: str):
    outcome = Outcome(run="r", request="how many?", status="done")
    async with connected(llama, key=None) as model:
        try:
            answer = await ModelPlanner(model).answer(outcome, Told())
        except (Unavailable, TransientError, Refused):
            return
    assert answer.text
