"""Finds what was remembered in this project."""

from __future__ import annotations

from typing import Any

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["memory"]
EFFECT = "read"
TIMEOUT = 20
EXAMPLES = ["what do you remember about {question}", "recall {question}"]


def run(question: str, limit: int = 5) -> dict[str, Any]:
    """Search the memory of this project.

    Args:
        question: what to look for, in words.
        limit: how many memories at most.
    """
    hits = toolkit.call("memory.recall", question=question, limit=limit)
    lines = [f"{number}. {hit['text']} ({hit['why']})" for number, hit in enumerate(hits, 1)]
    return {"results": hits, "formatted": "\n".join(lines) or f"Nothing is remembered about {question}."}
