"""Finds what was remembered in this project."""

from __future__ import annotations

from typing import Any

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["memory"]
EFFECT = "read"
TIMEOUT = 20
EXAMPLES = ["what do you remember about {question}", "recall {question}"]

KEPT = ("text", "score", "why", "source", "at", "kind", "by", "pinned", "recall")


def run(question: str, limit: int = 5) -> dict[str, Any]:
    """Search the memory of this project, best first.

    Args:
        question: what to look for, in words.
        limit: how many memories at most, 1 to 20.
    """
    if not question.strip():
        raise toolkit.Failed("There is nothing to look for.", hint="Say what: what do you remember about …")
    hits = toolkit.call("memory.recall", question=question, limit=max(1, min(limit, 20)))
    results = [{name: hit.get(name) for name in KEPT} for hit in hits]
    # Times and ids change from run to run; the text for people does not.
    lines = [f"{number}. {item['text']} ({item['why']})" for number, item in enumerate(results, 1)]
    if lines and all(item["recall"] == "lexical" for item in results):
        lines.append("(lexical recall: words were compared, not meanings)")
    return {"results": results, "formatted": "\n".join(lines) or f"Nothing is remembered about {question}."}
