"""The small words that hold phrases together."""

from __future__ import annotations

from workbench.planners.grammar.rules import alt, choice, may, phrase

THE = may(phrase("the|a|an|all|all the|our|any|only"))
BE = phrase("is|are|was|were|be|been|being")
WITH = phrase("where|with|whose|having|have|has|had|that have|which have|who have|that has|that had")
JOINT = alt(
    choice(
        "joint",
        {"or": "or|, or", "and": "and|, and|and in|and for", "vs": "vs|versus|compared to|compared with|vs ."},
    ),
    phrase(","),
)
"""What joins the items of a list; a comma joins without meaning."""
