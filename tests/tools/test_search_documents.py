from pathlib import Path

import pytest

from tests.tools.conftest import Host, load
from workbench import toolkit

search_documents = load("search_documents")


@pytest.fixture
def project(host: Host, tmp_path: Path) -> Path:
    notes = {
        "notes/refunds.md": "# Refund policy\n\nWe take goods back.\nA refund is paid within 30 days.\n",
        "notes/prices.txt": "Prices\nEvery price rose by 6 %.\n",
        "notes/page.html": "<html><title>Parking</title>\n<script>refund()</script>\n<p>Where to park &amp; pay</p>",
        "notes/deep/code.md": "The case AB-123 is closed.",
        "other.md": "refund elsewhere",
        ".hidden/secret.md": "refund refund refund",
        "node_modules/x/readme.md": "refund refund refund",
    }
    for name, text in notes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def paths(query: str, folder: str = "notes", **options: int) -> list[str]:
    return [item["path"] for item in search_documents.run(query, folder, **options)["results"]]


def test_the_best_file_comes_first_with_the_passage_and_its_line(project: Path, host: Host):
    found = search_documents.run("how are refunds paid", "notes")
    assert found["results"][0] | {"score": 0} == {
        "title": "Refund policy",
        "path": "notes/refunds.md",
        "line": 4,
        "excerpt": "A refund is paid within 30 days.",
        "score": 0,
    }
    assert found["formatted"].startswith("1. Refund policy\n   notes/refunds.md, line 4\n   A refund is paid")
    assert host.sources[0] == {"title": "Refund policy", "url": "notes/refunds.md"}
    assert found["searched"] == 4


@pytest.mark.parametrize(
    ("query", "path"),
    [("price", "prices.txt"), ("PRICES", "prices.txt"), ("parking", "page.html"), ("ab-123", "deep/code.md")],
)
def test_words_are_found_in_other_forms_and_codes_as_they_are(project: Path, query, path):
    assert paths(query) == [f"notes/{path}"]


def test_scripts_and_tags_are_no_text_and_lines_still_count(project: Path):
    [page] = search_documents.run("pay park", "notes", limit=1)["results"]
    assert page["path"] == "notes/page.html"
    assert page["line"] == 3
    assert paths("script") == []
    assert "notes/page.html" not in paths("refund")


def test_hidden_folders_and_packages_of_others_are_not_searched(project: Path):
    assert paths("refund", ".") == ["other.md", "notes/refunds.md"]


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", "notes/../..", "nowhere", ".hidden", "notes/refunds.md"])
def test_folders_that_are_outside_hidden_or_missing_are_refused(project: Path, folder):
    with pytest.raises(toolkit.Failed) as caught:
        search_documents.run("refund", folder)
    assert caught.value.hint


def test_links_that_lead_outside_are_left_out_and_counted(project: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.md").write_text("canary refund")
    (project / "notes/link.md").symlink_to(outside / "secret.md")
    (project / "notes/folder").symlink_to(outside)
    found = search_documents.run("canary refund", "notes")
    assert "canary" not in str(found["results"])
    assert found["skipped"] == {"outside of the project": 1}
    with pytest.raises(toolkit.Failed, match="outside"):
        search_documents.run("canary", "notes/folder")


def test_binary_and_large_files_are_left_out_and_counted(project: Path):
    (project / "notes/binary.txt").write_bytes(b"refund\0\xff")
    (project / "notes/large.txt").write_bytes(b"refund " * 300_000)
    found = search_documents.run("refund", "notes")
    assert found["skipped"] == {"not readable as text": 1, "larger than 2 MB": 1}
    assert "Left out: 1 larger than 2 MB." in found["formatted"]


def test_nothing_found_says_how_much_was_searched(project: Path):
    found = search_documents.run("unicorns", "notes")
    assert found["results"] == []
    assert found["formatted"] == "Nothing about unicorns was found in the 4 documents of notes."


def test_without_sample_documents_the_whole_project_is_searched(project: Path):
    assert search_documents.run("refund")["searched"] == 5


@pytest.mark.parametrize("query", ["", "the of", "?!"])
def test_a_query_without_words_is_refused(project: Path, query):
    with pytest.raises(toolkit.Failed, match="no word"):
        search_documents.run(query, "notes")


def test_no_more_results_than_asked_for(project: Path):
    assert len(paths("refund price park", limit=2)) == 2
    assert len(paths("refund price park", limit=0)) == 1
