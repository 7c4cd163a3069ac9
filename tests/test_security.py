"""SECURITY.md names the test behind each claim. This holds it to that."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def named() -> list[tuple[str, str]]:
    """Every test on the page as file and name; `::name` alone is in the file named before it."""
    found, file = [], ""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", PAGE):
        file = path or file
        found.append((file, name))
    return found


def test_every_test_that_is_named_exists() -> None:
    missing = []
    for file, name in named():
        path = ROOT / file
        tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_claim_names_a_test_and_every_part_says_what_it_does_not_stop() -> None:
    parts = PAGE.split("\n## ")[1:]
    told = [part for part in parts if "| claim | test |" in part]
    assert len(told) >= 7
    for part in told:
        assert "**Not stopped.**" in part
        rows = re.findall(r"^\|(.*)\|$", part.split("| claim | test |")[1], re.MULTILINE)[1:]
        assert rows
        assert all("::test_" in row for row in rows)
