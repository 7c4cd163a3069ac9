import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import Host, load
from workbench import toolkit

search_documents = load("search_documents")


class Kept:
    """The host's cache, as the tool sees it."""

    def __init__(self, host: Host) -> None:
        self.values: dict[str, Any] = {}
        host.services["cache.get"] = lambda asked: {n: self.values[n] for n in asked["names"] if n in self.values}
        host.services["cache.put"] = lambda given: self.values.update(json.loads(json.dumps(given["values"])))


@pytest.fixture
def kept(host: Host) -> Kept:
    return Kept(host)


@pytest.fixture
def project(host: Host, kept: Kept, tmp_path: Path) -> Path:
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


def test_a_passage_that_begins_or_ends_within_a_sentence_says_so(project: Path, host: Host):
    lines = [
        "A boat",
        "that is late",
        "pays a fine of 20 euros",
        "to the harbour",
        "before it leaves,",
        "or after.",
        "",
    ]
    (project / "notes" / "boats.md").write_text("\n".join([*lines, "Boats sleep."]))
    [fine] = search_documents.run("fine of 20 euros", "notes", limit=1)["results"]
    assert fine["excerpt"] == "… pays a fine of 20 euros to the harbour before it leaves, …"
    [whole] = search_documents.run("boat sleep", "notes", limit=1)["results"]
    assert whole["excerpt"] == "Boats sleep."


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("2. Boats sleep", "… 2. Boats sleep"),
        ("- Boats sleep", "… - Boats sleep"),
        ("## Boats sleep", "Boats sleep"),
        ("**Boats** sleep", "**Boats** sleep"),
        ("1.5 boats sleep", "1.5 boats sleep"),
    ],
)
def test_a_passage_from_a_list_or_with_a_heading_is_neither_within_the_results(project: Path, host: Host, line, shown):
    (project / "notes" / "boats.md").write_text(f"Title\n\n{line}\n")
    [found] = search_documents.run("boats sleep", "notes", limit=1)["results"]
    assert found["excerpt"] == shown


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


# Other kinds of documents, and what is kept of them


def pdf(*pages: str) -> bytes:
    """A small PDF with a line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    for text in pages:
        said = text.replace("(", r"\(").replace(")", r"\)")
        stream = f"BT /F1 12 Tf 72 720 Td ({said}) Tj ET" if text else ""
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        resources = f"<< /Font << /F1 {font} >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {resources} /Contents {number + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{at:010} 00000 n \n" for at in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>"
    return out + f"{end}\nstartxref\n{len(out)}\n%%EOF\n".encode()


def docx(*paragraphs: str) -> bytes:
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{name}"><w:body>{body}</w:body></w:document>')
    return buffer.getvalue()


def test_a_passage_of_a_pdf_has_its_page_and_is_cited_with_it(project: Path, host: Host):
    (project / "notes/report.pdf").write_bytes(pdf("Annual report", "The lighthouse cost 40 euros (in 1901)", "End"))
    [found] = search_documents.run("lighthouse cost", "notes")["results"]
    assert (found["path"], found["page"]) == ("notes/report.pdf", 2)
    assert found["excerpt"] == "The lighthouse cost 40 euros (in 1901)"
    assert found["title"] == "Annual report"
    assert host.sources[-1] == {"title": "Annual report, page 2", "url": "notes/report.pdf"}


def test_word_documents_notebooks_and_headings_of_tables_are_found_at_their_place(project: Path):
    (project / "notes/letter.docx").write_bytes(docx("Dear captain", "the anchor is lost"))
    cells = [{"cell_type": "markdown", "source": ["# Start"]}, {"cell_type": "code", "source": "anchor = weigh()"}]
    (project / "notes/work.ipynb").write_text(json.dumps({"cells": cells}))
    (project / "notes/ships.csv").write_text("ship;anchor_kg;draught\n" + "x;1;2\n" * 9)
    found = {item["path"]: item for item in search_documents.run("anchor anchor_kg", "notes")["results"]}
    assert found["notes/letter.docx"]["paragraph"] == 2
    assert found["notes/work.ipynb"]["cell"] == 2
    assert found["notes/ships.csv"]["excerpt"] == "columns: ship, anchor_kg, draught"
    assert found["notes/ships.csv"]["title"] == "ships.csv"


def test_documents_that_cannot_be_searched_are_named_by_their_reason(project: Path):
    for name, data in {
        "scan.pdf": pdf("", ""),
        "cut.pdf": pdf("refund")[:150],
        "no.pdf": b"refund\0",
        "cut.docx": docx("refund")[:60],
        "no.docx": b"refund",
        "no.ipynb": b'{"cells": 3}',
        "old.docx": b"\xd0\xcf\x11\xe0refund",
    }.items():
        (project / "notes" / name).write_bytes(data)
    found = search_documents.run("refund", "notes")
    assert found["skipped"]["PDF without text: a scan, which would need text recognition"] == 1
    assert found["skipped"]["damaged PDF"] == 2
    assert found["skipped"]["damaged or locked Word document"] == 3
    assert found["skipped"]["damaged notebook"] == 1
    assert "Left out: 1 PDF without text" in found["formatted"]


def test_only_new_and_changed_documents_are_read_again(project: Path, host: Host, kept: Kept):
    (project / "notes/report.pdf").write_bytes(pdf("refund"))
    search_documents.run("refund", "notes")
    first = dict(kept.values)
    host.calls.clear()
    search_documents.run("prices", "notes")
    assert [name for name, _ in host.calls] == ["cache.get"]
    (project / "notes/prices.txt").write_text("Prices fell.")
    (project / "notes/same.txt").write_text("Prices fell.")
    host.calls.clear()
    assert search_documents.run("fell", "notes")["searched"] == 6
    [put] = [params for name, params in host.calls if name == "cache.put"]
    assert len(put["values"]) == 1
    assert len(kept.values) == len(first) + 1


def test_no_text_of_a_document_is_kept(project: Path, kept: Kept):
    (project / "notes/secret.txt").write_text("the launch code is quicksand and then thirteen")
    search_documents.run("launch", "notes")
    assert "quicksand and" not in json.dumps(kept.values)


def test_what_is_kept_and_what_is_read_afresh_rank_alike(project: Path, kept: Kept):
    before = search_documents.run("refund price park pay", "notes")
    assert search_documents.run("refund price park pay", "notes") == before
    kept.values.clear()
    assert search_documents.run("refund price park pay", "notes") == before
