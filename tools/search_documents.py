"""Searches the words of the documents in your project: text, Markdown, HTML, PDF, Word, notebooks, headings of CSV."""

# What a document holds is counted once and kept by the hash of its bytes, so that only new and changed ones are read
# again. Only counts of words are kept, no text.

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import logging
import math
import os
import re
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import toolkit

PERMISSIONS = {"read": ["."]}
USES = ["cache"]
EFFECT = "read"
TIMEOUT = 120
EXAMPLES = ["find documents in {folder} about {query}", "search the documents for {query}"]

SAMPLES = "data/samples/documents"
MAX_FILES = 5_000
READING_SECONDS = 80.0
"""How long new documents are read in one call; the next call goes on with the rest."""
BATCH = 2_000_000
"""Bytes of counts that are kept at once."""
_COMMON = "a an and are as at be by for from how in is it of on or that the this to was what with"
COMMON = frozenset(re.findall(r"\w+", _COMMON))
Part = tuple[int, str]
"""A page, a cell, a paragraph or the whole of a document: its number and its text."""


class Unreadable(Exception):
    """Why a document is left out, in words."""


@dataclass(frozen=True)
class Kind:
    """How documents of one suffix are read. `place`: what their parts are called, "line" where there is only one."""

    read: Callable[[bytes], list[Part]]
    place: str = "line"
    max_bytes: int = 2_000_000


def run(query: str, folder: str = SAMPLES, limit: int = 5) -> dict[str, Any]:
    """Find the documents that fit a question best, by their words, each with the passage and its page or line; hidden
    folders are not searched.

    Args:
        query: what to look for, in words.
        folder: folder of the project to search; without it, the sample documents, or the whole project without those.
        limit: how many documents at most, 1 to 20.
    """
    root = toolkit.project().resolve()
    start = place(root, folder)
    wanted = words(query)
    if not wanted:
        raise toolkit.Failed("There is no word to search for.", hint="Name what the documents should be about.")
    left_out: Counter[str] = Counter()
    index = indexed(dict(documents(start, root, left_out)), left_out)
    ranked = rank(wanted, {path: whole(parts) for path, parts in index.items()})[: max(1, min(limit, 20))]
    results = [found(root / path, path, index[path], wanted, score) for path, score in ranked]
    for item in results:
        toolkit.source(f"{item['title']}, page {item['page']}" if "page" in item else item["title"], item["path"])
    said = formatted(query, start.relative_to(root).as_posix(), results, len(index), left_out)
    return {"results": results, "searched": len(index), "skipped": dict(left_out), "formatted": said}


def place(root: Path, folder: str) -> Path:
    """The folder to search. Raises Failed when it is not a visible folder of the project."""
    start = Path(os.path.realpath(root / folder))
    if not start.is_relative_to(root):
        raise toolkit.Failed(f"{folder} is outside of the project.", hint="Name a folder of this project.")
    if any(part.startswith(".") for part in start.relative_to(root).parts):
        raise toolkit.Failed(f"{folder} is a hidden folder.", hint="Name a folder that shows.")
    if not start.is_dir() and folder == SAMPLES:
        return root
    if not start.is_dir():
        raise toolkit.Failed(f"There is no folder {folder}.", hint="Folders are relative to the project's root.")
    return start


def documents(start: Path, root: Path, left_out: Counter[str]) -> Iterator[tuple[str, Path]]:
    """Path relative to the project, and place, of every document; counts those of the right kind that are left out."""
    files = 0
    for above, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for path in (Path(above) / name for name in sorted(names)):
            kind = KINDS.get(path.suffix.lower())
            if kind is None or path.name.startswith((".", "~$")):
                continue
            files += 1
            if files > MAX_FILES:
                left_out[f"beyond the first {MAX_FILES:,}"] += 1
            elif not path.resolve().is_relative_to(root) or not path.is_file():
                left_out["outside of the project"] += 1
            elif path.stat().st_size > kind.max_bytes and kind.place != "column":
                left_out[f"larger than {kind.max_bytes // 1_000_000} MB"] += 1
            else:
                yield path.relative_to(root).as_posix(), path


def content(path: Path) -> bytes:
    """What is read of a document."""
    with path.open("rb") as file:
        return file.read(KINDS[path.suffix.lower()].max_bytes)


# The index: for each part of a document its number and how often each word is in it


Index = list[tuple[int, Counter[str]]]


