"""Vectors are made once, in the background, and whatever goes wrong with them costs no more than the second leg."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.memory.embedders import Scripted
from tests.memory.sentences import keywords, pairs, unrelated
from tests.memory.support import ask, event, said
from workbench.core.events import Kind
from workbench.core.request import Scope
from workbench.memory import indexfile, locks
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.embed import Hashing
from workbench.memory.recall import Recall
from workbench.memory.vectors import Vectors

SCOPE = Scope(user="ann", workspace="sales", session="")
MEANS = {"when does the accounting period begin": "year", "Our fiscal year starts in July": "year"}
QUESTION, FACT = MEANS


def remembered(name: str, text: str, user: str = "ann"):
    scope = {"user": user, "workspace": "sales"}
    return event(run=f"run-{name}", kind=Kind.MEMORY_WRITTEN, id=name, text=text, scope=scope)


@asynccontextmanager
async def memory(home: Path, embedder, *texts: str, user: str = "ann"):
    """A memory on `home` that remembers these texts, every vector made."""
    opened = DuckDBMemory(home, embedder=embedder)
    try:
        for n, text in enumerate(texts):
            opened.append(remembered(f"{user}{n}", text, user))
        await opened.barrier()
        await opened.recall("anything", SCOPE)
        await settled(opened)
        yield opened
    finally:
        await opened.close()


async def settled(opened: DuckDBMemory) -> None:
    assert await asyncio.to_thread(of(opened).settle, 20.0, 1_000_000)


def of(opened: DuckDBMemory) -> Vectors:
    assert opened.vectors is not None
    return opened.vectors


async def ids(opened: DuckDBMemory, question: str, limit: int = 5) -> list[str]:
    return [hit.id for hit in await opened.recall(question, SCOPE, limit)]


class Remembered(Recall):
    """A recall whose vectors are there for sure."""

    vectors: Vectors


def remembering(embedder, *texts: str, rest: float = 5.0) -> Remembered:
    recall = Remembered(Vectors(embedder, rest=rest))
    for n, text in enumerate(texts):
        recall.hear(remembered(f"m{n}", text))
    return recall


async def test_a_question_in_other_words_finds_the_fact_and_says_that_meanings_were_compared(tmp_path: Path):
    async with memory(tmp_path, Scripted(means=MEANS), FACT, "The office is in Lisbon") as opened:
        (hit,) = await opened.recall(QUESTION, SCOPE)
        assert (hit.id, hit.recall, hit.why) == ("ann0", "semantic", "meaning 1.00")
        assert hit.cosine == pytest.approx(1.0, abs=1e-3)


async def test_no_text_is_embedded_twice_by_whoever_remembers_it_or_opens_the_memory_later(tmp_path: Path):
    first, second = Scripted(means=MEANS), Scripted(means=MEANS)
    async with memory(tmp_path, first, FACT, "The office is in Lisbon"):
        pass
    async with memory(tmp_path, second, FACT, user="bob") as opened:
        assert await ids(opened, QUESTION) == ["ann0"]
    assert sorted(first.asked) == sorted([FACT, "The office is in Lisbon", "anything"])
    assert sorted(second.asked) == sorted(["anything", QUESTION])
    assert ask(tmp_path, "select model, dim, octet_length(vector), count(*) from embeddings group by all") == [
        ("scripted", 32, 64, 2)
    ]


async def test_a_new_model_delays_nothing_and_the_old_ones_vectors_are_still_there_afterwards(tmp_path: Path):
    async with memory(tmp_path, Scripted("old", means=MEANS), FACT):
        pass
    slow = Scripted("new", dim=48, means=MEANS)
    slow.gate.clear()
    opened = DuckDBMemory(tmp_path, embedder=slow)
    recalling = asyncio.create_task(opened.recall("fiscal years", SCOPE))
    # The embedder never answers before the gate is open; only the moment for which a few missing vectors are worth it
    # goes by.
    (hit,) = await asyncio.wait_for(recalling, 20)
    assert (hit.id, hit.recall, hit.why) == ("ann0", "semantic", "lexical: fiscal, years")
    slow.gate.set()
    await settled(opened)
    assert await ids(opened, QUESTION) == ["ann0"]
    await opened.close()
    old = Scripted("old", means=MEANS)
    async with memory(tmp_path, old) as again:
        assert await ids(again, QUESTION) == ["ann0"]
    assert FACT not in old.asked


async def test_while_the_embedder_is_down_words_are_compared_and_the_status_says_why(tmp_path: Path):
    broken = Scripted(means=MEANS)
    broken.broken = True
    opened = DuckDBMemory(tmp_path, embedder=broken)
    opened.append(remembered("m0", FACT))
    await opened.barrier()
    (hit,) = await opened.recall("fiscal years", SCOPE)
    assert (hit.id, hit.recall, hit.cosine) == ("m0", "lexical", None)
    assert of(opened).describe() == "lexical recall until scripted answers: no answer from the embedder"
    await opened.close()


def test_an_embedder_that_answers_again_is_asked_again():
    embedder = Scripted(means=MEANS)
    embedder.broken = True
    recall = remembering(embedder, FACT, rest=0.01)
    assert recall.search(QUESTION, SCOPE, 5) == []
    embedder.broken = False
    assert recall.vectors.settle(20.0)
    assert [hit.id for hit in recall.search(QUESTION, SCOPE, 5)] == ["m0"]
    assert recall.vectors.trouble == ""


def test_texts_that_an_embedder_will_not_take_are_found_by_their_words_and_the_others_by_meaning():
    embedder = Scripted(means=MEANS)
    texts = [FACT, *(f"refused text number{n}" for n in range(20))]
    embedder.refuses = set(texts[1:])
    recall = remembering(embedder, *texts)
    assert recall.vectors.settle(20.0)
    assert [hit.id for hit in recall.search(QUESTION, SCOPE, 5)] == ["m0"]
    assert recall.search("number7", SCOPE, 1)[0].id == "m8"


async def test_vectors_of_another_length_under_the_same_name_leave_recall_to_words_and_lose_nothing(tmp_path: Path):
    async with memory(tmp_path, Scripted(means=MEANS), FACT):
        pass
    changed = Scripted(dim=20, means=MEANS)
    opened = DuckDBMemory(tmp_path, embedder=changed)
    opened.append(remembered("late", "The office is in Lisbon"))
    assert await ids(opened, "fiscal years") == ["ann0"]
    assert await ids(opened, "office") == ["late"]
    assert "gives vectors of 20 numbers where it gave 32 before" in of(opened).describe()
    await opened.close()
    assert ask(tmp_path, "select dim from embeddings where content_hash not in (select '')") >= [(32,)]


def test_what_was_forgotten_before_its_vector_was_made_is_neither_made_nor_found():
    embedder = Scripted(means=MEANS)
    embedder.gate.clear()
    recall = remembering(embedder, "a text before", FACT)
    recall.vectors.wake()
    recall.hear(event(kind=Kind.MEMORY_FORGOTTEN, id="m1"))
    embedder.gate.set()
    assert recall.vectors.settle(20.0)
    assert recall.search(QUESTION, SCOPE, 5) == []


async def test_while_another_process_makes_vectors_nobody_else_does(tmp_path: Path):
    embedder = Scripted(means=MEANS)
    opened = DuckDBMemory(tmp_path, embedder=embedder)
    opened.append(remembered("m0", FACT))
    await opened.barrier()
    with locks.held(tmp_path / "embed.lock", 1.0) as got:
        assert got
        assert [hit.why for hit in await opened.recall("fiscal", SCOPE)] == ["lexical: fiscal"]
        assert FACT not in embedder.asked
    await settled(opened)
    assert embedder.asked.count(FACT) == 1
    await opened.close()


async def test_without_its_index_a_memory_finds_the_same_ten(tmp_path: Path):
    texts = [f"{text} number{n}" for n, text in enumerate(unrelated(indexfile.MIN_ROWS + 100))]
    questions = ["the gardener and the swans", "walnut bread", "number77", "a boat on the beach"]
    async with memory(tmp_path, Hashing(), *texts) as opened:
        first = [await ids(opened, question, 10) for question in questions]
    (file,) = (tmp_path / "index").glob("*/*.index")
    assert file.stat().st_mode & 0o077 == 0
    whole = file.read_bytes()
    for damage in (lambda: None, lambda: file.write_bytes(whole[:-100]), lambda: file.write_bytes(b"\x00" * 1000)):
        damage()
        async with memory(tmp_path, Hashing()) as opened:
            assert [await ids(opened, question, 10) for question in questions] == first
    shutil.rmtree(tmp_path / "index")
    async with memory(tmp_path, Hashing()) as opened:
        assert [await ids(opened, question, 10) for question in questions] == first


def test_an_index_from_disk_holds_nothing_that_says_something_else_by_now(tmp_path: Path):
    from workbench.memory.index import VectorIndex

    count = indexfile.MIN_ROWS
    rows = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    index = VectorIndex(8)
    index.add([str(n) for n in range(count)], rows)
    hashes = {str(n): f"hash {n}" for n in range(count)}
    assert indexfile.save(tmp_path, "m", ("ann", "", ""), index, hashes)
    assert not indexfile.save(tmp_path, "m", ("ann", "", ""), index, hashes)
    del hashes["1"]
    loaded = indexfile.load(tmp_path, "m", ("ann", "", ""), hashes | {"2": "another"}, max_flat=10_000)
    assert loaded is not None
    assert ("0" in loaded, "1" in loaded, "2" in loaded, len(loaded)) == (True, False, False, count - 2)
    assert indexfile.load(tmp_path, "m", ("bob", "", ""), hashes, max_flat=10_000) is None
    assert indexfile.load(tmp_path, "other", ("ann", "", ""), hashes, max_flat=10_000) is None


@pytest.mark.parametrize("text", ["x " * 500_000, "nul \x00 inside", "\ud800 half", "", "数据 " * 1000, "\u202e"])
async def test_any_text_can_be_remembered_and_the_others_are_still_found(tmp_path: Path, text: str):
    async with memory(tmp_path, Hashing(), text, "The fiscal year starts in July") as opened:
        assert (await ids(opened, "fiscal year"))[0] == "ann1"
        await opened.recall(text, SCOPE)


def test_a_forked_process_recalls_by_meaning_on_its_own(tmp_path: Path):
    assert said("fork_and_recall", tmp_path) == {"child": 0, "parent": ["m1", "m0"]}


def test_by_letters_alone_inflected_words_find_their_fact_among_nine_hundred_others_and_so_do_misspelled_ones():
    facts = [fact for fact, _ in pairs()]
    recall = remembering(Hashing(), *facts, *unrelated())
    assert recall.vectors.settle(60.0, 10_000)
    first = [recall.search(keywords(fact), SCOPE, 1)[0] for fact in facts]
    assert sum(hit.id == f"m{n}" for n, hit in enumerate(first)) >= 0.9 * len(facts)
    assert {hit.recall for hit in first} == {"lexical"}
    (hit,) = recall.search("heteroskedasticity residuals", SCOPE, 1)
    assert "heteroscedasticity" in hit.text
    assert hit.why.startswith("lexical: residuals; spelling 0.")
