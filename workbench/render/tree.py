"""Facts under headings under headings, as text and as HTML that reads without style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.render.clean import clean_text, escape
from workbench.render.run import CODE
from workbench.render.tables import TEXT


@dataclass(frozen=True, slots=True)
class Node:
    """A heading with its facts, each a label and a text, and what lies below. Texts of several lines are code."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    below: Sequence[Node] = field(default=())


def tree_text(node: Node, indent: int = 0) -> str:
    """The tree as lines, each level two characters further in."""
    space = " " * indent
    facts = [(clean_text(label), text) for label, text in node.facts]
    width = max((len(label) for label, _ in facts), default=0)
    lines = [f"{space}{clean_text(node.title)}"]
    for label, text in facts:
        first, *more = clean_text(text, keep_lines=True).split("\n")
        lines.append(f"{space}  {label:<{width}}  {first}".rstrip())
        lines += [f"{space}  {'':<{width}}  {line}".rstrip() for line in more]
    return "\n".join([*lines, *(tree_text(inner, indent + 2) for inner in node.below)])


def tree_html(node: Node) -> str:
    """The tree as nested lists with a table of facts each."""
    rows = "".join(
        f"<tr><th{TEXT}>{escape(label)}</th><td{TEXT}>{_value(text)}</td></tr>" for label, text in node.facts
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    below = "".join(f"<li>{tree_html(inner)}</li>" for inner in node.below)
    return f"<p>{escape(node.title)}</p>{table}{f'<ul>{below}</ul>' if below else ''}"


def _value(text: str) -> str:
    if "\n" not in text:
        return escape(text)
    return f"<pre{CODE}><code>{escape(text, keep_lines=True)}</code></pre>"
