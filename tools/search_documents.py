"""Searches the words of text files in your project."""

from __future__ import annotations

import html
import math
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

SUFFIXES = {".txt", ".md", ".rst", ".html", ".htm"}
MAX_BYTES = 2_000_000
MAX_FILES = 5_000


def run(query: str, folder: str = "data/samples/documents", limit: int = 5) -> dict[str, Any]:
    """Find the files that fit a question best, by their words.

    Args:
        query: what to look for, in words.
        folder: folder of the project to search.
        limit: how many files at most.
    """
    root = toolkit.project().resolve()
    start = (root / folder).resolve()
    if not start.is_relative_to(root):
        raise toolkit.Failed(f"{folder} is outside of the project.", hint="Name a folder of this project.")
    if not start.is_dir():
        raise toolkit.Failed(f"There is no folder {folder}.", hint="Folders are relative to the project's root.")
    wanted = words(query)
    if not wanted:
        raise toolkit.Failed("There is no word to search for.")
    texts = dict(readable(start, root))
    ranked = rank(wanted, {path: words(text) for path, text in texts.items()})[: max(1, limit)]
    results = [result(path, texts[path], wanted, score) for path, score in ranked]
    for item in results:
        toolkit.source(item["title"], item["path"])
    return {"results": results, "searched": len(texts), "formatted": formatted(query, folder, results, len(texts))}


def readable(start: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Path relative to the project and text of every file that is text, small enough, and really below the project."""
    for path in sorted(start.rglob("*"))[:MAX_FILES]:
        if path.suffix.lower() not in SUFFIXES or not path.resolve().is_relative_to(root) or not path.is_file():
            continue
        if path.stat().st_size > MAX_BYTES:
            continue
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        if path.suffix.lower() in (".html", ".htm"):
            text = html.unescape(re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.I))
        yield path.relative_to(root).as_posix(), text


def words(text: str) -> list[str]:
    """The words of a text, in small letters and without common endings, so that `refunds` finds `refund`."""
    found = re.findall(r"[\w-]+", text.lower())
    return [stem(word) for word in found if word not in COMMON]


_COMMON = "a an and are as at be by for from how in is it of on or that the this to was what with"
COMMON = frozenset(re.findall(r"\w+", _COMMON))


def stem(word: str) -> str:
    if re.search(r"[\d_]", word):
        return word
    for ending in ("ies", "ing", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


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
            scores[path] = scores.get(path, 0.0) + weight * often * 2.2 / (
                often + 1.2 * (0.25 + 0.75 * len(texts[path]) / average)
            )
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def result(path: str, text: str, wanted: list[str], score: float) -> dict[str, Any]:
    """The file with the passage that holds most of the words."""
    lines = text.splitlines() or [""]
    best = max(range(len(lines)), key=lambda at: (len(set(words(lines[at])) & set(wanted)), -at))
    excerpt = " ".join(line.strip() for line in lines[best : best + 3] if line.strip())
    heading = next((line.lstrip("# ").strip() for line in lines if line.strip()), path)
    return {
        "title": heading[:120],
        "path": path,
        "line": best + 1,
        "score": round(score, 4),
        "excerpt": excerpt if len(excerpt) <= 400 else excerpt[:399] + "…",
    }


def formatted(query: str, folder: str, results: list[dict[str, Any]], searched: int) -> str:
    """The results as plain text."""
    if not results:
        return f"Nothing about {query} was found in the {searched} documents of {folder}."
    return "\n".join(
        f"{number}. {item['title']}\n   {item['path']}, line {item['line']}\n   {item['excerpt']}"
        for number, item in enumerate(results, 1)
    )
