"""Personas: what a file may say, who may say what, and what becomes of a file that nobody has read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.budget import Budget
from workbench.core.errors import Refused, Untrusted
from workbench.core.persona import Persona
from workbench.core.provenance import SourceKind
from workbench.core.tools import ToolSpec
from workbench.registry.personas import SHIPPED, FoundPersonas, find, load, read
from workbench.registry.trust import Trust

GOOD = "---\nsummary: Figures first.\ntools: query_data, time.*\nmodel: small\nmemory: own\n---\nBe brief.\n"


def spec(name: str, *uses: str) -> ToolSpec:
    return ToolSpec(name=name, summary="", params={}, version="v", source=b"", uses=uses)


TOOLS = {s.name: s for s in (spec("query_data"), spec("time.now"), spec("plot"), spec("recall", "memory"))}


def put(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.md"
    path.write_text(text, "utf-8")
    return path


def test_a_file_says_who_what_and_with_what():
    persona = read(GOOD, "brief", "user")
    assert (persona.summary, persona.model, persona.memory) == ("Figures first.", "small", "own")
    assert persona.instructions == {"user": "Be brief."}
    assert list(persona.may_use(TOOLS)) == ["query_data", "time.now"]
    assert list(read("Only words.", "plain", "user").may_use(TOOLS)) == list(TOOLS)
    assert list(read("---\nmemory: none\n---\nx", "plain", "user").may_use(TOOLS)) == ["query_data", "time.now", "plot"]
    assert list(read("---\ntools: [plot]\n---\nx", "plain", "user").may_use(TOOLS)) == ["plot"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\nsummary: x\nBe brief.", "line 1: the front matter has no end"),
        ("---\nsummary\n---\nx", "line 2: not `key: value`"),
        ("---\n\n# fine\ntool: plot\n---\nx", "line 4: there is no key tool"),
        ("---\ntool: plot\n---\nx", "Did you mean tools?"),
        ("---\nmodel: a\nmodel: b\n---\nx", "line 3: model is there twice"),
        ("---\ntools:\n- plot\n---\nx", "line 2: tools has no value"),
        ("---\nmemory: all\n---\nx", "It may be shared, own, none."),
        ("---\nsummary: x\n---\n \n", "no instructions"),
        ("---\nbudget: usd=lots\n---\nx", "budget: 'usd=lots' is no part of a budget"),
        ("", "no instructions"),
    ],
)
def test_bad_front_matter_is_one_line_that_names_the_place(text: str, said: str):
    with pytest.raises(Refused) as refused:
        read(text, "bad", "user", "personas/bad.md")
    assert said in str(refused.value)
    assert str(refused.value).startswith("personas/bad.md")
    assert "\n" not in str(refused.value)


@given(
    st.text() | st.text().map(lambda body: f"---\n{body}") | st.text().map(lambda body: f"---\ntools: {body}\n---\nx")
)
def test_any_text_is_a_persona_or_refused(text: str):
    with suppress(Refused):
        assert read(text, "any", "user").may_use(TOOLS).keys() <= TOOLS.keys()


personas = st.builds(
    Persona,
    name=st.just("p"),
    instructions=st.just({"user": "x"}),
    tools=st.lists(st.lists(st.sampled_from(["plot", "query_*", "*", "nothing"])).map(tuple)).map(tuple),
    memory=st.sampled_from(["shared", "own", "none"]),
    budget=st.none() | st.builds(Budget, calls=st.none() | st.integers(0, 9), steps=st.none() | st.integers(0, 9)),
    model=st.sampled_from(["", "big"]),
)


@given(personas, personas)
def test_narrowing_never_gives_anything(mine: Persona, theirs: Persona):
    both = mine.narrowed(theirs)
    assert both.may_use(TOOLS).keys() <= mine.may_use(TOOLS).keys() & theirs.may_use(TOOLS).keys()
    assert both.model == mine.model
    for one in (mine, theirs):
        for name, limit in (one.budget.limits() if one.budget else {}).items():
            assert both.budget is not None
            assert both.budget.limits()[name] <= limit
    assert "none" not in (mine.memory, theirs.memory) or both.memory == "none"


def found(tmp_path: Path) -> FoundPersonas:
    return find(tmp_path / "project", tmp_path / "config")


def test_the_shipped_ones_are_read_and_one_of_the_user_stands_in_for_its_namesake(tmp_path: Path):
    assert list(found(tmp_path).personas) == ["analyst", "designer", "engineer"]
    assert all(load(path, "shipped")[0].summary for path in SHIPPED.iterdir())
    put(tmp_path / "config" / "personas", "analyst", "Mine.")
    assert found(tmp_path).get("analyst").instructions == {"user": "Mine."}


def test_one_of_the_project_waits_for_trust_and_then_only_narrows(tmp_path: Path):
    put(tmp_path / "config" / "personas", "analyst", "---\nmodel: big\ntools: plot, query_data\n---\nMine.")
    path = put(tmp_path / "project" / "personas", "analyst", "---\ntools: plot, recall\nmemory: none\n---\nTheirs.")
    with pytest.raises(Untrusted, match=f"workbench trust {path}"):
        found(tmp_path).get("analyst")
    Trust(tmp_path / "config", tmp_path / "project").pin("persona analyst", load(path, "project")[1])
    persona = found(tmp_path).get("analyst")
    assert persona.instructions == {"user": "Mine.", "project": "Theirs."}
    assert (list(persona.may_use(TOOLS)), persona.model, persona.memory) == (["plot"], "big", "none")
    assert [(s.kind, s.label) for s in persona.sources] == [(SourceKind.DESCRIPTION, "persona analyst of the project")]
    path.write_text("Changed.")
    with pytest.raises(Untrusted):
        found(tmp_path).get("analyst")


def test_one_of_the_project_may_not_choose_a_model_and_a_broken_one_is_a_line(tmp_path: Path):
    put(tmp_path / "project" / "personas", "sly", "---\nmodel: http://elsewhere\n---\nx")
    (tmp_path / "project" / "personas" / "binary.md").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "project" / "personas" / "folder.md").mkdir()
    (tmp_path / "project" / "personas" / "long.md").write_text("x" * 100_001)
    problems = found(tmp_path).problems
    assert [line.partition(":")[0] for line in problems] == [
        f"personas/{name}.md" for name in ("binary", "folder", "long", "sly")
    ]
    with pytest.raises(Refused, match="may not choose a model"):
        found(tmp_path).get("sly")
