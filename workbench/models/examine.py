"""Looks at an endpoint as a planner needs it: what it serves, and which ways of asking for data work there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core import schema as schemas
from workbench.core.errors import WorkbenchError
from workbench.models.base import Message
from workbench.models.openai import OpenAIModel
from workbench.models.wire import LADDER, Rung

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}
ASKED = Message(
    role="user", content='Reply with one JSON object and nothing else: {"colour": "blue", "count": 3}. No other text.'
)
MAX_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One way of asking for data. `works`: the reply was JSON of the shape that was asked for. `detail`: what came."""

    rung: Rung
    works: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """An endpoint: its host, the names it serves (empty when it does not say), the model tried, and each rung."""

    endpoint: str
    served: Sequence[str]
    model: str
    tried: Sequence[Tried]

    @property
    def used(self) -> Rung | None:
        """The way that plans will be asked for; None when none works."""
        return next((tried.rung for tried in self.tried if tried.works), None)


async def examine(model: OpenAIModel) -> Examined:
    """What the endpoint of `model` serves and can do: a list, and one small call for each way of asking.

    Raises Unavailable or TransientError when it cannot be reached, refuses the key, or serves no model to try.
    """
    served = await model.served()
    tried = []
    for rung in LADDER:
        try:
            text = await model.try_rung(rung, [ASKED], SCHEMA, MAX_TOKENS)
        except WorkbenchError as error:
            if error.data.get("status") in (401, 403, 404) or not error.data.get("status"):
                raise  # about the endpoint, the key or the model, not about this way of asking
            tried.append(Tried(rung=rung, works=False, detail=error.message))
            continue
        problem = _problem(text)
        tried.append(Tried(rung=rung, works=not problem, detail=problem or "gave the data that was asked for"))
    return Examined(endpoint=model.endpoint, served=served, model=model.name, tried=tried)


def _problem(text: str) -> str:
    """Why a reply is not the data that was asked for, "" when it is."""
    try:
        data = json.loads(text)
    except ValueError:
        return f"answered, but not with JSON: {' '.join(text.split())[:60]!r}"
    wrong = list(schemas.check(data, SCHEMA, "the reply", resolved=True))
    return f"answered with other JSON: {wrong[0]}" if wrong else ""
