"""What a question finds, in which order, and why."""

import json
import math
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory.support import ROOT, event
from workbench.core.events import Event, Kind
from workbench.core.request import Scope
from workbench.memory.embed import Hashing
from workbench.memory.lexical import Shelf, holding, is_identifier, scores, stem, terms
from workbench.memory.recall import Recall
from workbench.memory.vectors import Vectors

SCOPE = Scope(user="ann", workspace="sales", session="")


def remembering(*texts: str) -> Recall:
    recall = Recall()
    for n, text in enumerate(texts):
        scope = {"user": "ann", "workspace": "sales"}
        recall.hear(event(seq=n, kind=Kind.MEMORY_WRITTEN, id=f"m{n}", text=text, scope=scope))
    return recall


@pytest.mark.parametrize(
    "forms",
    [
        "issue issues issued issuing",
        "query queries queried querying",
        "exclude excludes excluded excluding",
        "plan plans planned planning",
        "chart charts charted charting",
        "box boxes",
        "price prices priced pricing",
        "class classes",
        "call calls called calling",
    ],
)
def test_the_forms_of_a_word_meet_in_one_stem(forms: str):
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize("word", ["bed", "ring", "as", "is", "thing", "2025s", "größes", "数据s", "press"])
def test_short_and_foreign_words_keep_their_shape(word: str):
    assert word.startswith(stem(word).rstrip("i"))
    assert len(stem(word)) >= min(3, len(word))


def test_an_identifier_comes_before_any_number_of_shared_words():
    recall = remembering("refund late customer order ticket payment", "see order_id", "ERR-4042", "refund")
    hits = recall.search("refund for a late customer order, ticket and payment of ERR-4042", SCOPE, 5)
    assert hits[0].id == "m2"
    assert hits[0].why == "exact: ERR-4042, 4042; lexical: ERR"
    assert hits[0].score > 0.5 > hits[1].score


def test_the_reason_names_the_words_of_the_question_in_their_order():
    (hit,) = remembering("The fiscal year starts in April").search("Which years are fiscal?", SCOPE, 5)
    assert hit.why == "lexical: years, fiscal"
    assert hit.source == "r1/s1"


def test_a_malformed_memory_is_passed_over_and_a_repeated_one_counts_once():
    recall = remembering("fiscal year")
    for body in (
        {},
        {"id": 1},
        {"id": "x"},
        {"id": "x", "text": 5, "scope": {}},
        {"id": "x", "text": "fiscal", "scope": 3},
    ):
        recall.hear(event(kind=Kind.MEMORY_WRITTEN, **body))
    recall.hear(event(kind=Kind.MEMORY_WRITTEN, id="m0", text="fiscal", scope={"user": "ann", "workspace": "sales"}))
    assert [hit.text for hit in recall.search("fiscal", SCOPE, 5)] == ["fiscal year"]


def test_what_is_forgotten_before_it_is_heard_of_stays_forgotten():
    recall = Recall()
    recall.hear(event(kind=Kind.MEMORY_FORGOTTEN, id="m0"))
    recall.hear(event(kind=Kind.MEMORY_WRITTEN, id="m0", text="fiscal", scope={"user": "ann", "workspace": "sales"}))
    assert recall.search("fiscal", SCOPE, 5) == []


@settings(max_examples=40, deadline=None)
@given(acts=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=80), sweep=st.integers(0, 500))
def test_a_shelf_that_was_added_to_and_taken_from_answers_as_one_that_was_filled_anew(acts, sweep):
    def terms(n: int) -> Counter[str]:
        return Counter({f"term{n % 3}": 1 + n % 2, f"term{n % 5}": 1, f"own{n}": 2})

    shelf, there = Shelf(), dict[int, None]()
    for add, n in [*[(flag, n) for n in range(sweep) for flag in (True, False)], *acts]:
        if add and n not in there:
            shelf.put(str(n), terms(n))
            there[n] = None
        elif not add and n in there:
            shelf.take(str(n), terms(n))
            del there[n]
    anew = Shelf()
    for n in there:
        anew.put(str(n), terms(n))
    asked = ["term0", "term1", "own7", "none"]
    # All of them: which of two equals comes tenth is decided by the last bit of a sum.
    every = scores(asked, [shelf], 100)
    assert every == pytest.approx(scores(asked, [anew], 100))
    for most in (1, 3, 12):  # the best of them, of equals the first by name
        best = sorted(every.items(), key=lambda found: (-round(found[1], 6), found[0]))[:most]
        assert scores(asked, [shelf], most) == pytest.approx(dict(best))
    assert sorted(holding("term1", [shelf])) == sorted(holding("term1", [anew]))
    assert len(shelf.names) <= 2 * len(there) + 201 + len(acts)


