"""What says the same is one memory; what differs in a number, a name or a negation never is."""

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memory.support import ask
from tests.memory.wordings import DIFFERENT, SAME
from workbench.core.errors import Refused
from workbench.core.events import Event, Kind
from workbench.core.request import Scope
from workbench.memory.base import Memory
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.fold import differences, echoes, says_the_same, takes_the_place_of
from workbench.memory.minilm import MiniLM
from workbench.memory.remember import KINDS, Note, Remembering
from workbench.memory.volatile import InMemoryMemory, Kept
from workbench.memory.wheel import install

SCOPE = Scope(user="ann", workspace="sales", session="")
LETTERS = st.text("abcdefghij", min_size=3, max_size=8)


class Writer:
    """Remembers on a memory, one run after another, and keeps the events that were told."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.remembering = Remembering(memory)
        self.told: list[Event] = []

    async def __call__(self, text: str, *, by="user", run: str = "", scope: Scope = SCOPE, **more):
        def tell(kind: Kind, body) -> None:
            name = f"run{len(self.told)}"
            event = Event(run=name, seq=0, at=f"2026-01-01T12:00:{len(self.told):02}+00:00", kind=kind, body=body)
            self.told.append(event)
            self.memory.append(event)

        note = Note(text=text, scope=scope, source="run/step", by=by, **more)
        return await self.remembering.remember(note, tell, run=run)

    async def found(self, question: str) -> list[str]:
        return [hit.text for hit in await self.memory.recall(question, SCOPE, 10)]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_texts_that_differ_in_a_word_that_counts_do_not_say_the_same_however_near_they_are(one: str, other: str):
    assert not says_the_same(one, other, 0.99)
    assert not says_the_same(other, one, 0.99)


@given(words=st.lists(LETTERS, min_size=2, max_size=6), at=st.integers(0, 6), one=st.integers(), other=st.integers())
def test_whatever_surrounds_them_two_numbers_tell_texts_apart(words, at, one, other):
    texts = [" ".join([*words[:at], str(number), *words[at:]]) for number in (one, other)]
    assert says_the_same(texts[0], texts[1], 0.999) == (abs(one) == abs(other))


@given(
    words=st.lists(LETTERS, min_size=2, max_size=6), at=st.integers(0, 6), no=st.sampled_from(["not", "never", "no"])
)
def test_a_negation_more_tells_texts_apart(words, at, no):
    assert not says_the_same(" ".join([*words[:at], no, *words[at:]]), " ".join(words), 0.999)


@given(words=st.lists(LETTERS, min_size=2, max_size=6), one=LETTERS, other=LETTERS)
def test_a_name_tells_texts_apart(words, one, other):
    texts = [" ".join([*words, name.capitalize()]) for name in (one, other)]
    assert says_the_same(texts[0], texts[1], 0.999) == (one == other)


def test_without_meanings_only_the_same_words_in_the_same_order_say_the_same():
    assert says_the_same("The fiscal years start in July.", "fiscal year starts in July")
    assert not says_the_same("July is when the fiscal year starts", "The fiscal year starts in July")
    assert not says_the_same("Anna reports to Peter", "Peter reports to Anna")


def test_a_word_that_stands_for_another_must_mean_the_same():
    old, new = "customers from spain get a discount", "customers from france get a discount"
    assert not says_the_same(new, old, 0.95, lambda one, other: 0.7)
    assert says_the_same("our fiscal year begins in July", "the fiscal year starts in July", 0.95, lambda a, b: 0.85)


@pytest.mark.parametrize(
    ("new", "old", "closes"),
    [
        ("The fiscal year now starts in October", "The fiscal year starts in July", True),
        ("The churn model no longer uses a 90 day window", "The churn model uses a 90 day window", True),
        ("Backups are now kept for 60 days", "Backups are kept for 35 days", True),
        ("The fiscal year starts in October", "The fiscal year starts in July", False),
        ("Backups of Munich are now kept for 60 days", "Invoices are due on Monday", False),
        ("Backups are now kept for 35 days", "Backups are kept for 35 days", False),
    ],
)
def test_a_text_closes_an_older_one_when_it_says_that_something_has_changed(new: str, old: str, closes: bool):
    assert takes_the_place_of(new, old) is closes


def test_a_recalled_text_with_words_around_it_is_an_echo_and_one_with_news_is_none():
    fact = "The fiscal year starts in July"
    assert echoes(f"According to memory: {fact.lower().replace('july', 'July')}.", fact)
    assert not echoes(f"{fact}, so budgets close in June", fact)
    assert not echoes("The fiscal year starts in August", fact)


def test_differences_are_named():
    assert differences("Anna has 2 cats", "Peter has no cats") == ["a number", "a negation"]


async def test_the_same_words_twice_are_one_memory_and_the_second_is_on_record():
    write = Writer(InMemoryMemory())
    first = await write("The fiscal year starts in July")
    second = await write("the fiscal year starts in July.")
    assert (first.became, second.became, second.id) == ("new", "folded", first.id)
    assert [event.kind for event in write.told] == [Kind.MEMORY_WRITTEN, Kind.MEMORY_FOLDED]
    assert write.told[1].body["text"] == "the fiscal year starts in July."


async def test_what_has_changed_is_closed_found_no_more_and_kept_with_its_history(tmp_path: Path):
    write = Writer(DuckDBMemory(tmp_path))
    old = await write("The fiscal year starts in July")
    new = await write("The fiscal year now starts in October")
    assert [hit.id for hit in new.closed] == [old.id]
    assert await write.found("fiscal year") == ["The fiscal year now starts in October"]
    listed = {hit.id: hit.closed_by for hit in await write.memory.memories(SCOPE)}
    assert listed == {old.id: new.id, new.id: ""}
    await write.memory.close()
    rows = ask(tmp_path, "select id, closed_by, valid_to is null, forgotten from memories order by happened_at")
    assert rows == [(old.id, new.id, False, False), (new.id, None, True, False)]
    again = Writer(DuckDBMemory(tmp_path))
    assert await again.found("fiscal year") == ["The fiscal year now starts in October"]
    again.memory.append(Event(run="f", seq=0, at="", kind=Kind.MEMORY_FORGOTTEN, body={"id": new.id}))
    assert await again.found("fiscal year") == ["The fiscal year starts in July"]
    await again.memory.close()


async def test_a_correction_can_name_what_it_replaces_and_nobody_closes_what_somebody_else_remembers():
    write = Writer(InMemoryMemory())
    bob = Scope(user="bob", workspace="sales", session="")
    his, hers = await write("Invoices are due on Monday", scope=bob), await write("The API allows 60 calls")
    kept = await write("Limits are written in the wiki", replaces=(his.id, hers.id))
    assert [hit.id for hit in kept.closed] == [hers.id]
    forged = dict(write.told[-1].body, id="forged", closes=[his.id])
    write.memory.append(Event(run="x", seq=0, at="", kind=Kind.MEMORY_WRITTEN, body=forged))
    assert [hit.id for hit in await write.memory.recall("invoices", bob)] == [his.id]


@pytest.mark.parametrize("options", [{"by": "user"}, {"by": "tool", "pinned": True}])
async def test_a_tool_does_not_close_what_the_user_wrote_or_pinned(options):
    write = Writer(InMemoryMemory())
    await write("The fiscal year starts in July", **options)
    assert (await write("The fiscal year now starts in October", by="tool")).closed == ()
    assert len(await write.found("fiscal year")) == 2
    assert len((await write("The fiscal year now starts in May", by="user")).closed) == 2


async def test_what_a_run_recalled_it_does_not_store_again_and_another_run_may_say_it():
    write = Writer(InMemoryMemory())
    fact = await write("The fiscal year starts in July")
    await write.remembering.recall("fiscal year", SCOPE, 5, run="r1")
    kept = await write("I recall from memory: the fiscal year starts in July", run="r1")
    assert (kept.became, kept.id) == ("recalled", fact.id)
    assert (await write("I recall from memory: the fiscal year starts in July", run="r2")).became == "new"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": "  "}, "nothing to remember"),
        ({"kind": "fakt"}, "Did you mean fact"),
        ({"text": "x" * 2_000_001}, "no memory but a file"),
        ({"scope": Scope(user="", workspace="", session="")}, "needs a source"),
    ],
)
async def test_a_note_that_is_none_is_refused(change, words: str):
    with pytest.raises(Refused) as caught:
        await Writer(InMemoryMemory())(**{"text": "x", **change})
    assert words in " ".join(caught.value.lines())


async def test_kinds_are_kept_apart():
    write = Writer(InMemoryMemory())
    kinds = {(await write("Charts are blue", kind=kind)).became for kind in KINDS}
    assert kinds == {"new"}
    assert {hit.kind for hit in await write.memory.memories(SCOPE)} == set(KINDS)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory) -> MiniLM:
    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    install(folder)
    return MiniLM(folder)


@pytest.mark.fresh
@pytest.mark.timeout(600)
async def test_five_facts_in_three_wordings_are_at_most_six_memories_and_twenty_look_alike_pairs_stay_forty(minilm):
    for order in ((0, 1, 2), (2, 1, 0)):
        write = Writer(InMemoryMemory(Kept(minilm)))
        for place in order:
            for wordings in SAME:
                await write(wordings[place])
        assert len(await write.memory.memories(SCOPE)) <= 6
    write = Writer(InMemoryMemory(Kept(minilm)))
    for one, other in DIFFERENT:
        await write(one)
        await write(other)
    assert len(await write.memory.memories(SCOPE)) == 40


def test_there_are_five_facts_in_three_wordings_and_twenty_pairs():
    assert [len(wordings) for wordings in SAME] == [3] * 5
    assert len(DIFFERENT) == len({text for pair in DIFFERENT for text in pair}) // 2 == 20
    assert all(not says_the_same(a, b) for a, b in permutations([w[0] for w in SAME], 2))
