import pytest

from tests.tools.conftest import Host, load
from workbench import toolkit

remember, recall = load("remember"), load("recall")
HIT = {
    "id": "1",
    "text": "The year starts in April.",
    "score": 0.8,
    "why": "lexical: year",
    "source": "r/s",
    "at": "now",
    "kind": "fact",
    "by": "user",
    "pinned": False,
    "recall": "lexical",
}


def test_what_is_remembered_goes_to_the_memory_and_is_said_back(host: Host):
    host.services["memory.write"] = lambda params: {"id": "7", "text": params["text"]}
    assert remember.run("  The year starts in April. ", kind="fact") == {
        "id": "7",
        "text": "The year starts in April.",
        "formatted": "Remembered: The year starts in April.",
    }
    assert host.calls == [("memory.write", {"text": "The year starts in April.", "kind": "fact"})]


def test_recall_gives_texts_with_why_and_a_text_without_times_and_ids(host: Host):
    host.services["memory.recall"] = lambda params: [HIT]
    found = recall.run("when does the year start", limit=99)
    assert found["results"] == [{name: value for name, value in HIT.items() if name != "id"}]
    note = "(lexical recall: words were compared, not meanings)"
    assert found["formatted"] == f"1. The year starts in April. (lexical: year)\n{note}"
    host.services["memory.recall"] = lambda params: [HIT | {"recall": "semantic"}]
    assert note not in recall.run("when does the year start")["formatted"]
    assert host.calls[0][1]["limit"] == 20


def test_nothing_remembered_is_an_answer(host: Host):
    host.services["memory.recall"] = lambda params: []
    assert recall.run("unicorns")["formatted"] == "Nothing is remembered about unicorns."


@pytest.mark.parametrize(("tool", "name"), [(remember, "text"), (recall, "question")])
def test_nothing_to_do_is_refused_before_the_memory_is_asked(host: Host, tool, name):
    with pytest.raises(toolkit.Failed):
        tool.run(**{name: " "})
    assert host.calls == []
