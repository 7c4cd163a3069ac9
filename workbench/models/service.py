"""The host function `model.complete`: the user's model, for tools that need words read or written.

The worker has no key and reaches no endpoint; it says what to ask and gets text, or JSON that fits its schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workbench.core import schema as schemas
from workbench.core.errors import BudgetExceeded, ToolFailed, Unavailable
from workbench.core.events import Kind
from workbench.models.base import Message, Model
from workbench.models.metered import metered

MAX_CALLS = 50
"""Calls of the model that one call of a tool may make."""
MAX_CHARS = 400_000
MAX_TOKENS = 32_000
_THOUGHTS = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```\w*\s*\n(.*)\n\s*```\Z", re.DOTALL)


def complete_service(
    model: Model | None, purpose: str, tell: Callable[[Kind, Mapping[str, Any]], object]
) -> Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]:
    """Takes `{prompt, system, schema, max_tokens}` and answers `{text, model}`, with `json` when there is a schema.

    Each call is told as `model.called` with `purpose`. A reply that is not the JSON asked for is asked for once more.
    Raises Unavailable without a model, BudgetExceeded for too many calls, ToolFailed for wrong parameters and for a
    reply that is not the JSON asked for, and as `Model.complete` does.
    """
    calls = 0

    async def complete(params: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal calls
        messages, schema, max_tokens = _asked(params)
        if model is None:
            raise Unavailable(
                "The tool asks a language model, and none is connected.",
                hint="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own.",
            )
        problem = ""
        for _ in range(2 if schema is not None else 1):
            calls += 1
            if calls > MAX_CALLS:
                raise BudgetExceeded(f"The call has asked the model {MAX_CALLS} times.", hint="Ask for less at once.")
            reply = await metered(model, messages, purpose, tell, schema, max_tokens)
            text = _THOUGHTS.sub("", reply.text).strip()
            answer = {"text": text, "model": reply.model}
            if schema is None:
                return answer
            try:
                return answer | {"json": _fitting(text, schema)}
            except ValueError as error:
                problem = str(error)
            again = f"This is not the JSON that was asked for: {problem}. Send the JSON value and nothing else."
            shown = Message(role="assistant", content=text[:20_000] or "(nothing)")
            messages = [*messages, shown, Message(role="user", content=again)]
        raise ToolFailed(f"{model.name} did not answer in the form that was asked for: {problem}.")

    return complete


def _asked(params: Mapping[str, Any]) -> tuple[list[Message], Mapping[str, Any] | None, int | None]:
    if unknown := sorted(set(params) - {"prompt", "system", "schema", "max_tokens"}):
        raise ToolFailed(f"model.complete does not know {unknown[0][:40]!r}.")
    prompt, system = params.get("prompt"), params.get("system") or ""
    if not isinstance(prompt, str) or not prompt.strip() or not isinstance(system, str):
        raise ToolFailed("model.complete needs a prompt, as text.")
    if len(prompt) + len(system) > MAX_CHARS:
        raise ToolFailed(f"The prompt has {len(prompt) + len(system):,} characters; at most {MAX_CHARS:,} are sent.")
    schema, max_tokens = params.get("schema"), params.get("max_tokens")
    if schema is not None and not isinstance(schema, Mapping):
        raise ToolFailed("schema has to be a JSON Schema object.")
    if max_tokens is not None and not (type(max_tokens) is int and 0 < max_tokens <= MAX_TOKENS):
        raise ToolFailed(f"max_tokens has to be a whole number up to {MAX_TOKENS:,}.")
    first = [Message(role="system", content=system)] if system.strip() else []
    return [*first, Message(role="user", content=prompt)], schema, max_tokens


def _fitting(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON value of a reply. Raises ValueError, saying what is wrong, when it is none or does not fit."""
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if problems := list(schemas.check(value, schema, "the value", resolved=True)):
        raise ValueError("; ".join(problems[:3]))
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
