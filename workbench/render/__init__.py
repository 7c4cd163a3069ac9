"""The one output gate: everything a user sees of a run passes here, cleaned and escaped."""

from workbench.render.clean import clean_text, escape, safe_html, safe_markdown
from workbench.render.run import Load, as_html, as_text, bundle, framed, plan_html, plan_text
from workbench.render.tables import cell, table_html, table_text

__all__ = [
    "Load",
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
]
