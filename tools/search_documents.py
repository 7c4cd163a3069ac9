"""Searches the words of text files in your project."""

from __future__ import annotations

import html
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import toolkit

PERMISSIONS = {"read": ["."]}
EFFECT = "read"
TIMEOUT = 60
EXAMPLES = ["find documents in {folder} about {query}", "search the documents for {query}"]

SAMPLES = "data/samples/documents"
SUFFIXES = {".txt", ".md", ".rst", ".html", ".htm"}
MAX_BYTES = 2_000_000
MAX_FILES = 5_000
_COMMON = "a an and are as at be by for from how in is it of on or that the this to was what with"
COMMON = frozenset(re.findall(r"\w+", _COMMON))


def run(query: str, folder: str = SAMPLES, limit: int = 5) -> dict[str, Any]:
    """Find the files that fit a question best, by their words; hidden folders are not searched.

    Args:
        query: what to look for, in words.
        folder: folder of the project to search; without it, the sample documents, or the whole project without those.
        limit: how many files at most, 1 to 20.
    """
    root = toolkit.project().resolve()
    start = place(root, folder)
    wanted = words(query)
    if not wanted:
        raise toolkit.Failed("There is no word to search for.", hint="Name what the documents should be about.")
    skipped: Counter[str] = Counter()
    texts = dict(readable(start, root, skipped))
    ranked = rank(wanted, {path: words(text) for path, text in texts.items()})[: max(1, min(limit, 20))]
    results = [result(path, texts[path], wanted, score) for path, score in ranked]
    for item in results:
        toolkit.source(item["title"], item["path"])
    said = formatted(query, start.relative_to(root).as_posix(), results, len(texts), skipped)
    return {"results": results, "searched": len(texts), "skipped": dict(skipped), "formatted": said}


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


def readable(start: Path, root: Path, skipped: Counter[str]) -> Iterator[tuple[str, str]]:
    """Path relative to the project and text of every text file; counts those of the right kind that are left out."""
    files = 0
    for above, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for path in (Path(above) / name for name in sorted(names)):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            files += 1
            if files > MAX_FILES:
                skipped[f"beyond the first {MAX_FILES:,}"] += 1
            elif not path.resolve().is_relative_to(root) or not path.is_file():
                skipped["outside of the project"] += 1
            elif path.stat().st_size > MAX_BYTES:
                skipped[f"larger than {MAX_BYTES // 1_000_000} MB"] += 1
            elif (text := decoded(path)) is None:
                skipped["not readable as text"] += 1
            else:
                yield path.relative_to(root).as_posix(), text


def decoded(path: Path) -> str | None:
    """The text of a file, HTML without its tags and with its lines; None when it is not text."""
    try:
        text = path.read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError):
        return None
    if "\0" in text:
        return None
    if path.suffix.lower() in (".html", ".htm"):
        pattern = r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[^>]*>"
        text = re.sub(pattern, lambda tag: " " + "\n" * tag[0].count("\n"), text, flags=re.DOTALL | re.IGNORECASE)
        text = html.unescape(text)
    return text


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


def rank(wanted: list[str], texts: dict[str, list[str]]) -> list[tuple[str, float]]:
    """BM25: paths with their scores, best first; files that hold none of the words are left out."""
    average = sum(map(len, texts.values())) / max(1, len(texts)) or 1.0
    counts = {path: Counter(text) for path, text in texts.items()}
    scores: dict[str, float] = {}
    for word in dict.fromkeys(wanted):
        holding = [path for path, count in counts.items() if word in count]
        weight = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for path in holding:
            often = counts[path][word]
            length = 0.25 + 0.75 * len(texts[path]) / average
            scores[path] = scores.get(path, 0.0) + weight * often * 2.2 / (often + 1.2 * length)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def result(path: str, text: str, wanted: list[str], score: float) -> dict[str, Any]:
    """The file with the passage that holds most of the words."""
    lines = text.splitlines() or [""]
    first = next((at for at, line in enumerate(lines) if re.search(r"\w", line)), 0)
    # A heading only repeats the title: it is the passage when no other line holds a word.
    best = max(
        range(len(lines)),
        key=lambda at: (len(set(words(lines[at])) & set(wanted)) if at != first else 0.5, -at),
    )
    excerpt = " ".join(" ".join(lines[best : best + 3]).split())
    title = " ".join(lines[first].strip().lstrip("# ").split()) or path
    return {
        "title": title[:120],
        "path": path,
        "line": best + 1,
        "score": round(score, 4),
        "excerpt": excerpt if len(excerpt) <= 400 else excerpt[:399] + "…",
    }


def formatted(query: str, folder: str, results: list[dict[str, Any]], searched: int, skipped: Counter[str]) -> str:
    """The results as plain text."""
    blocks = [
        f"{number}. {item['title']}\n   {item['path']}, line {item['line']}\n   {item['excerpt']}"
        for number, item in enumerate(results, 1)
    ]
    if not results:
        where = "the project" if folder == "." else folder
        blocks = [f"Nothing about {query} was found in the {searched:,} documents of {where}."]
    blocks += [f"Left out: {count:,} {why}." for why, count in skipped.items()]
    return "\n".join(blocks)
