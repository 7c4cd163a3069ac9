"""The index finds what a look at every vector finds, whatever was added, removed and rebuilt before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workbench.memory.embed import unit
from workbench.memory.index import VectorIndex

DIM = 16


def vectors(count: int, seed: int = 0, dim: int = DIM) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


ALL = vectors(300)


@settings(max_examples=60, deadline=None)
@given(
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 299), st.integers(1, 80)),
            st.tuples(st.just("remove"), st.integers(0, 299), st.integers(1, 80)),
            st.sampled_from(["build", "reload"]),
        ),
        max_size=12,
    ),
    max_flat=st.sampled_from([20, 1000]),
)
def test_whatever_was_done_to_an_index_it_finds_what_a_look_at_every_vector_finds(actions, max_flat):
    index = VectorIndex(DIM, max_flat=max_flat)
    there: dict[str, NDArray[np.float32]] = {}
    for action in actions:
        if action == "build":
            index.build()
        elif action == "reload":
            if (dumped := index.dump()) is not None:
                index = VectorIndex.load(DIM, *dumped, max_flat=max_flat)
        else:
            verb, first, count = action
            numbers = range(first, min(300, first + count))
            if verb == "add":
                index.add([str(n) for n in numbers], ALL[list(numbers)].astype(np.float16 if first % 2 else np.float32))
                there |= {str(n): ALL[n] for n in numbers}
            else:
                for n in numbers:
                    index.remove(str(n))
                    there.pop(str(n), None)
    asked = vectors(1, seed=7)[0]
    best = sorted(there, key=lambda name: -float(there[name] @ asked))[:5]
    found = index.search(asked, 5)
    assert len(index) == len(there)
    assert [cosine for _, cosine in found] == pytest.approx([float(there[name] @ asked) for name in best], abs=2e-3)
    assert {name for name, _ in found} <= set(there)
    exact = index.nearest(asked, 1, there)
    assert exact == pytest.approx({name: float(vector @ asked) for name, vector in there.items()}, abs=2e-3)


def test_lists_visit_enough_to_find_nearly_all_that_is_near():
    centres = vectors(40, seed=1, dim=64)
    rows = unit(centres[np.arange(8_000) % 40] + 0.5 * vectors(8_000, seed=2, dim=64))
    index = VectorIndex(64, max_flat=1_000)
    index.add([str(n) for n in range(8_000)], rows)
    looseness = [index.is_loose]
    index.build()
    assert [*looseness, index.is_loose] == [True, False]
    asked = rows[::400] + 0.2 * vectors(20, seed=3, dim=64)
    hit = 0
    for question in asked:
        true = np.argsort(-(rows @ question))[:10]
        hit += len({int(name) for name, _ in index.search(question, 10)} & set(true.tolist()))
    assert hit >= 0.95 * 10 * len(asked)


@pytest.mark.parametrize("spread", [0.001, 0.02, 0.2, 1.0])
def test_however_close_together_vectors_lie_the_nearest_are_those_of_their_half_floats(spread: float):
    rows = unit(vectors(1, seed=4, dim=64) + spread * vectors(3_000, seed=5, dim=64))
    index = VectorIndex(64)
    index.add([str(n) for n in range(len(rows))], rows)
    for question in unit(vectors(1, seed=4, dim=64) + spread * vectors(10, seed=6, dim=64)):
        true = np.sort(rows.astype(np.float16).astype(np.float32) @ question)[::-1]
        assert [cosine for _, cosine in index.search(question, 10)] == pytest.approx(true[:10].tolist(), abs=1e-6)


def test_what_comes_after_the_lists_were_made_is_found_at_once_and_sorted_in_when_it_is_much():
    index = VectorIndex(DIM, max_flat=100)
    index.add([str(n) for n in range(150)], ALL[:150])
    index.build()
    index.add(["late"], ALL[200:201])
    assert index.search(ALL[200], 1)[0][0] == "late"
    assert not index.is_loose
    index.add([str(n) for n in range(210, 290)], ALL[210:290])
    assert index.is_loose


def test_an_index_that_is_not_the_one_that_is_told_of_is_refused():
    index = VectorIndex(DIM)
    index.add(["a", "b"], ALL[:2])
    dumped = index.dump()
    assert dumped is not None
    with pytest.raises(ValueError, match="does not have"):
        VectorIndex.load(DIM, ["a"], dumped[1])
    with pytest.raises(ValueError, match="does not have"):
        VectorIndex.load(DIM + 1, *dumped)
