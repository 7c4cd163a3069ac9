"""The one output gate: everything a user sees of a run passes here, cleaned and escaped."""

from workbench.render.clean import clean_text, escape, host_of, safe_html, safe_markdown
from workbench.render.run import (
    MAX_IMAGE,
    STYLE,
    Load,
    answer_html,
    as_html,
    as_text,
    bundle,
    conditions,
    footer,
    framed,
    inline_png,
    picture_html,
    plan_html,
    plan_text,
    shown_frames,
    shown_views,
    view_html,
)
from workbench.render.tables import cell, table_html, table_text
from workbench.render.titles import what_it_does
from workbench.render.tree import Node, tree_html, tree_text

__all__ = [
    "MAX_IMAGE",
    "STYLE",
    "Load",
    "Node",
    "answer_html",
    "as_html",
    "as_text",
    "bundle",
    "cell",
    "clean_text",
    "conditions",
    "escape",
    "footer",
    "framed",
    "host_of",
    "inline_png",
    "picture_html",
    "plan_html",
    "plan_text",
    "safe_html",
    "safe_markdown",
    "shown_frames",
    "shown_views",
    "table_html",
    "table_text",
    "tree_html",
    "tree_text",
    "view_html",
    "what_it_does",
]
