"""The planner against llama.cpp's real server, which serves a tiny model with random weights.

Such a model says nothing sensible: held to the schema it makes plan-shaped nonsense. What is tested is that the server
takes our requests, and that nonsense ends in a typed error or in a valid plan.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.servers import connected
from tests.planners.requests import REQUEST, TOOLS, Told
from workbench.core import plan as plans
from workbench.core.errors import PlanInvalid, Refused, TransientError, Unavailable, WorkbenchError
from workbench.core.outcome import Outcome
from workbench.models.base import Message
from workbench.planners.base import Planned
from workbench.planners.model import ModelPlanner

CONTEXT = 8192
SERVE = f"""
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_predict, params.n_parallel, params.port = {CONTEXT}, 300, 1, 0
params.warmup, params.cpuparams.n_threads = False, 2
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def write_random_model(path: Path) -> None:
    """A llama of one layer over a byte-level vocabulary. llama.cpp does not load a vocabulary without a merge."""
    import gguf
    import numpy as np

    width, hidden, heads = 64, 128, 4
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    tokens = [*map(chr, printable), *(chr(256 + n) for n in range(len(others))), "\u0120t", "<|end|>"]
    end = len(tokens) - 1
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * end + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["\u0120 t"])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")
    shapes = {
        "token_embd": (len(tokens), width),
        "output": (len(tokens), width),
        **{f"blk.0.attn_{part}": (width, width) for part in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{part}": (hidden, width) for part in ("gate", "up")},
        "blk.0.ffn_down": (width, hidden),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.1, shape).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of llama.cpp's server, in a process of its own."""
    pytest.importorskip("xllamacpp")
    path = tmp_path_factory.mktemp("llama") / "random.gguf"
    write_random_model(path)
    command = [sys.executable, "-c", SERVE, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"{server.stdout.readline().strip()}/v1"
        server.kill()


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
