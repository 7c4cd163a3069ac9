"""What of a request is worth remembering, when the user has switched that on: from their own words and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.errors import PlanInvalid
from workbench.memory.lexical import is_identifier, terms
from workbench.memory.remember import KINDS
from workbench.models.base import Model
from workbench.models.metered import metered
from workbench.planners.base import Tell
from workbench.planners.parts import Part, in_order, messages
from workbench.planners.reply import read_json
from workbench.policy.sanitize import without_lone_surrogates

MOST = 3
"""Memories that one request gives."""
_LONGEST = 300
_SHARE = 0.75
"""Of a memory's words that must stand in the request: more than that a model has made up."""

EXTRACT = """\
Below stands what a person asked of their workbench. Say what of it is worth remembering for later requests: facts \
about their data, their rules and definitions, what they prefer, how they do things. Not the question itself, nothing \
that holds for this request alone, nothing that is not said. In their language, in their words, each a sentence that \
stands on its own. Reply with one JSON object and nothing else: {"memories": [{"kind": "fact", "text": "…"}]}, with \
{"memories": []} when there is nothing, as is usual."""

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "memories": {
            "type": "array",
            "maxItems": MOST,
            "items": {
                "type": "object",
                "properties": {"kind": {"type": "string", "enum": list(KINDS)}, "text": {"type": "string"}},
                "required": ["kind", "text"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["memories"],
    "additionalProperties": False,
}


async def extract(model: Model, request: str, tell: Tell) -> list[tuple[str, str]]:
    """Kind and text of what a request says for good, at most `MOST`. What a model adds of its own is left out. Raises
    as `Model.complete` does."""
    parts = [
        Part(name="instructions", source="workbench", text=EXTRACT),
        Part(name="request", source="user", text=request),
    ]
    reply = await metered(model, messages(in_order(parts)), "extract", tell, SCHEMA)
    try:
        data = read_json(without_lone_surrogates(reply.text))
    except PlanInvalid:
        return []
    found = data.get("memories") if isinstance(data, dict) else None
    said = [
        (str(item.get("kind")), str(item.get("text")).strip())
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, dict) and item.get("kind") in KINDS and isinstance(item.get("text"), str)
    ]
    return [(kind, text) for kind, text in said if 0 < len(text) <= _LONGEST and is_said(text, request)][:MOST]


def is_said(text: str, request: str) -> bool:
    """Whether a text only says what the request says: its words stand there, and every number and name of it."""
    there = {term for term, _ in terms(request)}
    words = [term for term, _ in terms(text)]
    if not words or any(is_identifier(term) and term not in there for term in words):
        return False
    return sum(term in there for term in words) >= _SHARE * len(words)