WORDS = st.lists(
    st.sampled_from(["order", "orders", "late", "lately", "pay", "ERR-4042", "q3_sales", "2025"]), min_size=1
)


@settings(max_examples=50, deadline=None)
@given(
    texts=st.dictionaries(WORDS.map(" ".join), st.tuples(st.booleans(), st.integers(1, 28)), max_size=14),
    gone=st.sets(st.integers(0, 13)),
    asked=st.lists(WORDS.map(" ".join), min_size=2, max_size=2),
    limit=st.integers(1, 8),
    letters=st.booleans(),
)
def test_what_is_found_is_what_a_plain_reckoning_over_every_text_finds(texts, gone, asked, limit, letters):
    vectors = Vectors(Hashing()) if letters else None
    recall, there = Recall(vectors), dict[str, tuple[str, bool, int]]()
    for n, (text, (pinned, day)) in enumerate(texts.items()):
        scope = {"user": "ann", "workspace": "sales" if n % 3 else ""}
        body = {"id": f"m{n}", "text": text, "scope": scope, "pinned": pinned}
        at = f"2026-02-{day:02}T00:00:00+00:00"
        recall.hear(Event(run="r1", seq=n, at=at, kind=Kind.MEMORY_WRITTEN, body=body))
        there[f"m{n}"] = text, pinned, day
    newest = max((day for _, _, day in there.values()), default=0)
    for turn, question in enumerate(asked):
        hits = recall.search(question, SCOPE, limit)
        true = reckoned(question, there, newest, letters=letters)
        best = sorted(true, key=lambda name: (-round(true[name], 9), name))[:limit]
        assert [hit.score for hit in hits] == pytest.approx([true[name] for name in best], abs=1e-4)
        assert [true.get(hit.id) for hit in hits] == pytest.approx([hit.score for hit in hits], abs=1e-4)
        if not letters:  # with them, which of two equals comes first is decided by the last bit of a half float
            assert [hit.id for hit in hits] == best
        if turn == 0:
            for name in [f"m{n}" for n in gone if f"m{n}" in there]:
                recall.hear(event(kind=Kind.MEMORY_FORGOTTEN, id=name))
                del there[name]
    if vectors is not None:
        vectors.close()


def reckoned(
    question: str, there: Mapping[str, tuple[str, bool, int]], newest: int, *, letters: bool
) -> dict[str, float]:
    """The scores of all that a question finds, one text after the other, as the rules say it."""
    asked = list(dict(terms(question)))
    held = {name: Counter(term for term, _ in terms(text)) for name, (text, _, _) in there.items()}
    mean = max(1.0, sum(found.total() for found in held.values()) / max(1, len(held)))
    weights = {}
    for term in asked:
        holders = sum(term in found for found in held.values())
        weights[term] = 2.2 * math.log(1 + max(0.0, len(held) - holders + 0.5) / (holders + 0.5))
    identifiers = [term for term in asked if is_identifier(term)]
    embed = Hashing().embed
    answers = {}
    for name, (text, pinned, day) in there.items():
        norm = 1.2 * (0.25 + 0.75 * held[name].total() / mean)
        word = sum(weight * held[name][t] / (held[name][t] + norm) for t, weight in weights.items())
        word /= sum(weights.values())
        exact = sum(term in held[name] for term in identifiers)
        cosine = float(embed([text])[0].astype("float16").astype("float32") @ embed([question])[0]) if letters else 0.0
        if not (word or exact or (letters and cosine >= Hashing.floor)):
            continue
        relevance = (max(0.0, cosine) + word) / 2 if letters else word
        part = (relevance + 0.03 * pinned + 0.01 * 2 ** ((day - newest) / 90)) / 1.04
        answers[name] = 0.5 + 0.4 * exact / len(identifiers) + 0.1 * part if exact else 0.5 * part
    return answers


@pytest.mark.parametrize("question", ["", "   ", "\x00", "\ud800", "the of and", "?!", "x" * 1_000_000])
def test_a_question_without_content_finds_nothing(question: str):
    assert remembering("fiscal year", "").search(question, SCOPE, 5) == []


def test_three_inflected_words_of_a_fact_find_it_among_the_others():
    path = ROOT / "tests" / "corpus" / "memory" / "pairs.json"
    if not path.exists():
        pytest.skip("the corpus is not in this checkout")
    facts = [pair["fact"] for pair in json.loads(path.read_text())["pairs"]]
    recall = remembering(*facts)
    right = 0
    for n, fact in enumerate(facts):
        words = sorted({word for word in fact.split() if word.isalpha() and len(word) > 4}, key=len)[-3:]
        hits = recall.search(" ".join(word + "s" if not word.endswith("s") else word[:-1] for word in words), SCOPE, 1)
        right += bool(hits) and hits[0].id == f"m{n}"
    assert right >= 0.92 * len(facts)
