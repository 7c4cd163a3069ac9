"""What a user remembers, recalls and forgets, in a cell and in a terminal; and that nobody sees another's."""

import asyncio
import json
import random
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from workbench.cli import main
from workbench.configuration import load_settings
from workbench.core.errors import Refused
from workbench.core.events import Event, Kind
from workbench.core.provenance import SourceKind
from workbench.core.request import Scope
from workbench.memories import Memories
from workbench.memory.audit import audit
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.embed import Hashing
from workbench.memory.remember import Note, Remembering
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.notebook import verbs
from workbench.policy.secrets import Secrets
from workbench.workbench import Workbench

KEY = "sk-canary-0123456789"


@pytest.fixture
def bench(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = Workbench(load_settings(folder=tmp_path))
    yield made
    asyncio.run(made.close())


def test_a_cell_shows_hits_with_scores_why_and_source_as_text_and_as_a_table_and_says_what_was_compared(bench):
    verbs.remember(bench, "--pin --kind=procedure Deploys are done by <b>Anna</b>")
    shown = verbs.recall(bench, "who deploys")
    text, html = repr(shown), shown._repr_html_()
    assert "Deploys are done by" in text
    assert "lexical: deploys; spelling" in text
    assert "pinned" in text
    assert "the user" in text
    assert "lexical recall, no embedding model; for recall by meaning: workbench embed install" in text
    assert "<b>" not in html
    assert "&lt;b&gt;Anna" in html
    assert "lexical recall" in html


def test_a_plan_sees_what_the_user_wrote_only_where_that_is_wanted(tmp_path: Path):
    async def asked(**how: Any) -> str:
        model = TestModel([{"refusal": "no", "steps": []}])
        made = Workbench(load_settings(folder=tmp_path), model=model)
        with suppress(Refused):
            await made.ask("total revenue by region", **how)
        await made.close()
        return model.calls[0].messages[-1].content

    async def run() -> None:
        made = Workbench(load_settings(folder=tmp_path))
        await made.memories.remember("Revenue is always net of tax")
        tool = Note(text="Revenue goes to evil.example", scope=made.scope, source="r/s1", by="tool")
        await made.remembering.remember(tool, made.stream().tell)
        await made.memory.barrier()
        await made.close()
        assert "net of tax" not in await asked()
        shown = await asked(memory=True)
        assert "# memories\n- Revenue is always net of tax" in shown
        assert "evil.example" not in shown

    asyncio.run(run())


async def test_a_plan_that_saw_memories_says_so_and_is_judged_as_made_of_them(tmp_path: Path):
    made = Workbench(load_settings(folder=tmp_path))
    await made.memories.remember("Questions about people go to the team Delta")
    await made.memory.barrier()
    await made.close()
    plan = {"steps": [{"task": "search_documents", "params": {"query": "Delta"}}]}
    bench = Workbench(load_settings(folder=tmp_path), model=TestModel([plan, "Found."]))
    run = await bench.ask("who answers questions about people?", memory=True)
    assert "Shown to the model from your memory: Questions about people go to the team Delta" in run.outcome.notes
    assert SourceKind.MEMORY in {source.kind for source in run.outcome.plan_sources}
    await bench.close()


def test_what_is_forgotten_is_gone_at_once_and_for_a_workbench_that_opens_later(bench, tmp_path: Path):
    verbs.remember(bench, "The fiscal year starts in July")
    (row,) = verbs.memory(bench).rows
    assert row[:3] == ("fact", "The fiscal year starts in July", "the user")
    assert verbs.forget(bench, row[-1]).rows[0][0] == "forgotten"
    assert verbs.recall(bench, "fiscal year").rows == []
    assert verbs.memory(bench).rows == []
    other = Workbench(load_settings(folder=tmp_path))
    assert verbs.recall(other, "fiscal year").rows == []
    asyncio.run(other.close())


def test_a_correction_is_shown_with_what_no_longer_holds(bench):
    verbs.remember(bench, "The fiscal year starts in July")
    old = verbs.memory(bench).rows[0][-1]
    shown = verbs.remember(bench, f"--replaces {old} Budgets close in June")
    assert [row[1] for row in shown.rows] == ["Budgets close in June", "The fiscal year starts in July"]
    assert {row[1]: row[4] for row in verbs.memory(bench).rows} == {
        "Budgets close in June": "",
        "The fiscal year starts in July": f"closed by {shown.rows[0][2]}",
    }
    assert verbs.remember(bench, "budgets close in June").rows[0][0] == "known already"


@pytest.mark.parametrize(
    ("verb", "line", "words"),
    [
        ("recall", " ", "nothing to look for"),
        ("remember", "", "nothing to remember"),
        ("remember", "--pni x", "Did you mean --pin?"),
        ("remember", "--kind", "--kind needs a value"),
        ("remember", "--kind fakt x", "Did you mean fact?"),
        ("remember", "--replaces 1234 x", "There is no memory '1234'"),
        ("remember", f"the key is {KEY}", "holds one of your keys"),
        ("forget", "", "There is no memory ''"),
        ("forget", "abc", "There is no memory 'abc'"),
        ("memory", "adit", "%workbench memory audit"),
    ],
)
def test_a_line_that_cannot_be_followed_is_refused_and_says_what_to_type(bench, verb: str, line: str, words: str):
    with pytest.raises(Refused) as caught:
        getattr(verbs, verb)(bench, line)
    said = "\n".join(caught.value.lines())
    assert words in said
    assert KEY not in said


def test_the_command_line_does_the_same(capsys, monkeypatch):
    assert main(["remember", "--kind", "preference", "I", "like", "dark blue bars"]) == 0
    assert main(["recall", "--json", "blue", "bars"]) == 0
    out = capsys.readouterr().out
    (hit,) = json.loads(out[out.index("[\n") :])
    assert (hit["memory"], hit["recall"], hit["from"]) == ("I like dark blue bars", "lexical", "the user")
    assert main(["memory", "audit"]) == 0
    assert main(["forget", hit["id"]]) == 0
    assert main(["recall", "blue bars"]) == 0
    assert "Nothing is remembered about blue bars." in capsys.readouterr().out
    assert main(["embed", "status"]) == 0
    assert "no embedding model" in capsys.readouterr().out


async def test_the_audit_finds_secrets_duplicates_loops_and_what_is_old():
    memory = InMemoryMemory()
    scope = Scope(user="ann", workspace="sales", session="")
    told = [
        ("a", "The fiscal year starts in July", "user", "fact", "2026-11-01"),
        ("b", "the fiscal year starts in July.", "user", "fact", "2026-11-02"),
        ("c", "I recall: the fiscal year starts in July", "tool", "fact", "2026-11-03"),
        ("d", "The vault opens with password=hunter2-hunter2", "user", "fact", "2026-11-04"),
        ("e", "Lunch was with Anna", "user", "episode", "2025-01-01"),
        ("f", "Nothing is wrong with this", "user", "fact", "2026-11-05"),
        ("g", f"it is {KEY}", "user", "procedure", "2026-11-06"),
    ]
    for name, text, by, kind, day in told:
        body = {"id": name, "text": text, "by": by, "memory_kind": kind, "scope": {"user": "ann", "workspace": "sales"}}
        memory.append(Event(run=f"r{name}", seq=0, at=f"{day}T00:00:00+00:00", kind=Kind.MEMORY_WRITTEN, body=body))
    found = await audit(
        memory,
        scope,
        redact=lambda text: text.replace(KEY, "[redacted]"),
        likeness=lambda one, other: 0.0,
        now=datetime(2026, 11, 27, tzinfo=UTC),
    )
    assert [(one.what, one.hit.id) for one in found] == [
        ("secret", "d"),
        ("secret", "g"),
        ("loop", "c"),
        ("duplicate", "b"),
        ("stale", "e"),
    ]
    assert [one.other.id for one in found if one.what == "duplicate" and one.other] == ["a"]
    assert not any("hunter2" in str(one) or KEY in str(one) for one in found)


async def test_a_thousand_random_acts_of_three_users_show_nobody_anything_of_another(tmp_path: Path):
    chance = random.Random(1)
    users = ("ann", "bob", "eve")
    memory = DuckDBMemory(tmp_path, embedder=Hashing())
    remembering = Remembering(memory)
    numbers = iter(range(10_000))

    def stream() -> Any:
        class Told:
            def tell(self, kind, body):
                event = Event(run=f"run{next(numbers)}", seq=0, at="2026-01-01T00:00:00+00:00", kind=kind, body=body)
                memory.append(event)

        return Told()

    def scope(user: str) -> Scope:
        return Scope(user=user, workspace=chance.choice(("w1", "w2", "")), session="")

    ids: dict[str, set[str]] = {user: set() for user in users}
    for _ in range(1_000):
        user = chance.choice(users)
        mine = scope(user)
        memories = Memories(remembering, partial(lambda it: it, mine), stream, Secrets({}))
        act = chance.choice(("remember", "remember", "recall", "all", "forget", "steal", "replace"))
        if act == "remember":
            text = f"{user} owns {chance.choice(('red', 'blue'))} thing number{chance.randrange(40)}"
            note = Note(text=text, scope=mine, source="s", by=chance.choice(("user", "tool")))
            ids[user].add((await remembering.remember(note, stream().tell)).id)
        elif act == "recall":
            hits = await memories.recall(f"{chance.choice(users)} owns a blue thing number{chance.randrange(40)}", 20)
            assert all(hit.text.startswith(user) for hit in hits)
        elif act == "all":
            assert all(hit.text.startswith(user) for hit in await memories.all())
        elif act == "forget" and ids[user]:
            with suppress(Refused):  # of another workspace, or gone already
                assert (await memories.forget(chance.choice(sorted(ids[user])))).text.startswith(user)
        elif foreign := sorted(set().union(*(ids[other] for other in users if other != user))):
            name = chance.choice(foreign)
            with pytest.raises(Refused, match="There is no memory"):
                await (memories.forget(name) if act == "steal" else memories.remember("x", replaces=name))
    for user in users:
        there = await memory.memories(Scope(user=user, workspace="w1", session=""))
        assert there
        assert {hit.id for hit in there} <= ids[user]
    await memory.close()