def indexed(files: dict[str, Path], left_out: Counter[str]) -> dict[str, Index]:
    """The index of every document that can be read, new ones read now, the others as they were kept."""
    keys: dict[str, str] = {}
    for path, file in files.items():
        try:
            keys[path] = f"{file.suffix.lower()} {hashlib.sha256(content(file)).hexdigest()}"
        except OSError:
            left_out["not readable"] += 1
    kept = toolkit.call("cache.get", names=list(dict.fromkeys(keys.values()))) if files else {}
    new: dict[str, Any] = {}
    index: dict[str, Index] = {}
    until, size = time.monotonic() + READING_SECONDS, 0
    for path, key in keys.items():
        if key not in kept:
            if time.monotonic() > until:
                left_out["not read yet; search again to go on"] += 1
                continue
            kept[key] = new[key] = entry(files[path])
            size += files[path].stat().st_size
            if size >= BATCH:
                toolkit.progress(f"read {path}")
                keep(new)
                new, size = {}, 0
        if problem := kept[key].get("problem"):
            left_out[problem] += 1
        else:
            index[path] = [(at, Counter(counts)) for at, counts in kept[key]["parts"]]
    keep(new)
    return index


def keep(new: dict[str, Any]) -> None:
    """Hand counts over to be kept, in portions that are taken at once."""
    portion: dict[str, Any] = {}
    size = 0
    for key, value in new.items():
        length = len(json.dumps(value))
        if size + length > BATCH and portion:
            toolkit.call("cache.put", values=portion)
            portion, size = {}, 0
        if length <= BATCH:  # a document of so many different words is read again each time
            portion[key] = value
            size += length
    if portion:
        toolkit.call("cache.put", values=portion)


def entry(file: Path) -> dict[str, Any]:
    """What is kept of a document, or why it cannot be searched."""
    try:
        parts = KINDS[file.suffix.lower()].read(content(file))
    except Unreadable as problem:
        return {"problem": str(problem)}
    return {"parts": [[at, dict(Counter(words(text)))] for at, text in parts]}


def whole(parts: Index) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _, more in parts:
        counts.update(more)
    return counts


# Kinds of documents


def read_text(data: bytes) -> list[Part]:
    return [(1, decoded(data))]


def read_html(data: bytes) -> list[Part]:
    """HTML without its tags and with its lines."""
    pattern = r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[^>]*>"
    text = decoded(data)
    text = re.sub(pattern, lambda tag: " " + "\n" * tag[0].count("\n"), text, flags=re.DOTALL | re.IGNORECASE)
    return [(1, html.unescape(text))]


def read_pdf(data: bytes) -> list[Part]:
    """The pages of a PDF."""
    import pypdf
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is odd in a file is no news to its reader
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("PDF with a password")
        parts = [(number, page.extract_text()) for number, page in enumerate(reader.pages, 1)]
    except Unreadable:
        raise
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError):
        raise Unreadable("damaged PDF") from None  # such are the errors that broken files bring out of the library
    if not any(re.search(r"\w", text) for _, text in parts):
        raise Unreadable("PDF without text: a scan, which would need text recognition")
    return parts


def read_docx(data: bytes) -> list[Part]:
    """The paragraphs of a Word document, table cells included."""
    from xml.etree import ElementTree

    name = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            info = archive.getinfo("word/document.xml")
            if info.file_size > 50_000_000:
                raise Unreadable("Word document of more than 50 MB of text")
            root = ElementTree.fromstring(archive.read(info))  # noqa: S314 - in a worker with limits
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, RuntimeError, OSError, EOFError, NotImplementedError):
        raise Unreadable("damaged or locked Word document") from None
    marks = {f"{name}t": None, f"{name}tab": "\t", f"{name}br": "\n", f"{name}cr": "\n"}
    parts = []
    for number, paragraph in enumerate(root.iter(f"{name}p"), 1):
        pieces = [marks[e.tag] or e.text or "" for e in paragraph.iter() if e.tag in marks]
        if (text := "".join(pieces)).strip():
            parts.append((number, text))
    return parts


