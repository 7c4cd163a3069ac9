"""Embeddings of a server: whole vectors are taken, and whatever else it sends costs one line."""

import asyncio
import json

import numpy as np
import pytest
from pydantic import SecretStr

from tests.models.servers import KEY, Answer, Asked, error, http, serving
from workbench.core.errors import TransientError, Unavailable
from workbench.embedders import choose
from workbench.memory.embed import Hashing
from workbench.memory.minilm import MiniLM
from workbench.models.embeddings import Embeddings


def listed(*vectors: object) -> bytes:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return http(200, json.dumps({"object": "list", "data": data}))


def lengths(asked: Asked) -> bytes:
    """Embeddings that tell how long each text was."""
    return listed(*([float(len(text)), 1.0] for text in asked.body["input"]))


async def embedded(texts: list[str], *answers: Answer) -> tuple[np.ndarray, list[Asked]]:
    async with serving(*answers) as server:
        embedder = Embeddings("embed-1", base_url=server.base_url, api_key=SecretStr(KEY), timeout=10.0)
        try:
            return await asyncio.to_thread(embedder.embed, texts), server.asked
        finally:
            await asyncio.to_thread(embedder.close)


async def test_vectors_come_back_in_the_order_of_the_texts_with_length_one():
    mixed = {"data": [{"index": 1, "embedding": [0, 5]}, {"index": 0, "embedding": [3, 4]}]}
    vectors, (asked,) = await embedded(["a", "b"], http(200, json.dumps(mixed)))
    assert vectors.tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 1]]))
    assert asked.path.endswith("/embeddings")
    assert asked.body == {"model": "embed-1", "input": ["a", "b"], "encoding_format": "float"}
    assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("bad", [None, [], "x", ["a"], [float("inf")] * 2, [0.0, 0.0], [True, False]])
async def test_a_text_without_a_whole_vector_gets_zeros_and_the_others_keep_theirs(bad: object):
    vectors, _ = await embedded(["a", "b"], listed([3.0, 4.0], bad))
    assert vectors.tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


async def test_half_a_batch_that_does_not_come_gets_zeros():
    vectors, _ = await embedded(["a", "b", "c", "d"], listed([1.0, 0.0], [0.0, 1.0]))
    assert vectors.any(axis=1).tolist() == [True, True, False, False]


async def test_one_text_that_the_server_minds_costs_itself_only():
    def minds(asked: Asked) -> bytes:
        return error(400, "too odd") if "odd" in asked.body["input"] else lengths(asked)

    vectors, _ = await embedded(["a", "bb", "odd", "dddd"], minds)
    assert vectors.any(axis=1).tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (listed([1.0, 2.0], [1.0, 2.0, 3.0]), Unavailable, "unequal length: 2, 3"),
        (http(200, "{}"), TransientError, "without embeddings"),
        (listed(None, None), TransientError, "without one whole embedding"),
        (http(200, "<html>hello", "text/html"), Unavailable, "not an OpenAI-compatible endpoint"),
        (error(401, f"bad key {KEY}"), Unavailable, ""),
        (error(404, "no such model"), Unavailable, ""),
        (error(503, "busy"), TransientError, ""),
        (b"", TransientError, ""),
    ],
)
async def test_whatever_else_comes_is_one_line_without_the_key(answer: bytes, kind: type[Exception], words: str):
    with pytest.raises(kind) as caught:
        await embedded(["a", "b"], answer)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_odd_texts_are_sent_in_a_form_that_servers_take():
    texts = ["", "\x00", "\ud800 half", "x" * 1_000_000]
    vectors, (asked,) = await embedded(texts, lengths)
    assert vectors.any(axis=1).all()
    assert [len(text) for text in asked.body["input"]] == [1, 1, 6, 24_000]


def test_a_key_goes_to_the_endpoint_that_it_was_given_for(tmp_path):
    from workbench.configuration import load_settings

    def chosen(**variables: str):
        return choose(load_settings({"WORKBENCH_CONFIG": str(tmp_path), **variables}, tmp_path))

    ours = {"OPENAI_API_KEY": "sk-ours-123456", "OPENAI_BASE_URL": "http://a.example/v1", "WORKBENCH_EMBED_MODEL": "e"}
    assert isinstance(chosen(), Hashing)
    assert isinstance(chosen(OPENAI_API_KEY="sk-ours-123456"), Hashing)  # a key alone sends no memory anywhere
    same, other = chosen(**ours), chosen(**ours, WORKBENCH_EMBED_BASE_URL="http://b.example/v1")
    own = chosen(**ours, WORKBENCH_EMBED_BASE_URL="http://b.example/v1", WORKBENCH_EMBED_API_KEY="sk-theirs-123456")
    assert [(e.id, e._key) for e in (same, other, own)] == [
        ("e@http://a.example/v1", "sk-ours-123456"),
        ("e@http://b.example/v1", ""),
        ("e@http://b.example/v1", "sk-theirs-123456"),
    ]
    (tmp_path / "models" / "all-MiniLM-L6-v2").mkdir(parents=True)
    (tmp_path / "models" / "all-MiniLM-L6-v2" / "model.safetensors").touch()
    assert isinstance(chosen(), MiniLM)
