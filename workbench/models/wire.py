"""What goes over the wire: the body of a chat completion request, and what its answer says.

Servers differ in how they can be held to JSON, so a request for data is put in one of four ways, best first:

    json_schema   response_format with the schema
    tool          the only tool there is, forced, with the schema as its parameters
    json_object   response_format json_object, the schema in the prompt
    text          nothing but the schema in the prompt

`OpenAIModel` goes down this ladder until the server answers and remembers where it stood.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.core.errors import Refused, TransientError, Unavailable
from workbench.models.base import Finish, Message, Usage

Rung = Literal["json_schema", "tool", "json_object", "text"]
LADDER: tuple[Rung, ...] = ("json_schema", "tool", "json_object", "text")
NAME = "plan"
"""What the data is called on the wire."""

_FINISH: Mapping[Any, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "refusal": "refusal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one answer says, whichever way it came."""

    text: str
    finish: Finish
    usage: Usage


def request(
    model: str, messages: Sequence[Message], schema: Mapping[str, Any] | None, rung: Rung, limit: Mapping[str, int]
) -> dict[str, Any]:
    """The body that asks `model` for text, or for data of `schema` in the way of `rung`."""
    spoken = [{"role": message.role, "content": _content(message)} for message in messages]
    body: dict[str, Any] = {"model": model, "messages": spoken, **limit}
    if schema is None:
        return body
    if rung == "json_schema":
        wanted = {"name": NAME, "schema": schema, "strict": strict(schema)}
        return body | {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if rung == "tool":
        tool = {"name": NAME, "description": "Give the reply through this function.", "parameters": schema}
        choice = {"type": "function", "function": {"name": NAME}}
        return body | {"tools": [{"type": "function", "function": tool}], "tool_choice": choice}
    body["messages"] = _with_schema(spoken, schema)
    return body | {"response_format": {"type": "json_object"}} if rung == "json_object" else body


def _content(message: Message) -> Any:
    if not message.pictures:
        return message.content
    urls = [f"data:image/png;base64,{base64.b64encode(picture.png).decode()}" for picture in message.pictures]
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": message.content}, *pictures]


def _with_schema(spoken: list[dict[str, Any]], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Into the first message, so that the user's words stay last and as they are.
    text = "Reply with one JSON value and nothing else. Its JSON Schema:\n" + json.dumps(schema, ensure_ascii=False)
    if spoken and spoken[0]["role"] == "system":
        return [{"role": "system", "content": f"{spoken[0]['content']}\n\n{text}"}, *spoken[1:]]
    return [{"role": "system", "content": text}, *spoken]


def strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object closed, all of its properties required."""
    if isinstance(schema, list | tuple):
        return all(map(strict, schema))
    if not isinstance(schema, Mapping):
        return True
    kinds = schema.get("type")
    if kinds == "object" or (isinstance(kinds, list | tuple) and "object" in kinds):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(properties) != set(schema.get("required", ())):
            return False
        return all(map(strict, properties.values()))
    return all(strict(value) for value in schema.values())


def plain(text: str, most: int) -> str:
    """One printable line of at most `most` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]


def read(raw: Any, where: str, clean: Callable[[str, int], str] = plain) -> Said:
    """What the server's answer says. Raises Refused, TransientError or Unavailable for all that is not a whole answer.

    `clean` makes a line for an error of the server's words: whoever has the key keeps it out of there. A reply that was
    cut at the token limit is returned with finish "length" when it holds any text.
    """
    if isinstance(raw, dict) and raw.get("error") and not raw.get("choices"):
        raise _error(raw["error"], where, clean)
    try:
        choice = raw["choices"][0]
        message = choice["message"]
        content, calls, refusal = message.get("content"), message.get("tool_calls") or [], message.get("refusal")
        finish: Finish = _FINISH.get(choice.get("finish_reason"), "unknown")
    except (TypeError, KeyError, IndexError, AttributeError):
        raise Unavailable(
            f"{where} answered something that is not a chat completion.",
            hint="Check OPENAI_BASE_URL; it usually ends in /v1.",
        ) from None
    usage = _usage(raw.get("usage"))
    spent: dict[str, Any] = {"tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out, "finish": finish}
    if finish == "content_filter":
        raise Refused(f"The content filter of {where} declined the reply.", **spent)
    if refusal or finish == "refusal":
        said = clean(str(refusal or content or ""), 500)
        raise Refused(f"The model declined: {said}" if said else "The model declined.", **spent | {"finish": "refusal"})
    text = _called(calls) or _text(content)
    if not text.strip():
        if finish == "length":
            raise Unavailable(
                f"The model at {where} used up its tokens before it said anything.",
                hint="Ask for less, or use a model with a larger limit.",
                **spent,
            )
        raise TransientError(f"The model at {where} answered nothing.", hint="Try again.", empty=True, **spent)
    return Said(text=text, finish=finish, usage=usage)


def _error(error: Any, where: str, clean: Callable[[str, int], str]) -> Unavailable | TransientError:
    # Some gateways answer 200 and put the failure into the body.
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str):
        code = int(code) if re.fullmatch("[1-5][0-9][0-9]", code) else clean(code, 60)
    elif not isinstance(code, int) or abs(code) > 10**6:
        code = None
    if code in (408, 409, 429) or (isinstance(code, int) and 500 <= code < 600):
        return TransientError(f"{where} failed behind its gateway ({code}).", hint="Try again.", status=code)
    return Unavailable(f"{where} answered with an error{f' ({code})' if code else ''} instead of a reply.")


def _called(calls: Any) -> str:
    """The arguments of the call to our one function. Calls to other functions are not replies."""
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and function.get("name") == NAME:
            arguments = function.get("arguments")
            return arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ""


def _text(content: Any) -> str:
    if isinstance(content, list):  # parts, as some servers send them
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(raw: Any) -> Usage:
    def count(name: str) -> int:
        value = raw.get(name) if isinstance(raw, dict) else None
        return max(0, int(value)) if isinstance(value, int | float) and value == value and abs(value) < 1e12 else 0

    return Usage(tokens_in=count("prompt_tokens"), tokens_out=count("completion_tokens"))
