"""The one output gate: everything a user sees of a run passes here, cleaned and escaped."""

from workbench.render.clean import clean_text, escape, safe_html, safe_markdown
from workbench.render.run import STYLE, Load, as_html, as_text, bundle, framed, plan_html, plan_text
from workbench.render.tables import cell, table_html, table_text
from workbench.render.tree import Node, tree_html, tree_text

__all__ = [
    "STYLE",
    "Load",
    "Node",
    "as_html",
    "as_text",
    "bundle",
    "cell",
    "clean_text",
    "escape",
    "framed",
    "plan_html",
    "plan_text",
    "safe_html",
    "safe_markdown",
    "table_html",
    "table_text",
    "tree_html",
    "tree_text",
]
