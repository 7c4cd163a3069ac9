"""What recall costs, beside what else could answer from the same vectors, in one run.

    python tests/benchmarks/bench_recall.py [memories ...]       10000 and 100000 when none are given

recall: a whole `Recall.search`, words and vectors fused, without making the question's vector. index: vectors alone.
duckdb: array_cosine_similarity over FLOAT[384], all rows, one thread. sqlite-vec: a vec0 table through apsw. All answer
the same questions with the ten nearest. Then: reading the vectors from memory.duckdb, beside making the index of them.
Ratios count; times depend on the machine.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.memory.sentences import unrelated
from workbench.core.events import Event, Kind
from workbench.core.request import Scope
from workbench.memory.blobs import Blobs
from workbench.memory.index import VectorIndex
from workbench.memory.recall import Recall
from workbench.memory.store import Store
from workbench.memory.vectors import Vectors

DIM = 384
QUESTIONS = 60
SCOPE = Scope(user="ann", workspace="sales", session="")
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def clustered(count: int, seed: int) -> Floats:
    """Vectors that lie as those of sentences do: around topics, not evenly."""
    generator = np.random.default_rng(seed)
    topics = np.random.default_rng(0).normal(size=(2_000, DIM))
    rows = topics[generator.integers(0, len(topics), count)] + 0.9 * generator.normal(size=(count, DIM))
    units: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return units


class Given:
    """An embedder whose vectors are there already: only what comes after it is measured."""

    id = name = "given"
    lexical = False
    floor = 0.0

    def __init__(self, vectors: dict[str, Floats]) -> None:
        self.vectors = vectors

    def embed(self, texts: list[str]) -> Floats:
        return np.stack([self.vectors[text] for text in texts])


def milliseconds(ask: Callable[[int], object]) -> tuple[float, float]:
    """The medians of a question: by the clock, and of the processor's time, which other programs disturb less."""
    took, worked = [], []
    for n in range(QUESTIONS):
        started, began = time.perf_counter(), time.process_time()
        ask(n)
        worked.append(time.process_time() - began)
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1e3, statistics.median(worked) * 1e3


def measure(count: int) -> None:
    sentences = unrelated(5_400)
    texts = [f"{sentences[n % len(sentences)]}, note {n}" for n in range(count)]
    asked = [f"{sentences[(n * 97) % len(sentences)]}?" for n in range(QUESTIONS)]
    rows, questions = clustered(count, 1), clustered(QUESTIONS, 2)
    true = [set(np.argsort(-(rows @ question))[:10].tolist()) for question in questions]
    found: dict[str, tuple[float, float]] = {}

    vectors = Vectors(Given(dict(zip(texts + asked, [*rows, *questions], strict=True))))  # type: ignore[arg-type]
    recall = Recall(vectors)
    for n, text in enumerate(texts):
        body = {"id": str(n), "text": text, "scope": {"user": "ann", "workspace": "sales"}}
        recall.hear(Event(run=f"r{n}", seq=0, at="2026-01-01T00:00:00+00:00", kind=Kind.MEMORY_WRITTEN, body=body))
    assert vectors.settle(600.0, count), vectors.describe()
    (index,) = vectors._indexes.values()
    while index.is_loose:
        time.sleep(0.1)
    for n in range(QUESTIONS):
        recall.search(asked[n], SCOPE, 10)  # the question's vector is known from here on
    found["recall"] = milliseconds(lambda n: recall.search(asked[n], SCOPE, 10))
    found["index"] = milliseconds(lambda n: index.search(questions[n], 10))
    hit = [len({int(name) for name, _ in index.search(questions[n], 10)} & true[n]) for n in range(QUESTIONS)]
    found["duckdb"] = duckdb(rows, questions)
    found["sqlite-vec"] = sqlite_vec(rows, questions)

    print(f"\n{count:,} memories of {DIM} numbers, {QUESTIONS} questions, p50")
    for name, (took, worked) in found.items():
        more = f"{took / found['recall'][0]:>7.1f} x recall ({worked / found['recall'][1]:.1f} x)"
        print(f"  {name:<12}{took:>9.3f} ms, {worked:>8.3f} ms of processor {more}")
    print(f"  recall@10 of the index: {sum(hit) / (10 * QUESTIONS):.3f}")
    vectors.close()
    rebuild(texts, rows)


def duckdb(rows: Floats, questions: Floats) -> tuple[float, float]:
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect(config={"threads": 1})
    array = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIM)
    table = pa.table({"id": pa.array(np.arange(len(rows))), "v": array})
    connection.register("given", table)
    connection.execute(f"create table vectors as select id, v::float[{DIM}] as v from given")
    query = f"select id from vectors order by array_inner_product(v, ?::float[{DIM}]) desc limit 10"
    took = milliseconds(lambda n: connection.execute(query, [questions[n].tolist()]).fetchall())
    connection.close()
    return took


def sqlite_vec(rows: Floats, questions: Floats) -> tuple[float, float]:
    import apsw
    import sqlite_vec

    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute(f"create virtual table vectors using vec0(v float[{DIM}] distance_metric=cosine)")
    with connection:
        connection.executemany(
            "insert into vectors(rowid, v) values (?, ?)", [(n, row.tobytes()) for n, row in enumerate(rows)]
        )
    query = "select rowid from vectors where v match ? and k = 10 order by distance"
    took = milliseconds(lambda n: list(connection.execute(query, (questions[n].tobytes(),))))
    connection.close()
    return took


def rebuild(texts: list[str], rows: Floats) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        blobs = Blobs(store)
        names = [str(n) for n in range(len(texts))]
        for start in range(0, len(rows), 20_000):
            blobs.write("given", dict(zip(names[start : start + 20_000], rows[start : start + 20_000], strict=True)))
        blobs.read("given", names)
        started = time.process_time()
        read = blobs.read("given", names)
        reading = time.process_time() - started
        index = VectorIndex(DIM)
        index.add(list(read), np.concatenate(list(read.values())).reshape(len(read), DIM))
        searchable = time.process_time() - started
        if index.is_loose:
            index.build()
        sorted_ = time.process_time() - started
        store.close()
    ratio = searchable / reading
    print(f"  reading the vectors {reading:.2f} s of processor; until all can be searched {ratio:.2f} x that", end="")
    print(f"; until sorted into lists {sorted_ / reading:.2f} x")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    for count in [int(argument) for argument in sys.argv[1:]] or [10_000, 100_000]:
        measure(count)