def read_notebook(data: bytes) -> list[Part]:
    """The cells of a notebook, without their outputs."""
    try:
        cells = json.loads(decoded(data))["cells"]
        return [
            (number, "".join(cell["source"]) if isinstance(cell["source"], list) else str(cell["source"]))
            for number, cell in enumerate(cells, 1)
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("damaged notebook") from None


def read_heading(data: bytes) -> list[Part]:
    """The names of the columns of a table."""
    first = decoded(data, whole=False).partition("\n")[0].strip()
    try:
        names = next(csv.reader([first], csv.Sniffer().sniff(first, ",;\t|")), [])
    except csv.Error:
        names = [first]
    return [(1, "columns: " + ", ".join(name.strip() for name in names))]


def decoded(data: bytes, whole: bool = True) -> str:
    """Bytes as text. Raises Unreadable when they are not."""
    try:
        text = data.decode("utf-8-sig", "strict" if whole else "ignore")
    except UnicodeDecodeError:
        raise Unreadable("not readable as text") from None
    if "\0" in text:
        raise Unreadable("not readable as text")
    return text


TEXT = Kind(read_text)
KINDS = {
    ".txt": TEXT,
    ".md": TEXT,
    ".rst": TEXT,
    ".html": Kind(read_html),
    ".htm": Kind(read_html),
    ".pdf": Kind(read_pdf, "page", 50_000_000),
    ".docx": Kind(read_docx, "paragraph", 20_000_000),
    ".ipynb": Kind(read_notebook, "cell", 20_000_000),
    ".csv": Kind(read_heading, "column", 64_000),
    ".tsv": Kind(read_heading, "column", 64_000),
}


# Words and ranks


def words(text: str) -> list[str]:
    """The words of a text, in small letters and without endings, so that `refunds` finds `refund`."""
    return [stem(word) for word in re.findall(r"\w[\w-]*", text.lower()) if word not in COMMON]


def stem(word: str) -> str:
    """A word without its ending: prices and price are one, shipped and shipping too; codes stay as they are."""
    if re.search(r"[\d_-]", word):
        return word
    for ending in ("ies", "ing", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    word = word.removesuffix("e")
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def rank(wanted: list[str], counts: dict[str, Counter[str]]) -> list[tuple[str, float]]:
    """BM25: paths with their scores, best first; documents that hold none of the words are left out."""
    lengths = {path: sum(count.values()) for path, count in counts.items()}
    average = sum(lengths.values()) / max(1, len(counts)) or 1.0
    scores: dict[str, float] = {}
    for word in dict.fromkeys(wanted):
        holding = [path for path, count in counts.items() if word in count]
        weight = math.log(1 + (len(counts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for path in holding:
            often = counts[path][word]
            length = 0.25 + 0.75 * lengths[path] / average
            scores[path] = scores.get(path, 0.0) + weight * often * 2.2 / (often + 1.2 * length)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


# Results


def found(file: Path, path: str, index: Index, wanted: list[str], score: float) -> dict[str, Any]:
    """The document with the passage that holds most of the words, and where that is."""
    kind = KINDS[file.suffix.lower()]
    parts = kind.read(content(file))
    best = max(index, key=lambda part: (len(set(part[1]) & set(wanted)), -part[0]))[0]
    text = dict(parts).get(best, "")
    first = next((line for _, part in parts for line in part.splitlines() if re.search(r"\w", line)), "")
    line, excerpt = passage(text, wanted, of_several=len(parts) > 1)
    title = " ".join(first.strip().lstrip("# ").split()) or path
    where = {"line": line} if kind.place == "line" else {} if kind.place == "column" else {kind.place: best}
    return {
        "title": (Path(path).name if kind.place == "column" else title)[:120],
        "path": path,
        **where,
        "score": round(score, 4),
        "excerpt": excerpt if len(excerpt) <= 400 else excerpt[:399] + "…",
    }


def passage(text: str, wanted: list[str], *, of_several: bool) -> tuple[int, str]:
    """The lines of a text that hold most of the words: the number of the first, and three of them as one. Where a
    sentence or a list began before them, or goes on after, there are dots."""
    lines = text.splitlines() or [""]
    first = next((at for at, line in enumerate(lines) if re.search(r"\w", line)), 0)
    # A heading only repeats the title: it is the passage when no other line holds a word.
    best = max(
        range(len(lines)),
        key=lambda at: (len(set(words(lines[at])) & set(wanted)) if at != first or of_several else 0.5, -at),
    )
    said = re.sub(r"^#+ ", "", " ".join(" ".join(lines[best : best + 3]).split()))
    before, after = lines[best - 1] if best else "", lines[best + 3] if best + 3 < len(lines) else ""
    start = "… " if (said[:1].islower() and before.strip()) or re.match(r"([-+*>]|\d+[.)]) ", said) else ""
    end = " …" if after.strip()[:1].islower() and not said.endswith((".", "!", "?")) else ""
    return best + 1, f"{start}{said}{end}"


def formatted(query: str, folder: str, results: list[dict[str, Any]], searched: int, left_out: Counter[str]) -> str:
    """The results as plain text."""
    blocks = []
    for number, item in enumerate(results, 1):
        where = next((f", {name} {item[name]}" for name in ("page", "line", "paragraph", "cell") if name in item), "")
        blocks.append(f"{number}. {item['title']}\n   {item['path']}{where}\n   {item['excerpt']}")
    if not results:
        where = "the project" if folder == "." else folder
        blocks = [f"Nothing about {query} was found in the {searched:,} documents of {where}."]
    blocks += [f"Left out: {count:,} {why}." for why, count in left_out.items()]
    return "\n".join(blocks)
